import { expect, test } from "vitest";
import { fuzzOnce } from "./fuzz.ts";
import { Random } from "./random.ts";

// The bounded run of `npm run fuzz`. Seeds are counted from the variable, so that two runs are the same.

const { ENVELOCK_FUZZ_CASES = "100", ENVELOCK_FUZZ_SEED = "1" } = process.env;
const CASES = Number(ENVELOCK_FUZZ_CASES);
const SEED = Number(ENVELOCK_FUZZ_SEED);

test(`${CASES} seeds find nothing in any target`, { timeout: 60_000 + 1000 * CASES }, async () => {
  for (let seed = SEED; seed < SEED + CASES; seed++) expect(await fuzzOnce(seed)).toEqual([]);
});

test.each(["padding-ignored", "context-surrogate", "record-tail"] as const)("a difference is found out: a second reader with the slip %s", {
  timeout: 60_000,
}, async (slip) => {
  for (let seed = 1; seed < 1000; seed++) if ((await fuzzOnce(seed, slip)).length > 0) return;
  expect.fail("nothing was found");
});

test("a seed stands for one case", () => {
  const [a, b, c] = [new Random(7), new Random(7), new Random(8)];
  expect(a.bytes(32)).toEqual(b.bytes(32));
  expect(a.bytes(32)).not.toEqual(c.bytes(32));
});
