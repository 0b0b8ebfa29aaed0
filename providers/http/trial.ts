import { equalPublicBytes, wipe } from "../../src/core/base/bytes.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { DATA_KEY_BYTES } from "../../src/core/contracts/suite.ts";

/** How a service wraps and unwraps what is tried. */
export interface TrialSteps<Wrapped> {
  /** Whether another context must be refused. */
  readonly bindsContext: boolean;
  /** What to do if the key does not unwrap what it wraps, and if the context is ignored. */
  readonly hints: { readonly roundTrip: string; readonly context: string };
  wrap(dek: Uint8Array): Promise<Wrapped>;
  unwrap(wrapped: Wrapped, context: "right" | "other"): Promise<Uint8Array>;
}

/**
 * Wraps random bytes that protect nothing: they must come back, and not under another context. Nothing is tried where the caller has no
 * right to unwrap.
 *
 * @throws `provider-failure` with the detail `no-round-trip` or `context-ignored`; what the steps throw
 */
export async function tryRoundTrip<Wrapped>({ bindsContext, hints, wrap, unwrap }: TrialSteps<Wrapped>): Promise<void> {
  const trial = crypto.getRandomValues(new Uint8Array(DATA_KEY_BYTES));
  try {
    const wrapped = await wrap(trial);
    const isBack = await opens(trial, () => unwrap(wrapped, "right"));
    if (isBack === "may-not") return;
    if (isBack === "no") throw noRoundTrip(hints.roundTrip);
    if (bindsContext && (await opens(trial, () => unwrap(wrapped, "other"))) === "yes") throw contextIgnored(hints.context);
  } finally {
    wipe(trial);
  }
}

async function opens(trial: Uint8Array, unwrap: () => Promise<Uint8Array>): Promise<"yes" | "no" | "may-not"> {
  try {
    const opened = await unwrap();
    const isSame = equalPublicBytes(opened, trial); // random bytes that protect nothing
    wipe(opened);
    return isSame ? "yes" : "no";
  } catch (error) {
    if (!(error instanceof EnvelockError)) throw error;
    if (error.code === "unwrap-rejected") return "no";
    if (error.code === "access-denied") return "may-not";
    throw error;
  }
}

function noRoundTrip(hint: string): EnvelockError {
  return new EnvelockError("provider-failure", "the key does not unwrap what it wraps", { detail: "no-round-trip", hint });
}

function contextIgnored(hint: string): EnvelockError {
  return new EnvelockError("provider-failure", "the service opened a wrapped key under another context: it binds none", {
    detail: "context-ignored",
    hint,
  });
}
