import { type Clock, systemClock } from "../base/clock.ts";
import { invalidArgument } from "../base/errors.ts";
import { type OptionNames, refuseUnknown } from "../base/options.ts";
import { markClass, notOwn } from "../base/own-class.ts";
import { RecentMap } from "../base/recent-map.ts";
import { checkedTenant, type TenantLabel } from "../base/tenant-label.ts";
import type { KeyProvider } from "../contracts/key-provider.ts";
import type { RandomSource } from "../contracts/random-source.ts";
import { Breaker, type BreakerOptions } from "./breaker.ts";
import { count, countOrInfinity, positive } from "./checks.ts";
import type { FairLimits } from "./fair-limits.ts";
import type { Lane } from "./fair-queues.ts";
import { Guard, type HostGuard } from "./guard.ts";
import { checkedLimits } from "./known-limits.ts";
import { Limiter } from "./limiter.ts";
import type { RetryOptions, RetryPolicy } from "./retry.ts";

/** How a keyring deals with a provider that is slow, throttles or is down. Every part has a default: docs/operations.md */
export interface ResilienceOptions extends GuardOptions {
  /** The longest time for a whole call, waits and retries included. Default 60,000. */
  readonly deadlineMs?: number;
  /** The longest time for one attempt at one provider. Default 10,000. */
  readonly attemptDeadlineMs?: number;
  /** The retries of a call. `false` makes one attempt only. */
  readonly retry?: RetryOptions | false;
  /** State that several keyrings share, instead of `breaker` and `maxConcurrent`. */
  readonly guards?: ProviderGuards;
  /** The tenant that the calls are for, if there are several. */
  readonly tenant?: TenantLabel;
  /** What the tenants of several keyrings share: places, turns and rates. Calls without a `tenant` count as those of one more. */
  readonly limits?: FairLimits;
  /** Default `request`. `background` is for jobs, and needs `limits`. */
  readonly lane?: Lane;
  /** The time source, for tests. */
  readonly clock?: Clock;
}

export interface GuardOptions {
  /** The circuit breaker. `false` turns it off. */
  readonly breaker?: BreakerOptions | false;
  /** The most attempts in flight at one provider; further ones wait in line. Default 64. */
  readonly maxConcurrent?: number;
}

export interface ProviderGuardsOptions extends GuardOptions {
  /**
   * Names the key that a provider object stands for, so that an object that is made again for the same key meets the same breaker and
   * places. Undefined, and without this function, the guard is that of the object. Called once for each object of a keyring.
   */
  readonly keyOf?: (provider: KeyProvider | RandomSource) => string | undefined;
  /**
   * Names the host of a provider's service. Its failed connections are counted together, also over the keys of several tenants, and open a
   * breaker of the host. Answers and timeouts count for one key alone.
   */
  readonly hostOf?: (provider: KeyProvider | RandomSource) => string | undefined;
  /** The most names of keys, and of hosts, to keep idle guards for. Guards with calls or failures stay. Default 100,000. */
  readonly maxKeys?: number;
}

export interface ResiliencePolicy {
  readonly clock: Clock;
  readonly deadlineMs: number;
  readonly attemptDeadlineMs: number;
  readonly retry: RetryPolicy;
  readonly guards: ProviderGuards;
  readonly tenant: TenantLabel | undefined;
  readonly limits: FairLimits | undefined;
  readonly lane: Lane;
}

/** @throws `invalid-argument` */
export function resiliencePolicy(options: ResilienceOptions): ResiliencePolicy {
  const {
    deadlineMs = DEFAULT_DEADLINE_MS,
    attemptDeadlineMs = DEFAULT_ATTEMPT_DEADLINE_MS,
    retry,
    guards,
    breaker,
    maxConcurrent,
    tenant,
    limits,
    lane = "request",
  } = options;
  const { clock = systemClock } = options;
  if (guards !== undefined && !isGuards(guards)) throw notOwn(guards, "ProviderGuards", "guards");
  if (typeof clock?.monotonicMs !== "function" || typeof clock.after !== "function") throw invalidArgument("clock must be a Clock");
  if (guards !== undefined && (breaker !== undefined || maxConcurrent !== undefined)) {
    throw invalidArgument("breaker and maxConcurrent belong to the guards that are shared: give one or the other");
  }
  if (lane !== "request" && lane !== "background") throw invalidArgument("lane must be request or background");
  if (lane === "background" && limits === undefined) throw invalidArgument("a keyring of the lane background needs limits");
  return {
    clock,
    deadlineMs: positive(deadlineMs, "deadlineMs"),
    attemptDeadlineMs: positive(attemptDeadlineMs, "attemptDeadlineMs"),
    retry: retryPolicy(retry),
    tenant: tenant && checkedTenant(tenant),
    limits: limits && checkedLimits(limits),
    lane,
    guards:
      guards ?? new ProviderGuards({ ...(breaker !== undefined && { breaker }), ...(maxConcurrent !== undefined && { maxConcurrent }) }),
  };
}

// Filled by the static block.
let isGuards: (value: unknown) => value is ProviderGuards;

/**
 * Holds breaker, queue and places of every object that a keyring calls. Several keyrings may share it.
 *
 * @example
 * const guards = new ProviderGuards({ maxConcurrent: 32 });
 * const keyrings = tenants.map((tenant) => new Keyring({ wrapWith: [kek], context: { tenant }, guards }));
 */
export class ProviderGuards {
  readonly #ofObjects = new WeakMap<object, Guard>();
  readonly #ofKeys: RecentMap<string, Guard>;
  readonly #hosts: RecentMap<string, HostGuard>;
  readonly #breaker: Required<BreakerOptions>;
  readonly #maxConcurrent: number;
  readonly #keyOf: ProviderGuardsOptions["keyOf"];
  readonly #hostOf: ProviderGuardsOptions["hostOf"];

  static {
    markClass(ProviderGuards.prototype, "ProviderGuards");
    isGuards = (value): value is ProviderGuards => typeof value === "object" && value !== null && #hosts in value;
  }

  /** @throws `invalid-argument` */
  constructor(options: ProviderGuardsOptions = {}) {
    refuseUnknown(options, PROVIDER_GUARDS_OPTIONS, "ProviderGuards");
    const { breaker = {}, maxConcurrent = 64, keyOf, hostOf, maxKeys = 100_000 } = options;
    if (breaker !== false) refuseUnknown(breaker, BREAKER_OPTIONS, "breaker");
    const { failures = 10, openMs = 15_000 } = breaker === false ? { failures: Number.POSITIVE_INFINITY } : breaker;
    this.#breaker = { failures: countOrInfinity(failures, "breaker.failures"), openMs: positive(openMs, "breaker.openMs") };
    this.#maxConcurrent = countOrInfinity(maxConcurrent, "maxConcurrent");
    for (const [name, given] of Object.entries({ keyOf, hostOf })) {
      if (given !== undefined && typeof given !== "function") throw invalidArgument(`${name} must be a function`);
    }
    this.#keyOf = keyOf;
    this.#hostOf = hostOf;
    const maxEntries = count(maxKeys, "maxKeys");
    this.#ofKeys = new RecentMap({ maxEntries, isInUse: (guard) => guard.isInUse });
    this.#hosts = new RecentMap({
      maxEntries,
      isInUse: ({ breaker: { isClosed, consecutiveFailures } }) => !isClosed || consecutiveFailures > 0,
    });
  }

  /**
   * Returns the one guard of a key, or of this object if it has no name.
   *
   * @throws `invalid-argument` for a name that is no text
   */
  of(provider: KeyProvider | RandomSource): Guard {
    const key = nameBy(this.#keyOf, provider, "keyOf");
    const known = key === undefined ? this.#ofObjects.get(provider) : this.#ofKeys.get(key);
    if (known !== undefined) return known;
    const guard = new Guard(new Breaker(this.#breaker), new Limiter(this.#maxConcurrent), this.#hostGuardOf(provider));
    if (key === undefined) this.#ofObjects.set(provider, guard);
    else this.#ofKeys.set(key, guard);
    return guard;
  }

  #hostGuardOf(provider: KeyProvider | RandomSource): HostGuard | undefined {
    const host = nameBy(this.#hostOf, provider, "hostOf");
    if (host === undefined) return undefined;
    const guard = this.#hosts.get(host) ?? { host, breaker: new Breaker(this.#breaker) };
    this.#hosts.set(host, guard);
    return guard;
  }
}

function nameBy(nameOf: ProviderGuardsOptions["keyOf"], provider: KeyProvider | RandomSource, what: string): string | undefined {
  const name = nameOf?.(provider);
  if (name === undefined || (typeof name === "string" && name !== "")) return name;
  throw invalidArgument(`${what} must return a text that is not empty, or undefined`);
}

function retryPolicy(options: RetryOptions | false = {}): RetryPolicy {
  if (options !== false) refuseUnknown(options, RETRY_OPTIONS, "retry");
  const { delaysMs = RETRY_DELAYS_MS, jitter = "full" } = options === false ? { delaysMs: [] } : options;
  if (jitter !== "full" && jitter !== "none") throw invalidArgument("retry.jitter must be full or none");
  if (!Array.isArray(delaysMs) || !delaysMs.every((delayMs) => typeof delayMs === "number" && delayMs >= 0))
    throw invalidArgument("retry.delaysMs are numbers of at least 0");
  return { delaysMs: [...delaysMs], jitter };
}

const GUARD_OPTIONS: OptionNames<GuardOptions> = { breaker: true, maxConcurrent: true };
const PROVIDER_GUARDS_OPTIONS: OptionNames<ProviderGuardsOptions> = { ...GUARD_OPTIONS, keyOf: true, hostOf: true, maxKeys: true };
const BREAKER_OPTIONS: OptionNames<BreakerOptions> = { failures: true, openMs: true };
const RETRY_OPTIONS: OptionNames<RetryOptions> = { delaysMs: true, jitter: true };

/** The names of `ResilienceOptions`, for the options of classes that retry. */
export const RESILIENCE_OPTIONS: OptionNames<ResilienceOptions> = {
  ...GUARD_OPTIONS,
  deadlineMs: true,
  attemptDeadlineMs: true,
  retry: true,
  guards: true,
  tenant: true,
  limits: true,
  lane: true,
  clock: true,
};

export const DEFAULT_DEADLINE_MS = 60_000;
export const DEFAULT_ATTEMPT_DEADLINE_MS = 10_000;
// The delays that Azure Key Vault asks of its clients. They are gentle enough for any other service.
const RETRY_DELAYS_MS: readonly number[] = [1000, 2000, 4000, 8000, 16_000];
