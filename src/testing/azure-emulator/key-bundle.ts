import { publicJwk } from "./key-material.ts";
import type { RotationPolicy, StoredKey, StoredVersion } from "./key-store.ts";
import type { Deleted } from "./recoverable-objects.ts";
import type { Vault } from "./vault.ts";

export function keyIdOf({ url }: Pick<Vault, "url">, name: string, version?: string): string {
  return `${url}/keys/${name}${version === undefined ? "" : `/${version}`}`;
}

/** The JWK and attributes of a version, as `GET /keys/{name}/{version}` shows them. */
export function bundleOf(vault: Vault, { name, isManaged }: Pick<StoredKey, "name" | "isManaged">, version: StoredVersion): object {
  const { id, kind, material, operations, tags } = version;
  const key = { kid: keyIdOf(vault, name, id), kty: kind.type, key_ops: operations, ...publicJwk(kind, material) };
  return { key, attributes: attributesOf(vault, version), ...(tags && { tags }), ...(isManaged && { managed: true }) };
}

/** The item of a list of keys or versions. */
export function listItemOf(vault: Vault, kid: string, { isManaged }: Pick<StoredKey, "isManaged">, version: StoredVersion): object {
  const { tags } = version;
  return { kid, attributes: attributesOf(vault, version), ...(tags && { tags }), ...(isManaged && { managed: true }) };
}

/** The members that a deleted object has before those of its bundle or list item. @param path such as `deletedkeys/orders` */
export function deletionOf({ url }: Vault, path: string, { deletedDate, scheduledPurgeDate }: Deleted<unknown>): object {
  return { recoveryId: `${url}/${path}`, deletedDate, scheduledPurgeDate };
}

export function rotationPolicyOf(vault: Vault, name: string, policy: RotationPolicy | undefined): object {
  const id = `${keyIdOf(vault, name)}/rotationpolicy`;
  if (policy === undefined)
    return { id, lifetimeActions: [{ trigger: { timeBeforeExpiry: "P30D" }, action: { type: "Notify" } }], attributes: {} };
  const { lifetimeActions, expiryTime, created, updated } = policy;
  return { id, lifetimeActions, attributes: { ...(expiryTime && { expiryTime }), created, updated } };
}

/** @returns the recovery level: whether a deletion can be undone, and by which callers */
export function recoveryOf({ retentionDays, isPurgeProtected }: Vault): {
  readonly recoveryLevel: string;
  readonly recoverableDays: number;
} {
  const customized = retentionDays < MAX_RETENTION_DAYS ? "Customized" : "";
  return { recoveryLevel: `${customized}Recoverable${isPurgeProtected ? "" : "+Purgeable"}`, recoverableDays: retentionDays };
}

function attributesOf(vault: Vault, { enabled, nbf, exp, created, updated, kind }: StoredVersion): object {
  const hsmPlatform = kind.type.endsWith("-HSM") ? "2" : "0";
  return { enabled, nbf, exp, created, updated, ...recoveryOf(vault), exportable: false, hsmPlatform };
}

const MAX_RETENTION_DAYS = 90;
