import { oldestOf } from "../../core/base/ages.ts";
import { invalidArgument } from "../../core/base/errors.ts";
import { quietly } from "../../core/base/quietly.ts";
import type { KeyProvider } from "../../core/contracts/key-provider.ts";
import type { Keyring } from "../../core/keyring/keyring.ts";
import type { Lane } from "../../core/resilience/fair-queues.ts";
import { DataKeys } from "../../fields/data-keys.ts";
import { makesSameKeyring } from "../record/policy.ts";
import type { TenantRecord } from "../record/tenant-record.ts";
import type { TenantsPolicy } from "../tenants-options.ts";
import { CallCounts } from "./call-counts.ts";
import type { TenantSlot } from "./known-tenants.ts";

/** The keyrings of one tenant, with the same keys behind the same gate. */
export interface Keyrings {
  /** With the shared cache. */
  readonly requests: Keyring;
  /** Makes one without a cache, for data keys that `DataKeys` holds itself: two ages would add up. */
  uncached(lane: Lane): Keyring;
}

/** A tenant with its keyrings in memory, as one generation of its record says. */
export class Resident {
  readonly record: TenantRecord;
  readonly slot: TenantSlot;
  /** The keyring of requests. */
  readonly keyring: Keyring;
  /** Calls of providers in flight. */
  inFlight = 0;
  readonly calls: CallCounts = new CallCounts();
  readonly #own: readonly KeyProvider[];
  readonly #keyrings: Keyrings;
  readonly #uncached: Partial<Record<Lane, { readonly keyring: Keyring; dataKeys?: DataKeys }>> = {};
  #isClosed = false;

  /** @param own the providers that were opened for this tenant alone, and are closed with it */
  constructor(record: TenantRecord, slot: TenantSlot, own: readonly KeyProvider[], keyrings: Keyrings) {
    this.record = record;
    this.slot = slot;
    this.keyring = keyrings.requests;
    this.#own = own;
    this.#keyrings = keyrings;
  }

  /** Whether the keyrings are those of the record: a change of keys makes others. */
  isFor({ epoch, generation, state, policy }: TenantRecord): boolean {
    const { record } = this;
    return (
      epoch === record.epoch &&
      generation === record.generation &&
      makesSameKeyring(policy, record.policy) &&
      (state === "offboarding") === (record.state === "offboarding")
    );
  }

  /** The keyring of jobs. */
  get jobKeyring(): Keyring {
    return this.#of("background").keyring;
  }

  /**
   * Returns the data keys of requests, or those of jobs.
   *
   * @param keptMs how long they keep a data key in clear without asking the tenant's key
   * @throws `invalid-argument` if the vendor gave no store of data keys
   */
  dataKeys({ dataKeyStore, dataKeys, clock, refreshMs: ownMs }: TenantsPolicy, keptMs: number, lane: Lane = "request"): DataKeys {
    if (dataKeyStore === undefined) throw invalidArgument("Tenants has no dataKeyStore", "Give the store of data keys to Tenants.");
    const uncached = this.#of(lane);
    // a held key is unwrapped again at the first refresh after its age: both together are the time that it is kept
    const [maxKeyAgeMs, refreshMs] = [keptMs / 2, Math.min(dataKeys.refreshMs ?? ownMs, keptMs / 2)];
    uncached.dataKeys ??= new DataKeys({ ...dataKeys, keyring: uncached.keyring, store: dataKeyStore, maxKeyAgeMs, refreshMs, clock });
    return uncached.dataKeys;
  }

  /** Wipes everything that is kept in clear. Calls go on, and need the key again. */
  forget(): void {
    const own = { context: { tenant: this.record.id } }; // the cache is that of all tenants
    this.keyring.forget(own);
    for (const { keyring } of Object.values(this.#uncached)) keyring.forget(own);
  }

  /** The age of the oldest data key that serves from memory. Undefined if none does. */
  get oldestDataKeyMs(): number | undefined {
    const keyrings = [this.keyring, ...Object.values(this.#uncached).map(({ keyring }) => keyring)];
    return oldestOf(keyrings.map((keyring) => keyring.status().oldestDataKeyMs));
  }

  /** @param isReplaced whether another keyring of the tenant is in use, of which the data keys in the shared cache stay */
  close({ isReplaced = false }: { readonly isReplaced?: boolean } = {}): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (!isReplaced) this.forget();
    for (const { keyring, dataKeys } of Object.values(this.#uncached)) {
      void dataKeys?.close();
      void keyring.close();
    }
    void this.keyring.close();
    for (const provider of this.#own) quietly(() => provider.close?.());
  }

  #of(lane: Lane): { readonly keyring: Keyring; dataKeys?: DataKeys } {
    const known = this.#uncached[lane] ?? { keyring: this.#keyrings.uncached(lane) };
    this.#uncached[lane] = known;
    return known;
  }
}
