// AES-256 by vector permutes (Hamburg, "Accelerating AES with vector permute instructions", CHES 2009). The S-box is an inversion in GF(2^8),
// which is taken as GF(16)[s] / (s^2 + a s + a). Functions on GF(16) are tables of 16 bytes: vectors. A lookup is a swizzle, so no address and
// no branch depends on a secret. The byte `i << 4 | k` stands for k + i s. 0x80 is the infinity of an inversion: a swizzle turns it into 0, and
// it stays out of range whatever is added to it.

/** Each element: its inverse, and a times its inverse. */
const INVERSE: v128 = i64x2(0x0e040f06080c0180, 0x050709020a0b0d03);
const INVERSE_A: v128 = i64x2(0x0b0c080a010d0380, 0x0f09020607040e05);
/** The change of basis, of the low and of the high nibble. */
const TO_LOW: v128 = i64x2(0xe6e7c1c026270100, 0x25240203e5e4c2c3);
const TO_HIGH: v128 = i64x2(0x7fd505afd07aaa00, 0xa70ddd7708a272d8);
/** The S-box without its constant, in the basis of the field: once, and times 2 for MixColumns. */
const ONCE_U: v128 = i64x2(0xae20ed9f31114300, 0x63dc72bf8ecd52fc);
const ONCE_T: v128 = i64x2(0x7c28a5e498b0d900, 0xf13d41cc548d6915);
const TWICE_U: v128 = i64x2(0xff2cd7e21d312800, 0x04ca35ced3fb19e6);
const TWICE_T: v128 = i64x2(0x64b60c6a0eb86800, 0xde0266dcd2bad0b4);
/** The S-box without its constant, in the basis of AES. */
const LAST_U: v128 = i64x2(0x415fbb2b6a35fa00, 0xa5d190741ee4cf8e);
const LAST_T: v128 = i64x2(0x7ceffd0a76998100, 0x6e8bf7e593121864);
/** The constant of the S-box in both bases. */
const CONSTANT: v128 = i8x16.splat(-13);
const PLAIN_CONSTANT: v128 = i8x16.splat(0x63);

export const LOW: v128 = i8x16.splat(0x0f);
export const ZERO: v128 = i64x2.splat(0);

@inline
export function high(bytes: v128): v128 {
  return v128.and(v128.shr<u64>(bytes, 4), LOW);
}
@inline
function xor3(a: v128, b: v128, c: v128): v128 {
  return v128.xor(v128.xor(a, b), c);
}
@inline
function toField(bytes: v128): v128 {
  return v128.xor(v128.swizzle(TO_LOW, v128.and(bytes, LOW)), v128.swizzle(TO_HIGH, high(bytes)));
}

@inline
function subBytes(bytes: v128): v128 {
  const y = toField(bytes);
  const k = v128.and(y, LOW);
  const i = high(y);
  const j = v128.xor(i, k);
  const ak = v128.swizzle(INVERSE_A, k);
  const u = v128.xor(v128.swizzle(INVERSE, v128.xor(v128.swizzle(INVERSE, i), ak)), j);
  const t = v128.xor(v128.swizzle(INVERSE, v128.xor(v128.swizzle(INVERSE, j), ak)), i);
  return xor3(v128.swizzle(LAST_U, u), v128.swizzle(LAST_T, t), PLAIN_CONSTANT);
}

/** One round. The S-box's constant is in the round key. */
@inline
function round(y: v128, key: v128): v128 {
  const k = v128.and(y, LOW);
  const i = high(y);
  const j = v128.xor(i, k);
  const ak = v128.swizzle(INVERSE_A, k);
  const u = v128.xor(v128.swizzle(INVERSE, v128.xor(v128.swizzle(INVERSE, i), ak)), j);
  const t = v128.xor(v128.swizzle(INVERSE, v128.xor(v128.swizzle(INVERSE, j), ak)), i);
  const once = v128.xor(v128.swizzle(ONCE_U, u), v128.swizzle(ONCE_T, t));
  const twice = v128.xor(v128.swizzle(TWICE_U, u), v128.swizzle(TWICE_T, t));
  // ShiftRows and MixColumns: row r is 2 s[r] + 3 s[r + 1] + s[r + 2] + s[r + 3]
  const next = v128.shuffle<u8>(once, once, 5, 10, 15, 0, 9, 14, 3, 4, 13, 2, 7, 8, 1, 6, 11, 12);
  const pair = v128.xor(once, v128.shuffle<u8>(once, once, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12, 1, 2, 3, 0));
  const rest = v128.shuffle<u8>(pair, pair, 10, 15, 0, 5, 14, 3, 4, 9, 2, 7, 8, 13, 6, 11, 12, 1);
  const twice0 = v128.shuffle<u8>(twice, twice, 0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11);
  const twice1 = v128.shuffle<u8>(twice, twice, 5, 10, 15, 0, 9, 14, 3, 4, 13, 2, 7, 8, 1, 6, 11, 12);
  return v128.xor(v128.xor(twice0, twice1), xor3(next, rest, key));
}
@inline
function lastRound(y: v128, key: v128): v128 {
  const k = v128.and(y, LOW);
  const i = high(y);
  const j = v128.xor(i, k);
  const ak = v128.swizzle(INVERSE_A, k);
  const u = v128.xor(v128.swizzle(INVERSE, v128.xor(v128.swizzle(INVERSE, i), ak)), j);
  const t = v128.xor(v128.swizzle(INVERSE, v128.xor(v128.swizzle(INVERSE, j), ak)), i);
  const s = v128.xor(v128.swizzle(LAST_U, u), v128.swizzle(LAST_T, t));
  return v128.xor(v128.shuffle<u8>(s, s, 0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11), key);
}

export function encrypt1(keys: usize, blocks: usize): void {
  let a = v128.xor(toField(v128.load(blocks)), v128.load(keys));
  for (let at = keys + 16; at < keys + 224; at += 16) a = round(a, v128.load(at));
  v128.store(blocks, lastRound(a, v128.load(keys, 224)));
}
export function encrypt2(keys: usize, blocks: usize): void {
  const first = v128.load(keys);
  let a = v128.xor(toField(v128.load(blocks)), first);
  let b = v128.xor(toField(v128.load(blocks, 16)), first);
  for (let at = keys + 16; at < keys + 224; at += 16) {
    const key = v128.load(at);
    a = round(a, key);
    b = round(b, key);
  }
  const last = v128.load(keys, 224);
  v128.store(blocks, lastRound(a, last));
  v128.store(blocks, lastRound(b, last), 16);
}
export function encrypt4(keys: usize, blocks: usize): void {
  const first = v128.load(keys);
  let a = v128.xor(toField(v128.load(blocks)), first);
  let b = v128.xor(toField(v128.load(blocks, 16)), first);
  let c = v128.xor(toField(v128.load(blocks, 32)), first);
  let d = v128.xor(toField(v128.load(blocks, 48)), first);
  for (let at = keys + 16; at < keys + 224; at += 16) {
    const key = v128.load(at);
    a = round(a, key);
    b = round(b, key);
    c = round(c, key);
    d = round(d, key);
  }
  const last = v128.load(keys, 224);
  v128.store(blocks, lastRound(a, last));
  v128.store(blocks, lastRound(b, last), 16);
  v128.store(blocks, lastRound(c, last), 32);
  v128.store(blocks, lastRound(d, last), 48);
}

@inline
function spread(word: v128): v128 {
  const twice = v128.xor(word, v128.shuffle<u8>(ZERO, word, 0, 0, 0, 0, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27));
  return v128.xor(twice, v128.shuffle<u8>(ZERO, twice, 0, 0, 0, 0, 0, 0, 0, 0, 16, 17, 18, 19, 20, 21, 22, 23));
}
/** FIPS 197 §5.2: the 15 round keys of the 32 bytes at `key`, all but the first and the last as `round` wants them. */
export function schedule(key: usize, keys: usize): void {
  let a = v128.load(key);
  let b = v128.load(key, 16);
  v128.store(keys, toField(a));
  v128.store(keys, v128.xor(toField(b), CONSTANT), 16);
  for (let turn: u32 = 0; turn < 7; turn++) {
    let s = subBytes(b);
    const rotated = v128.shuffle<u8>(s, s, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12);
    a = v128.xor(spread(a), v128.xor(rotated, i32x4.splat(1 << turn)));
    if (turn == 6) {
      v128.store(keys, v128.xor(a, PLAIN_CONSTANT), 224);
      return;
    }
    const at = keys + 32 * turn;
    v128.store(at, v128.xor(toField(a), CONSTANT), 32);
    s = subBytes(a);
    b = v128.xor(spread(b), v128.shuffle<u8>(s, s, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15));
    v128.store(at, v128.xor(toField(b), CONSTANT), 48);
  }
}
