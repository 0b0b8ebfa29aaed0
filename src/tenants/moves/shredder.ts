import { invalidArgument } from "../../core/base/errors.ts";
import type { Residents } from "../access/residents.ts";
import { noSuchTenant } from "../access/states.ts";
import type { ChangeOptions, TenantChanges } from "../changes.ts";
import type { KeyClaims } from "../keys/claims.ts";
import { identityOf } from "../keys/openers.ts";
import type { TenantKey, TenantRecord } from "../record/tenant-record.ts";
import type { TenantsPolicy } from "../tenants-options.ts";
import { type ShreddedKeys, shredDataKeys } from "./shred.ts";

/** The end of a shred. */
export interface ShredReport extends ShreddedKeys {
  /**
   * The numbers of keys that were staged as `createdByUs` and still stand in their service: the claim of another tenant is on them, the
   * vendor does not allow them any more, or their opener destroys none.
   */
  readonly keysLeft: readonly number[];
  /** The record: `shredded`, or `offboarding` while data keys that can be read could not be destroyed. */
  readonly record: TenantRecord;
}

export interface ShredderParts {
  readonly policy: TenantsPolicy;
  readonly residents: Residents;
  readonly changes: TenantChanges;
  readonly claims: KeyClaims;
}

/** Destroys the data keys of tenants that are offboarding, and the keys that the vendor made for them. */
export class TenantShredder {
  readonly #parts: ShredderParts;

  constructor(parts: ShredderParts) {
    this.#parts = parts;
  }

  /** @throws `invalid-argument` in a state that forbids it, and without a store of data keys; what stores and openers throw */
  async shred(id: string, options: ChangeOptions): Promise<ShredReport> {
    const { policy, residents, changes } = this.#parts;
    const { dataKeyStore, openers } = policy;
    const call = options.signal === undefined ? {} : { signal: options.signal };
    if (dataKeyStore === undefined) throw invalidArgument("Tenants has no dataKeyStore", "Give the store of data keys to Tenants.");
    const before = await residents.read(id, call);
    if (before === undefined) throw noSuchTenant(id);
    if (before.state !== "offboarding" && before.state !== "shredded") {
      const hint = "`offboard` it first, and let it export its data.";
      throw invalidArgument(`tenant ${id} is ${before.state}: \`shred\` is not allowed`, hint);
    }
    const first = await shredDataKeys(dataKeyStore, before, call);
    const made = before.keys.filter(({ createdByUs }) => createdByUs);
    if (first.failed > 0) return { record: before, ...first, keysLeft: numbersOf(made) };
    const left: TenantKey[] = [];
    for (const key of made) {
      const isOwn = await this.#parts.claims.isOwn(key, before, call);
      const opener = isOwn ? openers.of(key.kind) : undefined;
      if (opener?.destroy === undefined) left.push(key);
      else await opener.destroy(key, identityOf(before), call);
    }
    const record = await changes.makeOf(
      id,
      ({ state, epoch }) => (state === "shredded" && epoch === before.epoch ? undefined : { change: "shred" }),
      options,
    );
    const second = await shredDataKeys(dataKeyStore, before, call); // what another process added before it saw the change
    return { record, ...second, shredded: first.shredded + second.shredded, keysLeft: numbersOf(left) };
  }
}

function numbersOf(keys: readonly TenantKey[]): readonly number[] {
  return keys.map(({ number }) => number);
}
