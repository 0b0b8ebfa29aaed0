// HMAC-SHA-512 (RFC 2104) and HKDF-Expand (RFC 5869 §2.3)

import { KEY, KEY_BYTES } from "./layout";
import { compress, forgetMessage, INITIAL } from "./sha512";

/** What is the same for all messages of a key: the states after its two pads. */
const INNER: usize = memory.data(64, 16);
const OUTER: usize = memory.data(64, 16);
const STATE: usize = memory.data(64, 16);
const BLOCK: usize = memory.data(128, 16);
const DIGEST: usize = memory.data(64, 16);
let filled: u32 = 0;
let total: u64 = 0;

/** Takes a key of up to 128 bytes from KEY, and wipes it there. */
export function useMacKey(bytes: u32): void {
  memory.fill(KEY + bytes, 0, KEY_BYTES - bytes);
  for (let at: usize = 0; at < 128; at += 8) store<u64>(BLOCK + at, load<u64>(KEY + at) ^ 0x3636363636363636);
  memory.copy(INNER, INITIAL, 64);
  compress(INNER, BLOCK);
  for (let at: usize = 0; at < 128; at += 8) store<u64>(BLOCK + at, load<u64>(KEY + at) ^ 0x5c5c5c5c5c5c5c5c);
  memory.copy(OUTER, INITIAL, 64);
  compress(OUTER, BLOCK);
  memory.fill(KEY, 0, KEY_BYTES);
}

/** Writes the HMAC of a message, 64 bytes. */
export function mac(message: usize, bytes: u32, target: usize): void {
  start(INNER);
  update(message, bytes);
  end(target);
}

/** Derives up to 16,320 bytes with the key in use. */
export function expand(info: usize, infoBytes: u32, target: usize, bytes: u32): void {
  for (let block: u32 = 1, left = bytes; left > 0; block++) {
    start(INNER);
    if (block > 1) update(DIGEST, 64);
    update(info, infoBytes);
    store<u8>(BLOCK + filled, <u8>block);
    advance(1);
    end(DIGEST);
    const taken: u32 = min(left, 64);
    memory.copy(target, DIGEST, taken);
    target += taken;
    left -= taken;
  }
}

/** Wipes what the key and its messages leave. */
export function forgetMac(): void {
  memory.fill(INNER, 0, 64);
  memory.fill(OUTER, 0, 64);
  memory.fill(STATE, 0, 64);
  memory.fill(BLOCK, 0, 128);
  memory.fill(DIGEST, 0, 64);
  forgetMessage();
}

function start(state: usize): void {
  memory.copy(STATE, state, 64);
  filled = 0;
  total = 128;
}

function update(at: usize, bytes: u32): void {
  while (bytes > 0) {
    const taken: u32 = min(128 - filled, bytes);
    memory.copy(BLOCK + filled, at, taken);
    at += taken;
    bytes -= taken;
    advance(taken);
  }
}

function advance(bytes: u32): void {
  filled += bytes;
  total += bytes;
  if (filled < 128) return;
  compress(STATE, BLOCK);
  filled = 0;
}

function end(target: usize): void {
  finish(DIGEST);
  start(OUTER);
  update(DIGEST, 64);
  finish(target);
}

function finish(target: usize): void {
  const bits = total << 3;
  store<u8>(BLOCK + filled, 0x80);
  memory.fill(BLOCK + filled + 1, 0, 127 - filled);
  if (filled >= 112) {
    compress(STATE, BLOCK);
    memory.fill(BLOCK, 0, 120);
  }
  store<u64>(BLOCK, bswap<u64>(bits), 120);
  compress(STATE, BLOCK);
  for (let at: usize = 0; at < 64; at += 8) store<u64>(target + at, bswap<u64>(load<u64>(STATE + at)));
}
