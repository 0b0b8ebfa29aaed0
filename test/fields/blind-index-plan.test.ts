import { randomInt } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { planBlindIndex } from "../../src/fields/blind-index-plan.ts";
import { refusalCode } from "../support/refusal.ts";

test("an index that may be shared lies strictly between √X and X/2 wherever there is a whole number between them", () => {
  fc.assert(
    fc.property(fc.integer({ min: 17, max: Number.MAX_SAFE_INTEGER }), (distinctValues) => {
      const indexes = 2 ** planBlindIndex({ distinctValues }).bits;
      expect(indexes).toBeGreaterThan(Math.sqrt(distinctValues));
      expect(indexes).toBeLessThan(distinctValues / 2);
    }),
  );
});

test("a unique index collides with a chance below 2^-32, and is not a byte longer than that and `unique` take", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 2 ** 40 }), (distinctValues) => {
      const { bits, collisionChance, advice } = planBlindIndex({ distinctValues, unique: true });
      expect(collisionChance).toBeLessThan(2 ** -32);
      if (bits > 96) expect(collisionChance).toBeGreaterThan(2 ** -42);
      expect([bits % 8, bits >= 96, advice]).toEqual([0, true, "sound"]);
    }),
  );
});

test("what it foresees is what happens", () => {
  const plan = planBlindIndex({ distinctValues: 4096, rows: 3 * 4096 });
  const valuesAt = new Uint16Array(2 ** plan.bits);
  for (let value = 0; value < 4096; value++) {
    const index = randomInt(valuesAt.length);
    valuesAt[index] = (valuesAt[index] ?? 0) + 1;
  }
  const meanRows = (3 * valuesAt.reduce((sum, count) => sum + count * count, 0)) / 4096;
  expect(plan.valuesPerIndex).toBe(4096 / 2 ** plan.bits);
  expect(meanRows / plan.rowsPerLookup).toBeGreaterThan(0.8);
  expect(meanRows / plan.rowsPerLookup).toBeLessThan(1.2);
});

test.each([
  [{ distinctValues: 1 }, 1, "too-few-values"],
  [{ distinctValues: 2 }, 1, "too-few-values"],
  [{ distinctValues: 1023 }, 7, "too-few-values"],
  [{ distinctValues: 1024 }, 7, "sound"],
  [{ distinctValues: 1_000_000 }, 14, "sound"],
  [{ distinctValues: 1, unique: true }, 96, "sound"],
  [{ distinctValues: 1_000_000, unique: true }, 96, "sound"],
  [{ distinctValues: Number.MAX_SAFE_INTEGER, unique: true }, 144, "sound"],
])("%j: %d bits, %s", (question, bits, advice) => {
  expect(planBlindIndex(question)).toMatchObject({ bits, advice });
});

test("one value alone collides with none", () => {
  expect(planBlindIndex({ distinctValues: 1 })).toMatchObject({ collisionChance: 0, rowsPerLookup: 1 });
});

test.each([
  { distinctValues: 0 },
  { distinctValues: 1.5 },
  { distinctValues: Number.POSITIVE_INFINITY },
  { distinctValues: 10, rows: 9 },
  { distinctValues: 10, rows: Number.NaN },
])("%j is refused", async (question) => {
  expect(await refusalCode(() => planBlindIndex(question))).toBe("invalid-argument");
});
