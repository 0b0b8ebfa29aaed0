import type { CallOptions } from "../../core/base/call-options.ts";
import type { OptionNames } from "../../core/base/options.ts";
import { count } from "../../core/resilience/checks.ts";

export interface JobOptions extends CallOptions {
  /** The number of rows in flight. Default 8, at most 256. */
  readonly concurrency?: number;
  /** Called after each page; what it throws ends the job. */
  readonly onProgress?: (progress: JobProgress) => void;
}

export interface JobProgress {
  /** The number of rows so far, including those of an earlier run that this one continues. */
  readonly rows: number;
  readonly failed: number;
}

export interface Pages<Row, Place> {
  read(after: Place | undefined, limit: number): Promise<readonly Row[]>;
  placeOf(row: Row): Place;
  /** @returns whether the row is done. @throws what ends the job */
  work(row: Row): Promise<boolean>;
  /** A page is through. @param isWhole whether all rows are done, of this page and of those before */
  pageDone(last: Place, isWhole: boolean): Promise<void>;
}

/** Goes over all rows behind `start`, page by page. A page begins when the one before is through. */
export async function overPages<Row, Place>(
  start: Place | undefined,
  { read, placeOf, work, pageDone }: Pages<Row, Place>,
  { concurrency = 8, signal }: JobOptions,
): Promise<void> {
  const workers = count(concurrency, "concurrency", MAX_CONCURRENCY);
  let after = start;
  let isWhole = true;
  for (;;) {
    signal?.throwIfAborted();
    const rows = await read(after, PAGE_ROWS);
    const last = rows.at(-1);
    if (last === undefined) return;
    const areDone = await inParallel(rows, workers, signal, work);
    isWhole &&= areDone;
    after = placeOf(last);
    await pageDone(after, isWhole);
  }
}

/** Every worker ends before this does, also when one has thrown: nothing goes on behind the caller's back. */
async function inParallel<Row>(
  rows: readonly Row[],
  workers: number,
  signal: AbortSignal | undefined,
  work: (row: Row) => Promise<boolean>,
): Promise<boolean> {
  const queue = rows.values(); // each takes the next
  let areDone = true;
  let isOver = false;
  const worker = async (): Promise<void> => {
    try {
      for (const row of queue) {
        if (isOver) return;
        signal?.throwIfAborted();
        if (!(await work(row))) areDone = false;
      }
    } catch (error) {
      isOver = true;
      throw error;
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: Math.min(workers, rows.length) }, worker));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
  return areDone;
}

export const JOB_OPTIONS: OptionNames<JobOptions> = { concurrency: true, onProgress: true, signal: true };
const PAGE_ROWS = 256;
const MAX_CONCURRENCY = 256;
