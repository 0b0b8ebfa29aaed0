import type { Finding } from "./finding.ts";
import type { KeyProvider } from "./key-provider.ts";

// How a tenant's description becomes a key. The description is the tenant's and is not trusted: hosts, accounts and modules come from the
// vendor's own configuration of an opener.

/** The stored description of a key that a tenant brings. Never a secret. */
export interface TenantKeyRef {
  /** The kind of key service, such as `azure-key-vault`. It selects the opener. */
  readonly kind: string;
  /** The name of the key in its service: a URL, an ARN, a resource name. Without a version. */
  readonly key: string;
  /** What else the opener needs, such as a mount. Each opener refuses names that it does not know. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** The identity that the vendor has towards one tenant. */
export interface TenantKeyIdentity {
  readonly tenant: string;
  /** Counts the lives of this tenant id, from 1. */
  readonly epoch: number;
  /** 32 random characters that the library made for this tenant and epoch, such as the external id of an AWS role. */
  readonly externalId: string;
  /** What the tenant gave: a directory id, a role, an account. Each opener refuses names that it does not know. */
  readonly settings: Readonly<Record<string, string>>;
}

/** A description that an opener has accepted. */
export interface TenantKeyName {
  /** The one spelling of the key's name, without a version: two descriptions of one key have the same. */
  readonly name: string;
  /** The part of the key service that throttles and fails as one, such as a vault or an account with its region. */
  readonly payer: string;
  /** The region or location that the service keeps the key in, where its name says it. A policy of a tenant may allow some alone. */
  readonly region?: string;
  /** The party whose quota the calls count against. Default `tenant`. */
  readonly paidBy?: "tenant" | "vendor";
}

/** Makes providers from descriptions of one kind. */
export interface TenantKeyOpener {
  /** 1 to 32 characters of a-z, 0-9 and -. */
  readonly kind: string;

  /**
   * Checks a description and an identity against the vendor's configuration. Pure: no I/O, no clock.
   *
   * @throws `invalid-argument` for a description that is malformed, `access-denied` for one outside of what the vendor allows
   */
  accept(key: TenantKeyRef, identity: TenantKeyIdentity): TenantKeyName;

  /** Makes the provider of an accepted description, with the tenant's own identity. Makes no call. @throws as `accept` */
  open(key: TenantKeyRef, identity: TenantKeyIdentity): KeyProvider;

  /** Looks at key, identity and rights in the service, as its doctor does. Changes nothing there. */
  diagnose?(key: TenantKeyRef, identity: TenantKeyIdentity, options: { readonly signal: AbortSignal }): Promise<readonly Finding[]>;

  /** Destroys a key that the vendor created for the tenant. Called for no other key. */
  destroy?(key: TenantKeyRef, identity: TenantKeyIdentity, options: { readonly signal?: AbortSignal }): Promise<void>;
}
