// The module's functions. They take offsets into IO and lengths that the caller has checked against the sizes of layout.ts.

import { encrypt1, encrypt2, encrypt4, ZERO } from "./aes";
import { begin, beginStream, crypt, forget, hash, isTag, useKey, writeTag } from "./gcm";
import { expand, forgetMac, mac, useMacKey } from "./hmac";
import { AAD, INFO, IO, KEY, OUT, POOL, SCHEDULE, TEXT } from "./layout";
import { deriveKey } from "./xaes";

export { decode, encode } from "./base64url";
export { makeSchedule } from "./xaes";

/** Where the regions begin, in this order. */
export function place(region: u32): usize {
  if (region == 0) return AAD;
  if (region == 1) return IO;
  if (region == 2) return KEY;
  if (region == 3) return SCHEDULE;
  if (region == 4) return INFO;
  if (region == 5) return OUT;
  if (region == 6) return TEXT;
  return POOL;
}

/** XAES under SCHEDULE. IO holds `nonce 24 | plaintext` from `at` on, and then `nonce 24 | ciphertext | tag 16`. */
export function seal(at: u32, aadBytes: u32, bytes: u32): void {
  startXaes(at, aadBytes);
  const text = IO + at + XAES_NONCE_BYTES;
  crypt(text, bytes);
  hash(text, bytes);
  writeTag(text + bytes);
  end();
}

/** XAES under SCHEDULE. IO holds `nonce 24 | ciphertext | tag 16` from `at` on. Returns 1 and has the plaintext there, or 0 and has made none. */
export function open(at: u32, aadBytes: u32, bytes: u32): i32 {
  startXaes(at, aadBytes);
  const text = IO + at + XAES_NONCE_BYTES;
  hash(text, bytes);
  const isOurs = isTag(text + bytes);
  if (isOurs) crypt(text, bytes);
  end();
  return isOurs;
}

/** Begins a long XAES message under SCHEDULE, whose nonce is at the start of IO. */
export function startXaes(at: u32, aadBytes: u32): void {
  deriveKey(IO + at);
  start(at + 12, aadBytes);
}

/** Begins a message under the 32 bytes at KEY, which it wipes, with a nonce of 12 bytes in IO. */
export function start(at: u32, aadBytes: u32): void {
  useKey(KEY);
  memory.fill(KEY, 0, 32);
  begin(IO + at, aadBytes);
}

/** Adds the key stream to a piece of a long message in IO. */
export function cryptPiece(at: u32, bytes: u32): void {
  crypt(IO + at, bytes);
}

/** Hashes a piece of ciphertext in IO. */
export function hashPiece(at: u32, bytes: u32): void {
  hash(IO + at, bytes);
}

/** Ends a long message: writes its tag to IO. */
export function tag(at: u32): void {
  writeTag(IO + at);
}

/** Ends the hashing of a long message. Returns 1 if its tag is that in IO. */
export function hasTag(at: u32): i32 {
  return isTag(IO + at);
}

/** Ends a message. Wipes all that was derived for it. */
export function end(): void {
  forget();
  memory.fill(SCHEDULE, 0, 272);
}

/** Encrypts each block of IO under SCHEDULE. */
export function encryptBlocks(bytes: u32): void {
  let at = IO;
  let left = bytes;
  for (; left >= 64; at += 64, left -= 64) encrypt4(SCHEDULE, at);
  if (left >= 32) {
    encrypt2(SCHEDULE, at);
    at += 32;
    left -= 32;
  }
  if (left >= 16) encrypt1(SCHEDULE, at);
  memory.fill(SCHEDULE, 0, 272);
}

/** CBC-MAC under SCHEDULE: chains the whole blocks of IO from the block at OUT, and leaves the last one there. */
export function chain(bytes: u32): void {
  for (let at = IO; at < IO + bytes; at += 16) {
    v128.store(OUT, v128.xor(v128.load(OUT), v128.load(at)));
    encrypt1(SCHEDULE, OUT);
  }
  memory.fill(SCHEDULE, 0, 272);
}

/** Begins a key stream with the 32 bytes at KEY, which it wipes, whose first block is at OUT. */
export function startStream(): void {
  useKey(KEY);
  memory.fill(KEY, 0, 32);
  beginStream(OUT);
  v128.store(OUT, ZERO);
}

/** HMAC-SHA-512 of INFO under the key at KEY, to OUT. */
export function hmac(keyBytes: u32, bytes: u32): void {
  useMacKey(keyBytes);
  mac(INFO, bytes, OUT);
  forgetMac();
}

/** HKDF-Expand with SHA-512 of INFO under the key at KEY, to OUT. */
export function derive(keyBytes: u32, infoBytes: u32, bytes: u32): void {
  useMacKey(keyBytes);
  expand(INFO, infoBytes, OUT, bytes);
  forgetMac();
}

/**
 * A body of one chunk under the input key at KEY. INFO is that of its keys. IO holds `salt 24`, 32 bytes of room and the plaintext, and
 * then `salt 24 | commitment 32 | ciphertext | tag 16`.
 */
export function sealBody(infoBytes: u32, bytes: u32): void {
  startBody(infoBytes);
  memory.copy(IO + SALT_BYTES, OUT + COMMITMENT, COMMITMENT_BYTES);
  const text = IO + PREFIX_BYTES;
  crypt(text, bytes);
  hash(text, bytes);
  writeTag(text + bytes);
  endBody();
}

/** Opens what `sealBody` makes. Returns 1 and has the plaintext in its place, or 0 and has made none. */
export function openBody(infoBytes: u32, bytes: u32): i32 {
  startBody(infoBytes);
  const text = IO + PREFIX_BYTES;
  const difference = v128.or(differenceAt(0), differenceAt(16));
  hash(text, bytes);
  const isOurs = isTag(text + bytes) & i32(!v128.any_true(difference));
  if (isOurs) crypt(text, bytes);
  endBody();
  return isOurs;
}

function startBody(infoBytes: u32): void {
  derive(32, infoBytes, COMMITMENT + COMMITMENT_BYTES);
  useKey(OUT);
  begin(OUT + 32, 0);
}

function differenceAt(offset: usize): v128 {
  return v128.xor(v128.load(OUT + COMMITMENT + offset), v128.load(IO + SALT_BYTES + offset));
}

function endBody(): void {
  memory.fill(OUT, 0, COMMITMENT + COMMITMENT_BYTES);
  forget();
}

const XAES_NONCE_BYTES: usize = 24;
const SALT_BYTES: usize = 24;
/** Where the commitment stands behind the derived key and the base of the nonces. */
const COMMITMENT: u32 = 44;
const COMMITMENT_BYTES: u32 = 32;
const PREFIX_BYTES: usize = 56;
