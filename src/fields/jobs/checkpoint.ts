import { invalidArgument } from "../../core/base/errors.ts";
import { jsonIn } from "../../core/base/json.ts";

/** Where a job notes how far it has come, to go on from there after it was stopped or killed. */
export interface Checkpoint {
  /** What was saved last; undefined if there is nothing to go on with. */
  load(): Promise<string | undefined>;
  /** Keeps a short text, durably; undefined once the job is done, so that the next run starts anew. */
  save(state: string | undefined): Promise<void>;
}

/** What a checkpoint holds: whose it is, after which row to go on, and what was counted so far. */
export interface Progressed<Place> {
  readonly after: Place;
  readonly counts: Readonly<Record<string, number>>;
  readonly keyVersions: Readonly<Record<string, number>>;
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
  return { after, counts: countsIn(saved.get("counts")), keyVersions: countsIn(saved.get("keyVersions")) };
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
