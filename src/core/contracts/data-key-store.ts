import type { CallOptions } from "../base/call-options.ts";

/**
 * A place where an application keeps its wrapped data keys: a table, a file, this process. Types only.
 *
 * A store keeps rows and promises two things. A row that `insertIfAbsent` or `compareAndSwap` has taken is durable and seen by every later
 * read. Of two racing writes, one wins. A store decides nothing, and is not trusted beyond this: every row that it returns is checked
 * against the commitment of its data key and the proof of the version before. A method throws `EnvelockError`, or the native error of its
 * client.
 */
export interface DataKeyStore {
  /** Returns the row of a scope that has this kid. */
  byKid(scope: string, kid: string, options?: CallOptions): Promise<StoredDataKey | undefined>;

  /** Returns every row of a scope, in any order. */
  list(scope: string, options?: CallOptions): Promise<readonly StoredDataKey[]>;

  /** Adds a row. @returns false, and changes nothing, if the scope has this version or this kid already */
  insertIfAbsent(row: StoredDataKey, options?: CallOptions): Promise<boolean>;

  /**
   * Replaces state, record, proof and revision of the row of `row.scope` and `row.version` if its revision still is `expectedRevision`.
   * The store must remove a record that is replaced by null from everything that it can read.
   *
   * @param row the new row; its revision is `expectedRevision + 1`; kid and `createdAtMs` are unchanged
   * @returns false, and changes nothing, if the row is not there or has another revision
   */
  compareAndSwap(row: StoredDataKey, expectedRevision: number, options?: CallOptions): Promise<boolean>;

  /**
   * Makes many changes like `compareAndSwap`, each of a row of its own, in one statement or transaction. Each change stands for itself: one
   * that does not fit changes nothing and hinders no other. If a failure is thrown, any of them may have been made. Left out by a store that
   * has no quicker way than one change after the other.
   *
   * @param changes at most 256; of two changes of one row on one revision, one is made
   * @returns for each change, in the order of `changes`, what `compareAndSwap` would have returned
   */
  compareAndSwapMany?(changes: readonly RowChange[], options?: CallOptions): Promise<readonly boolean[]>;

  /** Returns a page of the rows of all scopes, ordered by scope and version. Both never change, so that rows added meanwhile shift none. */
  scan(page: ScanPage, options?: CallOptions): Promise<readonly StoredDataKey[]>;

  /**
   * Cuts the rows of all scopes, or of a range of scopes, into parts of about the same size, for jobs over a fleet. An estimate over a
   * sample is enough. Left out by a store that has no quicker way than to read all rows.
   */
  cuts?(wanted: WantedCuts, options?: CallOptions): Promise<KeyCuts>;

  /** Releases what the store itself opened. A second call does nothing. */
  close?(): Promise<void>;
}

/** One of many changes: the arguments of `compareAndSwap`. */
export interface RowChange {
  readonly row: StoredDataKey;
  readonly expectedRevision: number;
}

/** One data key of a scope, wrapped. */
export interface StoredDataKey {
  /** The text of the key context: base64url of its canonical bytes, at most 1,366 characters, none for the empty context. */
  readonly scope: string;
  /** 1, 2, 3 … within the scope. */
  readonly version: number;
  /** The name of the key in tokens: 32 hex digits. */
  readonly kid: string;
  readonly state: DataKeyState;
  /** A key record of docs/format.md §3; null once the key is shredded. */
  readonly record: Uint8Array | null;
  /**
   * Shows that a holder of the version before has added this one: docs/format.md §3.2, at most 16,384 bytes. Null in the first version, and
   * in rows that are older than proofs.
   */
  readonly proof: Uint8Array | null;
  /** Milliseconds since 1970. */
  readonly createdAtMs: number;
  /** Counts the changes of this row, from 1. */
  readonly revision: number;
}

/**
 * `active` keys may encrypt, and the newest of them does. `retired` keys only decrypt. The record of a `shredded` key is gone for good.
 * `unreadable` is never stored: `scan` returns it for a row that cannot be read, so that such a row hides no other.
 */
export type DataKeyState = "active" | "retired" | "shredded" | "unreadable";

export interface ScanPage {
  /** The last row of the page before. Without it the scan starts at the beginning. */
  readonly after?: RowPlace | undefined;
  /** The most rows to return. A page is shorter only at the end. */
  readonly limit: number;
}

export interface WantedCuts {
  /** The wanted number of rows of a part. */
  readonly rowsEach: number;
  /** The fewest and the most parts, whatever the number of rows. */
  readonly least: number;
  readonly most: number;
  /** The scope behind which the range begins. Without it, at the first row. */
  readonly after?: string | undefined;
  /** The last scope of the range. Without it, the range ends with the last row. */
  readonly to?: string | undefined;
}

/** Where a range is cut. */
export interface KeyCuts {
  /** About how many rows the range has. */
  readonly rows: number;
  /** Scopes in the order of the store, each the last one of its part. The last part ends where the range does. */
  readonly bounds: readonly string[];
}

/** The name of a row. A `StoredDataKey` is one. */
export interface RowPlace {
  readonly scope: string;
  readonly version: number;
}
