import { isBytes, wipe } from "../../src/core/base/bytes.ts";
import { attributed, EnvelockError, isDeliberateRefusal, type Whose } from "../../src/core/base/errors.ts";
import { callController, whenAborted } from "../../src/core/base/when-aborted.ts";
import type { KeyProvider, Recipient, WrapOptions } from "../../src/core/contracts/key-provider.ts";
import { DATA_KEY_BYTES } from "../../src/core/contracts/suite.ts";

/** A key that wraps one part of a data key. */
export interface PartKey {
  readonly provider: KeyProvider;
  /** The party whose key it is. Undefined where that is not known. */
  readonly whose?: Whose;
}

/** One part of one data key: its place in the AAD, and the key that it is for. */
export interface Part extends PartKey {
  /** The key id of the AAD without the id of the part's own key: outer name and place. docs/format.md §3.3 */
  readonly place: string;
}

/** Whether a recipient from the wire names a version of this key. */
export function ownsPart({ provider }: PartKey, { provider: name, keyId }: Recipient): boolean {
  return provider.name === name && provider.owns(keyId);
}

/**
 * Wraps one part.
 *
 * @throws `provider-failure` if the provider reports a key id that it would not own later; what its `wrap` throws
 */
export async function wrapPart(part: Part, secret: Uint8Array, options: WrapOptions, signal: AbortSignal): Promise<Recipient> {
  const recipient = await named(part, () => part.provider.wrap(secret, partOptions(part, options, signal)));
  if (ownsPart(part, recipient)) return recipient;
  throw new EnvelockError("provider-failure", `provider ${part.provider.name}: wrap named a key id that the provider does not own`);
}

/** Unwraps one part: 32 bytes that the caller wipes. @throws `unwrap-rejected` for another length; what the provider's `unwrap` throws */
export async function unwrapPart(part: Part, recipient: Recipient, options: WrapOptions, signal: AbortSignal): Promise<Uint8Array> {
  const secret = await named(part, () => part.provider.unwrap(recipient, partOptions(part, options, signal)));
  if (isBytes(secret) && secret.length === DATA_KEY_BYTES) return secret;
  if (isBytes(secret)) wipe(secret);
  throw rejected();
}

/**
 * Asks for several things at once and waits for all of them. A failure that another attempt cannot mend aborts the others; an accident
 * does not, because the others may have more to say.
 *
 * @returns the results and the failures, each in the order of the questions
 * @throws the reason of the caller's signal, once all have ended
 */
export async function askAll<T>(
  questions: readonly ((signal: AbortSignal) => Promise<T>)[],
  signal: AbortSignal | undefined,
  onAbort: (result: T) => void = () => undefined,
): Promise<{ readonly results: readonly T[]; readonly failures: readonly unknown[] }> {
  const controller = callController();
  signal?.throwIfAborted();
  const stopListening = whenAborted(signal, () => controller.abort(signal?.reason));
  const results: T[] = [];
  const failures: unknown[] = [];
  const ask = async (question: (inner: AbortSignal) => Promise<T>, at: number): Promise<readonly [number, T] | undefined> => {
    try {
      return [at, await question(controller.signal)];
    } catch (error) {
      if (!controller.signal.aborted || error !== controller.signal.reason) failures.push(error);
      if (!(EnvelockError.is(error) && error.retryable)) controller.abort(error);
      return undefined;
    }
  };
  const answers = await Promise.all(questions.map(ask));
  stopListening();
  for (const answer of answers) if (answer !== undefined) results.push(answer[1]);
  if (signal?.aborted !== true) return { results, failures };
  for (const result of results) onAbort(result);
  throw signal.reason;
}

/** The failure that says most: what a key's holder decided, what no attempt can mend, and an accident last. */
export function tellingFailure(failures: readonly unknown[]): unknown {
  const isFinal = (error: unknown): boolean => !(EnvelockError.is(error) && error.retryable);
  return failures.find(isDeliberateRefusal) ?? failures.find(isFinal) ?? failures[0];
}

export function rejected(): EnvelockError {
  return new EnvelockError("unwrap-rejected", "the data key was not wrapped under these keys");
}

/** Names the party of a refusal. An accident is nobody's of the two. */
async function named<T>({ whose }: PartKey, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw whose !== undefined && EnvelockError.is(error) && isDeliberateRefusal(error) ? attributed(error, { whose }) : error;
  }
}

function partOptions({ place }: Part, { keyContext, wrapAad }: WrapOptions, signal: AbortSignal): WrapOptions {
  return { keyContext, wrapAad: (keyId) => wrapAad(`${place}:${keyId}`), signal };
}
