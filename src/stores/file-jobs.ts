import { type Clock, systemClock } from "../core/base/clock.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import type { JobStore } from "../core/contracts/job-store.ts";
import { jobRowName, jobRowsStore, type KeptJobRow } from "../jobs/stores/memory.ts";
import { fileOfRows, rowsInFile } from "./document-row.ts";
import { jobRow, storableJobRow, storableLease } from "./job-row.ts";
import { type FileStoreOptions, lockedFile } from "./locked-file.ts";

export interface FileJobStoreOptions extends FileStoreOptions {
  /** The time source of the leases, for tests. */
  readonly clock?: Clock;
}

/**
 * Keeps jobs in one JSON file, for processes of one machine and some hundred partitions at most: each change rewrites the whole file, as
 * `fileStore` does. Only the owner may read the file (mode 600). Leases end by the machine's clock.
 *
 * @param path in a folder that exists; the file is created with the first job
 * @throws calls throw `access-denied`, `key-not-found` if there is no such folder, `unavailable` if another process holds the lock,
 *   `provider-failure` if the file is no store of jobs
 * @example
 * ```ts
 * import { fileJobStore } from "envelock/stores/file";
 *
 * export const jobs = fileJobStore("jobs.json");
 * ```
 */
export function fileJobStore(path: string, options: FileJobStoreOptions = {}): JobStore {
  refuseUnknown(options, OPTIONS, "fileJobStore");
  const { clock = systemClock, maxLockWaitMs } = options;
  const file = lockedFile(path, maxLockWaitMs === undefined ? {} : { maxLockWaitMs });
  const storeIn = (rows: Map<string, KeptJobRow>): JobStore => jobRowsStore(rows, () => clock.unixMs());
  const reading = <T>(signal: AbortSignal | undefined, read: (store: JobStore) => Promise<T>): Promise<T> =>
    file.read(signal, (text) => read(storeIn(rowsOf(text, path))));
  const changing = (signal: AbortSignal | undefined, change: (store: JobStore) => Promise<boolean>): Promise<boolean> =>
    file.change(signal, async (text) => {
      const rows = rowsOf(text, path);
      return (await change(storeIn(rows))) ? textOf(rows) : undefined;
    });
  return {
    get: (place, given) => reading(given?.signal, (store) => store.get(place)),
    list: (page, given) => reading(given?.signal, (store) => store.list(page)),
    async insertIfAbsent(row, given) {
      storableJobRow(row);
      return await changing(given?.signal, (store) => store.insertIfAbsent(row));
    },
    async compareAndSwap(row, expectedRevision, lease, given) {
      storableJobRow(row);
      const checked = storableLease(lease);
      return await changing(given?.signal, (store) => store.compareAndSwap(row, expectedRevision, checked));
    },
  };
}

function rowsOf(text: string | undefined, path: string): Map<string, KeptJobRow> {
  const kept = rowsInFile(text, FORMAT, `${path} is no file of jobs`).map(keptRow);
  const named = new Map(kept.map((row) => [jobRowName(row), row]));
  if (named.size < kept.length) throw new EnvelockError("provider-failure", "the file holds a row of a job twice");
  return named;
}

function keptRow(given: unknown): KeptJobRow {
  const { leaseMs: leaseUntilMs, ...row } = jobRow(given);
  return { ...row, leaseUntilMs };
}

/** A file keeps the end of a lease where other stores tell what is left of it. */
function textOf(rows: ReadonlyMap<string, KeptJobRow>): string {
  const plain = [...rows.values()].map(({ leaseUntilMs, ...row }) => ({ ...row, leaseMs: Math.ceil(leaseUntilMs) }));
  return fileOfRows(FORMAT, plain);
}

const OPTIONS: OptionNames<FileJobStoreOptions> = { maxLockWaitMs: true, clock: true };
const FORMAT = "envelock-jobs/1";
