import { engine } from "#engine";
import { ascii, byteAt, concatBytes, wipe } from "../base/bytes.ts";
import { invalidArgument } from "../base/errors.ts";
import {
  BODY_KEY_BYTES,
  CHUNK_BYTES,
  CHUNK_KEY_BYTES,
  COMMITMENT_BYTES,
  GCM_NONCE_BYTES,
  SALT_BYTES,
  SUITE_HASH,
} from "../contracts/suite.ts";
import { BODY_PREFIX_BYTES, bodyBytes, chunkCount, plaintextBytesOf, SEALED_CHUNK_BYTES } from "./body-sizes.ts";
import type { ChunkCipher, Opened, Written } from "./engine/engine.ts";
import { hkdfExpand } from "./hkdf.ts";

// Cobblestone-256: C2SP chunked-encryption v1 with AES-256-GCM and HKDF-SHA-512. docs/format.md §6

export { BODY_PREFIX_BYTES, bodyBytes, chunkCount, plaintextBytesOf, SEALED_CHUNK_BYTES };

/** What one salt derives: a chunk key, the base of the nonces, and the commitment to both and to the context. */
export interface BodyKeys {
  readonly key: Uint8Array;
  readonly base: Uint8Array;
  readonly commitment: Uint8Array;
}

/**
 * @param context bound through the derivation
 * @throws `invalid-argument` if `inputKey` has not 32 bytes: the derivation would take any, and the specification refuses them
 */
export function deriveBodyKeys(inputKey: Uint8Array, salt: Uint8Array, ...context: readonly Uint8Array[]): BodyKeys {
  if (inputKey.length !== BODY_KEY_BYTES) throw invalidArgument(`a body's input key has ${BODY_KEY_BYTES} bytes`);
  const okm = hkdfExpand(SUITE_HASH, inputKey, [INFO, salt, ...context], BASE_END + COMMITMENT_BYTES, BASE_END);
  return { key: okm.subarray(0, CHUNK_KEY_BYTES), base: okm.subarray(CHUNK_KEY_BYTES, BASE_END), commitment: okm.subarray(BASE_END) };
}

/**
 * Seals a whole body under a salt in one call, if the coarse engine does.
 *
 * @returns how many bytes were written into `target` at `offset`, or undefined: the caller derives the keys and seals chunks
 */
export function sealWhole(
  inputKey: Uint8Array,
  salt: Uint8Array,
  context: readonly Uint8Array[],
  plaintext: Uint8Array,
  target: Uint8Array,
  offset: number,
): number | undefined {
  return engine.coarse?.sealBody(inputKey, salt, [INFO, salt, ...context], plaintext, target, offset);
}

/** Opens a whole body in one call, if the coarse engine does. False if a tag or the commitment does not fit. */
export function openWhole(inputKey: Uint8Array, context: readonly Uint8Array[], body: Uint8Array): Opened | undefined {
  return engine.coarse?.openBody(inputKey, [INFO, body.subarray(0, SALT_BYTES), ...context], body);
}

/** Wipes the key and nonce base; the commitment is public. */
export function wipeBodyKeys({ key, base }: BodyKeys): void {
  wipe(key, base);
}

/**
 * Seals consecutive chunks of one body, the first of them being number `firstChunk`, into `target` at `offset`.
 * The last chunk of a body is the one that is short, so `plaintext` of whole chunks alone is the middle of a body.
 *
 * @param isEnd whether the body ends with `plaintext`: adds the short, possibly empty last chunk
 * @returns how many bytes were written
 */
export function sealChunks(
  cipher: ChunkCipher,
  base: Uint8Array,
  firstChunk: number,
  plaintext: Uint8Array,
  isEnd: boolean,
  target: Uint8Array,
  offset: number,
): Written {
  const nonce = new Uint8Array(new ArrayBuffer(GCM_NONCE_BYTES));
  return eachChunk(isEnd ? chunkCount(plaintext.length) : plaintext.length / CHUNK_BYTES, (index) =>
    cipher.seal(
      chunkNonce(base, firstChunk + index, nonce),
      plaintext.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES),
      target,
      offset + index * SEALED_CHUNK_BYTES,
    ),
  );
}

/**
 * Opens consecutive sealed chunks, the first of them being number `firstChunk`, into `target` at `offset`. The caller wipes `target`
 * if this throws, for chunks before the bad one are in it.
 *
 * @returns how many bytes were written
 * @throws `authentication-failed` if a tag does not fit
 */
export function openChunks(
  cipher: ChunkCipher,
  base: Uint8Array,
  firstChunk: number,
  sealed: Uint8Array,
  target: Uint8Array,
  offset: number,
): Written {
  const nonce = new Uint8Array(new ArrayBuffer(GCM_NONCE_BYTES));
  return eachChunk(Math.ceil(sealed.length / SEALED_CHUNK_BYTES), (index) =>
    cipher.open(
      chunkNonce(base, firstChunk + index, nonce),
      sealed.subarray(index * SEALED_CHUNK_BYTES, (index + 1) * SEALED_CHUNK_BYTES),
      target,
      offset + index * CHUNK_BYTES,
    ),
  );
}

/** Writes the nonce of a chunk into an array that is kept for all of them: base xor BE(chunk). Chunk numbers stay far below 2^48. */
export function chunkNonce(base: Uint8Array, chunk: number, nonce: Uint8Array): Uint8Array {
  for (let at = 0; at < GCM_NONCE_BYTES; at++) nonce[at] = byteAt(base, at);
  for (let at = GCM_NONCE_BYTES - 1, rest = chunk; rest > 0; at--, rest = Math.floor(rest / 256))
    nonce[at] = byteAt(nonce, at) ^ (rest % 256);
  return nonce;
}

/** Works at once as long as the engine does, else on a few chunks at a time, which is what WebCrypto needs to be fast. */
function eachChunk(count: number, work: (index: number) => Written): Written {
  let written = 0;
  for (let index = 0; index < count; index++) {
    const chunk = work(index);
    if (typeof chunk !== "number") return severalAtOnce(chunk, index + 1, count, work);
    written += chunk;
  }
  return written;
}

async function severalAtOnce(first: Promise<number>, start: number, count: number, work: (index: number) => Written): Promise<number> {
  let next = start;
  let written = 0;
  let isBroken = false;
  const oneByOne = async (chunk: Written): Promise<void> => {
    try {
      const bytes = await chunk;
      written += bytes;
      while (next < count && !isBroken) {
        const more = await work(next++);
        written += more;
      }
    } catch (error) {
      isBroken = true;
      throw error;
    }
  };
  const chains = [oneByOne(first)];
  while (chains.length < CHUNKS_AT_ONCE && next < count) chains.push(oneByOne(work(next++)));
  // nothing may still write when the caller goes on to wipe
  for (const outcome of await Promise.allSettled(chains)) if (outcome.status === "rejected") throw outcome.reason;
  return written;
}

const BASE_END: number = CHUNK_KEY_BYTES + GCM_NONCE_BYTES;
const CHUNKS_AT_ONCE = 8;
const INFO: Uint8Array = concatBytes(ascii("c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM"), new Uint8Array(1));
