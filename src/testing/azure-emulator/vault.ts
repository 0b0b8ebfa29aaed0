import type { JsonFields } from "./json-fields.ts";
import type { KeyStore, StoredVersion } from "./key-store.ts";
import type { SecretStore } from "./secret-store.ts";
import type { TransactionLimits } from "./transaction-limits.ts";

/** What kind of vault it is: the standard tier has no keys in hardware, a Managed HSM has nothing else. */
export type Flavour = "standard" | "premium" | "managed-hsm";

/** A vault, as its requests meet it. */
export interface Vault {
  /** `https://host:port` */
  readonly url: string;
  readonly flavour: Flavour;
  readonly keys: KeyStore;
  readonly secrets: SecretStore;
  /** How long what was deleted can be recovered. */
  readonly retentionDays: number;
  readonly isPurgeProtected: boolean;
  /** Whose vaults read each other's backups. */
  readonly geography: string;
  /** Undefined where none hold. */
  readonly limits: TransactionLimits | undefined;
  /** What a 429 names; the service mostly names nothing. */
  readonly retryAfterSeconds: number | undefined;
  /** Unix time in seconds. */
  readonly nowSeconds: number;
  /** Rotates a key. @throws Answer */
  newVersion(name: string): Promise<StoredVersion>;
}

/** What is left of a request once it may be answered. */
export interface VaultCall {
  readonly vault: Vault;
  readonly name: string;
  /** Empty for the newest. */
  readonly version: string;
  readonly query: URLSearchParams;
  readonly body: JsonFields;
}
