import type { CallOptions } from "../base/call-options.ts";

/**
 * Where the data keys of an application live, wrapped: a table, a file, this process. Types only.
 *
 * A store keeps rows and promises two things: what `insertIfAbsent` and `compareAndSwap` have taken is durable and seen by every
 * later read, and of two that race one wins. It decides nothing and is believed nothing else: every row that it gives is checked
 * against the commitment of its data key and the proof of the version before. A method throws `EnvelockError`, or the native error of its client.
 */
export interface DataKeyStore {
  /** The row of a scope that has this kid. */
  byKid(scope: string, kid: string, options?: CallOptions): Promise<StoredDataKey | undefined>;

  /** Every row of a scope, in any order. */
  list(scope: string, options?: CallOptions): Promise<readonly StoredDataKey[]>;

  /** @returns false, and changes nothing, if the scope has this version or this kid already */
  insertIfAbsent(row: StoredDataKey, options?: CallOptions): Promise<boolean>;

  /**
   * Replaces state, record, proof and revision of the row of `row.scope` and `row.version` if its revision still is `expectedRevision`.
   * A record that is replaced by null must be gone from what the store can read.
   *
   * @param row what is to stand there; its revision is `expectedRevision + 1`; kid and `createdAtMs` are as they were
   * @returns false, and changes nothing, if the row is not there or has another revision
   */
  compareAndSwap(row: StoredDataKey, expectedRevision: number, options?: CallOptions): Promise<boolean>;

  /** A page of all rows of all scopes, ordered by scope and version, which do not change: rows that come in meanwhile shift none. */
  scan(page: ScanPage, options?: CallOptions): Promise<readonly StoredDataKey[]>;

  /** Lets go of what the store itself opened. Twice is fine. */
  close?(): Promise<void>;
}

/** One data key of a scope, wrapped. */
export interface StoredDataKey {
  /** The text of the key context: base64url of its canonical bytes, at most 1,366 characters, none for the empty context. */
  readonly scope: string;
  /** 1, 2, 3 … within the scope. */
  readonly version: number;
  /** How tokens name it: 32 hex digits. */
  readonly kid: string;
  readonly state: DataKeyState;
  /** A key record of docs/format.md §3; null once it is shredded. */
  readonly record: Uint8Array | null;
  /**
   * Shows that a holder of the version before has added this one: docs/format.md §3.2, at most 16,384 bytes. Null in the first version,
   * and in rows that are older than proofs.
   */
  readonly proof: Uint8Array | null;
  /** Milliseconds since 1970. */
  readonly createdAtMs: number;
  /** Counts the changes of this row, from 1. */
  readonly revision: number;
}

/**
 * `active` keys may encrypt, the newest of them does. `retired` keys only decrypt. The record of a `shredded` key is gone for good.
 * `unreadable` is never stored: `scan` gives it to a row that is no row, so that it hides no other.
 */
export type DataKeyState = "active" | "retired" | "shredded" | "unreadable";

export interface ScanPage {
  /** Where the page before ended; from the start without it. */
  readonly after?: RowPlace | undefined;
  /** At most so many rows; fewer only at the end. */
  readonly limit: number;
}

/** What names a row: a `StoredDataKey` is one. */
export interface RowPlace {
  readonly scope: string;
  readonly version: number;
}
