import { copyOf } from "../../src/core/base/bytes.ts";
import { refuseUnknown } from "../../src/core/base/options.ts";
import { WRAP_ALGORITHMS } from "../../src/core/contracts/algorithms.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import { AES_256_GCM, HKDF_SHA256, type HpkeSuite } from "./hpke.ts";
import { hpkeKekSource, KEY_PAIR_OPTIONS, KEY_PAIRS_OPTIONS, type LocalKeyPairOptions, type LocalKeyPairsOptions } from "./hpke-kek.ts";
import { HYBRID_KEYS } from "./hybrid-form.ts";
import { loadHybridKem } from "./hybrid-kem.ts";
import type { HybridKeys } from "./keyset.ts";
import { keysOf, localProvider } from "./local-provider.ts";

/**
 * Experimental: a key pair of MLKEM768-X25519 as KEK, which holds as long as either half of it does. The drafts that it follows may
 * still change; then the new form gets a new algorithm id. Needs the optional package `@noble/post-quantum`, loaded at first use.
 *
 * The public key has 1216 bytes, the private key is its seed of 32; as JWK with kty `AKP`, alg `MLKEM768-X25519`, `pub` and `priv`.
 *
 * @throws `invalid-argument` for a bad key id or key; from the first use for keys that do not belong together, and
 *   `provider-failure` if the package is missing
 * @see docs/providers/local.md
 * @example
 * ```ts
 * import { localHybridKeyPair } from "envelock/providers/local-hybrid";
 *
 * export function reader(publicKey: Uint8Array, privateKey: Uint8Array) {
 *   return localHybridKeyPair({ keyId: "archive-1", publicKey, privateKey });
 * }
 * ```
 */
export function localHybridKeyPair(options: LocalKeyPairOptions): Required<KeyProvider> {
  refuseUnknown(options, KEY_PAIR_OPTIONS, "localHybridKeyPair");
  return localHybridKeyPairs({ keyPairs: [options], primary: options.keyId });
}

/**
 * Like `localHybridKeyPair`, with several versions: the primary's public key wraps, every private key that is there unwraps what
 * names it. Experimental.
 *
 * @throws as `localHybridKeyPair`, and for equal key ids or a primary that is none of them
 * @example
 * ```ts
 * import type { LocalKeyPairOptions } from "envelock/providers/local";
 * import { localHybridKeyPairs } from "envelock/providers/local-hybrid";
 *
 * export function rotated(old: LocalKeyPairOptions, next: LocalKeyPairOptions) {
 *   return localHybridKeyPairs({ primary: next.keyId, keyPairs: [old, next] });
 * }
 * ```
 */
export function localHybridKeyPairs(options: LocalKeyPairsOptions): Required<KeyProvider> {
  refuseUnknown(options, KEY_PAIRS_OPTIONS, "localHybridKeyPairs");
  const { keyPairs, primary } = options;
  const versions = keysOf(keyPairs, KEY_PAIR_OPTIONS, "localHybridKeyPairs").map((pair) => ({
    keyId: pair.keyId,
    kek: hpkeKekSource(pair, HYBRID_KEYS, hybridSuite),
  }));
  return localProvider({ alg: WRAP_ALGORITHMS.hpkeMlKem768X25519, versions, primary });
}

/**
 * Lets keysets hold hybrid keys: handed to `keysetProviders` and `generateKeysetKey` as `hybrid`.
 *
 * @example
 * keysetProviders(parseKeyset(json), { hybrid: hybridKeys });
 */
export const hybridKeys: HybridKeys = {
  providerOf: localHybridKeyPairs,
  publicKeyOf: async (seed) => copyOf((await loadHybridKem()).keyPair(seed).publicKey),
};

async function hybridSuite(): Promise<HpkeSuite> {
  return { kem: await loadHybridKem(), kdf: HKDF_SHA256, aead: AES_256_GCM };
}
