import { createHmac, createSecretKey, hash as oneShotHash } from "node:crypto";
import { byteAt } from "../../base/bytes.ts";
import type { HmacHash } from "./engine.ts";

/**
 * HMAC (RFC 2104) as two one-shot hashes: `createHmac` makes a stream object and looks its digest up by name, which costs more than
 * hashing a short message twice. Only the inner digest, useless without the key, passes through a string. Whatever does not fit the
 * scratch goes to `createHmac`.
 */
export function nodeHmac(hash: HmacHash, key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  return hmac(hash, key, parts, (outer) => oneShotHash(hash, outer, "buffer"));
}

/** The same for a result that is public. It passes through a string, which takes half as long as a Buffer. */
export function nodePublicHmac(hash: HmacHash, key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  return hmac(hash, key, parts, (outer) => bytesOf(oneShotHash(hash, outer, "binary")));
}

function hmac(hash: HmacHash, key: Uint8Array, parts: readonly Uint8Array[], digestOf: (outer: Uint8Array) => Uint8Array): Uint8Array {
  const { blockBytes, digestBytes, inner, outer, outerText, messages } = SCRATCH[hash];
  let end = blockBytes;
  for (const part of parts) end += part.length;
  if (key.length > blockBytes || end > inner.length) return streamedHmac(hash, key, parts);

  for (let at = 0; at < key.length; at++) {
    inner[at] = byteAt(key, at) ^ 0x36;
    outer[at] = byteAt(key, at) ^ 0x5c;
  }
  inner.fill(0x36, key.length, blockBytes);
  outer.fill(0x5c, key.length, blockBytes);
  let at = blockBytes;
  for (const part of parts) {
    inner.set(part, at);
    at += part.length;
  }
  const message = messages[end] ?? inner.subarray(0, end);
  messages[end] = message;
  outerText.write(oneShotHash(hash, message, "binary"), blockBytes, digestBytes, "latin1");
  const digest = digestOf(outer);
  inner.fill(0, 0, end);
  outer.fill(0);
  return digest;
}

function bytesOf(binary: string): Uint8Array {
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

function streamedHmac(hash: HmacHash, key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac(hash, createSecretKey(key)); // a KeyObject: see SLOW_RAW_KEYS in node.ts
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

interface HmacScratch {
  readonly blockBytes: number;
  readonly digestBytes: number;
  /** The padded key, then room for a message. */
  readonly inner: Uint8Array;
  /** The beginnings of `inner` that were hashed, by length: a view takes a tenth of the time of a hash to make. */
  readonly messages: (Uint8Array | undefined)[];
  /** The padded key, then the inner digest. */
  readonly outer: Uint8Array;
  /** The same memory, for text. */
  readonly outerText: Buffer;
}

function scratchFor(blockBytes: number, digestBytes: number): HmacScratch {
  const outer = new Uint8Array(blockBytes + digestBytes);
  return {
    blockBytes,
    digestBytes,
    inner: new Uint8Array(SCRATCH_BYTES),
    messages: [],
    outer,
    outerText: Buffer.from(outer.buffer),
  };
}

const SCRATCH_BYTES = 1024;
// Used within one call and wiped at its end.
const SCRATCH: Readonly<Record<HmacHash, HmacScratch>> = { sha256: scratchFor(64, 32), sha512: scratchFor(128, 64) };
