import type { CertificateStore } from "./certificate-store.ts";
import type { JsonFields } from "./json-fields.ts";
import type { KeyStore, StoredVersion } from "./key-store.ts";
import type { SecretStore } from "./secret-store.ts";
import type { TransactionLimits } from "./transaction-limits.ts";

/** The kind of vault: the standard tier has no keys in hardware, a Managed HSM has no other keys. */
export type Flavour = "standard" | "premium" | "managed-hsm";

/** The state of a vault. */
export interface Vault {
  /** `https://host:port` */
  readonly url: string;
  readonly flavour: Flavour;
  readonly keys: KeyStore;
  readonly secrets: SecretStore;
  readonly certificates: CertificateStore;
  /** The period during which deleted keys and secrets can be recovered. */
  readonly retentionDays: number;
  readonly isPurgeProtected: boolean;
  /** The geography, whose vaults read each other's backups. */
  readonly geography: string;
  /** Undefined for a vault without limits. */
  readonly limits: TransactionLimits | undefined;
  /** The `Retry-After` of a 429; the service mostly gives none. */
  readonly retryAfterSeconds: number | undefined;
  /** Unix time in seconds. */
  readonly nowSeconds: number;
  /** Rotates a key. @throws Answer */
  newVersion(name: string): Promise<StoredVersion>;
}

/** A request that passed all checks. */
export interface VaultCall {
  readonly vault: Vault;
  readonly name: string;
  /** Empty for the newest. */
  readonly version: string;
  readonly query: URLSearchParams;
  readonly body: JsonFields;
}
