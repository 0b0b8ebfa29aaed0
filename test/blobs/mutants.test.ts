import { expect, test } from "vitest";
import { blobConformance } from "../../src/blobs/conformance/index.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { harnessOf } from "./mutants/mutant.ts";
import { MUTANTS } from "./mutants/mutants.ts";

const SOUND = blobConformance(harnessOf());

for (const { name, run } of SOUND) test(`a sound store passes: ${name}`, run);

for (const { fault, noticedBy, change, header } of MUTANTS) {
  test(`${noticedBy}: a store that ${fault} is refused`, async () => {
    const found = blobConformance(harnessOf(change, header)).find(({ name }) => name === noticedBy);
    await expect(found?.run()).rejects.toBeInstanceOf(EnvelockError);
  });
}

test("each case is there for at least one mutant", () => {
  const needed = new Set(MUTANTS.map(({ noticedBy }) => noticedBy));
  expect(SOUND.map(({ name }) => name).filter((name) => !needed.has(name))).toEqual([]);
});
