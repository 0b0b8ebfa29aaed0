import { expect, test } from "vitest";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { storeConformance } from "../../src/stores/conformance/index.ts";
import { CHANGE_MUTANTS } from "./mutants/changes.ts";
import { LIFECYCLE_MUTANTS } from "./mutants/lifecycle.ts";
import { harnessOf, type Mutant } from "./mutants/mutant.ts";
import { ROW_MUTANTS } from "./mutants/rows.ts";
import { SCAN_MUTANTS } from "./mutants/scans.ts";

const MUTANTS: readonly Mutant[] = [...ROW_MUTANTS, ...CHANGE_MUTANTS, ...SCAN_MUTANTS, ...LIFECYCLE_MUTANTS];
const SOUND = storeConformance(harnessOf());

for (const { name, run } of SOUND) test(`a sound store passes: ${name}`, run);

for (const { fault, noticedBy, change } of MUTANTS) {
  test(`${noticedBy}: a store that ${fault} is refused`, async () => {
    const found = storeConformance(harnessOf(change)).find(({ name }) => name === noticedBy);
    await expect(found?.run()).rejects.toBeInstanceOf(EnvelockError);
  });
}

test("each case is there for at least one mutant", () => {
  const needed = new Set(MUTANTS.map(({ noticedBy }) => noticedBy));
  expect(SOUND.map(({ name }) => name).filter((name) => !needed.has(name))).toEqual([]);
});
