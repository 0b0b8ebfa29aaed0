import type { CallOptions } from "../../core/base/call-options.ts";
import { type EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import type { Keyring } from "../../core/keyring/keyring.ts";

/** One envelope outside of the key table, such as a blob, and what became of it: what `rewrapStale` of `envelock/blobs` yields. */
export interface MovedEnvelope {
  readonly name: string;
  /** `rewrapped`, `current` and `gone` are done. Any other outcome holds back the next step of the move. */
  readonly outcome: string;
  readonly error?: EnvelockError;
}

/**
 * Rewraps the tenant's envelopes outside of the key table under a keyring whose new key wraps alone, and yields each that named an old key.
 * Called twice in a move, so that the second pass meets what came in during the first.
 */
export type TenantEnvelopes = (keyring: Keyring, options: CallOptions) => AsyncIterable<MovedEnvelope>;

/** The result of the passes over a tenant's envelopes outside of the key table. */
export interface MovedEnvelopes {
  /** Envelopes that this call wrapped anew. */
  readonly rewrapped: number;
  /** Envelopes of the last pass that still name an old key. */
  readonly failed: number;
  /** The first hundred of them. */
  readonly failures: readonly MovedEnvelope[];
}

/**
 * Goes over all envelopes once.
 *
 * @param before the result of an earlier pass of the same call
 * @throws `invalid-argument` for an iterator that yields something else; what the iterator throws
 */
export async function moveEnvelopes(
  envelopes: AsyncIterable<MovedEnvelope>,
  before: MovedEnvelopes | undefined,
  signal: AbortSignal | undefined,
): Promise<MovedEnvelopes> {
  let [rewrapped, failed] = [before?.rewrapped ?? 0, 0];
  const failures: MovedEnvelope[] = [];
  for await (const envelope of envelopes) {
    signal?.throwIfAborted();
    const { name, outcome, error } = requireEnvelope(envelope);
    if (outcome === "rewrapped") rewrapped++;
    if (DONE.has(outcome)) continue;
    failed++;
    if (failures.length < MOST_FAILURES) failures.push({ name, outcome, ...(error !== undefined && { error }) });
  }
  return { rewrapped, failed, failures };
}

function requireEnvelope(given: MovedEnvelope): MovedEnvelope {
  if (typeof given?.name === "string" && typeof given.outcome === "string") return given;
  throw invalidArgument("envelopes must yield objects with a name and an outcome", "Such as what rewrapStale() of envelock/blobs yields.");
}

const DONE: ReadonlySet<string> = new Set(["rewrapped", "current", "gone"]);
const MOST_FAILURES = 100;
