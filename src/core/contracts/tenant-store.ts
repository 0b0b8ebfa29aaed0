import type { CallOptions } from "../base/call-options.ts";

/**
 * A place where an application keeps the records of its tenants: a table, a file, this process. Types only.
 *
 * A store keeps rows and promises two things. A row that `insertIfAbsent` or `compareAndSwap` has taken is durable and seen by every later
 * read. Of two racing writes, one wins. A store decides nothing and reads no document. A method throws `EnvelockError`, or the native error
 * of its client.
 */
export interface TenantStore {
  /** Returns the row of a place. */
  get(place: TenantPlace, options?: CallOptions): Promise<TenantRow | undefined>;

  /** Returns a page of the rows of one kind, ordered by id. An id never changes, so that rows added meanwhile shift none. */
  list(page: TenantPage, options?: CallOptions): Promise<readonly TenantRow[]>;

  /** Adds a row. @returns false, and changes nothing, if its place is taken */
  insertIfAbsent(row: TenantRow, options?: CallOptions): Promise<boolean>;

  /**
   * Replaces document and revision of the row of this place if its revision still is `expectedRevision`.
   *
   * @param row the new row; its revision is `expectedRevision + 1`
   * @returns false, and changes nothing, if the row is not there or has another revision
   */
  compareAndSwap(row: TenantRow, expectedRevision: number, options?: CallOptions): Promise<boolean>;

  /**
   * Tells the time, in milliseconds since 1970, of the one clock that all processes on this store share. Without it the steps of a move carry
   * the time of the process that makes them.
   */
  nowMs?(options?: CallOptions): Promise<number>;

  /** Releases what the store itself opened. A second call does nothing. */
  close?(): Promise<void>;
}

/**
 * `tenant` is the record of a tenant. `claim` says which tenant a key belongs to. `canary` is a wrapped data key that a health check
 * unwraps, the time at which a tenant was in use, or the place at which the watch over all tenants stands.
 */
export type TenantRowKind = "tenant" | "claim" | "canary";

/** The name of a row. */
export interface TenantPlace {
  readonly kind: TenantRowKind;
  /** 1 to 160 printable ASCII characters without spaces. */
  readonly id: string;
}

export interface TenantRow extends TenantPlace {
  /** Counts the changes of this row, from 1. */
  readonly revision: number;
  /** JSON text of at most 4,096 bytes. Never a secret. */
  readonly document: string;
}

export interface TenantPage {
  readonly kind: TenantRowKind;
  /** The id of the last row of the page before. Without it the list starts at the beginning. */
  readonly after?: string | undefined;
  /** The most rows to return. A page is shorter only at the end. */
  readonly limit: number;
}
