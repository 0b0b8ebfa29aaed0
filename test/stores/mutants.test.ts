import { storeConformance } from "../../src/stores/conformance/index.ts";
import { CHANGE_MUTANTS } from "./mutants/changes.ts";
import { LIFECYCLE_MUTANTS } from "./mutants/lifecycle.ts";
import { MANY_MUTANTS } from "./mutants/many.ts";
import { harnessOf, type Mutant } from "./mutants/mutant.ts";
import { ROW_MUTANTS } from "./mutants/rows.ts";
import { SCAN_MUTANTS } from "./mutants/scans.ts";
import { testMutants } from "./mutants/test-mutants.ts";

const MUTANTS: readonly Mutant[] = [...ROW_MUTANTS, ...CHANGE_MUTANTS, ...MANY_MUTANTS, ...SCAN_MUTANTS, ...LIFECYCLE_MUTANTS];

testMutants("data keys", MUTANTS, (change) => storeConformance(harnessOf(change)));
