import { wipe } from "../../src/core/base/bytes.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown, shownValue } from "../../src/core/base/options.ts";
import { WRAP_ALGORITHMS } from "../../src/core/contracts/algorithms.ts";
import type { KeyProvider, Recipient, WrapOptions } from "../../src/core/contracts/key-provider.ts";
import { DATA_KEY_BYTES } from "../../src/core/contracts/suite.ts";
import { encodeShares, MOST_SHARES, parseShares, type Share, type Shares, sharesIdentity } from "../../src/core/format/parts.ts";
import { MAX_WRAPPED_BYTES } from "../../src/core/format/recipient.ts";
import { OuterKey, requireProvider } from "./outer-key.ts";
import { askAll, ownsPart, type Part, rejected, tellingFailure, unwrapPart, wrapPart } from "./parts.ts";
import { combine, type Point, split } from "./shamir.ts";

export interface ThresholdOptions {
  /** The name of this group of keys, for ever: 1 to 128 characters of A-Z, a-z, 0-9, dot, hyphen and underscore. */
  readonly keyId: string;
  /** How many of the keys open a data key: 2 to the number of `providers`. A recipient that says another number is refused. */
  readonly needed: number;
  /** The keys, 2 to 16. All of them wrap. They are asked to unwrap in this order. */
  readonly providers: readonly KeyProvider[];
}

/**
 * A key of several holders, of whom any `needed` open what it wrapped, and fewer learn nothing: Shamir's secret sharing, with each share
 * wrapped under one of the keys. For break-glass keys. A reader may have fewer of the keys than the writer, if they are enough.
 *
 * Unwrapping asks as many keys as are needed, at once, and then one more for each that fails. The keys stay open when this one is closed:
 * their maker closes them.
 *
 * @throws `invalid-argument`
 * @see docs/format.md §3.3
 * @example
 * ```ts
 * import { type KeyProvider, Keyring } from "envelock";
 * import { threshold } from "envelock/providers/composite";
 *
 * export function breakGlass(officers: readonly KeyProvider[]): Keyring {
 *   return new Keyring(threshold({ keyId: "break-glass", needed: 2, providers: officers }));
 * }
 * ```
 */
export function threshold(options: ThresholdOptions): KeyProvider & { close(): Promise<void> } {
  refuseUnknown(options, THRESHOLD_OPTIONS, "threshold");
  const { keyId, needed } = options;
  const providers = checkedProviders(options);
  const outer = new OuterKey(THRESHOLD, keyId);
  const partOf = (provider: KeyProvider, x: number): Part => ({ provider, place: `${outer.name}:${needed}:${x}` });

  const sharesOf = async ({ keyId: id, alg, wrapped }: Recipient): Promise<readonly OwnedShare[]> => {
    if (alg !== WRAP_ALGORITHMS.threshold || !outer.owns(id)) throw rejected();
    const parsed = parsedShares(wrapped);
    if (parsed.needed !== needed) throw rejected();
    const owned = ownedShares(providers, parsed, partOf);
    if ((await outer.idOf(sharesIdentity(parsed))) !== id) throw rejected();
    return owned;
  };

  const current = async ({ signal }: { readonly signal?: AbortSignal } = {}): Promise<string> => {
    outer.requireOpen();
    const questions = providers.map((provider, at) => async (inner: AbortSignal) => {
      const version = (await provider.current?.({ signal: inner })) ?? "";
      return { x: at + 1, recipient: { provider: provider.name, keyId: version } };
    });
    return await outer.idOf(sharesIdentity({ needed, shares: await allResults(askAll(questions, signal)) }));
  };

  return {
    name: THRESHOLD,
    owns: (id) => outer.owns(id),

    async wrap(dek, given) {
      outer.requireOpen();
      const { signal } = given;
      signal?.throwIfAborted();
      const random = crypto.getRandomValues(new Uint8Array((needed - 1) * DATA_KEY_BYTES));
      const points = split(
        dek,
        needed,
        providers.map((_, at) => at + 1),
        random,
      );
      try {
        const questions = providers.map((provider, at) => async (inner: AbortSignal): Promise<Share> => {
          const x = at + 1;
          return { x, recipient: await wrapPart(partOf(provider, x), points[at]?.y ?? NO_SECRET, given, inner) };
        });
        const shares = { needed, shares: await allResults(askAll(questions, signal)) };
        requireDistinctKeys(shares);
        const wrapped = encodeShares(shares);
        if (wrapped.length > MAX_WRAPPED_BYTES) {
          throw new EnvelockError("provider-failure", `the shares take ${wrapped.length} bytes, at most ${MAX_WRAPPED_BYTES} are allowed`);
        }
        return { provider: THRESHOLD, keyId: await outer.idOf(sharesIdentity(shares)), alg: WRAP_ALGORITHMS.threshold, wrapped };
      } finally {
        wipe(...points.map(({ y }) => y));
      }
    },

    async unwrap(recipient, given) {
      outer.requireOpen();
      given.signal?.throwIfAborted();
      const points = await unwrappedPoints(await sharesOf(recipient), needed, given);
      const dek = combine(points);
      wipe(...points.map(({ y }) => y));
      return dek;
    },

    ...(providers.every((provider) => provider.current !== undefined) && { current }),

    async close() {
      outer.close();
    },
  };
}

/** A share and the key that it is for. */
interface OwnedShare {
  readonly part: Part;
  readonly share: Share;
}

/**
 * Unwraps as many shares as are needed: that many at once, then one more for each failure.
 *
 * @returns points that the caller wipes
 * @throws the failure that says most, if too many fail
 */
async function unwrappedPoints(owned: readonly OwnedShare[], needed: number, given: WrapOptions): Promise<readonly Point[]> {
  const points: Point[] = [];
  const failures: unknown[] = [];
  try {
    for (let next = 0; points.length < needed; ) {
      const batch = owned.slice(next, next + needed - points.length);
      if (batch.length < needed - points.length) throw tellingFailure(failures);
      next += batch.length;
      const questions = batch.map(({ part, share }) => async (inner: AbortSignal): Promise<Point | Failed> => {
        try {
          return { x: share.x, y: await unwrapPart(part, share.recipient, given, inner) };
        } catch (error) {
          given.signal?.throwIfAborted();
          return { error }; // one key that fails is no reason to stop the others
        }
      });
      const { results } = await askAll(questions, given.signal, (result) => "y" in result && wipe(result.y));
      for (const result of results) {
        if ("y" in result) points.push(result);
        else failures.push(result.error);
      }
    }
    return points;
  } catch (error) {
    wipe(...points.map(({ y }) => y));
    throw error;
  }
}

interface Failed {
  readonly error: unknown;
}

/** @throws `unwrap-rejected` if too few shares are of configured keys, or one key has two of them */
function ownedShares(
  providers: readonly KeyProvider[],
  { needed, shares }: Shares,
  partOf: (provider: KeyProvider, x: number) => Part,
): readonly OwnedShare[] {
  const owned: OwnedShare[] = [];
  for (const provider of providers) {
    const own = shares.filter(({ recipient }) => ownsPart({ provider }, recipient));
    if (own.length > 1) throw rejected();
    for (const share of own) owned.push({ part: partOf(provider, share.x), share });
  }
  if (owned.length < needed || new Set(owned.map(({ share }) => share.x)).size < owned.length) throw rejected();
  return owned;
}

async function allResults<T>(
  asked: Promise<{ readonly results: readonly T[]; readonly failures: readonly unknown[] }>,
): Promise<readonly T[]> {
  const { results, failures } = await asked;
  if (failures.length > 0) throw tellingFailure(failures);
  return results;
}

function parsedShares(wrapped: Uint8Array): Shares {
  try {
    return parseShares(wrapped);
  } catch {
    throw rejected();
  }
}

/** @throws `provider-failure` if two shares are under one key: that key would count twice */
function requireDistinctKeys({ shares }: Shares): void {
  const names = new Set(shares.map(({ recipient: { provider, keyId } }) => `${provider} ${keyId}`));
  if (names.size < shares.length) throw new EnvelockError("provider-failure", "two shares are under one key, which would count twice");
}

function checkedProviders({ providers, needed }: ThresholdOptions): readonly KeyProvider[] {
  if (!Array.isArray(providers)) throw invalidArgument("providers must be a list of key providers");
  const given: readonly KeyProvider[] = [...providers];
  for (const [at, provider] of given.entries()) requireProvider(provider, `providers[${at}]`);
  if (given.length < 2 || given.length > MOST_SHARES) throw invalidArgument(`a threshold takes 2 to ${MOST_SHARES} providers`);
  if (new Set(given).size < given.length) throw invalidArgument("a provider stands twice: it would count twice");
  if (!Number.isSafeInteger(needed) || needed < 2 || needed > given.length) {
    throw invalidArgument(
      `needed is ${shownValue(needed)}, expected 2 to ${given.length}`,
      "One key of several is `wrapWith` with several providers.",
    );
  }
  return given;
}

const THRESHOLD = "threshold";
const THRESHOLD_OPTIONS: OptionNames<ThresholdOptions> = { keyId: true, needed: true, providers: true };
const NO_SECRET = new Uint8Array(DATA_KEY_BYTES);
