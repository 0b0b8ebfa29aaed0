import { engine } from "#engine";
import { copyOf, isBytes, utf8Length, wipe } from "./bytes.ts";
import type { KeyContext } from "./context.ts";
import { commitmentOf, DATA_KEY_BYTES, DataKey, secretBytesOf } from "./data-key.ts";
import { authenticationFailed, EnvelockError } from "./errors.ts";
import { encodeWrapAad, type KeyRecord, MAX_KEY_ID_BYTES, MAX_WRAPPED_BYTES } from "./format/key-record.ts";
import type { KeyProvider, Recipient, WrapOptions } from "./key-provider.ts";

/**
 * Wraps a data key for every provider at once; all of them become recipients, in the order of `providers`.
 *
 * @throws the provider's error; with several failing, one error whose `cause` is an AggregateError of theirs
 */
export async function wrapForAll(
  providers: readonly KeyProvider[],
  dataKey: DataKey,
  keyContext: KeyContext,
  signal: AbortSignal | undefined,
): Promise<readonly Recipient[]> {
  const secret = secretBytesOf(dataKey);
  const recipients: Recipient[] = [];
  const failures: EnvelockError[] = [];
  const wrap = async (provider: KeyProvider, place: number): Promise<void> => {
    try {
      recipients[place] = checkedRecipient(provider, await provider.wrap(secret, wrapOptions(provider, keyContext, signal)));
    } catch (error) {
      failures.push(providerError(provider, error, signal));
    }
  };
  const [first, second] = providers;
  if (first !== undefined && second === undefined) await wrap(first, 0);
  else await Promise.all(providers.map(wrap));
  if (failures.length > 0) throw combined(failures, `${failures.length} of ${providers.length} recipients could not be wrapped`);
  return recipients;
}

/**
 * Unwraps a record's data key with the configured providers. A provider name or key id from the wire is only ever compared with
 * configuration, whose order decides; at most four unwraps are made.
 *
 * @returns a data key that meets the record's commitment; the caller destroys it
 * @throws `no-matching-provider` before any call is made; `authentication-failed` if each recipient is refused or breaks the
 *   commitment; else the provider's error, or with several one error whose `cause` is an AggregateError of theirs
 * @see docs/format.md §4
 */
export async function unwrapAny(
  providers: readonly KeyProvider[],
  record: KeyRecord,
  keyContext: KeyContext,
  signal: AbortSignal | undefined,
): Promise<DataKey> {
  const candidates = candidatesOf(providers, record);
  if (candidates.length === 0) {
    throw new EnvelockError("no-matching-provider", "no recipient names a key that is configured here", {
      hint: "compare the recipients that `inspect` shows with wrapWith and unwrapWith",
    });
  }
  const failures: EnvelockError[] = [];
  for (const { provider, recipient } of candidates.slice(0, MAX_UNWRAPS)) {
    try {
      const dataKey = await unwrapOne(provider, recipient, keyContext, signal);
      if (engine.timingSafeEqual(commitmentOf(dataKey), record.keyCommit)) return dataKey;
      dataKey.destroy();
    } catch (error) {
      failures.push(providerError(provider, error, signal));
    }
  }
  throw unwrapFailure(failures);
}

/**
 * Whether `recipient` names a key of `provider`: a comparison with configuration, nothing else.
 *
 * @throws `provider-failure` if `owns` throws, as a parser may that meets a hostile key id
 */
export function isFor(provider: KeyProvider, recipient: Recipient): boolean {
  if (provider.name !== recipient.provider) return false;
  try {
    return provider.owns(recipient.keyId);
  } catch (error) {
    throw providerError(provider, error, undefined);
  }
}

/** The key id that `provider` would wrap with now, or undefined if it cannot tell. @throws the provider's error */
export async function currentKeyId(provider: KeyProvider, signal: AbortSignal | undefined): Promise<string | undefined> {
  try {
    return await provider.current?.(signal && { signal });
  } catch (error) {
    throw providerError(provider, error, signal);
  }
}

interface Candidate {
  readonly provider: KeyProvider;
  readonly recipient: Recipient;
}

function candidatesOf(providers: readonly KeyProvider[], record: KeyRecord): readonly Candidate[] {
  return providers.flatMap((provider) =>
    record.recipients.filter((recipient) => isFor(provider, recipient)).map((recipient) => ({ provider, recipient })),
  );
}

async function unwrapOne(
  provider: KeyProvider,
  recipient: Recipient,
  keyContext: KeyContext,
  signal: AbortSignal | undefined,
): Promise<DataKey> {
  const secret = await provider.unwrap(recipient, wrapOptions(provider, keyContext, signal));
  if (!isBytes(secret) || secret.length !== DATA_KEY_BYTES) {
    throw brokenContract(provider, `unwrap must give ${DATA_KEY_BYTES} bytes`);
  }
  const owned = copyOf(secret);
  wipe(secret);
  return new DataKey(owned, keyContext);
}

function wrapOptions(provider: KeyProvider, keyContext: KeyContext, signal: AbortSignal | undefined): WrapOptions {
  return {
    keyContext: keyContext.map,
    wrapAad: (keyId) => encodeWrapAad(provider.name, keyId, keyContext.bytes),
    ...(signal && { signal }),
  };
}

/** What a provider reports goes on the wire for years: a recipient that could not be read back is refused now. */
function checkedRecipient(provider: KeyProvider, recipient: Recipient): Recipient {
  const { keyId, alg, wrapped } = recipient;
  if (recipient.provider !== provider.name) throw brokenContract(provider, "wrap named another provider");
  if (!provider.owns(keyId)) throw brokenContract(provider, "wrap named a key id that the provider does not own");
  if (!isKeyId(keyId)) throw brokenContract(provider, `a key id has 1 to ${MAX_KEY_ID_BYTES} bytes of well-formed text`);
  if (!Number.isInteger(alg) || alg < 1 || alg > 0xffffffff) throw brokenContract(provider, "alg must be a positive 32-bit integer");
  if (!isBytes(wrapped) || wrapped.length < 1 || wrapped.length > MAX_WRAPPED_BYTES) {
    throw brokenContract(provider, `a wrapped key has 1 to ${MAX_WRAPPED_BYTES} bytes`);
  }
  return recipient;
}

function isKeyId(keyId: string): boolean {
  const length = typeof keyId === "string" ? utf8Length(keyId) : undefined;
  return length !== undefined && length >= 1 && length <= MAX_KEY_ID_BYTES;
}

function brokenContract(provider: KeyProvider, message: string): EnvelockError {
  return new EnvelockError("provider-failure", `provider ${provider.name}: ${message}`);
}

/** An abort is the caller's own doing and ends the call at once, with the caller's reason. */
function providerError(provider: KeyProvider, error: unknown, signal: AbortSignal | undefined): EnvelockError {
  signal?.throwIfAborted();
  if (error instanceof EnvelockError) return error;
  return new EnvelockError("provider-failure", `provider ${provider.name} failed with an error of its own`, { cause: error });
}

function unwrapFailure(failures: readonly EnvelockError[]): EnvelockError {
  if (failures.every(({ code }) => code === "unwrap-rejected")) return authenticationFailed(causeOf(failures));
  return combined(failures, `none of ${failures.length} recipients could be unwrapped`);
}

/** One error for several: a retryable one speaks for all, for then another try may succeed. */
function combined(failures: readonly EnvelockError[], message: string): EnvelockError {
  const [only] = failures;
  if (only !== undefined && failures.length === 1) return only;
  const telling = failures.find(({ retryable }) => retryable) ?? failures.find(({ code }) => code !== "unwrap-rejected") ?? only;
  const { code = "provider-failure", retryable = false, retryAfterMs, hint } = telling ?? {};
  return new EnvelockError(code, message, {
    cause: causeOf(failures),
    retryable,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(hint !== undefined && { hint }),
  });
}

function causeOf(failures: readonly EnvelockError[]): unknown {
  return failures.length > 1 ? new AggregateError(failures, "several providers failed") : failures[0];
}

const MAX_UNWRAPS = 4;
