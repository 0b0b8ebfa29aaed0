import { EnvelockError } from "../core/base/errors.ts";
import type { DataKey } from "../core/data-key/data-key.ts";
import type { LiveRow } from "./key-table.ts";

/** A data key, or the reason why it could not be unwrapped. */
export interface Opened {
  readonly key?: DataKey | undefined;
  readonly error?: unknown;
}

/** The grounds on which rows are believed. */
export interface Grounds {
  /** The number of rows, from the first, that were believed before. */
  readonly known: number;
  /** The kid of the first version, if this process has seen one. */
  readonly firstKid: string | undefined;
  /** Kids that the caller vouches for. */
  readonly vouchedKids: ReadonlySet<string>;
  keyOf(row: LiveRow): Opened;
  isProven(row: LiveRow, before: DataKey): boolean;
}

export interface Belief {
  readonly believed: readonly LiveRow[];
  /** The reason why the first of the other rows is not believed. */
  readonly unbelieved: EnvelockError | undefined;
}

/**
 * Tells the rows that are believed from those that any writer of the store may have put there. A version is believed if it was believed
 * before, if the caller vouches for it, or if a believed version before it proves it. docs/format.md §3.2
 *
 * @param rows all of a scope, in the order of their versions
 */
export function believedOf(rows: readonly LiveRow[], grounds: Grounds): Belief {
  const believed: LiveRow[] = [];
  let unbelieved: EnvelockError | undefined;
  for (const [at, row] of rows.entries()) {
    const objection = at < grounds.known ? undefined : objectionTo(row, believed.at(-1), at === 0, grounds);
    if (objection === undefined) believed.push(row);
    else unbelieved ??= objection;
  }
  return { believed, unbelieved };
}

/** Returns the rows with the keys that judge the rows not known yet. */
export function predecessorsToOpen(rows: readonly LiveRow[], known: number): readonly LiveRow[] {
  return rows.slice(Math.max(0, known - 1), -1);
}

function objectionTo(row: LiveRow, before: LiveRow | undefined, isFirst: boolean, grounds: Grounds): EnvelockError | undefined {
  const { firstKid, vouchedKids, keyOf, isProven } = grounds;
  if (vouchedKids.has(row.kid)) return undefined;
  if (row.version === 1) {
    return isFirst && (firstKid === undefined || firstKid === row.kid) ? undefined : notTaken(row, "the first version was another one");
  }
  if (before?.version !== row.version - 1) return notTaken(row, `version ${row.version - 1} is missing or is not taken itself`);
  const { key, error } = keyOf(before);
  if (key === undefined) return notChecked(row, error);
  if (proves(row, key, isProven)) return undefined;
  const { error: own } = keyOf(row);
  if (own instanceof EnvelockError && own.code === "no-matching-provider") return own; // it says more
  return notTaken(row, `it carries no proof that version ${before.version} can confirm`);
}

function proves(row: LiveRow, before: DataKey, isProven: Grounds["isProven"]): boolean {
  try {
    return isProven(row, before);
  } catch (error) {
    if (error instanceof EnvelockError && error.code === "malformed-envelope") return false;
    throw error;
  }
}

function notTaken({ version, kid }: LiveRow, why: string): EnvelockError {
  return new EnvelockError("authentication-failed", `version ${version} of a stored data key (${kid}) is not taken: ${why}`, {
    hint: "If no process of yours added it, another writer did: remove the row. If it is yours, see docs/stores.md and `vouchedKids`.",
  });
}

/** Keeps the code of the failed unwrap of the version before: it may be an outage. */
function notChecked({ version, kid }: LiveRow, error: unknown): EnvelockError {
  const { code, retryable, message } = error instanceof EnvelockError ? error : new EnvelockError("provider-failure", "it is not held");
  return new EnvelockError(
    code,
    `version ${version} of a stored data key (${kid}) cannot be checked, because version ${version - 1} could not be unwrapped: ${message}`,
    { cause: error, retryable, hint: "Make the version before it readable again, or vouch for this one with `vouchedKids`." },
  );
}
