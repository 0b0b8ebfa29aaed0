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
