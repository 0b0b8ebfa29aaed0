import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import type { KeyProvider } from "../../core/contracts/key-provider.ts";
import type { TenantKeyIdentity, TenantKeyName, TenantKeyOpener, TenantKeyRef } from "../../core/contracts/tenant-keys.ts";
import { PLATFORM_KEY } from "../life-cycle/change.ts";
import type { TenantRecord } from "../record/tenant-record.ts";

/**
 * Says whether a key may not be a tenant's, such as the platform's own key, account, project or vault.
 *
 * @param name the accepted name of the key
 */
export type ReservedKeys = (name: TenantKeyName & { readonly kind: string }) => boolean;

/** Chooses the opener of a description. A kind without an opener is refused, and so is a key that is reserved. */
export class TenantKeyOpeners {
  readonly #openers: ReadonlyMap<string, TenantKeyOpener>;
  readonly #reserved: ReservedKeys;

  /** @throws `invalid-argument` for what is no opener, and for two of one kind */
  constructor(openers: readonly TenantKeyOpener[], reserved: ReservedKeys) {
    const byKind = new Map<string, TenantKeyOpener>();
    for (const opener of openers) {
      if (typeof opener?.open !== "function" || typeof opener.accept !== "function")
        throw invalidArgument("an opener needs the methods accept and open", "Such as azureTenantKeys() of envelock/providers/azure.");
      if (typeof opener.kind !== "string" || !KIND.test(opener.kind) || opener.kind === PLATFORM_KEY.kind)
        throw invalidArgument("the kind of an opener has 1 to 32 characters of a-z, 0-9 and -, and is not platform");
      if (byKind.has(opener.kind)) throw invalidArgument(`there are two openers of the kind ${opener.kind}`);
      byKind.set(opener.kind, opener);
    }
    this.#openers = byKind;
    this.#reserved = reserved;
  }

  /**
   * Checks a description against the vendor's configuration: when it is written, and again at each use. Makes no call.
   *
   * @throws `invalid-argument` for a description that is none; `access-denied` for one that the vendor does not allow
   */
  accept(key: TenantKeyRef, identity: TenantKeyIdentity): TenantKeyName {
    const name = this.of(key.kind).accept(key, identity);
    if (this.#reserved({ ...name, kind: key.kind })) {
      throw new EnvelockError("access-denied", "this key is reserved: a tenant cannot bring it", {
        detail: "key-reserved",
        whose: "tenant",
        tenant: identity.tenant,
        hint: "A tenant brings a key of its own, in an account, project or vault of its own.",
      });
    }
    return name;
  }

  /**
   * Checks a key of a record as `accept`, and against the regions of its policy.
   *
   * @throws as `accept`; `access-denied`, detail `region-not-allowed`, for a key outside of the regions
   */
  acceptOf(key: TenantKeyRef, record: TenantRecord): TenantKeyName {
    const identity = identityOf(record);
    const name = this.accept(key, identity);
    const { regions } = record.policy;
    if (regions === null || (name.region !== undefined && regions.includes(name.region))) return name;
    const where = name.region === undefined ? `in a place that a key of ${key.kind} does not tell` : `in ${name.region}`;
    throw new EnvelockError("access-denied", `the key lies ${where}, and the policy of the tenant allows ${regions.join(", ")}`, {
      detail: "region-not-allowed",
      whose: "tenant",
      tenant: record.id,
      hint: "Use a key in one of these regions, or change the policy.",
    });
  }

  /** @throws as `acceptOf` if a key of the record lies outside of the regions of its policy */
  requireRegions(record: TenantRecord): void {
    if (record.policy.regions === null) return;
    for (const key of [...record.keys, ...(record.staged === null ? [] : [record.staged])])
      if (key.kind !== PLATFORM_KEY.kind) this.acceptOf(key, record);
  }

  /** Makes the provider of an accepted description. @throws as `accept` */
  open(key: TenantKeyRef, identity: TenantKeyIdentity): KeyProvider {
    return this.of(key.kind).open(key, identity);
  }

  /** @throws `invalid-argument` for a kind without an opener */
  of(kind: string): TenantKeyOpener {
    const opener = this.#openers.get(kind);
    if (opener !== undefined) return opener;
    const known = [...this.#openers.keys()];
    throw invalidArgument(
      `there is no opener for keys of the kind ${typeof kind === "string" ? JSON.stringify(kind.slice(0, 40)) : typeof kind}`,
      known.length > 0
        ? `known kinds: ${known.join(", ")}, platform`
        : "give `open` to Tenants, such as azureTenantKeys() of envelock/providers/azure",
    );
  }
}

/** The identity of a record towards an opener. */
export function identityOf({ id, epoch, externalId, identity }: TenantRecord): TenantKeyIdentity {
  return { tenant: id, epoch, externalId, settings: identity };
}

const KIND = /^[a-z0-9-]{1,32}$/;
