import { invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import { LEAST_UNIQUE_BITS } from "./blind-index.ts";

export interface BlindIndexQuestion {
  /** How many different values the column will hold. */
  readonly distinctValues: number;
  /** How many rows it will hold; as many as there are values if left out. */
  readonly rows?: number;
  /** Whether the index is to stand under a unique constraint, so that no two values may share one. */
  readonly unique?: boolean;
}

export interface BlindIndexPlan {
  /** What to pass as `bits`. */
  readonly bits: number;
  /** `"too-few-values"`: whoever knows the possible values can tell them apart by their counts, however many bits there are. */
  readonly advice: "sound" | "too-few-values";
  /** How many different values share one index on average. At 1 or below, equality of values shows as it is. */
  readonly valuesPerIndex: number;
  /** How many rows a lookup finds on average, wanted or not, if values are evenly spread. */
  readonly rowsPerLookup: number;
  /** How likely it is that any two of the values share an index. Under a unique constraint, such a pair cannot be stored. */
  readonly collisionChance: number;
}

/**
 * How many bits a blind index should have.
 *
 * An index of `b` bits over `X` evenly spread values tells an onlooker `min(b, log2 X)` of the `log2 X` bits of each value, if they
 * know what values there are and how often each occurs. Between `√X < 2^b < X/2`, each index stands for more than two values, and
 * a lookup still finds few rows beside the wanted ones. The plan takes the middle of that range. **The formula speaks of evenly
 * spread values.** Where one value is much more frequent than others (a country, a diagnosis, a yes or no), it shows by its count at
 * any length; combine such columns to a compound index, or leave them without one.
 *
 * A unique index cannot hide anything behind collisions: it gets so many bits that the chance of one is below 2^-32, and equality of
 * values shows in full, as it does in every unique column.
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
    advice: unique || distinctValues >= ENOUGH_VALUES ? "sound" : "too-few-values", // where all counts are 1, they say nothing
    valuesPerIndex: distinctValues / indexes,
    rowsPerLookup: rows / distinctValues + (rows - rows / distinctValues) / indexes,
    collisionChance: -Math.expm1((-distinctValues * (distinctValues - 1)) / 2 / indexes),
  };
}

/** The middle of log2(√X) and log2(X/2). Below 4 values there is no such range, and one bit is the least there is. */
function sharedBits(distinctValues: number): number {
  const least = Math.log2(distinctValues) / 2;
  const most = Math.log2(distinctValues) - 1;
  return Math.max(1, Math.round((least + most) / 2));
}

/** X²/2 pairs, each sharing an index with a chance of 2^-bits; in whole bytes, and no fewer than `unique` asks for. */
function collisionFreeBits(distinctValues: number): number {
  return Math.max(LEAST_UNIQUE_BITS, Math.ceil((2 * Math.log2(distinctValues) - 1 + SAFETY_BITS) / 8) * 8);
}

const QUESTION: OptionNames<BlindIndexQuestion> = { distinctValues: true, rows: true, unique: true };
const ENOUGH_VALUES = 1024;
const SAFETY_BITS = 32;
