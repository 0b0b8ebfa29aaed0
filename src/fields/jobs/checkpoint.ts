import { invalidArgument } from "../../core/base/errors.ts";
import { jsonIn } from "../../core/base/json.ts";

/** A place where a job keeps its progress, to continue from there after it was stopped or killed. */
export interface Checkpoint {
  /** Returns the text that was saved last; undefined if there is none. */
  load(): Promise<string | undefined>;
  /** Saves a short text, durably; undefined once the job is done, so that the next run starts anew. */
  save(state: string | undefined): Promise<void>;
}

/** The content of a checkpoint: its job, the row to continue after, and the counts so far. */
export interface Progressed<Place> {
  readonly after: Place;
  readonly counts: Readonly<Record<string, number>>;
  readonly keyVersions: Readonly<Record<string, number>>;
  /** The ledger: rows that failed and are to be tried again. Left out by a job that meets every row twice. */
  readonly failed?: readonly unknown[];
}

/** @throws `invalid-argument` if it holds something else than `job` has saved */
export async function loadCheckpoint<Place>(
  checkpoint: Checkpoint | undefined,
  job: string,
  placeOf: (value: unknown) => Place | undefined,
): Promise<Progressed<Place> | undefined> {
  const text = await checkpoint?.load();
  if (text === undefined) return undefined;
  const saved = fieldsOf(jsonIn(text));
  const after = placeOf(saved?.get("after"));
  if (saved?.get("job") !== job || after === undefined) throw invalidArgument(`the checkpoint is none of ${job}`);
  const failed: unknown = saved.get("failed");
  const ledger = Array.isArray(failed) ? { failed } : {};
  return { after, counts: countsIn(saved.get("counts")), keyVersions: countsIn(saved.get("keyVersions")), ...ledger };
}

export async function saveCheckpoint(checkpoint: Checkpoint | undefined, job: string, progressed: Progressed<unknown>): Promise<void> {
  await checkpoint?.save(JSON.stringify({ job, ...progressed }));
}

function fieldsOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  return typeof value === "object" && value !== null ? new Map<string, unknown>(Object.entries(value)) : undefined;
}

function countsIn(value: unknown): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const [name, count] of fieldsOf(value) ?? []) if (typeof count === "number") counts[name] = count;
  return counts;
}
