import { systemClock } from "../../../core/base/clock.ts";
import { sleep } from "../../../core/base/wait.ts";
import { check } from "../../../core/contracts/conformance-checks.ts";
import type { JobPlace, JobRow, JobStore } from "../../../core/contracts/job-store.ts";
import { type DocumentBench, newDocument, newId } from "../document-cases.ts";

/** The harness that the cases need for a store of jobs. */
export interface JobStoreConformanceHarness {
  /** Opens a new store object, each on the same table, file or other place of the rows. The case that asked for it closes it. */
  open(): JobStore | Promise<JobStore>;

  /** Lets time pass on the store's clock, where it is a clock of a test. Without it the cases wait. */
  pass?(ms: number): void;
}

/** The tools of a case: stores that are closed when the case ends. */
export interface Bench extends DocumentBench<JobStore> {
  /** Waits until the row is free by the store's clock. */
  untilFree(store: JobStore, place: JobPlace): Promise<void>;
}

/** Waits until a lease of a few milliseconds is over. @throws `provider-failure` if it never is */
export async function waitUntilFree(store: JobStore, place: JobPlace, pass: JobStoreConformanceHarness["pass"]): Promise<void> {
  for (let turn = 0; turn < MOST_TURNS; turn++) {
    if ((await store.get(place))?.leaseMs === 0) return;
    if (pass === undefined) await sleep(systemClock, TURN_MS);
    else pass(TURN_MS);
  }
  check(false, "a lease of a few milliseconds must end by the store's clock");
}

export function newJobRow(differences: Partial<JobRow> = {}): JobRow {
  return { kind: "partition", job: newId(), id: newId(), revision: 1, document: newDocument(), ...differences };
}

const TURN_MS = 5;
const MOST_TURNS = 2000;
