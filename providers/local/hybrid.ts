export type { LocalKeyPairOptions, LocalKeyPairsOptions } from "./hpke-kek.ts";
export { hybridKeys, localHybridKeyPair, localHybridKeyPairs } from "./hybrid-key-pair.ts";
export type { HybridKeys } from "./keyset.ts";
