import { CALL_OPTIONS, callSignal } from "../core/base/call-options.ts";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, requireMethods, shownValue } from "../core/base/options.ts";
import type { EncryptedStore } from "./encrypted-store.ts";
import type { FindStaleOptions, RewrapOutcome } from "./encrypted-store-options.ts";
import { isBlobMissing } from "./failures.ts";

export interface RewrapStaleOptions extends FindStaleOptions {
  /** How many blobs are worked on at once. Defaults to 8: the key service sets the pace, not the store. */
  readonly inFlight?: number;
}

/** What became of one blob. */
export interface RewrappedBlob {
  readonly name: string;
  /** `gone`: it was deleted meanwhile. `failed`: see `error`. */
  readonly outcome: RewrapOutcome | "gone" | "failed";
  readonly error?: EnvelockError;
}

/**
 * Rewraps every blob that `findStale` finds. May be killed at any time and run again: what was rewrapped is not found again. A blob that
 * fails is reported, and the others go on.
 *
 * @returns outcomes in the order in which the blobs were found: `after` goes on behind the last name
 * @throws `invalid-argument` for bad options; the iteration throws what the search throws, and the signal's reason
 * @example
 * ```ts
 * import { type EncryptedStore, rewrapStale } from "envelock/blobs";
 *
 * export async function moveAll(store: EncryptedStore): Promise<readonly string[]> {
 *   const left: string[] = [];
 *   for await (const { name, outcome } of rewrapStale(store)) if (outcome !== "rewrapped") left.push(`${name}: ${outcome}`);
 *   return left;
 * }
 * ```
 */
export function rewrapStale(store: EncryptedStore, options: RewrapStaleOptions = {}): AsyncGenerator<RewrappedBlob, void, undefined> {
  const signal = callSignal(options, OPTIONS, "rewrapStale");
  const { inFlight = 8, ...search } = options;
  if (!Number.isInteger(inFlight) || inFlight < 1) throw invalidArgument(`inFlight is ${shownValue(inFlight)}, expected an integer from 1`);
  requireMethods(store, ["findStale", "rewrap"], "rewrapStale takes a store", "`encryptedStore` makes one.");
  return rewrapped(store, store.findStale(search), inFlight, signal);
}

async function* rewrapped(
  store: EncryptedStore,
  names: AsyncIterable<string>,
  inFlight: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<RewrappedBlob, void, undefined> {
  const waiting: Promise<RewrappedBlob>[] = [];
  for await (const name of names) {
    const work = outcomeOf(store, name, signal);
    work.catch(() => undefined); // its turn comes
    waiting.push(work);
    const head = waiting.length >= inFlight ? waiting.shift() : undefined;
    if (head !== undefined) yield await head;
  }
  for (let head = waiting.shift(); head !== undefined; head = waiting.shift()) yield await head;
}

async function outcomeOf(store: EncryptedStore, name: string, signal: AbortSignal | undefined): Promise<RewrappedBlob> {
  try {
    return { name, outcome: await store.rewrap(name, signal ? { signal } : {}) };
  } catch (error) {
    signal?.throwIfAborted();
    if (!EnvelockError.is(error)) throw error;
    return isBlobMissing(error) ? { name, outcome: "gone" } : { name, outcome: "failed", error };
  }
}

const OPTIONS: OptionNames<RewrapStaleOptions> = { ...CALL_OPTIONS, prefix: true, after: true, wrappedBy: true, inFlight: true };
