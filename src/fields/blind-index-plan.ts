import { invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import { LEAST_UNIQUE_BITS } from "./blind-index.ts";

export interface BlindIndexQuestion {
  /** The number of different values that the column will hold. */
  readonly distinctValues: number;
  /** The number of rows that it will hold. Defaults to the number of values. */
  readonly rows?: number;
  /** Whether the index has a unique constraint, so that no two values may share one. */
  readonly unique?: boolean;
}

export interface BlindIndexPlan {
  /** The number to pass as `bits`. */
  readonly bits: number;
  /** `"too-few-values"`: an attacker that knows the possible values can tell them apart by their counts, at any number of bits. */
  readonly advice: "sound" | "too-few-values";
  /** The average number of different values that share one index. At 1 or below, equality of values shows in full. */
  readonly valuesPerIndex: number;
  /** The average number of rows that a lookup finds, wanted or not, if values are evenly spread. */
  readonly rowsPerLookup: number;
  /** The chance that any two of the values share an index. Under a unique constraint, such a pair cannot be stored. */
  readonly collisionChance: number;
}

/**
 * Computes how many bits a blind index should have.
 *
 * An index of `b` bits over `X` evenly spread values reveals `min(b, log2 X)` of the `log2 X` bits of each value, to an attacker that knows
 * the values and their frequencies. Between `√X < 2^b < X/2`, each index covers more than two values, and a lookup still finds few rows
 * beside the wanted ones. The plan takes the middle of that range. **The formula holds for evenly spread values.** A value that is much
 * more frequent than others (a country, a diagnosis, a yes or no) shows by its count at any length. Combine such columns to a compound
 * index, or leave them without one.
 *
 * Collisions hide nothing in a unique index. It gets so many bits that the chance of a collision is below 2^-32, and equality of values
 * shows in full, as in every unique column.
 *
 * @throws `invalid-argument` unless `distinctValues` and `rows` are whole numbers of at least 1, rows not fewer than values
 * @example
 * ```ts
 * import { planBlindIndex } from "envelock/fields";
 *
 * const { bits } = planBlindIndex({ distinctValues: 200_000, rows: 1_000_000 });
 * console.log(bits);
 * ```
 */
export function planBlindIndex(question: BlindIndexQuestion): BlindIndexPlan {
  refuseUnknown(question, QUESTION, "planBlindIndex");
  const { distinctValues, rows = distinctValues, unique = false } = question;
  for (const count of [distinctValues, rows]) {
    if (!Number.isSafeInteger(count) || count < 1) throw invalidArgument("distinctValues and rows must be whole numbers of at least 1");
  }
  if (rows < distinctValues) throw invalidArgument("there cannot be fewer rows than distinct values");
  const bits = unique ? collisionFreeBits(distinctValues) : sharedBits(distinctValues);
  const indexes = 2 ** bits;
  return {
    bits,
    advice: unique || distinctValues >= ENOUGH_VALUES ? "sound" : "too-few-values", // counts that are all 1 reveal nothing
    valuesPerIndex: distinctValues / indexes,
    rowsPerLookup: rows / distinctValues + (rows - rows / distinctValues) / indexes,
    collisionChance: -Math.expm1((-distinctValues * (distinctValues - 1)) / 2 / indexes),
  };
}

/** Computes the middle of log2(√X) and log2(X/2). Below 4 values there is no such range, and the result is one bit, the minimum. */
function sharedBits(distinctValues: number): number {
  const least = Math.log2(distinctValues) / 2;
  const most = Math.log2(distinctValues) - 1;
  return Math.max(1, Math.round((least + most) / 2));
}

/**
 * Computes the bits of a unique index: X²/2 pairs, each sharing an index with a chance of 2^-bits; in whole bytes, and at least the minimum
 * for `unique`.
 */
function collisionFreeBits(distinctValues: number): number {
  return Math.max(LEAST_UNIQUE_BITS, Math.ceil((2 * Math.log2(distinctValues) - 1 + SAFETY_BITS) / 8) * 8);
}

const QUESTION: OptionNames<BlindIndexQuestion> = { distinctValues: true, rows: true, unique: true };
const ENOUGH_VALUES = 1024;
const SAFETY_BITS = 32;
