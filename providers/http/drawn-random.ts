import { concatBytes, type OwnedBytes, wipe } from "../../src/core/base/bytes.ts";
import { invalidArgument } from "../../src/core/base/errors.ts";
import type { RandomSource } from "../../src/core/contracts/random-source.ts";

export interface DrawSteps {
  readonly name: string;
  /** The most bytes that one request gives. */
  readonly mostAtOnce: number;
  /** @throws `closed`; the signal's reason */
  requireOpen(signal: AbortSignal | undefined): void;
  /** Draws exactly `count` bytes, 1 to `mostAtOnce`, with one request. */
  draw(count: number, signal: AbortSignal | undefined): Promise<OwnedBytes>;
  close(): void;
}

/** A random source over requests that give a bounded number of bytes. */
export function drawnRandom({ name, mostAtOnce, requireOpen, draw, close }: DrawSteps): Required<RandomSource> {
  return {
    name,
    async randomBytes(count, { signal } = {}) {
      requireOpen(signal);
      if (!Number.isInteger(count) || count < 1 || count > MAX_BYTES)
        throw invalidArgument(`count is ${count}, expected 1 to ${MAX_BYTES}`);
      const parts: OwnedBytes[] = [];
      try {
        for (let left = count; left > 0; left -= mostAtOnce) parts.push(await draw(Math.min(left, mostAtOnce), signal));
        return concatBytes(...parts);
      } finally {
        for (const part of parts) wipe(part);
      }
    },
    async close() {
      close();
    },
  };
}

const MAX_BYTES = 4096;
