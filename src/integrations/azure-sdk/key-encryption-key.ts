import { isBytes, type OwnedBytes, toBase64Url } from "../../core/base/bytes.ts";
import type { CallOptions } from "../../core/base/call-options.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../core/base/options.ts";
import { waitFor } from "../../core/base/wait.ts";
import type { KeyWrapper, WrappedKey } from "../../core/contracts/key-wrapper.ts";
import { GuardedKeyWrapper } from "../../core/resilience/guarded-key-wrapper.ts";
import { Operation } from "../../core/resilience/operation.ts";
import { RESILIENCE_OPTIONS, type ResilienceOptions, type ResiliencePolicy, resiliencePolicy } from "../../core/resilience/policy.ts";
import { type KeyCacheBounds, UnwrappedKeys } from "./unwrapped-keys.ts";

/** One version of a KEK, in the shape of `IKeyEncryptionKey` of Azure's client libraries. */
export interface KeyEncryptionKey {
  /** The name of exactly this version, which a format stores beside the wrapped key. */
  readonly keyId: string;

  /**
   * Wraps with this version, while it is the current one.
   *
   * @param algorithm the algorithm of `KeyEncryptionKeyResolver.current`; any other is refused
   * @param key 16 to 128 bytes in multiples of 8 that belong to the caller: neither kept nor changed
   * @throws `key-disabled`, with `detail` `rotated`, once a newer version wraps: ask the resolver again; `invalid-argument`, and what
   *   the provider's `wrapKey` throws
   */
  wrapKey(algorithm: string, key: Uint8Array, options?: CallOptions): Promise<Uint8Array>;

  /**
   * Unwraps a key with exactly this version.
   *
   * @returns the key in its own ArrayBuffer; the caller wipes it
   * @throws what the provider's `unwrapKey` throws
   */
  unwrapKey(algorithm: string, encryptedKey: Uint8Array, options?: CallOptions): Promise<OwnedBytes>;
}

/** A resolver in the shape of `IKeyEncryptionKeyResolver`. It adds the version that wraps now, and a cache. */
export interface KeyEncryptionKeyResolver {
  /**
   * Finds the version that a stored key id names, without a call.
   *
   * @throws `no-matching-provider` if it belongs to none of the given keys
   */
  resolve(keyId: string): Promise<KeyEncryptionKey>;

  /** Returns the current version of the first key, and its algorithm. Ask before each write. @throws the codes of `wrap` */
  current(options?: CallOptions): Promise<KeyEncryptionKey & { readonly algorithm: string }>;

  /** Wipes the cached keys. Every later call throws `closed`; the providers stay open. */
  close(): void;
}

export interface KeyEncryptionKeyOptions extends ResilienceOptions {
  /** The bounds of the cache of unwrapped keys, by key id, algorithm and wrapped bytes. */
  readonly cache?: KeyCacheBounds;
}

/**
 * Offers KEKs to formats that wrap keys of their own with them, such as the client-side encryption of Azure Storage. Retries, deadlines and
 * breakers are those of a keyring.
 *
 * @param keys the first wraps, all of them unwrap
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { keyEncryptionKeyResolver } from "envelock/azure-sdk";
 * import type { AzureKey } from "envelock/providers/azure";
 *
 * export async function unwrapStored(key: AzureKey, keyId: string, wrapped: Uint8Array): Promise<Uint8Array> {
 *   const kek = await keyEncryptionKeyResolver([key]).resolve(keyId);
 *   return await kek.unwrapKey("RSA-OAEP-256", wrapped);
 * }
 * ```
 */
export function keyEncryptionKeyResolver(
  keys: readonly [KeyWrapper, ...KeyWrapper[]],
  options: KeyEncryptionKeyOptions = {},
): KeyEncryptionKeyResolver {
  refuseUnknown(options, KEY_OPTIONS, "keyEncryptionKeyResolver");
  const { cache = {}, ...resilience } = options;
  const policy = resiliencePolicy(resilience);
  const unwrapped = new UnwrappedKeys(policy.clock, cache);
  const [first, ...others] = keys;
  const wrapper = new GuardedKeyWrapper(first, policy, undefined);
  const all = [wrapper, ...others.map((key) => new GuardedKeyWrapper(key, policy, undefined))];
  const kekOf = (owner: GuardedKeyWrapper, keyId: string): KeyEncryptionKey => ({
    keyId,
    wrapKey: async (algorithm, key, options) => {
      unwrapped.requireOpen();
      return await wrapWith(owner, { keyId, algorithm }, key, policy, options);
    },
    unwrapKey: async (algorithm, encryptedKey, { signal } = {}) => {
      if (!isBytes(encryptedKey)) throw invalidArgument("encryptedKey must be a Uint8Array");
      const wrapped = { keyId, algorithm, wrapped: encryptedKey };
      const id = `${keyId} ${algorithm} ${toBase64Url(encryptedKey)}`;
      const flight = unwrapped.of(id, () => unwrapWith(owner, wrapped, policy)); // shared: it outlives callers that give up
      return await waitFor(flight, { signal });
    },
  });
  return {
    async resolve(keyId) {
      unwrapped.requireOpen();
      const owner = all.find((candidate) => typeof keyId === "string" && candidate.owns(keyId));
      if (owner !== undefined) return kekOf(owner, keyId);
      throw new EnvelockError("no-matching-provider", "the key id names none of the keys that are configured here", {
        hint: "a key id must name a version; compare it with the keys that the resolver was given",
      });
    },
    async current({ signal } = {}) {
      unwrapped.requireOpen();
      const { keyId, algorithm } = await wrapper.currentKey(operationOf(policy, signal));
      return { ...kekOf(wrapper, keyId), algorithm };
    },
    close: () => unwrapped.close(),
  };
}

/**
 * Returns the current version of a key. To unwrap keys that other versions wrapped, or to continue after a rotation, use the resolver.
 *
 * @example
 * ```ts
 * import { keyEncryptionKey } from "envelock/azure-sdk";
 * import type { AzureKey } from "envelock/providers/azure";
 *
 * export async function wrapContentKey(key: AzureKey, contentKey: Uint8Array): Promise<Uint8Array> {
 *   const kek = await keyEncryptionKey(key);
 *   return await kek.wrapKey(kek.algorithm, contentKey);
 * }
 * ```
 */
export async function keyEncryptionKey(
  key: KeyWrapper,
  options: KeyEncryptionKeyOptions = {},
): Promise<KeyEncryptionKey & { readonly algorithm: string }> {
  return await keyEncryptionKeyResolver([key], options).current();
}

async function wrapWith(
  owner: GuardedKeyWrapper,
  { keyId, algorithm }: Omit<WrappedKey, "wrapped">,
  key: Uint8Array,
  policy: ResiliencePolicy,
  { signal }: CallOptions = {},
): Promise<Uint8Array> {
  if (!isBytes(key) || key.length < 16 || key.length > 128 || key.length % 8 !== 0) {
    throw invalidArgument("a key to wrap has 16 to 128 bytes in multiples of 8");
  }
  const operation = operationOf(policy, signal);
  const current = await owner.currentKey(operation);
  if (current.keyId !== keyId.toLowerCase()) throw rotated(keyId);
  if (current.algorithm !== algorithm) throw invalidArgument(`this key wraps with ${current.algorithm}, not ${algorithm.slice(0, 40)}`);
  const wrapped = await owner.wrapKey(key, operation);
  if (wrapped.keyId !== current.keyId) throw rotated(keyId);
  return wrapped.wrapped;
}

async function unwrapWith(owner: GuardedKeyWrapper, wrapped: WrappedKey, policy: ResiliencePolicy): Promise<OwnedBytes> {
  return await owner.unwrapKey(wrapped, operationOf(policy, undefined));
}

function operationOf({ clock, deadlineMs }: ResiliencePolicy, signal: AbortSignal | undefined): Operation {
  return new Operation(clock, deadlineMs, signal);
}

function rotated(keyId: string): EnvelockError {
  return new EnvelockError("key-disabled", `${keyId} does not wrap any more`, {
    detail: "rotated",
    hint: "ask the resolver for the current key before each write",
  });
}

const KEY_OPTIONS: OptionNames<KeyEncryptionKeyOptions> = { ...RESILIENCE_OPTIONS, cache: true };
