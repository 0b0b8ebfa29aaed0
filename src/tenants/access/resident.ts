import { invalidArgument } from "../../core/base/errors.ts";
import { quietly } from "../../core/base/quietly.ts";
import type { KeyProvider } from "../../core/contracts/key-provider.ts";
import type { Keyring } from "../../core/keyring/keyring.ts";
import { DataKeys } from "../../fields/data-keys.ts";
import type { TenantRecord } from "../record/tenant-record.ts";
import type { TenantsPolicy } from "../tenants-options.ts";
import { CallCounts } from "./call-counts.ts";
import type { TenantSlot } from "./known-tenants.ts";

/** A tenant with its keyring in memory, as one generation of its record says. */
export class Resident {
  readonly record: TenantRecord;
  readonly slot: TenantSlot;
  readonly keyring: Keyring;
  /** Calls of providers in flight. */
  inFlight = 0;
  readonly calls: CallCounts = new CallCounts();
  readonly #own: readonly KeyProvider[];
  #dataKeys: DataKeys | undefined;
  #isClosed = false;

  /** @param own the providers that were opened for this tenant alone, and are closed with it */
  constructor(record: TenantRecord, slot: TenantSlot, keyring: Keyring, own: readonly KeyProvider[]) {
    this.record = record;
    this.slot = slot;
    this.keyring = keyring;
    this.#own = own;
  }

  /** Whether the keyring is that of the record: a change of keys makes another. */
  isFor({ epoch, generation, state, policy }: TenantRecord): boolean {
    const { record } = this;
    return (
      epoch === record.epoch &&
      generation === record.generation &&
      policy.cacheMaxAgeMs === record.policy.cacheMaxAgeMs &&
      (state === "offboarding") === (record.state === "offboarding")
    );
  }

  /** @throws `invalid-argument` if the vendor gave no store of data keys */
  dataKeys({ dataKeyStore, dataKeys, clock }: TenantsPolicy, maxKeyAgeMs: number): DataKeys {
    if (dataKeyStore === undefined) throw invalidArgument("Tenants has no dataKeyStore", "Give the store of data keys to Tenants.");
    this.#dataKeys ??= new DataKeys({ ...dataKeys, keyring: this.keyring, store: dataKeyStore, maxKeyAgeMs, clock });
    return this.#dataKeys;
  }

  /** Wipes everything that is kept in clear. Calls go on, and need the key again. */
  forget(): void {
    this.keyring.forget();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.forget();
    void this.#dataKeys?.close();
    void this.keyring.close();
    for (const provider of this.#own) quietly(() => provider.close?.());
  }
}
