import type { CallOptions } from "../../core/base/call-options.ts";
import { EnvelockError, type ErrorCode } from "../../core/base/errors.ts";
import { RecentMap } from "../../core/base/recent-map.ts";
import { SingleFlights } from "../../core/base/single-flight.ts";
import type { KeyProvider } from "../../core/contracts/key-provider.ts";
import type { RandomSource } from "../../core/contracts/random-source.ts";
import { DataKeyCache } from "../../core/key-source/data-key-cache.ts";
import type { Gate, GateRequest } from "../../core/keyring/gate.ts";
import { Keyring } from "../../core/keyring/keyring.ts";
import { FairLimits, type Lane } from "../../core/resilience/fair-limits.ts";
import { ProviderGuards } from "../../core/resilience/policy.ts";
import type { AuditQueue } from "../audit/audit-queue.ts";
import type { KeyClaims } from "../keys/claims.ts";
import { identityOf } from "../keys/openers.ts";
import { type TenantCalls, tenantProvider, whoseOfOwnKey, whoseOfPlatformKey } from "../keys/tenant-provider.ts";
import { PLATFORM_KEY } from "../life-cycle/change.ts";
import type { TenantRecords } from "../record/records.ts";
import type { TenantKey, TenantRecord } from "../record/tenant-record.ts";
import type { TenantsPolicy } from "../tenants-options.ts";
import { KnownTenants, type TenantSlot } from "./known-tenants.ts";
import { Resident } from "./resident.ts";
import { noSuchTenant, stateRefusal, type TenantUse } from "./states.ts";

/** What the residents tell about the calls of tenants' own keys. */
export interface CallWatch {
  /** Called when a call of a tenant's own key has ended. */
  ended(id: string, slot: TenantSlot, error: EnvelockError | undefined): void;
}

export interface ResidentsParts {
  readonly policy: TenantsPolicy;
  readonly records: TenantRecords;
  readonly claims: KeyClaims;
  readonly audit: AuditQueue;
  readonly watch: CallWatch;
}

/**
 * The tenants in memory: slots for those that are known, keyrings for those in use. Every way to a key leads through `admit`, which decides
 * by the state of the slot and calls no provider.
 */
export class Residents {
  readonly known: KnownTenants;
  readonly cache: DataKeyCache;
  readonly #parts: ResidentsParts;
  readonly #residents: RecentMap<string, Resident>;
  readonly #opening = new SingleFlights<string, Resident>();
  readonly #reading = new SingleFlights<string, TenantRecord | undefined>();
  readonly #guards: ProviderGuards;
  readonly #limits: FairLimits;
  /** The names of keys for the guards, which outlive a keyring. */
  readonly #names = new WeakMap<object, GuardNames>();
  /** Keyrings of an older generation, until they are closed. */
  readonly #superseded = new Map<Resident, () => void>();
  #cancelTick: (() => void) | undefined;
  #isClosed = false;

  constructor(parts: ResidentsParts) {
    const { policy } = parts;
    const { clock, cache = {}, resilience: { breaker, maxConcurrent } = {} } = policy;
    this.#parts = parts;
    this.cache = new DataKeyCache({ maxEntries: 10_000, ...cache, clock });
    this.known = new KnownTenants(policy.maxKnown, (id) => this.#residents.peek(id) !== undefined);
    this.#residents = new RecentMap<string, Resident>({
      maxEntries: policy.maxResident,
      isInUse: (resident) => resident.inFlight > 0 || this.nowS - resident.slot.usedAtS < IN_USE_S,
      onLeave: (resident) => this.#leave(resident),
    });
    this.#guards = new ProviderGuards({
      ...(breaker !== undefined && { breaker }),
      ...(maxConcurrent !== undefined && { maxConcurrent }),
      keyOf: (provider: KeyProvider | RandomSource) => this.#names.get(provider)?.key,
      hostOf: (provider: KeyProvider | RandomSource) => this.#names.get(provider)?.host,
      maxKeys: policy.maxKnown,
    });
    this.#limits = new FairLimits({ ...policy.limits, clock, payerOf: (provider) => this.#names.get(provider)?.payer });
  }

  /** Whole seconds of the monotonic clock. */
  get nowS(): number {
    return Math.floor(this.#parts.policy.clock.monotonicMs() / 1000);
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
    const record = await this.read(id, options);
    if (record === undefined) throw noSuchTenant(id);
    const slot = this.#slotOf(record);
    requireState(id, slot, use);
    slot.usedAtS = this.nowS;
    const standing = this.#residents.get(id);
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
    this.cache.forget({ tenant: id });
  }

  /** Opens some keys of a tenant. Checks each description anew: what was allowed when it was written may not be any more. */
  async openKeys(record: TenantRecord, keys: readonly TenantKey[], settings: OpenSettings = {}): Promise<OpenedKeys> {
    const own: KeyProvider[] = [];
    const opened: OpenedKey[] = [];
    for (const key of keys) opened.push({ role: key.role, providers: await this.#providersOf(record, key, settings, own) });
    return { keys: opened.reverse(), own }; // the newest key generates
  }

  /** Makes a keyring of opened keys of a tenant. */
  keyringOf(record: TenantRecord, { keys }: OpenedKeys, settings: KeyringSettings): Keyring {
    const of = (role: TenantKey["role"]): readonly KeyProvider[] =>
      keys.filter((key) => key.role === role).flatMap(({ providers }) => providers);
    const { policy, audit } = this.#parts;
    const { deadlineMs, attemptDeadlineMs, retry } = settings.resilience ?? policy.resilience ?? {};
    const isReading = settings.use === "read";
    return new Keyring({
      wrapWith: isReading ? [] : of("wrap"),
      unwrapWith: isReading ? [...of("wrap"), ...of("unwrap")] : of("unwrap"),
      context: contextOf(record),
      tenant: {
        id: record.id,
        generation: record.generation,
        ...(record.policy.cacheMaxAgeMs !== null && { cacheMaxAgeMs: record.policy.cacheMaxAgeMs }),
      },
      guards: this.#guards,
      limits: this.#limits,
      lane: settings.lane,
      ...(settings.gate !== undefined && { gate: settings.gate }),
      clock: policy.clock,
      ...(deadlineMs !== undefined && { deadlineMs }),
      ...(attemptDeadlineMs !== undefined && { attemptDeadlineMs }),
      ...(retry !== undefined && { retry }),
      ...(settings.isCached && { cache: this.cache, ...(policy.reuse !== undefined && { reuse: policy.reuse }) }),
      ...(audit.isListening && { onEvent: (event) => audit.emit(record.id, event) }),
      ...(policy.telemetry !== undefined && { telemetry: policy.telemetry }),
    });
  }

  /** Lets `use` have a keyring of one key in the background lane, with one attempt for each call, and closes it. */
  async withOneKey<T>(record: TenantRecord, key: TenantKey, use: TenantUse, work: (keyring: Keyring) => Promise<T>): Promise<T> {
    const opened = await this.openKeys(record, [key]);
    const keyring = this.keyringOf(record, opened, { use, isCached: false, lane: "background", resilience: ONE_ATTEMPT });
    try {
      return await work(keyring);
    } finally {
      await keyring.close();
      for (const provider of opened.own) await provider.close?.().catch(() => undefined);
    }
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
   */
  admit(id: string, slot: TenantSlot, use: TenantUse, isSync: boolean = false): Promise<void> | undefined {
    if (this.#isClosed) throw new EnvelockError("closed", "these tenants have been closed");
    slot.usedAtS = this.nowS;
    if (this.#isFresh(slot)) return requireState(id, slot, use);
    if (!isSync) return this.#refreshed(id, slot, use);
    this.#requireNotStale(id, slot, undefined);
    return requireState(id, slot, use);
  }

  async #refreshed(id: string, slot: TenantSlot, use: TenantUse): Promise<void> {
    try {
      if ((await this.read(id)) === undefined) throw noSuchTenant(id);
    } catch (error) {
      this.#requireNotStale(id, slot, error);
    }
    requireState(id, slot, use);
  }

  /** A store that cannot be read closes a tenant after `maxStaleMs`, since a suspension could not be seen. */
  #requireNotStale(id: string, slot: TenantSlot, cause: unknown): void {
    if ((this.nowS - slot.readAtS) * 1000 < this.#parts.policy.maxStaleMs) return;
    this.purge(id);
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
      admit: (wanted: TenantUse) => this.admit(record.id, slot, wanted),
      began: () => {
        if (resident !== undefined) resident.inFlight++;
      },
      ended: (error: EnvelockError | undefined, durationMs: number) => {
        if (resident === undefined) return;
        resident.inFlight--;
        resident.calls.note(error, durationMs);
      },
    };
    const gate = ({ operation, isSync }: GateRequest) => this.admit(record.id, slot, WRITES.has(operation) ? "write" : "read", isSync);
    const opened = await this.openKeys(record, record.keys, { calls, slot });
    resident = new Resident(record, slot, opened.own, {
      requests: this.keyringOf(record, opened, { use, isCached: true, lane: "request", gate }),
      uncached: (lane) => this.keyringOf(record, opened, { use, isCached: false, lane, gate }),
    });
    if (this.#isClosed || slot.revision > record.revision) {
      resident.close(); // it changed while its keys were opened
      return await this.open(record.id, "read");
    }
    this.#residents.set(record.id, resident);
    this.#cancelTick ??= this.#tickLater();
    return resident;
  }

  async #providersOf(record: TenantRecord, key: TenantKey, settings: OpenSettings, own: KeyProvider[]): Promise<readonly KeyProvider[]> {
    const { policy, claims, watch } = this.#parts;
    const { id, epoch } = record;
    const calls = (whoseIs: TenantCalls["whoseIs"], ended: TenantCalls["ended"]): TenantCalls => ({
      tenant: id,
      whoseIs,
      admit: (use) => settings.calls?.admit(use),
      began: () => settings.calls?.began(),
      ended(error, durationMs) {
        settings.calls?.ended(error, durationMs);
        ended(error, durationMs);
      },
      clock: policy.clock,
    });
    if (key.kind === PLATFORM_KEY.kind) {
      return policy.platform.map((provider, at) =>
        this.#named(
          tenantProvider(
            provider,
            calls(whoseOfPlatformKey, () => undefined),
          ),
          { key: `platform ${at}`, host: undefined, payer: `platform ${at}` },
        ),
      );
    }
    const identity = identityOf(record);
    const { name, payer, paidBy = "tenant" } = policy.openers.accept(key, identity);
    await claims.require(key.kind, name, { tenant: id, epoch, shareable: key.shareable });
    const opened = policy.openers.open(key, identity);
    own.push(opened);
    const { slot } = settings;
    const whoseIs = (code: ErrorCode) => whoseOfOwnKey(code, paidBy);
    const ended = (error: EnvelockError | undefined): void => {
      if (slot !== undefined && key.role === "wrap") watch.ended(id, slot, error); // an old key may be taken away
    };
    const service = `${key.kind} ${payer}`;
    const names = { key: `${id} ${epoch} ${key.kind} ${name}`, host: service, payer: service };
    return [this.#named(tenantProvider(opened, calls(whoseIs, ended)), names)];
  }

  #named(provider: KeyProvider, names: GuardNames): KeyProvider {
    this.#names.set(provider, names);
    return provider;
  }

  #slotOf(record: TenantRecord): TenantSlot {
    return this.known.get(record.id) ?? this.known.note(record, this.nowS);
  }

  /** A keyring of an older generation serves calls that hold it for one more interval. */
  #supersede(id: string, resident: Resident): void {
    const { clock, refreshMs } = this.#parts.policy;
    const close = (): void => {
      this.#superseded.delete(resident);
      resident.close();
    };
    this.#superseded.set(resident, clock.after(refreshMs, close, "idle"));
    this.#residents.delete(id);
  }

  #leave(resident: Resident): void {
    if (this.#superseded.has(resident)) return;
    resident.close();
    this.cache.forget({ tenant: resident.record.id }); // no other keyring can reach them
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
          await this.read(id);
        } catch (error) {
          if ((this.nowS - slot.readAtS) * 1000 >= this.#parts.policy.maxStaleMs) this.purge(id);
          else void error; // the next call, or the next turn, tries again
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(READERS, due.length) }, worker));
    if (!this.#isClosed && this.#residents.size > 0) this.#cancelTick ??= this.#tickLater();
  }
}

export interface OpenSettings {
  /** What stands before and behind each call of a key. */
  readonly calls?: Pick<TenantCalls, "admit" | "began" | "ended">;
  /** The slot whose health the calls of own keys count for. */
  readonly slot?: TenantSlot;
}

export interface KeyringSettings {
  readonly use: TenantUse;
  /** Whether the shared cache and the reuse of data keys serve it. */
  readonly isCached: boolean;
  readonly lane: Lane;
  /** Asked before each use of a data key, also of one that is kept. Undefined for a keyring that no state closes, such as that of a check. */
  readonly gate?: Gate;
  readonly resilience?: TenantsPolicy["resilience"];
}

export interface OpenedKeys {
  /** The newest first. */
  readonly keys: readonly OpenedKey[];
  /** Providers that were opened for this tenant, which the caller closes. */
  readonly own: readonly KeyProvider[];
}

interface OpenedKey {
  readonly role: TenantKey["role"];
  readonly providers: readonly KeyProvider[];
}

interface GuardNames {
  readonly key: string;
  readonly host: string | undefined;
  readonly payer: string;
}

/** The key context of a tenant. A later life of an id has another one, so that it opens nothing of an earlier life. */
export function contextOf({ id, epoch }: Pick<TenantRecord, "id" | "epoch">): Readonly<Record<string, string>> {
  return epoch === 1 ? { tenant: id } : { tenant: id, [EPOCH]: `${epoch}` };
}

function requireState(id: string, { state }: TenantSlot, use: TenantUse): undefined {
  const refusal = stateRefusal(id, state, use);
  if (refusal !== undefined) throw refusal;
}

const WRITES: ReadonlySet<GateRequest["operation"]> = new Set<GateRequest["operation"]>([
  "encrypt",
  "encrypt-stream",
  "encrypt-field",
  "rewrap",
  "create-data-key",
]);
export const EPOCH = "tenant-epoch";
/** The time for which a keyring that was asked for, or called, is in use. */
const IN_USE_S = 10;
const READERS = 8;
const ONE_ATTEMPT = { retry: false, attemptDeadlineMs: 10_000, deadlineMs: 10_000 } as const;
