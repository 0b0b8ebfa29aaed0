// GHASH by vector permutes: a nibble times H has 17 bytes, and each is a table of 16, which is a vector.

import { high, LOW, ZERO } from "./aes";
import { reversed } from "./sha512";

/** For each byte, 16 entries for the high nibble of a factor, then 16 for the low one. */
const TABLE: usize = memory.data(544, 16);
const M8: v128 = i64x2(0, -1);
const M4: v128 = i32x4(0, -1, 0, -1);
const M2: v128 = i16x8(0, -1, 0, -1, 0, -1, 0, -1);
const M1: v128 = i8x16(0, -1, 0, -1, 0, -1, 0, -1, 0, -1, 0, -1, 0, -1, 0, -1);
/** H >> 0 to H >> 7, the most significant bit first: 17 bytes each, 20 apart. */
const SHIFTED: usize = memory.data(160, 16);

/** Four bits of the bytes at `at` and of their neighbours: the table of what each nibble times H has in one byte. */
@inline
function mix(at: usize): v128 {
  return v128.xor(
    v128.xor(v128.and(v128.load_splat<u8>(at), M8), v128.and(v128.load_splat<u8>(at, 20), M4)),
    v128.xor(v128.and(v128.load_splat<u8>(at, 40), M2), v128.and(v128.load_splat<u8>(at, 60), M1)),
  );
}
/** Makes the tables of a hash key. */
export function prepareTable(key: usize): void {
  const top = bswap<u64>(load<u64>(key));
  const bottom = bswap<u64>(load<u64>(key, 8));
  store<u64>(SHIFTED, load<u64>(key));
  store<u64>(SHIFTED, load<u64>(key, 8), 8);
  store<u8>(SHIFTED, 0, 16);
  for (let bits: u64 = 1; bits < 8; bits++) {
    const at = SHIFTED + 20 * <usize>bits;
    store<u64>(at, bswap<u64>(top >> bits));
    store<u64>(at, bswap<u64>((bottom >> bits) | (top << (64 - bits))), 8);
    store<u8>(at, <u8>(bottom << (8 - bits)), 16);
  }
  for (let byte: usize = 0; byte < 17; byte++) {
    v128.store(TABLE + 32 * byte, mix(SHIFTED + byte));
    v128.store(TABLE + 32 * byte, mix(SHIFTED + byte + 80), 16);
  }
}
export function forgetTable(): void {
  memory.fill(TABLE, 0, 544);
  memory.fill(SHIFTED, 0, 160);
}
/** Shifts 16 bytes of a number of 32 up by a byte. */
@inline
function up(low: v128, high: v128): v128 {
  return v128.shuffle<u8>(low, high, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
}
@inline
function pick(k: usize, h: v128, l: v128): v128 {
  return v128.xor(v128.swizzle(v128.load(TABLE + 32 * k), h), v128.swizzle(v128.load(TABLE + 32 * k + 16), l));
}
@inline
function add(k: usize, low: v128, h: v128, l: v128): v128 {
  return v128.xor(up(ZERO, low), pick(k, h, l));
}

/** (sum + block) * H */
export function absorb(sum: v128, block: v128): v128 {
  const x = v128.xor(block, sum);
  const h = high(x);
  const l = v128.and(x, LOW);
  let hi = ZERO;
  let lo = pick(16, h, l);
  hi = up(lo, hi);
  lo = add(15, lo, h, l);
  hi = up(lo, hi);
  lo = add(14, lo, h, l);
  hi = up(lo, hi);
  lo = add(13, lo, h, l);
  hi = up(lo, hi);
  lo = add(12, lo, h, l);
  hi = up(lo, hi);
  lo = add(11, lo, h, l);
  hi = up(lo, hi);
  lo = add(10, lo, h, l);
  hi = up(lo, hi);
  lo = add(9, lo, h, l);
  hi = up(lo, hi);
  lo = add(8, lo, h, l);
  hi = up(lo, hi);
  lo = add(7, lo, h, l);
  hi = up(lo, hi);
  lo = add(6, lo, h, l);
  hi = up(lo, hi);
  lo = add(5, lo, h, l);
  hi = up(lo, hi);
  lo = add(4, lo, h, l);
  hi = up(lo, hi);
  lo = add(3, lo, h, l);
  hi = up(lo, hi);
  lo = add(2, lo, h, l);
  hi = up(lo, hi);
  lo = add(1, lo, h, l);
  hi = up(lo, hi);
  lo = add(0, lo, h, l);
  // lo: x^0 to x^127, hi: x^128 to x^255, and x^128 = 1 + x + x^2 + x^7
  const highHalf = reversed(hi);
  const lowHalf = reversed(lo);
  let z3 = v128.extract_lane<u64>(highHalf, 0);
  const z2 = v128.extract_lane<u64>(highHalf, 1);
  z3 ^= (z2 << 63) ^ (z2 << 62) ^ (z2 << 57);
  const y1 = v128.extract_lane<u64>(lowHalf, 0) ^ z3 ^ (z3 >> 1) ^ (z3 >> 2) ^ (z3 >> 7);
  const y0 = v128.extract_lane<u64>(lowHalf, 1) ^ z2 ^ (z2 >> 1) ^ (z2 >> 2) ^ (z2 >> 7) ^ (z3 << 63) ^ (z3 << 62) ^ (z3 << 57);
  return reversed(v128.replace_lane<u64>(i64x2.splat(y1), 1, y0));
}
