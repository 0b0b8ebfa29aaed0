import { copyOf, type OwnedBytes, wipe } from "../../src/core/base/bytes.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { WRAP_ALGORITHMS } from "../../src/core/contracts/algorithms.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import { DATA_KEY_BYTES, XAES_OVERHEAD_BYTES } from "../../src/core/contracts/suite.ts";
import { HeldXaes256Gcm } from "../../src/core/crypto/held-xaes.ts";
import { Xaes256Gcm } from "../../src/core/crypto/xaes.ts";
import { type HeldKey, type HeldKeyKind, heldKey } from "./held-keys.ts";
import { type KeyShape, keyBytes, type LocalKeyMaterial } from "./key-forms.ts";
import { type Kek, type KekSource, keysOf, lazyKek, localProvider, readyKek } from "./local-provider.ts";

export interface LocalKeyOptions {
  /** Names this exact key for ever, such as `orders-2026-11`. 1 to 512 bytes of well-formed text. */
  readonly keyId: string;
  /** 32 random bytes; as JWK with kty `oct`. A CryptoKey that is not extractable is one of AES-CBC with the usage `encrypt`. */
  readonly key: LocalKeyMaterial;
}

export interface LocalKeysetOptions {
  readonly keys: readonly LocalKeyOptions[];
  /** The key id of the version that wraps; the others only unwrap. */
  readonly primary: string;
}

/**
 * An AES-256 KEK in this process: XAES-256-GCM, which authenticates the key context and is safe for any number of wraps.
 *
 * @throws `invalid-argument` for a bad key id or key; from the first use for a CryptoKey that holds no AES-256 key
 * @see docs/providers/local.md
 * @example
 * ```ts
 * import { Keyring } from "envelock";
 * import { localKey } from "envelock/providers/local";
 *
 * export function keyringOf(key: Uint8Array): Keyring {
 *   return new Keyring(localKey({ keyId: "orders-2026-11", key }));
 * }
 * ```
 */
export function localKey(options: LocalKeyOptions): Required<KeyProvider> {
  refuseUnknown(options, KEY_OPTIONS, "localKey");
  return localKeyset({ keys: [options], primary: options.keyId });
}

/**
 * Like `localKey`, with several versions of the KEK: the primary wraps, every one of them unwraps what names it.
 *
 * @throws as `localKey`, and for equal key ids or a primary that is none of them
 * @example
 * ```ts
 * import { localKeyset } from "envelock/providers/local";
 *
 * export function rotated(old: Uint8Array, next: Uint8Array) {
 *   return localKeyset({ primary: "orders-2", keys: [{ keyId: "orders-1", key: old }, { keyId: "orders-2", key: next }] });
 * }
 * ```
 */
export function localKeyset(options: LocalKeysetOptions): Required<KeyProvider> {
  refuseUnknown(options, KEYSET_OPTIONS, "localKeyset");
  const { keys, primary } = options;
  const versions = keysOf(keys, KEY_OPTIONS, "localKeyset").map(({ keyId, key }) => ({ keyId, kek: aesKekSource(key) }));
  return localProvider({ alg: WRAP_ALGORITHMS.xaes256Gcm, versions, primary });
}

function aesKekSource(key: LocalKeyMaterial): KekSource {
  const held = heldKey(key, AES_256_KEY, HELD_AES);
  if (held !== undefined) return readyKek(heldAesKek(held));
  const bytes = keyBytes(key, AES_256_KEY);
  return typeof bytes === "function" ? lazyKek(async () => aesKek(await bytes())) : readyKek(aesKek(bytes));
}

function aesKek(key: OwnedBytes): Kek {
  const cipher = new Xaes256Gcm(key);
  wipe(key);
  return {
    isInstant: true,
    wrap(dek, aad) {
      const wrapped = new Uint8Array(WRAPPED_BYTES);
      cipher.sealFresh(aad, dek, wrapped, 0);
      return wrapped;
    },
    unwrap(wrapped, aad) {
      return wrapped.length === WRAPPED_BYTES ? cipher.open(aad, wrapped) : undefined;
    },
    destroy: () => cipher.destroy(),
  };
}

function heldAesKek(key: HeldKey): Kek {
  const cipher = new HeldXaes256Gcm(key);
  return {
    isInstant: false,
    wrap: (dek, aad) => wipingLate(copyOf(dek), (copy) => cipher.sealFresh(aad, copy)),
    async unwrap(wrapped, aad) {
      return wrapped.length === WRAPPED_BYTES ? await cipher.open(aad, copyOf(wrapped)) : undefined;
    },
    destroy: () => cipher.destroy(),
  };
}

/** Calls `use` and wipes the bytes once its promise has settled. */
async function wipingLate<R>(bytes: Uint8Array, use: (bytes: Uint8Array) => Promise<R>): Promise<R> {
  try {
    return await use(bytes);
  } finally {
    wipe(bytes);
  }
}

const KEY_OPTIONS: OptionNames<LocalKeyOptions> = { keyId: true, key: true };
const KEYSET_OPTIONS: OptionNames<LocalKeysetOptions> = { keys: true, primary: true };
export const AES_256_KEY: KeyShape = { what: "an AES-256 key", bytes: 32, kty: "oct", member: "k" };
const HELD_AES: HeldKeyKind = {
  algorithm: "AES-CBC",
  type: "secret",
  bits: 256,
  usages: ["encrypt"],
  hint: 'wrapping needs the block cipher: crypto.subtle.importKey("raw", bytes, "AES-CBC", false, ["encrypt"]), or generateKey({ name: "AES-CBC", length: 256 }, false, ["encrypt"])',
};
const WRAPPED_BYTES: number = DATA_KEY_BYTES + XAES_OVERHEAD_BYTES;
