import { oldestOf } from "../../core/base/ages.ts";
import type { CallOptions } from "../../core/base/call-options.ts";
import { type Clock, countingSleep } from "../../core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { RecentMap } from "../../core/base/recent-map.ts";
import { SingleFlights } from "../../core/base/single-flight.ts";
import type { GateRequest } from "../../core/keyring/gate.ts";
import { DEFAULT_DEADLINE_MS } from "../../core/resilience/policy.ts";
import { STAMP_EVERY_S, type UseStamps } from "../health/use-stamps.ts";
import { isOfLife } from "../record/life.ts";
import type { TenantRecords } from "../record/records.ts";
import type { TenantRecord } from "../record/tenant-record.ts";
import { KnownTenants, type TenantSlot } from "./known-tenants.ts";
import type { TenantNotice } from "./notice.ts";
import { Resident } from "./resident.ts";
import { noSuchTenant, stateRefusal, type TenantUse } from "./states.ts";
import { type KeyringsParts, TenantKeyrings } from "./tenant-keyrings.ts";

export interface ResidentsParts extends KeyringsParts {
  readonly records: TenantRecords;
  readonly uses: UseStamps;
}

/**
 * The tenants in memory: slots for those that are known, keyrings for those in use. Every way to a key leads through `admit`, which decides
 * by the state of the slot and calls no provider.
 */
export class Residents {
  readonly known: KnownTenants;
  readonly keyrings: TenantKeyrings;
  readonly #parts: ResidentsParts;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #residents: RecentMap<string, Resident>;
  readonly #opening = new SingleFlights<string, Resident>();
  readonly #reading = new SingleFlights<string, TenantRecord | undefined>();
  /** Keyrings of an older generation, until they are closed. */
  readonly #superseded = new Map<Resident, () => void>();
  #cancelTick: (() => void) | undefined;
  #isClosed = false;

  constructor(parts: ResidentsParts) {
    const { policy } = parts;
    const callS = Math.max(IN_USE_S, (policy.resilience?.deadlineMs ?? DEFAULT_DEADLINE_MS) / 1000); // a provider may hang for ever
    this.#parts = parts;
    this.#clock = countingSleep(policy.clock);
    this.known = new KnownTenants(policy.maxKnown, (id) => this.#residents.peek(id) !== undefined);
    this.#residents = new RecentMap<string, Resident>({
      maxEntries: policy.maxResident,
      isInUse: ({ inFlight, slot }) => this.nowS - slot.usedAtS < (inFlight > 0 ? callS : IN_USE_S),
      onLeave: (resident) => this.#leave(resident),
    });
    this.keyrings = new TenantKeyrings(parts, (id) => this.known.peek(id));
  }

  /** Whole seconds that have passed, also while the machine was suspended. */
  get nowS(): number {
    return Math.floor(this.#clock.monotonicMs() / 1000);
  }

  get size(): number {
    return this.#residents.size;
  }

  /** Returns a tenant in memory, which does not count as a use. */
  peek(id: string): Resident | undefined {
    return this.#residents.peek(id);
  }

  /** Returns the keyring of a tenant for a use. @throws why its state forbids it; what the store, the openers and the claims throw */
  async open(id: string, use: TenantUse, options: CallOptions = {}): Promise<Resident> {
    if (this.#isClosed) throw new EnvelockError("closed", "these tenants have been closed");
    const resident = this.#residents.get(id);
    if (resident !== undefined && this.#isFresh(resident.slot)) {
      requireState(id, resident.slot, use);
      resident.slot.usedAtS = this.nowS;
      return resident;
    }
    let record: TenantRecord | undefined;
    try {
      record = await this.read(id, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (resident === undefined) throw error;
      return this.#duringOutage(id, resident, use, error);
    }
    if (record === undefined) throw noSuchTenant(id);
    const slot = this.#slotOf(record);
    requireState(id, slot, use);
    slot.usedAtS = this.nowS;
    const standing = this.#residents.get(id);
    if (record.revision < slot.revision) return this.#duringOldAnswer(id, slot, standing);
    if (standing?.isFor(record) === true) return standing;
    return await this.#opening.run(`${id} ${record.revision}`, async () => await this.#make(record, slot), { signal: options.signal });
  }

  /** Reads a record and takes note of its state. Readers at the same time share one call. */
  async read(id: string, options: CallOptions = {}): Promise<TenantRecord | undefined> {
    return await this.#reading.run(
      id,
      async () => {
        const beganS = this.nowS;
        const record = await this.#parts.records.read(id);
        if (record !== undefined) this.note(record, beganS);
        return record;
      },
      { signal: options.signal },
    );
  }

  /**
   * Reads a record again that another process says it has changed. What the notice says decides nothing else.
   *
   * @returns whether the store was read: not for a tenant that this process does not know, nor for a revision that it knows
   * @throws what the store throws
   */
  async heed({ tenant, revision }: TenantNotice, options: CallOptions = {}): Promise<boolean> {
    const isBehind = (): boolean => (this.known.peek(tenant)?.revision ?? revision) < revision;
    if (this.#isClosed || !isBehind()) return false;
    await this.read(tenant, options);
    if (isBehind()) await this.read(tenant, options); // the first may have joined one that began before the change
    return true;
  }

  /** Acts on a record at once: a state that closes the tenant wipes what is kept for it, and a change of keys makes another keyring. */
  note(record: TenantRecord, readAtS: number = this.nowS): void {
    const slot = this.known.note(record, readAtS);
    if (slot.revision !== record.revision) return; // a newer one is known already
    const resident = this.#residents.peek(record.id);
    if (stateRefusal(record.id, record.state, "read") !== undefined) {
      this.purge(record.id);
      if (resident !== undefined) this.#supersede(record.id, resident);
    } else if (resident?.isFor(record) === false) this.#supersede(record.id, resident);
  }

  /** Wipes everything that is kept in clear for a tenant in this process. */
  purge(id: string): void {
    this.#residents.peek(id)?.forget();
    for (const resident of this.#superseded.keys()) if (resident.record.id === id) resident.forget();
    this.keyrings.cache.forget({ tenant: id });
  }

  /** The age of the oldest data key of a tenant that serves from memory, also by keyrings of older generations. */
  oldestDataKeyMs(id: string): number | undefined {
    const older = [...this.#superseded.keys()].filter(({ record }) => record.id === id);
    return oldestOf([this.#residents.peek(id), ...older].map((resident) => resident?.oldestDataKeyMs));
  }

  /** Closes every keyring. */
  close(): void {
    this.#isClosed = true;
    this.#cancelTick?.();
    for (const [resident, cancel] of this.#superseded) {
      cancel();
      resident.close();
    }
    this.#superseded.clear();
    this.#residents.clear();
  }

  /**
   * Decides whether a call of a tenant may use its keys now. Calls no provider.
   *
   * @param isSync whether it has to decide at once: then a record that is due to be read again still counts, up to `maxStaleMs`
   * @param wraps whether the call wraps a data key: then a record counts for two refresh intervals alone
   */
  admit(
    id: string,
    slot: TenantSlot,
    use: TenantUse,
    { isSync = false, wraps = false }: { readonly isSync?: boolean; readonly wraps?: boolean } = {},
  ): Promise<void> | undefined {
    if (this.#isClosed) throw new EnvelockError("closed", "these tenants have been closed");
    slot.usedAtS = this.nowS;
    if (this.#isFresh(slot)) return requireState(id, slot, use);
    if (!isSync) return this.#refreshed(id, slot, use, wraps);
    this.#requireNotStale(id, slot, undefined, wraps);
    return requireState(id, slot, use);
  }

  async #refreshed(id: string, slot: TenantSlot, use: TenantUse, wraps: boolean): Promise<void> {
    try {
      const record = await this.read(id);
      if (record === undefined) throw noSuchTenant(id);
      // the known slot of this tenant is another one if this one was evicted while its keyring was made
      slot.update(record, this.known.peek(id)?.readAtS ?? slot.readAtS);
      if (record.revision < slot.revision) this.#requireNotStale(id, slot, undefined, wraps);
    } catch (error) {
      this.#requireNotStale(id, slot, error, wraps);
    }
    requireState(id, slot, use);
  }

  /** Serves a tenant of which the record cannot be read now, with the keyring that is there. Each of its calls is still admitted or refused. */
  #duringOutage(id: string, resident: Resident, use: TenantUse, error: unknown): Resident {
    this.#requireNotStale(id, resident.slot, error);
    requireState(id, resident.slot, use);
    resident.slot.usedAtS = this.nowS;
    return resident;
  }

  /**
   * Serves a tenant of which the store gives an older record than this process has seen, as a replica does that lags behind: with the keyring
   * that is there, for as long as a store that cannot be read.
   */
  #duringOldAnswer(id: string, slot: TenantSlot, standing: Resident | undefined): Resident {
    this.#requireNotStale(id, slot, undefined);
    if (standing?.slot === slot) return standing;
    throw new EnvelockError("unavailable", `the store gave an older record of tenant ${id} than this process has seen`, {
      tenant: id,
      whose: "vendor",
      detail: "tenant-stale",
      hint: "Read tenants where they are written, not from a replica. After a restored backup, start the processes anew.",
    });
  }

  /**
   * A store that cannot be read closes a tenant after `maxStaleMs`, since a suspension could not be seen. Nothing is wrapped for longer than a
   * move waits: its old key may be gone by then.
   */
  #requireNotStale(id: string, slot: TenantSlot, cause: unknown, wraps: boolean = false): void {
    const { maxStaleMs, refreshMs } = this.#parts.policy;
    const staleMs = (this.nowS - slot.readAtS) * 1000;
    if (staleMs < (wraps ? Math.min(maxStaleMs, 2 * refreshMs) : maxStaleMs)) return;
    if (staleMs >= maxStaleMs) this.purge(id);
    throw new EnvelockError("unavailable", `the record of tenant ${id} could not be read for too long`, {
      cause,
      tenant: id,
      whose: "vendor",
      detail: "tenant-stale",
    });
  }

  #isFresh({ readAtS }: TenantSlot): boolean {
    return (this.nowS - readAtS) * 1000 < this.#parts.policy.refreshMs;
  }

  async #make(record: TenantRecord, slot: TenantSlot): Promise<Resident> {
    const use = record.state === "offboarding" ? "read" : "write";
    let resident: Resident | undefined;
    const calls = {
      admit: (wanted: TenantUse) => this.admit(record.id, slot, wanted, { wraps: wanted === "write" }),
      began: () => {
        if (resident !== undefined) resident.inFlight++;
      },
      ended: (error: EnvelockError | undefined, durationMs: number) => {
        if (resident === undefined) return;
        resident.inFlight--;
        resident.calls.note(error, durationMs);
      },
    };
    const gate = ({ operation, isSync, keyContext }: GateRequest) => {
      if (!isOfLife(keyContext, record)) throw ofAnotherLife(record);
      const isWrite = WRITES.has(operation);
      // a field is encrypted under a data key of the table, which a move finds there
      return this.admit(record.id, slot, isWrite ? "write" : "read", { isSync, wraps: isWrite && operation !== "encrypt-field" });
    };
    const opened = await this.keyrings.openKeys(record, record.keys, { calls, slot });
    resident = new Resident(record, slot, opened.own, {
      requests: this.keyrings.keyringOf(record, opened, { use, isCached: true, lane: "request", gate }),
      uncached: (lane) => this.keyrings.keyringOf(record, opened, { use, isCached: false, lane, gate }),
    });
    if (this.#isClosed || slot.revision > record.revision) {
      resident.close(); // it changed while its keys were opened
      return await this.open(record.id, "read");
    }
    this.#residents.set(record.id, resident);
    this.#cancelTick ??= this.#tickLater();
    return resident;
  }

  #slotOf(record: TenantRecord): TenantSlot {
    return this.known.get(record.id) ?? this.known.note(record, this.nowS);
  }

  /** A keyring of an older generation serves calls that hold it for one more interval. No other keyring reaches what it has cached. */
  #supersede(id: string, resident: Resident): void {
    const { clock, refreshMs } = this.#parts.policy;
    const close = (): void => {
      this.#superseded.delete(resident);
      resident.close({ isReplaced: this.#residents.peek(id) !== undefined });
    };
    this.keyrings.cache.forget({ tenant: id });
    this.#superseded.set(resident, clock.after(refreshMs, close, "idle"));
    this.#residents.delete(id);
  }

  #leave(resident: Resident): void {
    if (this.#superseded.has(resident)) return;
    resident.close();
    this.keyrings.cache.forget({ tenant: resident.record.id }); // no other keyring can reach them
  }

  #tickLater(): () => void {
    const { clock, refreshMs } = this.#parts.policy;
    return clock.after(refreshMs / 2, () => void this.#tick(), "idle");
  }

  /** Reads the records of tenants in memory again, also of those that only hold ciphers, which ask for nothing. */
  async #tick(): Promise<void> {
    this.#cancelTick = undefined;
    const due = this.#residents.entries().filter(([, { slot }]) => (this.nowS - slot.readAtS) * 2000 >= this.#parts.policy.refreshMs);
    const queue = due.values();
    const worker = async (): Promise<void> => {
      for (const [id, { slot }] of queue) {
        try {
          const record = await this.read(id);
          if (record !== undefined && stateRefusal(id, record.state, "read") === undefined) await this.#stamp(record, slot);
        } catch (error) {
          if ((this.nowS - slot.readAtS) * 1000 >= this.#parts.policy.maxStaleMs) this.purge(id);
          else void error; // the next call, or the next turn, tries again
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(READERS, due.length) }, worker));
    if (!this.#isClosed && this.#residents.size > 0) this.#cancelTick ??= this.#tickLater();
  }

  /** Notes the use of a tenant in the store, now and then. */
  async #stamp(record: TenantRecord, slot: TenantSlot): Promise<void> {
    const { nowS } = this;
    if (nowS - slot.usedAtS >= STAMP_EVERY_S || nowS - slot.stampedAtS < STAMP_EVERY_S) return;
    await this.#parts.uses.note(record, this.#parts.policy.clock.unixMs());
    slot.stampedAtS = nowS;
  }
}

function requireState(id: string, { state }: TenantSlot, use: TenantUse): undefined {
  const refusal = stateRefusal(id, state, use);
  if (refusal !== undefined) throw refusal;
}

/** What is kept under the context of another life would outlive a shred, and open in that life. */
function ofAnotherLife({ id, epoch }: TenantRecord): EnvelockError {
  const hint = "Choose another name for the pair `tenant-epoch`: the library fills it in.";
  return invalidArgument(`this context is not one of tenant ${id} in epoch ${epoch}`, hint);
}

const WRITES: ReadonlySet<GateRequest["operation"]> = new Set<GateRequest["operation"]>([
  "encrypt",
  "encrypt-stream",
  "encrypt-field",
  "rewrap",
  "create-data-key",
]);
/** The time for which a keyring that was asked for, or called, is in use. */
const IN_USE_S = 10;
const READERS = 8;
