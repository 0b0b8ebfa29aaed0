import { type Clock, systemClock } from "../base/clock.ts";
import { invalidArgument } from "../base/errors.ts";
import { type OptionNames, refuseUnknown } from "../base/options.ts";
import { markClass, notOwn } from "../base/own-class.ts";
import { checkedTenant, type TenantLabel } from "../base/tenant-label.ts";
import { Breaker, type BreakerOptions } from "./breaker.ts";
import { countOrInfinity, positive } from "./checks.ts";
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
  /** The time source, for tests. */
  readonly clock?: Clock;
}

export interface GuardOptions {
  /** The circuit breaker. `false` turns it off. */
  readonly breaker?: BreakerOptions | false;
  /** The most attempts in flight at one provider; further ones wait in line. Default 64. */
  readonly maxConcurrent?: number;
}

export interface ResiliencePolicy {
  readonly clock: Clock;
  readonly deadlineMs: number;
  readonly attemptDeadlineMs: number;
  readonly retry: RetryPolicy;
  readonly guards: ProviderGuards;
  readonly tenant: TenantLabel | undefined;
}

/** @throws `invalid-argument` */
export function resiliencePolicy(options: ResilienceOptions): ResiliencePolicy {
  const { deadlineMs = 60_000, attemptDeadlineMs = 10_000, retry, guards, breaker, maxConcurrent, tenant, clock = systemClock } = options;
  if (guards !== undefined && !isGuards(guards)) throw notOwn(guards, "ProviderGuards", "guards");
  if (typeof clock?.monotonicMs !== "function" || typeof clock.after !== "function") throw invalidArgument("clock must be a Clock");
  if (guards !== undefined && (breaker !== undefined || maxConcurrent !== undefined)) {
    throw invalidArgument("breaker and maxConcurrent belong to the guards that are shared: give one or the other");
  }
  return {
    clock,
    deadlineMs: positive(deadlineMs, "deadlineMs"),
    attemptDeadlineMs: positive(attemptDeadlineMs, "attemptDeadlineMs"),
    retry: retryPolicy(retry),
    tenant: tenant && checkedTenant(tenant),
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
  readonly #guards = new WeakMap<object, Guard>();
  readonly #breaker: Required<BreakerOptions>;
  readonly #maxConcurrent: number;

  static {
    markClass(ProviderGuards.prototype, "ProviderGuards");
    isGuards = (value): value is ProviderGuards => typeof value === "object" && value !== null && #guards in value;
  }

  /** @throws `invalid-argument` */
  constructor(options: GuardOptions = {}) {
    refuseUnknown(options, GUARD_OPTIONS, "ProviderGuards");
    const { breaker = {}, maxConcurrent = 64 } = options;
    if (breaker !== false) refuseUnknown(breaker, BREAKER_OPTIONS, "breaker");
    const { failures = 10, openMs = 15_000 } = breaker === false ? { failures: Number.POSITIVE_INFINITY } : breaker;
    this.#breaker = { failures: countOrInfinity(failures, "breaker.failures"), openMs: positive(openMs, "breaker.openMs") };
    this.#maxConcurrent = countOrInfinity(maxConcurrent, "maxConcurrent");
  }

  /** Returns the one guard of this object: a provider, or a source of randomness. */
  of(provider: object): Guard {
    const known = this.#guards.get(provider);
    if (known !== undefined) return known;
    const guard = { breaker: new Breaker(this.#breaker), limiter: new Limiter(this.#maxConcurrent) };
    this.#guards.set(provider, guard);
    return guard;
  }
}

/** The guard of one provider object. */
export interface Guard {
  readonly breaker: Breaker;
  readonly limiter: Limiter;
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
  clock: true,
};

// The delays that Azure Key Vault asks of its clients. They are gentle enough for any other service.
const RETRY_DELAYS_MS: readonly number[] = [1000, 2000, 4000, 8000, 16_000];
