import { engine } from "#engine";
import { ascii, concatBytes, copyOf, equalPublicBytes, isBytes, type OwnedBytes, wipe } from "../../core/base/bytes.ts";
import { authenticationFailed, EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import type { WrappedKey } from "../../core/contracts/key-wrapper.ts";
import type { EncryptionData, StorageProtocol } from "./encryption-data.ts";

/** Finds KEKs by key id: `keyEncryptionKeyResolver` of `envelock/azure-sdk`, `localStorageKeys`, or an object with these methods. */
export interface StorageKeyResolver {
  /** Returns the key that a stored key id names, exact version included; undefined, or `no-matching-provider`, if there is none. */
  resolve(keyId: string): Promise<StorageKey | undefined>;
  /** Returns the key that wraps now. Needed to write and to rewrap. */
  current?(options?: { readonly signal?: AbortSignal }): Promise<StorageKey & { readonly algorithm: string }>;
  close?(): void;
}

/** One version of a KEK. */
export interface StorageKey {
  readonly keyId: string;
  wrapKey?(algorithm: string, key: Uint8Array, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>;
  unwrapKey(algorithm: string, encryptedKey: Uint8Array, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>;
}

/**
 * Unwraps the content key of a blob with exactly the version that its metadata names.
 *
 * @returns 32 bytes; the caller wipes them
 * @throws `no-matching-provider` before anything is called; `authentication-failed`; and what the key service says
 */
export async function unwrappedContentKey(
  resolver: StorageKeyResolver,
  data: EncryptionData,
  signal: AbortSignal | undefined,
): Promise<OwnedBytes> {
  const inner = await unwrappedInner(resolver, data, signal);
  try {
    return inner.slice(INNER_PREFIXES[data.protocol].length);
  } finally {
    wipe(inner);
  }
}

/** Unwraps a content key with its protocol in front, and checks both. @returns bytes that the caller wipes. @throws as `unwrappedContentKey` */
export async function unwrappedInner(
  resolver: StorageKeyResolver,
  { protocol, wrapped: { keyId, algorithm, wrapped } }: EncryptionData,
  signal: AbortSignal | undefined,
): Promise<OwnedBytes> {
  const key = await called("the key resolver", signal, () => resolver.resolve(keyId));
  if (key === undefined || key.keyId.toLowerCase() !== keyId.toLowerCase()) throw noSuchKey();
  if (!ALGORITHMS.has(algorithm)) throw authenticationFailed(undefined, "a content key is wrapped with A256KW, RSA-OAEP or RSA-OAEP-256");
  const inner = await called("the key", signal, () => key.unwrapKey(algorithm, wrapped, signalOf(signal)));
  if (!isBytes(inner)) throw new EnvelockError("provider-failure", "unwrapKey must give bytes");
  const owned = copyOf(inner);
  wipe(inner);
  const prefix = INNER_PREFIXES[protocol];
  const isWhole = owned.length === prefix.length + CONTENT_KEY_BYTES && equalPublicBytes(owned.subarray(0, prefix.length), prefix);
  if (isWhole) return owned;
  wipe(owned);
  throw authenticationFailed(); // the key was wrapped for another protocol
}

/** Wraps bytes with the key that wraps now. @throws `invalid-argument` if the resolver cannot wrap; and what the key service says */
export async function wrappedInner(resolver: StorageKeyResolver, inner: Uint8Array, signal: AbortSignal | undefined): Promise<WrappedKey> {
  const key = await currentKey(resolver, signal);
  const { keyId, algorithm } = key;
  if (key.wrapKey === undefined) throw readOnly();
  const wrapped = await called("the key", signal, async () => await key.wrapKey?.(algorithm, inner, signalOf(signal)));
  if (!isBytes(wrapped) || wrapped.length === 0) throw new EnvelockError("provider-failure", "wrapKey must give bytes");
  return { keyId, algorithm, wrapped: copyOf(wrapped) };
}

/** Returns the key that wraps now. @throws as `wrappedInner` */
export async function currentKey(
  resolver: StorageKeyResolver,
  signal: AbortSignal | undefined,
): Promise<StorageKey & { readonly algorithm: string }> {
  if (resolver.current === undefined) throw readOnly();
  const key = await called("the key resolver", signal, async () => await resolver.current?.(signalOf(signal)));
  if (key === undefined) throw readOnly();
  if (ALGORITHMS.has(key.algorithm)) return key;
  throw invalidArgument(`this format wraps with A256KW, RSA-OAEP or RSA-OAEP-256, and the key wraps with ${key.algorithm.slice(0, 40)}`);
}

/** Makes a content key with the prefix that is wrapped with it. @returns bytes that the caller wipes */
export function newInner(protocol: StorageProtocol): OwnedBytes {
  const key = engine.randomKey(CONTENT_KEY_BYTES);
  const inner = concatBytes(INNER_PREFIXES[protocol], key);
  wipe(key);
  return inner;
}

/** Calls the caller's code: only an abort and errors of the library's come out as they are. */
async function called<T>(what: string, signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  try {
    return await call();
  } catch (error) {
    signal?.throwIfAborted();
    if (!EnvelockError.is(error)) throw new EnvelockError("provider-failure", `${what} failed`, { cause: error });
    throw error.code === "unwrap-rejected" ? authenticationFailed(error, error.hint) : error;
  }
}

function signalOf(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

function noSuchKey(): EnvelockError {
  return new EnvelockError("no-matching-provider", "the key id of the blob names none of the keys that are configured here", {
    hint: "compare KeyId in encryptiondata with the configured keys: it must name an exact version",
  });
}

function readOnly(): EnvelockError {
  return invalidArgument("these keys only unwrap", "give a resolver with current() and keys with wrapKey()");
}

export const CONTENT_KEY_BYTES = 32;
/** What is wrapped before the key: the version, in eight bytes. Protocol 1.0 wraps the key alone. */
export const INNER_PREFIXES: Readonly<Record<StorageProtocol, OwnedBytes>> = {
  "1.0": new Uint8Array(0),
  "2.0": ascii("2.0\0\0\0\0\0"),
  "2.1": ascii("2.1\0\0\0\0\0"),
};
const ALGORITHMS: ReadonlySet<string> = new Set(["A256KW", "RSA-OAEP", "RSA-OAEP-256"]);
