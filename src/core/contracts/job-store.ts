import type { CallOptions } from "../base/call-options.ts";

/**
 * A place where an application keeps jobs over a fleet, their partitions and their failures: a table, a file, this process. Types only.
 *
 * A store keeps rows and promises three things. A row that `insertIfAbsent` or `compareAndSwap` has taken is durable and seen by every
 * later read. Of two racing writes, one wins. A lease is measured by one clock, the store's own, never by that of a worker. A store decides
 * nothing and reads no document. A method throws `EnvelockError`, or the native error of its client.
 */
export interface JobStore {
  /** Returns the row of a place. */
  get(place: JobPlace, options?: CallOptions): Promise<LeasedJobRow | undefined>;

  /** Returns a page of the rows of one kind of one job, ordered by id. An id never changes, so that rows added meanwhile shift none. */
  list(page: JobPage, options?: CallOptions): Promise<readonly LeasedJobRow[]>;

  /** Adds a row without a lease. @returns false, and changes nothing, if its place is taken */
  insertIfAbsent(row: JobRow, options?: CallOptions): Promise<boolean>;

  /**
   * Replaces document, revision and lease of the row of this place if its revision still is `expectedRevision`, in one statement.
   *
   * @param row the new row; its revision is `expectedRevision + 1`
   * @returns false, and changes nothing, if the row is not there, has another revision, or has a lease where none may be
   */
  compareAndSwap(row: JobRow, expectedRevision: number, lease: JobLease, options?: CallOptions): Promise<boolean>;

  /** Releases what the store itself opened. A second call does nothing. */
  close?(): Promise<void>;
}

/**
 * `job` is a job, in the job named by the empty text. `plan` holds the bounds of its partitions, `partition` the progress of one of them,
 * `failure` an entry of its ledger. `budget` paces calls of a key service over the fleet.
 */
export type JobRowKind = "job" | "plan" | "partition" | "failure" | "budget";

/** The name of a row. */
export interface JobPlace {
  readonly kind: JobRowKind;
  /** 0 to 128 printable ASCII characters without spaces. */
  readonly job: string;
  /** 1 to 1,600 printable ASCII characters without spaces. */
  readonly id: string;
}

export interface JobRow extends JobPlace {
  /** Counts the changes of this row, from 1. */
  readonly revision: number;
  /** JSON text of at most 2,097,152 bytes. Never a secret. */
  readonly document: string;
}

export interface LeasedJobRow extends JobRow {
  /** The time that is left of the lease, in milliseconds, by the store's clock. 0 for a free row. */
  readonly leaseMs: number;
}

export interface JobLease {
  /** The length of the lease from now, in milliseconds. 0 leaves the row free. */
  readonly leaseMs: number;
  /** Whether the change is refused while the row has a lease. Default false. */
  readonly onlyIfFree?: boolean;
}

export interface JobPage {
  readonly kind: JobRowKind;
  readonly job: string;
  /** The id of the last row of the page before, or any text that sorts before the ids that are wanted. */
  readonly after?: string | undefined;
  /** The most rows to return. A page is shorter only at the end. */
  readonly limit: number;
}
