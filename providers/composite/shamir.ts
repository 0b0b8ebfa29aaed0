import { byteAt, type OwnedBytes, wipe } from "../../src/core/base/bytes.ts";

// Shamir's secret sharing over GF(2^8) with the polynomial of AES, each byte by itself. docs/format.md §10.7
// No branch and no index depends on a secret byte.

/** A point of the polynomials: its place, 1 to 255, and one byte for each byte of the secret. */
export interface Point {
  readonly x: number;
  readonly y: Uint8Array;
}

/**
 * Splits a secret so that any `needed` points give it back, and fewer tell nothing of it.
 *
 * @param places distinct, 1 to 255 each
 * @param random fresh bytes for the coefficients, `(needed - 1)` times the length of the secret; they are wiped
 * @returns the points in the order of `places`; the caller wipes them
 */
export function split(secret: Uint8Array, needed: number, places: readonly number[], random: Uint8Array): readonly Point[] {
  const points = places.map((x) => ({ x, y: new Uint8Array(secret.length) }));
  for (const { x, y } of points) {
    for (let at = 0; at < secret.length; at++) {
      let value = 0;
      for (let power = needed - 1; power >= 1; power--) value = product(value, x) ^ byteAt(random, (power - 1) * secret.length + at);
      y[at] = product(value, x) ^ byteAt(secret, at);
    }
  }
  wipe(random);
  return points;
}

/** Gives the secret of exactly as many points as are needed, of distinct places. The caller wipes it. */
export function combine(points: readonly Point[]): OwnedBytes {
  const secret = new Uint8Array(points[0]?.y.length ?? 0);
  for (const { x, y } of points) {
    const weight = weightAtZero(
      x,
      points.map((other) => other.x),
    );
    for (let at = 0; at < secret.length; at++) secret[at] = byteAt(secret, at) ^ product(byteAt(y, at), weight);
  }
  return secret;
}

/** The value at 0 of Lagrange's polynomial that is 1 at `x` and 0 at the other places. Places are public. */
function weightAtZero(x: number, places: readonly number[]): number {
  let weight = 1;
  for (const other of places) if (other !== x) weight = product(weight, product(other, inverse(other ^ x)));
  return weight;
}

/** The product in GF(2^8), modulo x^8 + x^4 + x^3 + x + 1, in time that depends on nothing. FIPS 197 §4.2 */
export function product(a: number, b: number): number {
  let result = 0;
  let shifted = a;
  for (let bit = 0; bit < 8; bit++) {
    result ^= shifted & -((b >> bit) & 1);
    shifted = (shifted << 1) ^ (0x11b & -(shifted >> 7));
  }
  return result;
}

/** The inverse of a number above 0: its power of 254. */
function inverse(a: number): number {
  let power = a;
  for (let bit = 0; bit < 6; bit++) power = product(product(power, power), a);
  return product(power, power);
}
