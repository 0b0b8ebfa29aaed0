import { concatBytes, type OwnedBytes, wipe } from "../../src/core/base/bytes.ts";
import { invalidArgument } from "../../src/core/base/errors.ts";
import type { RandomSource } from "../../src/core/contracts/random-source.ts";

export interface DrawSteps {
  readonly name: string;
  /** The most bytes that one request gives. */
  readonly mostAtOnce: number;
  /** The connection that the requests go over, which is closed with the source. */
  readonly connection: OpenConnection;
  /** Draws exactly `count` bytes, 1 to `mostAtOnce`, with one request. */
  draw(count: number, signal: AbortSignal | undefined): Promise<OwnedBytes>;
}

interface OpenConnection {
  /** @throws `closed`; the signal's reason */
  requireOpen(signal: AbortSignal | undefined): void;
  close(): void;
}

/** A random source over requests that give a bounded number of bytes. */
export function drawnRandom({ name, mostAtOnce, connection, draw }: DrawSteps): Required<RandomSource> {
  return {
    name,
    async randomBytes(count, { signal } = {}) {
      connection.requireOpen(signal);
      if (!Number.isInteger(count) || count < 1 || count > MAX_BYTES)
        throw invalidArgument(`count is ${count}, expected 1 to ${MAX_BYTES}`);
      const parts: OwnedBytes[] = [];
      try {
        for (let left = count; left > 0; left -= mostAtOnce) parts.push(await draw(Math.min(left, mostAtOnce), signal));
        return concatBytes(...parts);
      } finally {
        wipe(...parts);
      }
    },
    async close() {
      connection.close();
    },
  };
}

const MAX_BYTES = 4096;
