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
    const opens = async (context: "right" | "other"): Promise<boolean | undefined> => {
      try {
        const opened = await unwrap(wrapped, context);
        const isSame = equalPublicBytes(opened, trial); // random bytes that protect nothing
        wipe(opened);
        return isSame;
      } catch (error) {
        if (error instanceof EnvelockError && error.code === "unwrap-rejected") return false;
        if (error instanceof EnvelockError && error.code === "access-denied") return undefined; // the caller may not unwrap
        throw error;
      }
    };
    const isBack = await opens("right");
    if (isBack === undefined) return;
    if (!isBack) throw failed("the key does not unwrap what it wraps", "no-round-trip", hints.roundTrip);
    if (bindsContext && (await opens("other")) === true)
      throw failed("the service opened a wrapped key under another context: it binds none", "context-ignored", hints.context);
  } finally {
    wipe(trial);
  }
}

function failed(message: string, detail: string, hint: string): EnvelockError {
  return new EnvelockError("provider-failure", message, { detail, hint });
}
