// base64url without padding (RFC 4648 §5), for tokens: not secret, so tables are fine.

import { IO, TEXT } from "./layout";

const ALPHABET: usize = memory.data<u8>([
  65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 97, 98, 99, 100, 101, 102, 103,
  104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 45,
  95,
]);
/** The value of each character, or 0xff. Filled at the first use. */
const VALUES: usize = memory.data(256);
let isReady: bool = false;

/** Encodes bytes of IO to TEXT. Returns the number of characters. */
export function encode(from: u32, bytes: u32): u32 {
  let at = IO + from;
  const end = at + bytes;
  let to = TEXT;
  for (; at + 2 < end; at += 3, to += 4) {
    const bits = (u32(load<u8>(at)) << 16) | (u32(load<u8>(at, 1)) << 8) | u32(load<u8>(at, 2));
    put(to, bits >> 18);
    put(to + 1, bits >> 12);
    put(to + 2, bits >> 6);
    put(to + 3, bits);
  }
  if (at == end) return <u32>(to - TEXT);
  const isLong = end - at == 2;
  const bits = (u32(load<u8>(at)) << 16) | (isLong ? u32(load<u8>(at, 1)) << 8 : 0);
  put(to, bits >> 18);
  put(to + 1, bits >> 12);
  if (isLong) put(to + 2, bits >> 6);
  return <u32>(to - TEXT) + (isLong ? 3 : 2);
}

/** Decodes TEXT to IO. Returns the number of bytes, or -1 for all but the one text of some bytes. */
export function decode(to: u32, characters: u32): i32 {
  if (!isReady) fillValues();
  const tail = characters & 3;
  if (tail == 1) return -1;
  let target = IO + to;
  let from = TEXT;
  let values: u32 = 0; // 0xff of a foreign character sets bits that no value has
  for (const end = TEXT + characters - tail; from < end; from += 4, target += 3) {
    const a = valueAt(from);
    const b = valueAt(from + 1);
    const c = valueAt(from + 2);
    const d = valueAt(from + 3);
    values |= a | b | c | d;
    const bits = (a << 18) | (b << 12) | (c << 6) | d;
    store<u8>(target, <u8>(bits >> 16));
    store<u8>(target, <u8>(bits >> 8), 1);
    store<u8>(target, <u8>bits, 2);
  }
  if (tail > 0) {
    const a = valueAt(from);
    const b = valueAt(from + 1);
    const c = tail == 3 ? valueAt(from + 2) : 0;
    values |= a | b | c;
    const bits = (a << 18) | (b << 12) | (c << 6);
    if ((bits & (tail == 2 ? 0xffff : 0xff)) != 0) return -1; // unused bits are zero, or the bytes would have two texts
    store<u8>(target, <u8>(bits >> 16));
    if (tail == 3) store<u8>(target, <u8>(bits >> 8), 1);
    target += tail - 1;
  }
  return values > 63 ? -1 : <i32>(target - IO - to);
}

@inline
function put(at: usize, bits: u32): void {
  store<u8>(at, load<u8>(ALPHABET + (bits & 63)));
}

@inline
function valueAt(at: usize): u32 {
  return load<u8>(VALUES + load<u8>(at));
}

function fillValues(): void {
  memory.fill(VALUES, 0xff, 256);
  for (let value: u32 = 0; value < 64; value++) store<u8>(VALUES + load<u8>(ALPHABET + value), <u8>value);
  isReady = true;
}
