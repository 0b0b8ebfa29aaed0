import { invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { waitFor } from "../../src/core/base/wait.ts";
import type { TenantKeyIdentity, TenantKeyOpener, TenantKeyRef } from "../../src/core/contracts/tenant-keys.ts";
import { TenantSettings } from "../../src/core/contracts/tenant-settings.ts";
import { VaultConnection } from "./connection.ts";
import { diagnoseVaultKey } from "./doctor/diagnose.ts";
import { CONNECTION_OPTIONS, type VaultConnectionOptions } from "./options.ts";
import { checkedKeyName, checkedPath } from "./paths.ts";
import type { VaultTokenSource } from "./tokens.ts";
import { type VaultTransitKeyOptions, vaultTransitKey } from "./vault-transit-key.ts";

/** The place of a tenant in a cluster. */
export interface VaultTenantPlace {
  /** The tenant's namespace. Default: the root namespace, which several tenants then share. */
  readonly namespace?: string;
  /** The mount of the transit engine that holds the tenant's keys, such as `tenants/acme/transit`. Default `transit`. */
  readonly mount?: string;
  /** The tenant's own token or login, with rights on that mount alone. */
  readonly token: VaultTokenSource;
}

/** A server or cluster in which tenants have keys. */
export interface VaultTenantCluster extends Omit<VaultConnectionOptions, "token" | "namespace"> {
  /**
   * Says where the keys of a tenant are, by the vendor's own records. It is asked for each provider: give the same login each time, so that
   * all providers of a tenant share its token.
   */
  readonly placeOf: (identity: TenantKeyIdentity) => VaultTenantPlace;
}

export interface VaultTenantKeysOptions {
  /** The clusters by the name that a tenant's description gives. Addresses come from here alone. */
  readonly clusters: Readonly<Record<string, VaultTenantCluster>>;
}

/**
 * Opens keys of tenants in the transit engine of HashiCorp Vault or OpenBao.
 *
 * A key is described by its name. Its settings are `cluster`, needed where there are several, and `keyType`: `aead` (default) or `rsa`.
 * The identity has no settings: namespace, mount and login follow from the tenant, by `placeOf`.
 *
 * @throws `invalid-argument`
 * @see docs/tenants.md
 * @example
 * ```ts
 * import { appRole, vaultTenantKeys } from "envelock/providers/vault";
 *
 * export function tenantKeys(roles: ReadonlyMap<string, { roleId: string; secretId: string }>) {
 *   return vaultTenantKeys({
 *     clusters: {
 *       main: {
 *         address: "https://vault.example:8200",
 *         placeOf: ({ tenant }) => ({ namespace: `tenants/${tenant}`, token: appRole(roles.get(tenant) ?? { roleId: "", secretId: "" }) }),
 *       },
 *     },
 *   });
 * }
 * ```
 */
export function vaultTenantKeys(options: VaultTenantKeysOptions): TenantKeyOpener {
  refuseUnknown(options, TENANT_KEYS_OPTIONS, "vaultTenantKeys");
  const clusters = new Map(Object.entries(options.clusters ?? {}));
  if (clusters.size === 0) throw invalidArgument("vaultTenantKeys needs a cluster");
  for (const [name, cluster] of clusters) checkCluster(name, cluster);

  const accepted = (ref: TenantKeyRef, identity: TenantKeyIdentity): VaultTransitKeyOptions => {
    const key = checkedKeyName(ref.key);
    const settings = new TenantSettings("the key", ref.settings, ["cluster", "keyType"]);
    const keyType = settings.oneOf("keyType", ["aead", "rsa"]);
    new TenantSettings("the identity", identity.settings, []);
    const [, { placeOf, ...connection }] = settings.placeIn("cluster", clusters);
    const { namespace, mount = "transit", token } = placeOf(identity);
    const place = namespace === undefined ? {} : { namespace: checkedPath("namespace", namespace) };
    return { ...connection, ...place, mount: checkedPath("mount", mount), key, keyType, token };
  };

  return {
    kind: "vault-transit",
    accept(ref, identity) {
      const { key, mount, namespace, keyType: _, ...connection } = accepted(ref, identity);
      const { origin } = new VaultConnection(connection);
      const payer = namespace === undefined ? origin : `${origin}/${namespace}`;
      return { name: `${payer}/${mount}/${key}`, payer };
    },
    open: (ref, identity) => vaultTransitKey(accepted(ref, identity)),
    diagnose: (ref, identity, { signal }) => waitFor(diagnoseVaultKey(accepted(ref, identity)), { signal }),
  };
}

function checkCluster(name: string, cluster: VaultTenantCluster): void {
  const { token: _token, namespace: _namespace, ...shared } = CONNECTION_OPTIONS;
  refuseUnknown(cluster, { ...shared, placeOf: true } satisfies OptionNames<VaultTenantCluster>, `the cluster ${name}`);
  if (typeof cluster.placeOf !== "function") throw invalidArgument(`placeOf of the cluster ${name} must be a function`);
  const { placeOf: _, ...connection } = cluster;
  new VaultConnection({ ...connection, token: async () => ({ token: "" }) }).close(); // checks the address
}

const TENANT_KEYS_OPTIONS: OptionNames<VaultTenantKeysOptions> = { clusters: true };
