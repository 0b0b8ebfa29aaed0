import fc from "fast-check";
import { localKey } from "../../providers/local/index.ts";
import { concatBytes, type OwnedBytes } from "../../src/core/base/bytes.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";

/** A keyring under one local key, which tests may decrypt with again. */
export function testKeyring(context?: Record<string, string>): Keyring {
  return new Keyring({ wrapWith: [localKey({ keyId: "test", key: new Uint8Array(32).fill(7) })], ...(context && { context }) });
}

/** Bytes that differ from chunk to chunk, the same for one length and seed. */
export function patterned(length: number, seed = 1): OwnedBytes {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** The bytes in pieces, cut at the given offsets. */
export async function* piecesOf(bytes: Uint8Array, cuts: readonly number[] = []): AsyncGenerator<Uint8Array, void, undefined> {
  let start = 0;
  for (const cut of [...cuts, bytes.length].sort((a, b) => a - b)) {
    const end = Math.min(cut, bytes.length);
    yield bytes.slice(start, end);
    start = end;
  }
}

/** The bytes as a web stream, in pieces of `pieceBytes`. */
export function streamOf(bytes: Uint8Array, pieceBytes = 65536): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + pieceBytes));
      at += pieceBytes;
    },
  });
}

export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<OwnedBytes> {
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(piece);
  return concatBytes(...parts);
}

/** What came before the failure, and the failure. */
export async function collectUntilFailure(pieces: AsyncIterable<Uint8Array>): Promise<{ bytes: OwnedBytes; error: unknown }> {
  const parts: Uint8Array[] = [];
  try {
    for await (const piece of pieces) parts.push(piece);
  } catch (error) {
    return { bytes: concatBytes(...parts), error };
  }
  return { bytes: concatBytes(...parts), error: undefined };
}

export async function collectStream(stream: ReadableStream<Uint8Array>): Promise<OwnedBytes> {
  const parts: Uint8Array[] = [];
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return concatBytes(...parts);
    parts.push(value);
  }
}

/** Some cuts within `length`, many of them at multiples of `unit` and one beside. */
export function cutsWithin(length: number, unit: number): fc.Arbitrary<number[]> {
  const nearBoundary = fc
    .tuple(fc.integer({ min: 0, max: Math.floor(length / unit) }), fc.constantFrom(-1, 0, 1))
    .map(([index, beside]) => Math.min(length, Math.max(0, index * unit + beside)));
  return fc.array(fc.oneof(nearBoundary, fc.integer({ min: 0, max: length })), { maxLength: 12 });
}
