import { type Clock, systemClock } from "../core/base/clock.ts";
import { invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown, shownValue } from "../core/base/options.ts";
import type { DataKeyStore } from "../core/contracts/data-key-store.ts";
import type { KeyProvider } from "../core/contracts/key-provider.ts";
import type { TenantKeyOpener } from "../core/contracts/tenant-keys.ts";
import type { TenantStore } from "../core/contracts/tenant-store.ts";
import type { CacheOptions } from "../core/key-source/data-key-cache.ts";
import { REUSE_OPTIONS, type ReuseOptions } from "../core/key-source/reused-data-key.ts";
import { count } from "../core/resilience/checks.ts";
import type { FairLimitsOptions } from "../core/resilience/fair-limits.ts";
import type { GuardOptions, ResilienceOptions } from "../core/resilience/policy.ts";
import type { Telemetry } from "../core/telemetry/observer.ts";
import type { DataKeysOptions } from "../fields/data-keys-options.ts";
import type { TenantSink } from "./audit/audit-queue.ts";
import { type ReservedKeys, TenantKeyOpeners } from "./keys/openers.ts";
import { MAX_AGE_MS } from "./record/policy.ts";

export interface TenantsOptions {
  /** The store of the records. Its maker closes it. */
  readonly store: TenantStore;
  /** The vendor's own keys, for tenants that bring none. Each becomes a recipient. Their maker closes them. */
  readonly platform?: readonly KeyProvider[];
  /** The openers of the kinds of keys that tenants may bring. Without any, every tenant is under the platform's keys. */
  readonly open?: TenantKeyOpener | readonly TenantKeyOpener[];
  /** The addresses that the vendor calls key services from, for the hints of `verify`. */
  readonly addresses?: readonly string[];
  /** Says whether a key may not be a tenant's, such as a key in the vendor's own account. Asked at writing and at each use. */
  readonly reserved?: ReservedKeys;
  /** The store of wrapped data keys, for `dataKeys`, `move` and `shred`. */
  readonly dataKeyStore?: DataKeyStore;
  /** Settings of every `DataKeys`. */
  readonly dataKeys?: TenantDataKeysOptions;
  /** The bounds of the one cache of all tenants. Each tenant has its share of it. Default: 10,000 data keys for 300,000 ms. */
  readonly cache?: Omit<CacheOptions, "clock">;
  /** Encrypts many values of a tenant under one data key, within these bounds. */
  readonly reuse?: ReuseOptions;
  /** Deadlines and retries of every keyring, and the bounds of the guards, which each key has for itself. */
  readonly resilience?: Pick<ResilienceOptions, "deadlineMs" | "attemptDeadlineMs" | "retry"> & GuardOptions;
  /**
   * Places and rates of calls, shared among tenants: by default 8 calls in flight for each and 256 in all, tenants that wait take turns, and
   * jobs take at most a fifth.
   */
  readonly limits?: Omit<FairLimitsOptions, "payerOf" | "budgetOf" | "clock">;
  /**
   * The interval at which the records of tenants in use are read again. A suspension by another process takes effect within it, without a
   * call to a key. Default 30,000, at least 1,000.
   */
  readonly refreshMs?: number;
  /**
   * The time after a key was staged in which its service may still refuse the vendor, because the grant has not spread. A refusal then wipes
   * what is kept, and does not revoke the tenant. Default 600,000; 0 for services that are consistent.
   */
  readonly grantSpreadMs?: number;
  /**
   * The time for which a record serves while the store cannot be read. Afterwards the tenant is refused. Nothing is wrapped after two refresh
   * intervals, because a move waits for no longer. Default five times `refreshMs`.
   */
  readonly maxStaleMs?: number;
  /** The number of tenants with a keyring in memory. The least recently used is evicted, never one in use. Default 2,000. */
  readonly maxResident?: number;
  /** The number of tenants of which state and health are remembered, in at most 256 bytes each. Default 200,000. */
  readonly maxKnown?: number;
  /** Called with every event of every tenant, for an audit log. A slow listener blocks nothing: see `maxQueuedEvents`. */
  readonly onEvent?: TenantSink;
  /** The number of events of one tenant that wait for the promise of `onEvent`. Further ones are dropped and counted. Default 256. */
  readonly maxQueuedEvents?: number;
  /** Spans and metrics, such as `openTelemetry()` of `envelock/open-telemetry`. */
  readonly telemetry?: Telemetry;
  /** The time source, for tests. */
  readonly clock?: Clock;
}

/** The settings of `DataKeys` that a vendor chooses for all tenants. */
export type TenantDataKeysOptions = Pick<
  DataKeysOptions,
  "maxAgeMs" | "announceMs" | "maxScopes" | "maxVersions" | "onFailure" | "refreshMs"
>;

/** The options with their defaults. */
export interface TenantsPolicy extends TenantsOptions {
  readonly platform: readonly KeyProvider[];
  readonly openers: TenantKeyOpeners;
  readonly addresses: readonly string[];
  /** How long an unwrapped data key serves, unless the policy of a tenant says otherwise. */
  readonly cacheMaxAgeMs: number;
  readonly dataKeys: TenantDataKeysOptions;
  readonly refreshMs: number;
  readonly maxStaleMs: number;
  readonly grantSpreadMs: number;
  readonly maxResident: number;
  readonly maxKnown: number;
  readonly maxQueuedEvents: number;
  readonly clock: Clock;
}

/** @throws `invalid-argument` */
export function tenantsPolicy(options: TenantsOptions): TenantsPolicy {
  refuseUnknown(options, TENANTS_OPTIONS, "Tenants");
  const { store, platform = [], open = [], reserved = () => false, dataKeys = {}, refreshMs = 30_000, clock = systemClock } = options;
  const {
    maxStaleMs = Math.min(5 * bounded(refreshMs, "refreshMs", 1000), MAX_AGE_MS),
    maxResident = 2000,
    maxKnown = 200_000,
    maxQueuedEvents = 256,
    onEvent,
  } = options;
  if (typeof store?.compareAndSwap !== "function" || typeof store.get !== "function")
    throw invalidArgument("store must be a TenantStore", "Such as postgresTenantStore() of envelock/stores/postgres.");
  if (!Array.isArray(platform) || !platform.every(isProvider)) throw invalidArgument("platform must be an array of providers");
  if (typeof reserved !== "function") throw invalidArgument("reserved must be a function");
  if (onEvent !== undefined && typeof onEvent !== "function") throw invalidArgument("onEvent must be a function");
  refuseUnknown(dataKeys, DATA_KEYS, "the dataKeys of Tenants");
  const openers: readonly TenantKeyOpener[] = isListOfOpeners(open) ? [...open] : [open];
  const { addresses = [] } = options;
  if (!Array.isArray(addresses) || !addresses.every((address) => typeof address === "string"))
    throw invalidArgument("addresses must be an array of texts");
  const { cache, reuse, resilience, telemetry } = options;
  if (cache !== undefined) refuseUnknown(cache, CACHE, "the cache of Tenants");
  if (reuse !== undefined) refuseUnknown(reuse, REUSE_OPTIONS, "the reuse of Tenants");
  if (reuse?.maxAgeMs !== undefined) bounded(reuse.maxAgeMs, "reuse.maxAgeMs");
  if (resilience !== undefined) refuseUnknown(resilience, RESILIENCE, "the resilience of Tenants");
  if (resilience?.attemptDeadlineMs !== undefined) bounded(resilience.attemptDeadlineMs, "resilience.attemptDeadlineMs");
  if (telemetry !== undefined && (typeof telemetry !== "object" || telemetry === null))
    throw invalidArgument("telemetry of Tenants must be an object");
  if (typeof clock?.unixMs !== "function" || typeof clock.monotonicMs !== "function" || typeof clock.after !== "function")
    throw invalidArgument("clock must be a Clock", "Leave it out to use the time of the machine.");
  const { dataKeyStore } = options;
  if (dataKeyStore !== undefined && (typeof dataKeyStore?.byKid !== "function" || typeof dataKeyStore.scan !== "function"))
    throw invalidArgument("dataKeyStore must be a DataKeyStore", "Such as postgresDataKeyStore() of envelock/stores/postgres.");
  return {
    ...options,
    platform: [...platform],
    cacheMaxAgeMs: bounded(options.cache?.maxAgeMs ?? 300_000, "cache.maxAgeMs"),
    addresses: [...addresses],
    openers: new TenantKeyOpeners(openers, reserved),
    dataKeys: { ...dataKeys },
    refreshMs: bounded(refreshMs, "refreshMs", 1000),
    maxStaleMs: bounded(maxStaleMs, "maxStaleMs"),
    grantSpreadMs: bounded(options.grantSpreadMs ?? 600_000, "grantSpreadMs", 0),
    maxResident: count(maxResident, "maxResident"),
    maxKnown: count(maxKnown, "maxKnown"),
    maxQueuedEvents: count(maxQueuedEvents, "maxQueuedEvents"),
    clock,
  };
}

function isProvider(provider: KeyProvider | null | undefined): boolean {
  return typeof provider?.wrap === "function" && typeof provider.unwrap === "function" && typeof provider.owns === "function";
}

function isListOfOpeners(open: TenantKeyOpener | readonly TenantKeyOpener[]): open is readonly TenantKeyOpener[] {
  return Array.isArray(open);
}

/** Requires a time with an end: each of these is a part of how long a tenant that has taken its key away stays open. */
function bounded(value: number, name: string, least: number = Number.MIN_VALUE): number {
  if (typeof value === "number" && value >= least && value <= MAX_AGE_MS) return value;
  const from = least === Number.MIN_VALUE ? "above 0" : `from ${least}`;
  throw invalidArgument(`${name} is ${shownValue(value)}, expected milliseconds ${from} to ${MAX_AGE_MS}, which are 30 days`);
}

const CACHE: OptionNames<Omit<CacheOptions, "clock">> = { maxEntries: true, maxEntriesPerTenant: true, maxAgeMs: true };
const RESILIENCE: OptionNames<NonNullable<TenantsOptions["resilience"]>> = {
  deadlineMs: true,
  attemptDeadlineMs: true,
  retry: true,
  breaker: true,
  maxConcurrent: true,
};
const DATA_KEYS: OptionNames<TenantDataKeysOptions> = {
  maxAgeMs: true,
  announceMs: true,
  maxScopes: true,
  maxVersions: true,
  onFailure: true,
  refreshMs: true,
};
const TENANTS_OPTIONS: OptionNames<TenantsOptions> = {
  store: true,
  platform: true,
  open: true,
  addresses: true,
  reserved: true,
  dataKeyStore: true,
  dataKeys: true,
  cache: true,
  reuse: true,
  resilience: true,
  limits: true,
  refreshMs: true,
  maxStaleMs: true,
  grantSpreadMs: true,
  maxResident: true,
  maxKnown: true,
  onEvent: true,
  maxQueuedEvents: true,
  telemetry: true,
  clock: true,
};
