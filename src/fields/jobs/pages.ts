import type { CallOptions } from "../../core/base/call-options.ts";
import { invalidArgument } from "../../core/base/errors.ts";
import type { OptionNames } from "../../core/base/options.ts";
import { count } from "../../core/resilience/checks.ts";

export interface JobOptions extends CallOptions {
  /** The number of rows in flight. Default 8, at most 256. */
  readonly concurrency?: number;
  /** Called after each page. A promise that it returns is waited for. What it throws or rejects with ends the job. */
  readonly onProgress?: (progress: JobProgress) => unknown;
}

export interface JobProgress {
  /** The number of rows so far, including those of an earlier run that this one continues. */
  readonly rows: number;
  readonly failed: number;
}

/** Reads the rows behind a place, in their order. */
export interface RowReader<Row, Place> {
  /** Returns at most `limit` rows, none only at the end. */
  read(after: Place | undefined, limit: number): Promise<readonly Row[]>;
  placeOf(row: Row): Place;
}

/** A page of rows, and the place to continue behind. */
export interface RowPage<Row, Place> {
  readonly rows: readonly Row[];
  readonly last: Place;
}

/** Yields the rows behind `start`, page by page. A page is read when the caller is done with the one before. */
export async function* pagesOf<Row, Place>(
  { read, placeOf }: RowReader<Row, Place>,
  start: Place | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<RowPage<Row, Place>, void, undefined> {
  let after = start;
  for (;;) {
    signal?.throwIfAborted();
    const rows = await read(after, PAGE_ROWS);
    const row = rows.at(-1);
    if (row === undefined) return;
    after = placeOf(row);
    yield { rows, last: after };
  }
}

/** Notices that a caller's rows come round again, which no order of this process could tell. Remembers one place at a time. */
export class Headway {
  #mark: unknown;
  #pages = 0;
  #markAt = 1;

  /** Takes note of the last place of a page. @throws `invalid-argument` if an earlier page ended there too */
  reached(place: string | number): void {
    if (place === this.#mark) throw invalidArgument("`rows` gave a row that is not behind the one before it");
    if (++this.#pages < this.#markAt) return;
    this.#mark = place;
    this.#markAt *= 2;
  }
}

/**
 * Works on rows, so many at a time. Every worker ends before this does, also when one has thrown: nothing goes on behind the caller's back.
 *
 * @param workers as `workersOf` says
 * @throws what `work` throws first, and the reason of `signal`
 */
export async function inParallel<Row>(
  rows: readonly Row[],
  workers: number,
  signal: AbortSignal | undefined,
  work: (row: Row, at: number) => Promise<void>,
): Promise<void> {
  const queue = rows.entries(); // each worker takes the next
  let isOver = false;
  const worker = async (): Promise<void> => {
    try {
      for (const [at, row] of queue) {
        if (isOver) return;
        signal?.throwIfAborted();
        await work(row, at);
      }
    } catch (error) {
      isOver = true;
      throw error;
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: Math.min(workers, rows.length) }, worker));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

/** Returns the number of rows in flight. @throws `invalid-argument` for one that is none */
export function workersOf({ concurrency = 8 }: JobOptions): number {
  return count(concurrency, "concurrency", MAX_CONCURRENCY);
}

export const JOB_OPTIONS: OptionNames<JobOptions> = { concurrency: true, onProgress: true, signal: true };
const PAGE_ROWS = 256;
const MAX_CONCURRENCY = 256;
