import { CALL_OPTIONS, type CallOptions } from "../core/base/call-options.ts";
import type { Clock } from "../core/base/clock.ts";
import type { Context } from "../core/base/context.ts";
import { invalidArgument } from "../core/base/errors.ts";
import type { OptionNames } from "../core/base/options.ts";
import type { BlobCondition } from "./blob-store.ts";
import type { BlobDescription } from "./description.ts";
import type { BlobKey } from "./key-digest.ts";
import type { BlobLedger } from "./ledger.ts";
import type { BlobProgress } from "./progress.ts";
import type { SealUploadOptions } from "./seal-upload.ts";
import type { BlobTap } from "./write-blob.ts";

export interface EncryptedStoreOptions {
  /**
   * Makes the context of a blob from its name: what it is called wherever it lies, or better an id that stays when it is moved. Never the
   * URL, because a blob opens only under the context that it was put with.
   */
  readonly context: (name: string) => Context;
  /** Notes which keys wrap which blob, for stores without an index: a table of the application. */
  readonly ledger?: BlobLedger;
  /** Defaults to the machine's. */
  readonly clock?: Clock;
}

export interface PutOptions extends SealUploadOptions, CallOptions {
  /** What the blob is, stored encrypted beside it. */
  readonly describe?: BlobDescription;
  /** Sees the plaintext on its way, and may veto before the commit. */
  readonly tap?: BlobTap;
  /** Replaces the version with this ETag, and no other. Without it and `replace`, the name must be free. */
  readonly ifMatch?: string;
  /** Replaces whatever has the name. */
  readonly replace?: boolean;
  /** Called with each block that the store has taken. */
  readonly onProgress?: (progress: BlobProgress) => void;
}

export interface BlobDeleteOptions extends CallOptions {
  /** Removes the version with this ETag, and no other. */
  readonly ifMatch?: string;
}

export interface BlobListOptions extends CallOptions {
  /** Only names that begin with this. */
  readonly prefix?: string;
  /** Only names after this one, to go on where an earlier run ended. */
  readonly after?: string;
}

export interface FindStaleOptions extends BlobListOptions {
  /** Only blobs that this key wraps, whether or not it is the current one. Uses the index of the store, else the ledger. */
  readonly wrappedBy?: BlobKey;
}

/** What became of a rewrap. `changed`: another process changed the blob twice meanwhile. `not-possible`: the store cannot do it for this blob. */
export type RewrapOutcome = "rewrapped" | "current" | "changed" | "not-possible";

/** Reads the condition of a put. @throws `invalid-argument` */
export function conditionOf({ ifMatch, replace }: PutOptions): BlobCondition {
  requireText({ ifMatch });
  if (replace !== undefined && typeof replace !== "boolean") throw invalidArgument("replace is true or false");
  if (ifMatch !== undefined && replace === true) throw invalidArgument("put takes ifMatch or replace, and both are given");
  if (ifMatch !== undefined) return { ifMatch };
  return replace === true ? { always: true } : { ifNone: "*" };
}

/** @throws `invalid-argument` */
export function requireText(given: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && typeof value !== "string") throw invalidArgument(`${name} must be text`);
  }
}

/** @throws `invalid-argument` */
export function requireKey(key: BlobKey): void {
  if (typeof key?.provider === "string" && typeof key.keyId === "string") return;
  throw invalidArgument("wrappedBy names a key by the texts provider and keyId", "`inspect` of an envelope gives them for each recipient.");
}

/** @throws `invalid-argument` */
export function checkedTap(tap: BlobTap | undefined): BlobTap | undefined {
  if (tap === undefined) return tap;
  const isTap = typeof tap?.onPiece === "function" && (tap.onEnd === undefined || typeof tap.onEnd === "function");
  if (isTap) return tap;
  throw invalidArgument("a tap has a method onPiece, and may have a method onEnd");
}

export const STORE_OPTIONS: OptionNames<EncryptedStoreOptions> = { context: true, ledger: true, clock: true };
export const PUT_OPTIONS: OptionNames<PutOptions> = {
  ...CALL_OPTIONS,
  expectedBytes: true,
  maxBytes: true,
  describe: true,
  tap: true,
  ifMatch: true,
  replace: true,
  onProgress: true,
};
export const DELETE_OPTIONS: OptionNames<BlobDeleteOptions> = { ...CALL_OPTIONS, ifMatch: true };
export const LIST_OPTIONS: OptionNames<BlobListOptions> = { ...CALL_OPTIONS, prefix: true, after: true };
export const STALE_OPTIONS: OptionNames<FindStaleOptions> = { ...LIST_OPTIONS, wrappedBy: true };
