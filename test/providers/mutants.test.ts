import { expect, test } from "vitest";
import { conformance } from "../../providers/conformance/index.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { BACKEND_MUTANTS } from "./mutants/backend.ts";
import { LIFECYCLE_MUTANTS } from "./mutants/lifecycle.ts";
import { type Mutant, mutated } from "./mutants/mutant.ts";
import { REFUSAL_MUTANTS } from "./mutants/refusals.ts";
import { VERSION_MUTANTS } from "./mutants/versions.ts";
import { WRAPPING_MUTANTS } from "./mutants/wrapping.ts";
import { toyHarness } from "./toy/toy-key.ts";
import { ToyKeyService } from "./toy/toy-key-service.ts";

const MUTANTS: readonly Mutant[] = [...WRAPPING_MUTANTS, ...REFUSAL_MUTANTS, ...VERSION_MUTANTS, ...BACKEND_MUTANTS, ...LIFECYCLE_MUTANTS];
const SOUND = conformance(toyHarness(new ToyKeyService()));

for (const { name, run } of SOUND) test(`a sound provider passes: ${name}`, run);

for (const mutant of MUTANTS) {
  test(`a provider that ${mutant.fault} is noticed where it must be and nowhere else`, async () => {
    expect(await rejecting(mutant)).toEqual([...mutant.rejectedBy].sort());
  });
}

test("each case rejects at least one mutant", () => {
  const rejecting = new Set(MUTANTS.flatMap(({ rejectedBy }) => rejectedBy));
  expect(SOUND.map(({ name }) => name).filter((name) => !rejecting.has(name))).toEqual([]);
});

/** The names of the cases that reject a mutant, each run on a service of its own, so that none sees what another has rotated. */
async function rejecting(mutant: Mutant): Promise<readonly string[]> {
  const rejected: string[] = [];
  for (const { name } of SOUND) {
    const harness = toyHarness(new ToyKeyService(), (service, key) => mutated(mutant, service, key));
    const found = conformance(harness).find((other) => other.name === name);
    await found?.run().catch((error: unknown) => {
      expect(error).toBeInstanceOf(EnvelockError);
      rejected.push(name);
    });
  }
  return rejected.sort();
}
