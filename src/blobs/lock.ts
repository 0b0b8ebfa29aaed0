import { EnvelockError } from "../core/base/errors.ts";
import { unanswered } from "./failures.ts";

/**
 * Lets one piece of work at a time change a blob, among all programs that write to the store: an advisory lock of a database, say.
 *
 * @param name what is locked: the name of a blob, or of what stands beside it
 * @returns what the work returns; throws what it throws
 */
export type BlobLock = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/** Does work under a lock of the caller's. @throws what the work throws; `unavailable` if the lock fails; `provider-failure` if it does not run the work */
export async function underLock<T>(lock: BlobLock, name: string, work: () => Promise<T>): Promise<T> {
  let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
  try {
    await lock(name, async () => {
      try {
        outcome = { value: await work() };
      } catch (error) {
        outcome = { error };
        throw error;
      }
    });
  } catch (error) {
    if (outcome === undefined || "value" in outcome) throw unanswered("the lock", error);
  }
  if (outcome === undefined) throw new EnvelockError("provider-failure", "the lock ended without running its work", { whose: "caller" });
  if ("error" in outcome) throw outcome.error;
  return outcome.value;
}
