import { invalidArgument } from "../../core/base/errors.ts";
import type { OptionNames } from "../../core/base/options.ts";
import { workersOf } from "../../fields/jobs/pages.ts";
import { CHANGE_OPTIONS, type ChangeOptions, changeOptions } from "../changes.ts";
import type { TenantEnvelopes } from "./envelopes.ts";

export interface MoveOptions extends ChangeOptions {
  /** Whether the call waits until every process knows the new key. Without it the call returns, and a later one goes on. Default true. */
  readonly wait?: boolean;
  /** The number of data keys in flight. Default 8. */
  readonly concurrency?: number;
  /**
   * Rewraps the tenant's envelopes outside of the key table, such as blobs. Those that it cannot rewrap hold back the next step, as data keys
   * do. Without it they are not looked at, and may still name an old key when that is retired.
   */
  readonly envelopes?: TenantEnvelopes;
  /** Called after each page of data keys. */
  readonly onProgress?: (progress: { readonly rows: number; readonly failed: number }) => unknown;
}

/** Reads the options of a move, before the move changes anything. @throws `invalid-argument` */
export function moveOptions(options: MoveOptions): MoveOptions {
  const given = changeOptions(options, MOVE_OPTIONS, "Tenants.move");
  const { wait, concurrency, envelopes, onProgress } = given;
  if (wait !== undefined && typeof wait !== "boolean") throw invalidArgument("wait is true or false");
  if (concurrency !== undefined) workersOf({ concurrency });
  if (envelopes !== undefined && typeof envelopes !== "function")
    throw invalidArgument("envelopes is a function that takes a keyring", "Such as one that calls rewrapStale() of envelock/blobs.");
  if (onProgress !== undefined && typeof onProgress !== "function") throw invalidArgument("onProgress is a function");
  return given;
}

const MOVE_OPTIONS: OptionNames<MoveOptions> = { ...CHANGE_OPTIONS, wait: true, concurrency: true, envelopes: true, onProgress: true };
