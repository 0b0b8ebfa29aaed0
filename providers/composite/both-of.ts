import { byteAt, type OwnedBytes, wipe } from "../../src/core/base/bytes.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { WRAP_ALGORITHMS } from "../../src/core/contracts/algorithms.ts";
import type { KeyProvider, Recipient, WrapOptions } from "../../src/core/contracts/key-provider.ts";
import { DATA_KEY_BYTES } from "../../src/core/contracts/suite.ts";
import { encodeHalves, halvesIdentity, parseHalves } from "../../src/core/format/parts.ts";
import { MAX_WRAPPED_BYTES } from "../../src/core/format/recipient.ts";
import { OuterKey, requireProvider } from "./outer-key.ts";
import { askAll, ownsPart, type Part, rejected, tellingFailure, unwrapPart, wrapPart } from "./parts.ts";

export interface BothOfOptions {
  /** The name of this pair of keys, for ever: 1 to 128 characters of A-Z, a-z, 0-9, dot, hyphen and underscore, such as the tenant's id. */
  readonly keyId: string;
  /** The vendor's key. */
  readonly platform: KeyProvider;
  /** The tenant's key. */
  readonly tenant: KeyProvider;
}

/** The name of one half of a double key. */
export type Half = "platform" | "tenant";

/** A double key. Beside the contract of a provider it can renew one half without the other. */
export interface DoubleKey extends KeyProvider {
  /**
   * Wraps one half of a recipient anew, under the current version of its key. Calls that key alone; the other half keeps its bytes. This is
   * no revocation: the half itself stays the same, so a copy of the old one still opens together with the other.
   *
   * @returns the recipient that takes the place of the old one
   * @throws `unwrap-rejected` for a recipient of another key; the codes of `wrap` and `unwrap`
   */
  rewrapHalf(recipient: Recipient, half: Half, options: WrapOptions): Promise<Recipient>;

  close(): Promise<void>;
}

/**
 * A key of two halves, the vendor's and the tenant's, of which neither alone opens anything. Each data key is split into 32 random bytes and
 * their exclusive-or with the data key; each half is wrapped under one of the two keys. Both are asked at once.
 *
 * A key id names the exact versions of both keys. The two keys stay open when this one is closed: their maker closes them.
 *
 * @throws `invalid-argument`
 * @see docs/format.md §3.3
 * @example
 * ```ts
 * import { type KeyProvider, Keyring } from "envelock";
 * import { bothOf } from "envelock/providers/composite";
 *
 * export function doubleKeyring(platform: KeyProvider, tenant: KeyProvider): Keyring {
 *   return new Keyring({ wrapWith: [bothOf({ keyId: "acme", platform, tenant })], context: { tenant: "acme" } });
 * }
 * ```
 */
export function bothOf(options: BothOfOptions): DoubleKey {
  refuseUnknown(options, BOTH_OPTIONS, "bothOf");
  const { keyId, platform, tenant } = options;
  requireProvider(platform, "platform");
  requireProvider(tenant, "tenant");
  if (platform === tenant) throw invalidArgument("platform and tenant must be two keys");
  const outer = new OuterKey(BOTH, keyId);
  const parts: readonly [Part, Part] = [
    { provider: platform, whose: "vendor", place: `${outer.name}:1` },
    { provider: tenant, whose: "tenant", place: `${outer.name}:2` },
  ];

  const halvesOf = async ({ keyId: id, alg, wrapped }: Recipient): Promise<readonly [Recipient, Recipient]> => {
    if (alg !== WRAP_ALGORITHMS.both || !outer.owns(id)) throw rejected();
    const halves = parsed(wrapped);
    const [first, second] = halves;
    if (!ownsPart(parts[0], first) || !ownsPart(parts[1], second) || isSameKey(first, second)) throw rejected();
    if ((await outer.idOf(halvesIdentity(halves))) !== id) throw rejected();
    return halves;
  };

  const recipientOf = async (halves: readonly [Recipient, Recipient]): Promise<Recipient> => {
    if (isSameKey(...halves)) throw new EnvelockError("provider-failure", "both halves are under one key, which alone would open them");
    const wrapped = encodeHalves(halves);
    if (wrapped.length > MAX_WRAPPED_BYTES) {
      throw new EnvelockError(
        "provider-failure",
        `the two wrapped halves take ${wrapped.length} bytes, at most ${MAX_WRAPPED_BYTES} are allowed`,
      );
    }
    return { provider: BOTH, keyId: await outer.idOf(halvesIdentity(halves)), alg: WRAP_ALGORITHMS.both, wrapped };
  };

  const current = async ({ signal }: { readonly signal?: AbortSignal } = {}): Promise<string> => {
    outer.requireOpen();
    const ask =
      (provider: KeyProvider) =>
      async (inner: AbortSignal): Promise<{ provider: string; keyId: string }> => {
        return { provider: provider.name, keyId: (await provider.current?.({ signal: inner })) ?? "" };
      };
    return await outer.idOf(halvesIdentity(await bothResults(askAll([ask(platform), ask(tenant)], signal))));
  };

  return {
    name: BOTH,
    owns: (id) => outer.owns(id),

    async wrap(dek, given) {
      outer.requireOpen();
      const { signal } = given;
      signal?.throwIfAborted();
      const pad = crypto.getRandomValues(new Uint8Array(DATA_KEY_BYTES));
      const rest = xored(dek, pad);
      try {
        const wrapped = askAll(
          [(inner) => wrapPart(parts[0], pad, given, inner), (inner) => wrapPart(parts[1], rest, given, inner)],
          signal,
        );
        return await recipientOf(await bothResults(wrapped));
      } finally {
        wipe(pad, rest);
      }
    },

    async unwrap(recipient, given) {
      outer.requireOpen();
      const { signal } = given;
      signal?.throwIfAborted();
      const [first, second] = await halvesOf(recipient);
      const asked = askAll(
        [(inner) => unwrapPart(parts[0], first, given, inner), (inner) => unwrapPart(parts[1], second, given, inner)],
        signal,
        (secret) => wipe(secret),
      );
      const [pad, rest] = await bothResults(asked, (secret) => wipe(secret));
      const dek = xored(pad, rest);
      wipe(pad, rest);
      return dek;
    },

    async rewrapHalf(recipient, half, given) {
      outer.requireOpen();
      const { signal } = given;
      signal?.throwIfAborted();
      if (half !== "platform" && half !== "tenant") throw invalidArgument('half must be "platform" or "tenant"');
      const [first, second] = await halvesOf(recipient);
      const [part, old] = half === "platform" ? [parts[0], first] : [parts[1], second];
      const { signal: never } = new AbortController();
      const secret = await unwrapPart(part, old, given, signal ?? never);
      try {
        const renewed = await wrapPart(part, secret, given, signal ?? never);
        return await recipientOf(half === "platform" ? [renewed, second] : [first, renewed]);
      } finally {
        wipe(secret);
      }
    },

    ...(platform.current !== undefined && tenant.current !== undefined && { current }),

    async close() {
      outer.close();
    },
  };
}

/** Waits for both results. @throws the failure that says most; the result that is there is disposed of */
async function bothResults<T>(
  asked: Promise<{ readonly results: readonly T[]; readonly failures: readonly unknown[] }>,
  dispose: (result: T) => void = () => undefined,
): Promise<readonly [T, T]> {
  const { results, failures } = await asked;
  const [first, second] = results;
  if (first !== undefined && second !== undefined && failures.length === 0) return [first, second];
  for (const result of results) dispose(result);
  throw tellingFailure(failures);
}

function parsed(wrapped: Uint8Array): readonly [Recipient, Recipient] {
  try {
    return parseHalves(wrapped);
  } catch {
    throw rejected();
  }
}

function isSameKey(a: Recipient, b: Recipient): boolean {
  return a.provider === b.provider && a.keyId === b.keyId;
}

function xored(a: Uint8Array, b: Uint8Array): OwnedBytes {
  const result = new Uint8Array(DATA_KEY_BYTES);
  for (let at = 0; at < DATA_KEY_BYTES; at++) result[at] = byteAt(a, at) ^ byteAt(b, at);
  return result;
}

const BOTH = "both";
const BOTH_OPTIONS: OptionNames<BothOfOptions> = { keyId: true, platform: true, tenant: true };
