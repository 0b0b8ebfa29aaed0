import { describe, expect, test } from "vitest";
import { openChunks, sealChunks } from "../../src/core/crypto/cobblestone.ts";
import type { ChunkCipher } from "../../src/core/crypto/engine/engine.ts";
import { hexOf } from "../support/bytes.ts";

// Chunks under an engine that answers with promises, as WebCrypto does, whichever engine runs. docs/format.md §6

const CHUNK = 16_384;
const BASE: Uint8Array = new Uint8Array(12);

describe("chunks of an engine that answers later", () => {
  test.each([1, 2, 7, 8, 9, 30])("are each worked on once, %d of them, eight at a time at most", async (count) => {
    const engine = lateCipher();
    const written = await sealChunks(engine.cipher, BASE, 3, new Uint8Array((count - 1) * CHUNK + 5), true, new Uint8Array(0), 100);
    expect(written).toBe((count - 1) * CHUNK + 5);
    expect([...engine.nonces].sort()).toEqual(Array.from({ length: count }, (_, at) => hexOf(Uint8Array.of(...BASE.subarray(1), 3 + at))));
    expect([...engine.offsets].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, at) => 100 + at * (CHUNK + 16)));
    expect(engine.most).toBe(Math.min(8, count));
  });

  test("are opened to their places", async () => {
    const engine = lateCipher();
    const sealed = new Uint8Array(9 * (CHUNK + 16) + 21);
    expect(await openChunks(engine.cipher, BASE, 0, sealed, new Uint8Array(0), 7)).toBe(sealed.length);
    expect([...engine.offsets].sort((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, at) => 7 + at * CHUNK));
  });

  test("end with the first that is bad: none begins after it, and none still runs when it is told", async () => {
    const engine = lateCipher(4);
    const sealed = new Uint8Array(40 * (CHUNK + 16) + 16);
    await expect(openChunks(engine.cipher, BASE, 0, sealed, new Uint8Array(0), 0)).rejects.toThrow("chunk 4");
    expect(engine.running).toBe(0);
    expect(engine.offsets.length).toBeLessThan(20);
  });
});

interface LateCipher {
  readonly cipher: ChunkCipher;
  readonly nonces: readonly string[];
  readonly offsets: readonly number[];
  readonly running: number;
  readonly most: number;
}

/** Says how many bytes it was given, some turns later. */
function lateCipher(bad?: number): LateCipher {
  const nonces: string[] = [];
  const offsets: number[] = [];
  let running = 0;
  let most = 0;
  const work = async (nonce: Uint8Array, bytes: Uint8Array, _: Uint8Array, offset: number): Promise<number> => {
    const chunk = nonces.push(hexOf(nonce)) - 1;
    offsets.push(offset);
    most = Math.max(most, ++running);
    for (let turn = 0; turn < 3 + (chunk % 3); turn++) await undefined;
    running--;
    if (chunk === bad) throw new Error(`chunk ${chunk}`);
    return bytes.length;
  };
  return {
    cipher: { seal: work, open: work },
    nonces,
    offsets,
    get running() {
      return running;
    },
    get most() {
      return most;
    },
  };
}
