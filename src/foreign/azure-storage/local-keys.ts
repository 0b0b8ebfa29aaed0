import { engine } from "#engine";
import { copyOf, isBytes, isTextOfAtMost, type OwnedBytes } from "../../core/base/bytes.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../core/base/options.ts";
import { type OaepHash, RsaKey, type RsaPrivateKey } from "../rsa-key.ts";
import type { StorageKey, StorageKeyResolver } from "./content-key.ts";

/** A KEK in this process, under the key id that the blobs name. */
export type LocalStorageKey = LocalAesKey | LocalRsaKey;

/** An AES key, which wraps with A256KW. */
export interface LocalAesKey {
  readonly keyId: string;
  /** 32 bytes. They are copied. */
  readonly key: Uint8Array;
}

/** An RSA key, which unwraps with RSA-OAEP and RSA-OAEP-256. */
export interface LocalRsaKey {
  readonly keyId: string;
  /** PKCS#8: the text of a PEM file, or the DER bytes. */
  readonly privateKey: RsaPrivateKey;
  /** How it wraps. Defaults to RSA-OAEP-256. */
  readonly algorithm?: "RSA-OAEP" | "RSA-OAEP-256";
}

/**
 * Makes a resolver of keys in this process, as `SymmetricKey` and `RsaKey` of Microsoft's libraries are.
 *
 * @param keys the first wraps, all of them unwrap
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { azureStorageEncryption, localStorageKeys } from "envelock/azure-storage-encryption";
 *
 * export const open = (key: Uint8Array) => azureStorageEncryption({ keys: localStorageKeys([{ keyId: "local:2026-11", key }]) });
 * ```
 */
export function localStorageKeys(keys: readonly [LocalStorageKey, ...LocalStorageKey[]]): Required<StorageKeyResolver> {
  const given: unknown = keys;
  if (!Array.isArray(given) || given.length === 0) throw invalidArgument("localStorageKeys takes an array of at least one key");
  const [first, ...others] = keys;
  const wrapper = heldKey(first);
  const byId = new Map([[wrapper.keyId, wrapper]]);
  for (const held of others.map(heldKey)) {
    if (byId.has(held.keyId)) throw invalidArgument(`two keys have the key id ${held.keyId.slice(0, 80)}`);
    byId.set(held.keyId, held);
  }
  let isClosed = false;
  const requireOpen = (): void => {
    if (isClosed) throw new EnvelockError("closed", "these keys have been closed");
  };
  return {
    async resolve(keyId) {
      requireOpen();
      return byId.get(keyId);
    },
    async current() {
      requireOpen();
      return wrapper;
    },
    close() {
      isClosed = true;
      for (const held of byId.values()) held.wipe();
    },
  };
}

interface HeldKey extends Required<StorageKey> {
  readonly algorithm: string;
  wipe(): void;
}

function heldKey(given: LocalStorageKey): HeldKey {
  const key: unknown = given;
  if (typeof key !== "object" || key === null) throw invalidArgument("a key of localStorageKeys must be an object with a keyId");
  return "privateKey" in given ? rsaKey(given) : aesKey(given);
}

function aesKey(given: LocalAesKey): HeldKey {
  refuseUnknown(given, AES_OPTIONS, "a key of localStorageKeys");
  const keyId = checkedKeyId(given.keyId);
  if (!isBytes(given.key) || given.key.length !== 32) throw invalidArgument("the key of localStorageKeys must be 32 bytes");
  const kek: OwnedBytes = copyOf(given.key);
  return {
    keyId,
    algorithm: AES_KW,
    async wrapKey(algorithm, key) {
      if (algorithm !== AES_KW) throw wrongAlgorithm(algorithm);
      return engine.keyWrap.wrap(kek, key);
    },
    async unwrapKey(algorithm, encryptedKey) {
      const isPossible = algorithm === AES_KW && encryptedKey.length >= LEAST_WRAPPED_BYTES && encryptedKey.length % 8 === 0;
      const key = isPossible ? engine.keyWrap.open(kek, encryptedKey) : undefined;
      if (key === undefined) throw rejected();
      return key;
    },
    wipe() {
      kek.fill(0);
    },
  };
}

function rsaKey(given: LocalRsaKey): HeldKey {
  refuseUnknown(given, RSA_OPTIONS, "a key of localStorageKeys");
  const { keyId, privateKey, algorithm: own = "RSA-OAEP-256" } = given;
  if (!Object.hasOwn(HASHES, own)) throw invalidArgument("the algorithm of an RSA key is RSA-OAEP or RSA-OAEP-256");
  const rsa = new RsaKey(privateKey);
  return {
    keyId: checkedKeyId(keyId),
    algorithm: own,
    async wrapKey(algorithm, key) {
      if (algorithm !== own) throw wrongAlgorithm(algorithm);
      return await rsa.encrypt(HASHES[own], key);
    },
    async unwrapKey(algorithm, encryptedKey) {
      const key = isOaep(algorithm) ? await rsa.decrypt(HASHES[algorithm], encryptedKey) : undefined;
      if (key === undefined) throw rejected();
      return key;
    },
    wipe() {
      rsa.close();
    },
  };
}

function checkedKeyId(keyId: string): string {
  if (!isTextOfAtMost(1024, keyId)) throw invalidArgument("a keyId is text of 1 to 1,024 bytes");
  return keyId;
}

function isOaep(algorithm: string): algorithm is "RSA-OAEP" | "RSA-OAEP-256" {
  return Object.hasOwn(HASHES, algorithm);
}

function wrongAlgorithm(algorithm: string): EnvelockError {
  return invalidArgument(`this key does not wrap with ${algorithm.slice(0, 40)}`);
}

function rejected(): EnvelockError {
  return new EnvelockError("unwrap-rejected", "this key did not wrap it");
}

const AES_KW = "A256KW";
const LEAST_WRAPPED_BYTES = 24;
const HASHES: Readonly<Record<"RSA-OAEP" | "RSA-OAEP-256", OaepHash>> = { "RSA-OAEP": "SHA-1", "RSA-OAEP-256": "SHA-256" };
const AES_OPTIONS: OptionNames<LocalAesKey> = { keyId: true, key: true };
const RSA_OPTIONS: OptionNames<LocalRsaKey> = { keyId: true, privateKey: true, algorithm: true };
