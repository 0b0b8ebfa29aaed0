import { createHash } from "node:crypto";
import fc from "fast-check";
import type { Context } from "../../src/core/base/context.ts";
import type { CborValue } from "../../src/fields/cbor-value.ts";

const { ENVELOCK_TEST_ENGINE } = process.env;

/** How often a property runs: fewer times on the portable engine, whose AES is some fifty times slower. */
export function runs(onNode: number, onPortable: number): { readonly numRuns: number } {
  return { numRuns: ENVELOCK_TEST_ENGINE === "portable" ? onPortable : onNode };
}

/** `length` bytes without a pattern, the same for the same seed. */
export function noise(length: number, seed: number | string = 0): Uint8Array<ArrayBuffer> {
  if (length === 0) return new Uint8Array(0);
  return new Uint8Array(createHash("shake128", { outputLength: length }).update(`${seed}`).digest());
}

/** Small plaintexts of any bytes, and such as end right before, at and after a chunk. */
export const plaintexts: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 200 }) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom(0, 1, 16383, 16384, 16385, 49151, 49152, 49153), fc.nat())
      .map(([length, seed]) => noise(length, seed)),
  },
);

/** Well-formed text: also of astral characters, of the highest of the BMP, and of names that mean something to JavaScript. */
export const texts: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
  { weight: 2, arbitrary: fc.string({ unit: "grapheme-ascii", maxLength: 24 }) },
  { weight: 1, arbitrary: fc.constantFrom("__proto__", "constructor", "toString", "\u{ffff}", "\u{10000}", "\u{e000}", "\u{0}", "é", "é") },
);

export type Pairs = readonly (readonly [key: string, value: string])[];

/** Pairs in no order, with keys that differ. */
export const pairs: fc.Arbitrary<Pairs> = fc.uniqueArray(
  fc.tuple(
    texts.filter((key) => key !== ""),
    texts,
  ),
  { selector: ([key]) => key, maxLength: 8 },
);

export const contexts: fc.Arbitrary<Context> = pairs.map((list) => Object.fromEntries(list));

/** A key context and the rest of a value's context, which agree where they overlap. */
export const splitContexts: fc.Arbitrary<{ readonly context: Context; readonly rest: Context }> = pairs.chain((list) =>
  fc.tuple(fc.subarray([...list]), fc.subarray([...list])).map(([some, others]) => ({
    context: Object.fromEntries(some),
    rest: Object.fromEntries(others),
  })),
);

export function sameContext(a: Context, b: Context): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}

/** Values of the type `cbor`. */
export function cborValues(): fc.Arbitrary<CborValue> {
  const { tree } = fc.letrec<{ tree: CborValue }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.constantFrom(null, undefined, true, false, 0, -0, Number.NaN, Number.NEGATIVE_INFINITY, 2 ** 53, -(2 ** 53)),
      fc.integer(),
      fc.maxSafeInteger(),
      fc.double(),
      fc.bigInt(),
      fc.string({ unit: "binary", maxLength: 30 }),
      fc.uint8Array({ maxLength: 300 }),
      fc.date({ noInvalidDate: true }),
      fc.array(tie("tree"), { maxLength: 5 }),
      fc
        .uniqueArray(fc.tuple(fc.oneof(fc.string({ unit: "binary" }), fc.integer()), tie("tree")), {
          selector: ([key]) => key,
          maxLength: 5,
        })
        .map((entries) => new Map<CborValue, CborValue>(entries)),
      fc.dictionary(
        fc.string({ unit: "binary" }).filter((key) => key !== "__proto__"),
        tie("tree"),
        { maxKeys: 5, noNullPrototype: true },
      ),
    ),
  }));
  return tree;
}
