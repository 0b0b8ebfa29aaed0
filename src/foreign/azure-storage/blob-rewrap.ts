import { wipe } from "../../core/base/bytes.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { asked, CONDITION_NOT_MET, statusOf } from "./client-errors.ts";
import { currentKey, type StorageKeyResolver, unwrappedInner, wrappedInner } from "./content-key.ts";
import { ENCRYPTION_DATA, encryptionDataOf, encryptionTextOf, type ReadRules, withWrappedKey } from "./encryption-data.ts";

/** The methods of `BlobClient` of `@azure/storage-blob` that a rewrap needs. */
export interface StorageMetadataClient {
  getProperties(options?: { readonly abortSignal?: AbortSignal }): Promise<{
    readonly metadata?: Readonly<Record<string, string>>;
    readonly etag?: string;
  }>;
  setMetadata(
    metadata: Record<string, string>,
    options?: { readonly abortSignal?: AbortSignal; readonly conditions?: { readonly ifMatch?: string } },
  ): Promise<unknown>;
}

export type RewrapStorageOutcome = "rewrapped" | "current" | "changed";

/** Wraps the content key of one blob anew. @throws as `AzureStorageEncryption.rewrap` */
export async function rewrapBlob(
  client: StorageMetadataClient,
  resolver: StorageKeyResolver,
  rules: ReadRules,
  signal: AbortSignal | undefined,
): Promise<RewrapStorageOutcome> {
  const given: unknown = client;
  const isClient =
    typeof given === "object" && given !== null && typeof client.getProperties === "function" && typeof client.setMetadata === "function";
  if (!isClient) throw invalidArgument("rewrap takes a BlobClient, or an object with getProperties and setMetadata");
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const outcome = await rewrapOnce(client, resolver, rules, signal);
    if (outcome !== "changed") return outcome;
  }
  return "changed";
}

async function rewrapOnce(
  client: StorageMetadataClient,
  resolver: StorageKeyResolver,
  rules: ReadRules,
  signal: AbortSignal | undefined,
): Promise<RewrapStorageOutcome> {
  const options = signal === undefined ? {} : { abortSignal: signal };
  const { metadata, etag } = await asked(signal, () => client.getProperties(options));
  if (typeof etag !== "string" || etag === "") throw new EnvelockError("provider-failure", "getProperties gave no ETag");
  const [data, text] = [encryptionDataOf(metadata, rules), encryptionTextOf(metadata)];
  const { keyId, algorithm } = await currentKey(resolver, signal);
  if (keyId.toLowerCase() === data.wrapped.keyId.toLowerCase() && algorithm === data.wrapped.algorithm) return "current";
  const inner = await unwrappedInner(resolver, data, signal);
  try {
    const wrapped = await wrappedInner(resolver, inner, signal);
    const kept = Object.entries(metadata ?? {}).filter(([name]) => name.toLowerCase() !== ENCRYPTION_DATA);
    const whole = Object.fromEntries([...kept, [ENCRYPTION_DATA, withWrappedKey(text, wrapped)]]);
    return await asked(signal, async () => {
      try {
        await client.setMetadata(whole, { ...options, conditions: { ifMatch: etag } });
        return "rewrapped";
      } catch (error) {
        if (statusOf(error) === CONDITION_NOT_MET) return "changed";
        throw error;
      }
    });
  } finally {
    wipe(inner);
  }
}

/** A concurrent change is met once more, with what the blob then has. */
const ATTEMPTS = 2;
