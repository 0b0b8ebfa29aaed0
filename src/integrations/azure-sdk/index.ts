export { type CosmosKeyResolver, type CosmosKeyResolverOptions, cosmosKeyResolver } from "./cosmos-key-resolver.ts";
export {
  type KeyEncryptionKey,
  type KeyEncryptionKeyOptions,
  type KeyEncryptionKeyResolver,
  keyEncryptionKey,
  keyEncryptionKeyResolver,
} from "./key-encryption-key.ts";
export type { KeyCacheBounds } from "./unwrapped-keys.ts";
