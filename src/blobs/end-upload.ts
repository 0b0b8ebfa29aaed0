import type { Clock } from "../core/base/clock.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { waitFor } from "../core/base/wait.ts";

/**
 * Ends an upload at the service, with a second attempt. Never throws. It waits 10 s at most for a service that does not answer.
 *
 * @param end ends the upload, once what names it is known
 */
export async function ended(clock: Clock, end: () => Promise<void>): Promise<void> {
  const error = (): EnvelockError => new EnvelockError("timeout", "the store was silent at the end of an upload");
  await waitFor(end().catch(end), { limit: { clock, ms: MOST_ENDING_MS, error } }).catch(() => undefined);
}

const MOST_ENDING_MS = 10_000;
