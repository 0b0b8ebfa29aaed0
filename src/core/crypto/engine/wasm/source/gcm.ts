// AES-256-GCM (NIST SP 800-38D) with a nonce of 12 bytes, for keys that are used once. A message may come in pieces: `hash` and `crypt` keep
// their place. Decryption hashes first and compares the tag before it makes a byte of plaintext.

import { encrypt2, encrypt4, schedule, ZERO } from "./aes";
import { absorb, forgetTable, prepareTable } from "./ghash";
import { AAD } from "./layout";

/** Round keys of the key in use. */
const KEYS: usize = memory.data(240, 16);
/** Four blocks of key stream. */
const STREAM: usize = memory.data(64, 16);
/** The nonce and room for a counter. */
const BASE: usize = memory.data(16, 16);
/** What the last GHASH is added to. */
const MASK: usize = memory.data(16, 16);
const TAG: usize = memory.data(16, 16);
const PARTIAL: usize = memory.data(16, 16);

let counter: u32 = 0;
let used: u32 = 0;
let sum: v128 = ZERO;
let aadLength: u32 = 0;
let length: u64 = 0;

/** Takes a key of 32 bytes. */
export function useKey(key: usize): void {
  schedule(key, KEYS);
}

/** Begins a message under the key in use: derives the hash key and hashes the associated data. */
export function begin(nonce: usize, aadBytes: u32): void {
  v128.store(BASE, ZERO);
  memory.copy(BASE, nonce, 12);
  v128.store(STREAM, ZERO);
  // the hash key, the mask of the tag, and the first two blocks of key stream in one go
  for (let block: u32 = 1; block < 4; block++) v128.store(STREAM + 16 * block, counted(block));
  encrypt4(KEYS, STREAM);
  prepareTable(STREAM);
  v128.store(MASK, v128.load(STREAM, 16));
  used = 2;
  counter = 4;
  aadLength = aadBytes;
  length = 0;
  sum = ZERO;
  absorbAll(AAD, aadBytes);
}

/** Hashes ciphertext. Every piece but the last has whole blocks. */
export function hash(at: usize, bytes: u32): void {
  length += bytes;
  absorbAll(at, bytes);
}

/** Adds the key stream in place. Every piece but the last has whole blocks. */
export function crypt(at: usize, bytes: u32): void {
  const end = at + bytes;
  for (; at < end; at += 16) {
    if (used == 4) refill(<u32>(end - at));
    const block = STREAM + 16 * used++;
    if (end - at >= 16) {
      v128.store(at, v128.xor(v128.load(at), v128.load(block)));
    } else {
      for (let byte: usize = 0; byte < end - at; byte++) store<u8>(at + byte, load<u8>(at + byte) ^ load<u8>(block + byte));
    }
  }
}

/** Begins a key stream at any first block, for AES-SIV: its counters never carry out of the last word. */
export function beginStream(first: usize): void {
  v128.store(BASE, v128.load(first));
  counter = bswap<u32>(load<u32>(first, 12));
  used = 4;
}

/** Ends a message and writes its tag. */
export function writeTag(at: usize): void {
  endTag();
  v128.store(at, v128.load(TAG));
  v128.store(TAG, ZERO);
}

/** Ends a message: 1 if this is its tag, else 0. */
export function isTag(at: usize): i32 {
  endTag();
  const difference = v128.xor(v128.load(TAG), v128.load(at));
  v128.store(TAG, ZERO);
  return i32(!v128.any_true(difference));
}

/** Wipes what a message leaves. */
export function forget(): void {
  forgetTable();
  memory.fill(KEYS, 0, 240);
  memory.fill(STREAM, 0, 64);
  v128.store(BASE, ZERO);
  v128.store(MASK, ZERO);
  v128.store(PARTIAL, ZERO);
  sum = ZERO;
}

function refill(bytes: u32): void {
  const from: u32 = bytes <= 32 ? 2 : 0;
  for (let block = from; block < 4; block++) v128.store(STREAM + 16 * block, counted(counter++));
  if (from == 2) encrypt2(KEYS, STREAM + 32);
  else encrypt4(KEYS, STREAM);
  used = from;
}

@inline
function counted(value: u32): v128 {
  return v128.replace_lane<u32>(v128.load(BASE), 3, bswap<u32>(value));
}

function absorbAll(at: usize, bytes: u32): void {
  let y = sum;
  for (; bytes >= 16; at += 16, bytes -= 16) y = absorb(y, v128.load(at));
  if (bytes > 0) {
    v128.store(PARTIAL, ZERO);
    memory.copy(PARTIAL, at, bytes);
    y = absorb(y, v128.load(PARTIAL));
  }
  sum = y;
}

function endTag(): void {
  store<u64>(PARTIAL, bswap<u64>(u64(aadLength) << 3));
  store<u64>(PARTIAL, bswap<u64>(length << 3), 8);
  v128.store(TAG, v128.xor(absorb(sum, v128.load(PARTIAL)), v128.load(MASK)));
}
