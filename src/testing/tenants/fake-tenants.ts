import { type Clock, systemClock } from "../../core/base/clock.ts";
import { EnvelockError, invalidArgument, isDeliberateRefusal } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown, shownValue } from "../../core/base/options.ts";
import type { DataKeyStore } from "../../core/contracts/data-key-store.ts";
import type { TenantStore } from "../../core/contracts/tenant-store.ts";
import { memoryStore } from "../../fields/index.ts";
import { memoryTenantStore, type TenantKeyDescription, Tenants, type TenantsOptions } from "../../tenants/index.ts";
import { type ClosingReport, requireClosing } from "./closing-check.ts";
import { checkedMode, type FakeKeyMode, OPENING_MODES } from "./fake-key-modes.ts";
import { FakeKeyService } from "./fake-key-service.ts";
import type { TenantKeyHost } from "./key-host.ts";
import { TestClock } from "./test-clock.ts";

export interface FakeTenantsOptions {
  /** The tenants by id, each with the mode of its key, or `platform` for one that brings none. */
  readonly tenants: Readonly<Record<string, FakeKeyMode | "platform">>;
  /** Where the keys are. Default: a `FakeKeyService` on the clock. */
  readonly host?: TenantKeyHost;
  /** The time source. Default: a `TestClock`, or with a `host` the machine's. */
  readonly clock?: Clock;
  /** Default: in this process. */
  readonly store?: TenantStore;
  /** Default: in this process. */
  readonly dataKeyStore?: DataKeyStore;
  /** Other settings of `Tenants`. A grant counts as spread at once, unless they say otherwise. */
  readonly settings?: Omit<TenantsOptions, "store" | "dataKeyStore" | "open" | "clock">;
}

/**
 * A vendor for tests: tenants that are onboarded, each under a key that a test can make fail, in one process or several on the same stores.
 *
 * @example
 * ```ts
 * import { FakeTenants } from "envelock/testing/tenants";
 *
 * const fake = await FakeTenants.start({ tenants: { acme: "healthy", globex: "slow", initech: "platform" } });
 * const { closedAfterMs, boundMs } = await fake.requireRevoked("acme", "disabled");
 * console.log(`closed after ${closedAfterMs} of at most ${boundMs} ms, and globex and initech were not touched`);
 * await fake.close();
 * ```
 */
export class FakeTenants {
  /** The first process. */
  readonly tenants: Tenants;
  readonly host: TenantKeyHost;
  readonly clock: Clock;
  readonly store: TenantStore;
  readonly dataKeyStore: DataKeyStore;
  readonly #settings: NonNullable<FakeTenantsOptions["settings"]>;
  readonly #modes = new Map<string, FakeKeyMode | "platform">();
  readonly #processes: Tenants[] = [];
  readonly #platform: FakeKeyService;

  private constructor(options: FakeTenantsOptions) {
    const { host, clock = host === undefined ? new TestClock() : systemClock, settings = {} } = options;
    this.clock = clock;
    this.host = host ?? new FakeKeyService({ clock });
    this.store = options.store ?? memoryTenantStore();
    this.dataKeyStore = options.dataKeyStore ?? memoryStore();
    this.#settings = settings;
    this.#platform = new FakeKeyService({ clock });
    this.#platform.addKey(PLATFORM_KEY);
    this.tenants = this.anotherProcess();
  }

  /**
   * Onboards the tenants while their keys are well, then gives each key its mode.
   *
   * @throws `invalid-argument` for unknown options and modes; what the host and `Tenants` throw
   */
  static async start(options: FakeTenantsOptions): Promise<FakeTenants> {
    refuseUnknown(options, OPTIONS, "FakeTenants.start");
    const { tenants: wanted, host } = options;
    if (typeof wanted !== "object" || wanted === null || Array.isArray(wanted))
      throw invalidArgument("tenants must be an object of modes by the id of a tenant", 'Such as { acme: "healthy", globex: "denied" }.');
    if (host !== undefined && typeof host?.describeKey !== "function") throw invalidArgument("host must be a TenantKeyHost");
    const fake = new FakeTenants(options);
    for (const mode of Object.values(wanted)) if (mode !== PLATFORM) checkedMode(mode, fake.host.modes);
    for (const [id, mode] of Object.entries(wanted)) await fake.#onboard(id, mode);
    for (const [id, mode] of Object.entries(wanted)) if (mode !== PLATFORM) fake.host.setMode(id, mode);
    return fake;
  }

  /** The ids of the tenants. */
  get ids(): readonly string[] {
    return [...this.#modes.keys()];
  }

  /** Starts another process of the vendor on the same stores. `close` closes it. @param settings replace those of `start` */
  anotherProcess(settings: FakeTenantsOptions["settings"] = {}): Tenants {
    const process = new Tenants({
      platform: [this.#platform.opener.open({ kind: "fake", key: PLATFORM_KEY }, VENDOR)],
      grantSpreadMs: 0,
      ...this.#settings,
      ...settings,
      store: this.store,
      dataKeyStore: this.dataKeyStore,
      open: this.host.opener,
      clock: this.clock,
    });
    this.#processes.push(process);
    return process;
  }

  /** Makes and describes a key for a tenant that the test itself invites, or moves. */
  async describeKey(id: string): Promise<TenantKeyDescription> {
    return (await this.host.describeKey(id)).key;
  }

  /** Makes the key of a tenant behave otherwise from now on. @throws `invalid-argument` for a tenant without a key of its own, and an unknown mode */
  setMode(id: string, mode: FakeKeyMode): void {
    if (this.#modes.get(id) === PLATFORM)
      throw invalidArgument(`tenant ${id} has no key of its own`, "Give it another mode than `platform`.");
    this.host.setMode(id, mode);
    if (this.#modes.has(id)) this.#modes.set(id, mode);
  }

  /**
   * Makes the key of a tenant behave otherwise at a time of the clock.
   *
   * @param atMs milliseconds since 1970, as `clock.unixMs()` counts them
   * @throws `invalid-argument` as `setMode`, now
   */
  revokeAt(id: string, atMs: number, mode: FakeKeyMode = "denied"): void {
    if (typeof atMs !== "number" || !Number.isFinite(atMs))
      throw invalidArgument(`atMs is ${shownValue(atMs)}, expected milliseconds since 1970`);
    const checked = checkedMode(mode, this.host.modes);
    this.host.callsOf(id); // refuses an unknown tenant
    this.clock.after(Math.max(0, atMs - this.clock.unixMs()), () => this.setMode(id, checked), "idle");
  }

  /** The calls of the key of a tenant so far. */
  callsOf(id: string): number {
    return this.host.callsOf(id);
  }

  /**
   * Takes a key away and checks that its tenant closes within `revocationBoundMs` and stays closed, in every process that was started, for
   * envelopes and for fields, while no other tenant closes or has its record changed.
   *
   * @param mode how the key refuses
   * @throws as `requireClosing`
   */
  async requireRevoked(id: string, mode: "denied" | "disabled" | "deleted" = "denied"): Promise<ClosingReport> {
    const others = [...this.#modes]
      .filter(([other, is]) => other !== id && (is === PLATFORM || OPENING_MODES.has(is)))
      .map(([other]) => other);
    const { revocationBoundMs, serviceLagMs } = await this.tenants.healthOf(id);
    const samples = new Map<string, Sample>();
    for (const tenant of [id, ...others]) samples.set(tenant, await this.#finished(sampleOf(this.#processes, tenant)));
    return await requireClosing({
      tenant: id,
      others,
      read: async (tenant) => await opened(samples.get(tenant)),
      close: () => this.setMode(id, mode),
      boundMs: revocationBoundMs - serviceLagMs, // the service of the test heeds it at once
      stateOf: async (tenant) => await this.tenants.show(tenant),
      clock: this.clock,
    });
  }

  /** Closes every process. */
  async close(): Promise<void> {
    for (const process of this.#processes) await process.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #onboard(id: string, mode: FakeKeyMode | "platform"): Promise<void> {
    const actor = "the test";
    this.#modes.set(id, mode);
    if (mode === PLATFORM) {
      await this.tenants.invite(id, { actor });
      await this.tenants.activate(id, { actor });
      return;
    }
    const { key, identity } = await this.host.describeKey(id);
    const { externalId } = await this.tenants.invite(id, { actor, ...(identity !== undefined && { identity }) });
    this.host.trust?.(id, externalId);
    await this.tenants.stage(id, key, { actor });
    const { level, findings } = await this.#finished(this.tenants.verify(id, { actor }));
    if (level === "failed") {
      const [first] = findings.filter((finding) => finding.level === "failed");
      throw invalidArgument(`the key of fake tenant ${id} is not fit: ${first?.check} ${first?.detail}`, first?.hint);
    }
    await this.tenants.activate(id, { actor });
  }

  async #finished<T>(work: Promise<T>): Promise<T> {
    return this.clock instanceof TestClock ? await this.clock.finish(work) : await work;
  }
}

/** The ways to something of a tenant's in which a process may keep a data key. */
type Sample = readonly (() => Promise<string>)[];

async function sampleOf(processes: readonly Tenants[], id: string): Promise<Sample> {
  const ways: (() => Promise<string>)[] = [];
  for (const process of processes) {
    const envelope = await (await process.keyring(id)).encryptText(TEXT);
    const held = await (await process.dataKeys(id)).field(COLUMN);
    const token = held.encrypt(TEXT);
    ways.push(
      async () => await (await process.keyring(id)).decryptText(envelope),
      async () => (await (await process.dataKeys(id)).field(COLUMN)).decrypt(token),
      async () => held.decrypt(token),
    );
  }
  return ways;
}

/**
 * Tries every way. A tenant is open while one of them is.
 *
 * @returns what each way gave: the text, or the code of its failure
 * @throws if all fail: first what is no refusal
 */
async function opened(ways: Sample | undefined): Promise<readonly string[]> {
  const ends = await Promise.allSettled((ways ?? []).map(async (way) => await way()));
  const failures = ends.flatMap((end) => (end.status === "rejected" ? [asError(end.reason)] : []));
  if (failures.length === ends.length) throw failures.find((error) => !isDeliberateRefusal(error)) ?? failures[0];
  return ends.map((end) => (end.status === "fulfilled" ? end.value : asError(end.reason).code));
}

function asError(reason: unknown): EnvelockError {
  return EnvelockError.is(reason) ? reason : new EnvelockError("provider-failure", "the read failed with another error", { cause: reason });
}

const PLATFORM = "platform";
const PLATFORM_KEY = "vaults/vendor/keys/platform";
const COLUMN = { table: "fake", column: "tenant" };
const VENDOR = { tenant: "vendor", epoch: 1, externalId: "", settings: {} };
const TEXT = "what a fake tenant keeps";
const OPTIONS: OptionNames<FakeTenantsOptions> = {
  tenants: true,
  host: true,
  clock: true,
  store: true,
  dataKeyStore: true,
  settings: true,
};
