import { copyOf, isBytes, type OwnedBytes } from "../../core/base/bytes.ts";
import { KeyContext } from "../../core/base/context.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import type { KeyProvider } from "../../core/contracts/key-provider.ts";
import type { KeyWrapper } from "../../core/contracts/key-wrapper.ts";
import { SUITE } from "../../core/contracts/suite.ts";
import { commitmentOf, DataKey, secretBytesOf } from "../../core/data-key/data-key.ts";
import { encodeKeyRecord, type KeyRecord, parseKeyRecord } from "../../core/format/key-record.ts";
import { DataKeySource } from "../../core/key-source/data-key-source.ts";
import { type KeyringOptions, parseKeyringOptions } from "../../core/keyring/keyring-options.ts";
import { resiliencePolicy } from "../../core/resilience/policy.ts";
import { keyEncryptionKeyResolver } from "./key-encryption-key.ts";

/** A resolver in the shape of `EncryptionKeyResolver` of `@azure/cosmos`. */
export interface CosmosKeyResolver {
  readonly encryptionKeyResolverName: string;
  /** @throws `invalid-argument` unless the key has 32 bytes; and what the providers' `wrap` throws */
  wrapKey(encryptionKeyId: string, algorithm: string, unwrappedKey: Uint8Array): Promise<OwnedBytes>;
  /** @throws as `Keyring.unwrapDataKey` */
  unwrapKey(encryptionKeyId: string, algorithm: string, wrappedKey: Uint8Array): Promise<OwnedBytes>;
  /** Wipes the keys that are kept; the providers stay open. */
  close(): void;
}

/** The options of a keyring that concern its keys. `cache` is on by default. */
export type CosmosKeyResolverOptions = Omit<KeyringOptions, "reuse" | "randomness" | "onEvent" | "telemetry">;

/**
 * Wraps the data keys of Cosmos DB's client-side encryption with any provider. The result of a wrap is a key record: exact key versions,
 * several recipients, the context. It also unwraps keys that Azure's own resolver wrapped (RSA-OAEP), if a provider can.
 *
 * The client keeps unwrapped keys by `encryptionKeyId` alone, so it would confuse two data keys with the same one. Give each data key an
 * `encryptionKeyId` of its own (`value` in its wrap metadata), or turn the client's cache off.
 *
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { CosmosClient } from "@azure/cosmos";
 * import type { KeyProvider } from "envelock";
 * import { cosmosKeyResolver } from "envelock/azure-sdk";
 *
 * export function cosmos(endpoint: string, key: string, kek: KeyProvider): CosmosClient {
 *   return new CosmosClient({ endpoint, key, clientEncryptionOptions: { keyEncryptionKeyResolver: cosmosKeyResolver({ wrapWith: [kek] }) } });
 * }
 * ```
 */
export function cosmosKeyResolver({ cache = {}, ...options }: CosmosKeyResolverOptions): CosmosKeyResolver {
  const { wrapWith = [], unwrapWith = [] } = parseKeyringOptions(options);
  const keyContext = new KeyContext(options.context);
  const { wrapWith: _wraps, unwrapWith: _unwraps, context: _context, ...resilience } = options;
  const policy = resiliencePolicy(resilience);
  const none = { randomness: undefined, reuse: undefined, observer: undefined };
  const source = new DataKeySource({ wrapWith, unwrapWith, keyContext, policy, cache, ...none });
  const [wrapper, ...wrappers] = [...wrapWith, ...unwrapWith].filter(isKeyWrapper);
  const foreign = wrapper === undefined ? undefined : keyEncryptionKeyResolver([wrapper, ...wrappers], resilience);
  let isClosed = false;
  const requireOpen = (): void => {
    if (isClosed) throw new EnvelockError("closed", "this resolver has been closed");
  };

  return {
    encryptionKeyResolverName: "ENVELOCK",
    async wrapKey(_encryptionKeyId, _algorithm, unwrappedKey) {
      requireOpen();
      if (wrapWith.length === 0) throw invalidArgument("this resolver only unwraps: it has no wrapWith");
      if (!isBytes(unwrappedKey) || unwrappedKey.length !== 32) throw invalidArgument("a data key of Cosmos DB has 32 bytes");
      const dataKey = new DataKey(copyOf(unwrappedKey), keyContext);
      try {
        const recipients = await source.wrap(dataKey, source.operation(undefined));
        return encodeKeyRecord({ suite: SUITE, keyCommit: commitmentOf(dataKey), recipients });
      } finally {
        dataKey.destroy();
      }
    },
    async unwrapKey(encryptionKeyId, algorithm, wrappedKey) {
      requireOpen();
      if (!isBytes(wrappedKey)) throw invalidArgument("wrappedKey must be a Uint8Array");
      const record = recordIn(wrappedKey);
      if (record instanceof EnvelockError) {
        if (foreign === undefined || !RSA_BYTES.has(wrappedKey.length)) throw record;
        return await (await foreign.resolve(encryptionKeyId)).unwrapKey(algorithm, wrappedKey);
      }
      const key = await source.unwrap(record, source.operation(undefined));
      const secret = copyOf(secretBytesOf(key.dataKey));
      key.release();
      return secret;
    },
    close() {
      isClosed = true;
      source.close();
      foreign?.close();
    },
  };
}

function isKeyWrapper(provider: KeyProvider): provider is KeyWrapper {
  return "unwrapKey" in provider && "currentKey" in provider;
}

function recordIn(bytes: Uint8Array): KeyRecord | EnvelockError {
  try {
    return parseKeyRecord(bytes);
  } catch (error) {
    if (error instanceof EnvelockError) return error;
    throw error;
  }
}

/** The lengths of keys wrapped under RSA keys of 2048, 3072 and 4096 bits. */
const RSA_BYTES: ReadonlySet<number> = new Set([256, 384, 512]);
