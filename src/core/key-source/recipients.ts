import { engine } from "#engine";
import type { OwnedBytes } from "../base/bytes.ts";
import type { KeyContext } from "../base/context.ts";
import { authenticationFailed, EnvelockError } from "../base/errors.ts";
import { PUBLIC_HALF_ALONE, type Recipient } from "../contracts/key-provider.ts";
import { commitmentOf, DataKey, secretBytesOf } from "../data-key/data-key.ts";
import type { KeyRecord } from "../format/key-record.ts";
import type { GuardedProvider } from "../resilience/guarded-provider.ts";
import type { Operation } from "../resilience/operation.ts";
import { tryOn } from "../resilience/retry.ts";

/**
 * Wraps a data key for every provider at once; all of them become recipients, in the order of `providers`.
 *
 * @throws the provider's error; with several failing, one error whose `cause` is an AggregateError of theirs
 */
export async function wrapForAll(
  providers: readonly GuardedProvider[],
  dataKey: DataKey,
  keyContext: KeyContext,
  operation: Operation,
): Promise<readonly Recipient[]> {
  const secret = secretBytesOf(dataKey);
  const wrapWith = (provider: GuardedProvider): Promise<Recipient> => provider.wrap(secret, keyContext, operation);
  const [only, ...others] = providers;
  if (only !== undefined && others.length === 0) return [await wrapWith(only)];
  const recipients: Recipient[] = [];
  const failures: EnvelockError[] = [];
  const wrap = async (provider: GuardedProvider, place: number): Promise<void> => {
    try {
      recipients[place] = await wrapWith(provider);
    } catch (error) {
      operation.throwIfAborted();
      failures.push(provider.failureOf(error));
    }
  };
  await Promise.all(providers.map(wrap));
  if (failures.length > 0) throw combined(failures, `${failures.length} of ${providers.length} recipients could not be wrapped`);
  return recipients;
}

/**
 * Unwraps a record's data key with the first of `candidates` that can. At most four are tried; those whose breaker is open come last.
 *
 * @returns a data key that meets the record's commitment, which the caller destroys, and the candidate that unwrapped it
 * @throws `authentication-failed` if each recipient is refused or breaks the commitment; else the provider's error, or with several
 *   one error whose `cause` is an AggregateError of theirs
 * @see docs/format.md §4
 */
export async function unwrapAny(
  candidates: Candidates,
  { keyCommit }: KeyRecord,
  keyContext: KeyContext,
  operation: Operation,
  onFailure: (candidate: Candidate, error: unknown) => void,
): Promise<Unwrapped> {
  const ordered = inOrder(candidates);
  const [first] = ordered;
  try {
    const secret = await first.provider.unwrap(first.recipient, keyContext, operation, 1);
    return { dataKey: committed(secret, keyContext, keyCommit), candidate: first };
  } catch (error) {
    onFailure(first, error);
    const run = async (candidate: Candidate, attempt: number): Promise<Unwrapped> => {
      try {
        const secret = await candidate.provider.unwrap(candidate.recipient, keyContext, operation, attempt);
        return { dataKey: committed(secret, keyContext, keyCommit), candidate };
      } catch (again) {
        onFailure(candidate, again);
        throw again;
      }
    };
    const attempts = { call: "unwrap", providerOf: ({ provider }: Candidate) => provider, run, giveUp: unwrapFailure } as const;
    return await tryOn(error, ordered, attempts, operation);
  }
}

/**
 * Unwraps at once with a key in this process.
 *
 * @returns a data key that meets the commitment, which the caller destroys; undefined leaves it to `unwrapAny`, which says what is wrong
 */
export function unwrapNow({ provider, recipient }: Candidate, keyCommit: Uint8Array, keyContext: KeyContext): DataKey | undefined {
  try {
    const secret = provider.unwrapNow(recipient, keyContext);
    return secret && committed(secret, keyContext, keyCommit);
  } catch {
    return undefined;
  }
}

/**
 * Whether wrapping anew would change the recipients: one is missing, of an older key version, or of no provider given.
 *
 * @throws the provider's error
 */
export async function isStale(
  providers: readonly GuardedProvider[],
  recipients: readonly Recipient[],
  operation: Operation,
): Promise<boolean> {
  const isForeign = recipients.some((recipient) => !providers.some((provider) => provider.isFor(recipient)));
  if (isForeign || recipients.length !== providers.length) return true;
  for (const provider of providers) {
    const current = await provider.current(operation);
    const isFresh = recipients.some((recipient) => provider.isFor(recipient) && (current ?? recipient.keyId) === recipient.keyId);
    if (!isFresh) return true;
  }
  return false;
}

/** A recipient of a record and the provider that it names. */
export interface Candidate {
  readonly provider: GuardedProvider;
  readonly recipient: Recipient;
}

export type Candidates = readonly [Candidate, ...Candidate[]];

export interface Unwrapped {
  readonly dataKey: DataKey;
  readonly candidate: Candidate;
}

/**
 * Lists the candidates that can unwrap a record, in the order of the configuration. A provider name or key id from the wire is compared
 * with configuration and used for nothing else.
 *
 * @throws `no-matching-provider`
 */
export function candidatesOf(providers: readonly GuardedProvider[], { recipients }: KeyRecord): Candidates {
  let candidates: [Candidate, ...Candidate[]] | undefined;
  for (const provider of providers) {
    for (const recipient of recipients) {
      if (!provider.isFor(recipient)) continue;
      if (candidates === undefined) candidates = [{ provider, recipient }];
      else candidates.push({ provider, recipient });
    }
  }
  if (candidates !== undefined) return candidates;
  throw new EnvelockError("no-matching-provider", "no recipient names a key that is configured here", {
    hint: "compare the recipients that `inspect` shows with wrapWith and unwrapWith",
  });
}

/** Candidates whose breaker is open come last, and drop out beyond the limit of four. */
function inOrder(candidates: Candidates): Candidates {
  if (candidates.length === 1) return candidates;
  const admitting = candidates.filter(({ provider }) => provider.isAdmitting);
  const others = candidates.filter((candidate) => !admitting.includes(candidate));
  const [first = candidates[0], ...rest] = [...admitting, ...others];
  return [first, ...rest.slice(0, MAX_UNWRAPS - 1)];
}

/** @throws `unwrap-rejected` */
function committed(secret: OwnedBytes, keyContext: KeyContext, keyCommit: Uint8Array): DataKey {
  const dataKey = new DataKey(secret, keyContext);
  if (engine.timingSafeEqual(commitmentOf(dataKey), keyCommit)) return dataKey;
  dataKey.destroy();
  throw new EnvelockError("unwrap-rejected", "the unwrapped key does not meet the commitment", { detail: BREAKS_COMMITMENT });
}

/**
 * Makes the error for a failed unwrap. It passes on what providers said and nothing that a wrong key shows of itself. A public half alone
 * is a fault of configuration, and said before any secret was used.
 */
function unwrapFailure(failures: readonly EnvelockError[]): EnvelockError {
  const said = failures.filter(({ detail }) => detail !== BREAKS_COMMITMENT);
  const [only] = said;
  if (only !== undefined && said.every(({ detail }) => detail === PUBLIC_HALF_ALONE)) {
    const { detail = PUBLIC_HALF_ALONE, message, hint } = only;
    return new EnvelockError("no-matching-provider", message, { cause: causeOf(said), detail, ...(hint !== undefined && { hint }) });
  }
  if (said.every(({ code }) => code === "unwrap-rejected"))
    return authenticationFailed(causeOf(said), said.find(({ hint }) => hint !== undefined)?.hint);
  return combined(said, `none of ${failures.length} recipients could be unwrapped`);
}

/** Makes one error for several. A retryable one decides, because another attempt may then succeed. */
function combined(failures: readonly EnvelockError[], message = "every attempt failed"): EnvelockError {
  const [only] = failures;
  if (only !== undefined && failures.length === 1) return only;
  const telling = failures.find(({ retryable }) => retryable) ?? failures.find(({ code }) => code !== "unwrap-rejected") ?? only;
  const { code = "provider-failure", retryable = false, retryAfterMs, hint, whose, tenant } = telling ?? {};
  return new EnvelockError(code, message, {
    cause: causeOf(failures),
    retryable,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(hint !== undefined && { hint }),
    ...(whose !== undefined && { whose }),
    ...(tenant !== undefined && { tenant }),
  });
}

function causeOf(failures: readonly EnvelockError[]): unknown {
  return failures.length > 1 ? new AggregateError(failures, "several providers failed") : failures[0];
}

const MAX_UNWRAPS = 4;
const BREAKS_COMMITMENT = "breaks-commitment";
