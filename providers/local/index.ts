export type { LocalKeyPairOptions, LocalKeyPairsOptions } from "./hpke-kek.ts";
export type { CryptoKeyLike, KeyObjectLike, LocalJwk, LocalKeyMaterial } from "./key-forms.ts";
export { localKeyPair, localKeyPairs } from "./key-pair.ts";
export {
  formatKeyset,
  generateKeysetKey,
  type HybridKeys,
  type Keyset,
  type KeysetAesKey,
  type KeysetKey,
  type KeysetKeyPair,
  type KeysetKeyType,
  parseKeyset,
  publicKeyset,
} from "./keyset.ts";
export { type KeysetProvidersOptions, keysetProviders } from "./keyset-providers.ts";
export { type LocalKeyOptions, type LocalKeysetOptions, localKey, localKeyset } from "./local-key.ts";
