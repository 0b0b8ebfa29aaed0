export type { LocalKeyPairOptions, LocalKeyPairsOptions } from "./hpke-kek.ts";
export { localHybridKeyPair, localHybridKeyPairs } from "./hybrid-key-pair.ts";
export type { CryptoKeyLike, KeyObjectLike, LocalJwk, LocalKeyMaterial } from "./key-forms.ts";
export { localKeyPair, localKeyPairs } from "./key-pair.ts";
export {
  formatKeyset,
  generateKeysetKey,
  type Keyset,
  type KeysetAesKey,
  type KeysetKey,
  type KeysetKeyPair,
  type KeysetKeyType,
  parseKeyset,
  publicKeyset,
} from "./keyset.ts";
export { keysetProviders } from "./keyset-providers.ts";
export { type LocalKeyOptions, type LocalKeysetOptions, localKey, localKeyset } from "./local-key.ts";
