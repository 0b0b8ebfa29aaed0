import { toHex } from "../../../core/base/bytes.ts";
import { systemClock } from "../../../core/base/clock.ts";
import { sleep } from "../../../core/base/wait.ts";
import { check } from "../../../core/contracts/conformance-checks.ts";
import type { JobPlace, JobRow, JobStore, LeasedJobRow } from "../../../core/contracts/job-store.ts";

/** The harness that the cases need for a store of jobs. */
export interface JobStoreConformanceHarness {
  /** Opens a new store object, each on the same table, file or other place of the rows. The case that asked for it closes it. */
  open(): JobStore | Promise<JobStore>;

  /** Lets time pass on the store's clock, where it is a clock of a test. Without it the cases wait. */
  pass?(ms: number): void;
}

/** A case before it is bound to its harness. */
export interface Case {
  readonly name: string;
  run(bench: Bench): Promise<void>;
}

/** The tools of a case: stores that are closed when the case ends. */
export interface Bench {
  open(): Promise<JobStore>;
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

/** Makes an id that no case has used. */
export function newId(): string {
  return toHex(crypto.getRandomValues(new Uint8Array(16)));
}

export function newJobRow(differences: Partial<JobRow> = {}): JobRow {
  return { kind: "partition", job: newId(), id: newId(), revision: 1, document: JSON.stringify({ nonce: newId() }), ...differences };
}

/** Returns the row after its next change. */
export function changed(row: JobRow): JobRow {
  const { kind, job, id, revision } = row;
  return { kind, job, id, revision: revision + 1, document: JSON.stringify({ nonce: newId() }) };
}

/** Inserts a row that must be new. */
export async function insert(store: JobStore, row: JobRow): Promise<void> {
  check((await store.insertIfAbsent(row)) === true, "insertIfAbsent must say true of a row whose place is free");
}

/** Checks that this row stands in its place and in the list exactly as given. */
export async function checkStands(store: JobStore, row: JobRow, what: string): Promise<void> {
  checkRow(await store.get(row), row, `get, ${what},`);
  const listed = (await store.list({ kind: row.kind, job: row.job, limit: 1000 })).filter(({ id }) => id === row.id);
  check(listed.length === 1, `list, ${what}, must give the row once`);
  checkRow(listed[0], row, `list, ${what},`);
}

export function checkRow(given: LeasedJobRow | undefined, expected: JobRow, what: string): void {
  check(given !== undefined, `${what} must give the row`);
  for (const field of FIELDS) check(given?.[field] === expected[field], `${what} must give ${field} as it was stored`);
}

export const LONG_MS = 600_000;
export const FREE = { leaseMs: 0 } as const;
const FIELDS = ["kind", "job", "id", "revision", "document"] as const;
const TURN_MS = 5;
const MOST_TURNS = 2000;
