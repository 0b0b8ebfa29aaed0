import { type Clock, systemClock } from "../base/clock.ts";
import { EnvelockError, invalidArgument } from "../base/errors.ts";
import { type OptionNames, refuseUnknown } from "../base/options.ts";
import { markClass } from "../base/own-class.ts";
import { RecentMap } from "../base/recent-map.ts";
import type { RateLimit } from "../base/token-bucket.ts";
import { type WaitBounds, waitWithin } from "../base/wait.ts";
import type { KeyProvider } from "../contracts/key-provider.ts";
import type { RandomSource } from "../contracts/random-source.ts";
import { count } from "./checks.ts";
import { type Lane, Payer, type Rates, Tenant, type TenantBudget, type Waiter } from "./fair-queues.ts";
import { noteLimits, QUEUE_FULL } from "./known-limits.ts";
import { checkedRate } from "./rates.ts";

export interface FairLimitsOptions {
  /** The most attempts of one tenant in flight. Default 8. */
  readonly perTenant?: number;
  /** The most attempts of all tenants in flight. Default 256. */
  readonly total?: number;
  /** The most attempts of one tenant that wait, in each lane. Beyond it they are refused with `rate-limited`. Default 64. */
  readonly maxQueued?: number;
  /** The rate of one tenant's attempts. Without it there is no bound. */
  readonly tenantRate?: RateLimit;
  /** The rate of the attempts that one payer is charged for. Without it there is no bound. */
  readonly payerRate?: RateLimit;
  /**
   * Names the account whose quota a provider's calls use up, such as an AWS account and region. Tenants that share a payer are slowed
   * together when its service asks for fewer calls. Undefined, and without this function, each tenant pays for itself.
   */
  readonly payerOf?: (provider: KeyProvider | RandomSource) => string | undefined;
  /**
   * Returns bounds of one tenant's own, in place of `perTenant` and `tenantRate`. Asked before each attempt, so it has to be quick; changed
   * bounds take effect with the next attempt. Undefined for none.
   */
  readonly budgetOf?: (tenant: string) => TenantBudget | undefined;
  /** The most that the background lane takes of places and rates, above 0 and at most 1. Default 0.2. */
  readonly backgroundShare?: number;
  /** The time source, for tests. */
  readonly clock?: Clock;
}

export interface FairLimitsStatus {
  /** Attempts in flight, of both lanes. */
  readonly active: number;
  /** Those of the background lane. */
  readonly background: number;
  /** Attempts that wait for a place or for their rate. */
  readonly queued: number;
}

/**
 * Shares the calls of key services among tenants. Each keyring with these limits and the option `tenant` takes a place for each attempt.
 * Tenants that wait take turns, so that one with a thousand waiting calls delays another's single call by one turn. Within a tenant it is
 * first come, first served. Background work has a lane of its own, takes what requests leave, and stops for a while as soon as its payer is
 * throttled.
 *
 * @example
 * const limits = new FairLimits({ payerRate: { perSecond: 4000 }, payerOf: () => "aws:123456789012:eu-west-1" });
 * const keyring = new Keyring({ wrapWith: [key], tenant: { id: "acme" }, limits });
 * const ofJobs = new Keyring({ wrapWith: [key], tenant: { id: "acme" }, limits, lane: "background" });
 */
export class FairLimits {
  readonly #perTenant: number;
  readonly #total: number;
  readonly #maxQueued: number;
  readonly #backgroundShare: number;
  readonly #rates: Rates;
  readonly #payerOf: FairLimitsOptions["payerOf"];
  readonly #budgetOf: FairLimitsOptions["budgetOf"];
  readonly #clock: Clock;
  readonly #tenants: RecentMap<string, Tenant>;
  readonly #payers: RecentMap<string, Payer>;
  /** The tenants with a waiting attempt, in the order of their turns. A tenant that something else holds back stands in no line. */
  readonly #lines: Readonly<Record<Lane, Set<Tenant>>> = { request: new Set(), background: new Set() };
  readonly #active: Record<Lane, number> = { request: 0, background: 0 };
  #queued = 0;

  /** @throws `invalid-argument` */
  constructor(options: FairLimitsOptions = {}) {
    refuseUnknown(options, LIMIT_OPTIONS, "FairLimits");
    markClass(this, "FairLimits"); // here and not in a static block, which would keep the class in every bundle
    noteLimits(this);
    const { perTenant = 8, total = 256, maxQueued = 64, tenantRate, payerRate, payerOf, backgroundShare = 0.2 } = options;
    const { clock = systemClock, budgetOf } = options;
    if (budgetOf !== undefined && typeof budgetOf !== "function") throw invalidArgument("budgetOf must be a function");
    if (payerOf !== undefined && typeof payerOf !== "function") throw invalidArgument("payerOf must be a function");
    if (!(typeof backgroundShare === "number" && backgroundShare > 0 && backgroundShare <= 1)) {
      throw invalidArgument(`backgroundShare is ${backgroundShare}, expected a number above 0 and at most 1`);
    }
    this.#perTenant = count(perTenant, "perTenant");
    this.#total = count(total, "total");
    this.#maxQueued = count(maxQueued, "maxQueued");
    this.#backgroundShare = backgroundShare;
    this.#rates = {
      share: backgroundShare,
      ...(tenantRate && { tenant: checkedRate(tenantRate, "tenantRate") }),
      ...(payerRate && { payer: checkedRate(payerRate, "payerRate") }),
    };
    this.#payerOf = payerOf;
    this.#budgetOf = budgetOf;
    this.#clock = clock;
    this.#tenants = new RecentMap({ maxEntries: KEPT, isInUse: (tenant) => tenant.isInUse(clock.monotonicMs()) });
    this.#payers = new RecentMap({ maxEntries: KEPT, isInUse: (payer) => payer.isInUse(clock.monotonicMs()) });
  }

  /** Returns the state of all attempts, or of one tenant's. */
  status(tenant?: string): FairLimitsStatus {
    const { request, background } = this.#active;
    if (tenant === undefined) return { active: request + background, background, queued: this.#queued };
    const known = this.#tenants.peek(tenant);
    return { active: known?.activeInAll ?? 0, background: known?.active.background ?? 0, queued: known?.queued ?? 0 };
  }

  /**
   * Takes a place, at once or by turn. Not part of the public surface.
   *
   * @throws `rate-limited` with detail `queue-full` if too many of the tenant's attempts wait; as `waitWithin`
   */
  enter(provider: KeyProvider | RandomSource, tenantId: string, lane: Lane, bounds: () => WaitBounds): Place | Promise<Place> {
    const tenant = this.#tenantOf(tenantId);
    const payer = this.#payerFor(provider, tenantId);
    const place = new Place(this.#clock, payer, () => this.#leave(tenant, payer, lane));
    const now = this.#clock.monotonicMs();
    const isFirst = tenant.waiting[lane].size === 0 && payer.held[lane].size === 0;
    if (isFirst && this.#hasPlace(lane) && this.#holdUpOf(tenant, payer, lane, now) === undefined) {
      this.#begin(tenant, payer, lane);
      return place;
    }
    if (tenant.waiting[lane].size >= this.#maxQueued) throw queueFull(tenantId, this.#maxQueued);
    return this.#queue(tenant, payer, lane, place, bounds());
  }

  #queue(tenant: Tenant, payer: Payer, lane: Lane, place: Place, bounds: WaitBounds): Promise<Place> {
    return waitWithin<Place>(bounds, (resolve) => {
      const waiter: Waiter = { payer, enter: () => resolve(place) };
      const line = tenant.waiting[lane];
      line.add(waiter);
      this.#queued++;
      if (line.size === 1) this.#lines[lane].add(tenant);
      this.#serve();
      return () => {
        if (!line.delete(waiter)) return;
        this.#queued--;
        if (line.size === 0) this.#noneWaits(tenant, payer, lane);
      };
    });
  }

  /** The last attempt that waited has left: no timer need wake its tenant. */
  #noneWaits(tenant: Tenant, payer: Payer, lane: Lane): void {
    this.#lines[lane].delete(tenant);
    for (const by of [tenant, payer]) {
      by.held[lane].delete(tenant);
      if (by.held[lane].size > 0) continue;
      by.wakes[lane]?.();
      by.wakes[lane] = undefined;
    }
  }

  #hasPlace(lane: Lane): boolean {
    const { request, background } = this.#active;
    if (request + background >= this.#total) return false;
    return lane === "request" || background < this.#shareOf(this.#total);
  }

  /** The background lane's part of a number of places: at least one. */
  #shareOf(places: number): number {
    return Math.max(1, Math.floor(places * this.#backgroundShare));
  }

  /** Gives free places to those whose turn it is: all that requests can take, then what the background may. */
  #serve(): void {
    const now = this.#clock.monotonicMs();
    for (const lane of LANES) {
      const line = this.#lines[lane];
      while (this.#hasPlace(lane)) {
        const [tenant] = line;
        if (tenant === undefined) break;
        line.delete(tenant);
        const [waiter] = tenant.waiting[lane];
        if (waiter === undefined) continue;
        const holdUp = this.#holdUpOf(tenant, waiter.payer, lane, now);
        if (holdUp !== undefined) {
          this.#holdBack(tenant, lane, holdUp);
          continue;
        }
        tenant.waiting[lane].delete(waiter);
        this.#queued--;
        this.#begin(tenant, waiter.payer, lane);
        if (tenant.waiting[lane].size > 0) line.add(tenant); // to the end: the others have their turns first
        waiter.enter();
      }
    }
  }

  /** What else than a free place a tenant's next attempt has to wait for, if anything. */
  #holdUpOf(tenant: Tenant, payer: Payer, lane: Lane, now: number): HoldUp | undefined {
    const places = tenant.places ?? this.#perTenant;
    if (tenant.activeInAll >= places) return OWN_PLACES;
    if (lane === "background" && tenant.active.background >= this.#shareOf(places)) return OWN_PLACES;
    const [ofTenantMs, ofPayerMs] = [tenant.delayMs(lane, now), payer.delayMs(lane, now)];
    if (ofTenantMs <= 0 && ofPayerMs <= 0) return undefined;
    return ofPayerMs >= ofTenantMs ? { by: payer, delayMs: ofPayerMs } : { by: tenant, delayMs: ofTenantMs };
  }

  /** Keeps a tenant out of its line until its hold-up is over. What its own attempts hold up, `#leave` puts back. */
  #holdBack(tenant: Tenant, lane: Lane, { by, delayMs }: HoldUp): void {
    if (by === undefined) return;
    by.held[lane].add(tenant);
    this.#wakeLater(by, lane, delayMs);
  }

  #wakeLater(by: Tenant | Payer, lane: Lane, delayMs: number): void {
    by.wakes[lane] ??= this.#clock.after(
      delayMs,
      () => {
        by.wakes[lane] = undefined;
        this.#wake(by, lane);
      },
      "awaited",
    );
  }

  /** Lets as many tenants that were held back into their line as there may be calls now. The others wait for the next. */
  #wake(by: Tenant | Payer, lane: Lane): void {
    const now = this.#clock.monotonicMs();
    const held = by.held[lane];
    for (let calls = by.callsAt(lane, now); calls >= 1 && held.size > 0; calls--) {
      const [tenant] = held;
      if (tenant === undefined) break;
      held.delete(tenant);
      if (tenant.waiting[lane].size > 0) this.#lines[lane].add(tenant);
      else calls++;
    }
    this.#serve();
    if (held.size > 0) this.#wakeLater(by, lane, Math.max(by.delayMs(lane, now), LEAST_WAKE_MS));
  }

  #begin(tenant: Tenant, payer: Payer, lane: Lane): void {
    this.#active[lane]++;
    tenant.active[lane]++;
    payer.active++;
    tenant.take(lane);
    payer.take(lane);
  }

  #leave(tenant: Tenant, payer: Payer, lane: Lane): void {
    this.#active[lane]--;
    tenant.active[lane]--;
    payer.active--;
    for (const other of LANES) if (tenant.waiting[other].size > 0) this.#lines[other].add(tenant);
    this.#serve();
  }

  #tenantOf(id: string): Tenant {
    const known = this.#tenants.get(id);
    const tenant = known ?? new Tenant(this.#rates, this.#clock.monotonicMs());
    if (this.#budgetOf !== undefined) tenant.setBudget(this.#budgetOf(id) ?? {}, this.#rates, this.#clock.monotonicMs());
    if (known === undefined) this.#tenants.set(id, tenant);
    return tenant;
  }

  /** @throws `invalid-argument` for a name that is no text */
  #payerFor(provider: KeyProvider | RandomSource, tenantId: string): Payer {
    const given = this.#payerOf?.(provider);
    if (given !== undefined && (typeof given !== "string" || given === ""))
      throw invalidArgument("payerOf must return a text, or undefined");
    const name = given === undefined ? `tenant ${tenantId}` : `payer ${given}`;
    const known = this.#payers.get(name);
    if (known !== undefined) return known;
    const payer = new Payer(this.#rates, this.#clock.monotonicMs());
    this.#payers.set(name, payer);
    return payer;
  }
}

/** What holds an attempt back for a time: its tenant's rate, or its payer's rate or pause. Neither: its tenant's own attempts. */
interface HoldUp {
  readonly by: Tenant | Payer | undefined;
  readonly delayMs: number;
}

/** A place that an attempt has taken. */
export class Place {
  /** Gives the place back, once. */
  readonly leave: () => void;
  readonly #clock: Clock;
  readonly #payer: Payer;

  constructor(clock: Clock, payer: Payer, leave: () => void) {
    this.#clock = clock;
    this.#payer = payer;
    this.leave = leave;
  }

  /** Notes that the service has asked for fewer calls: all that are charged to the payer wait, the background for longer. */
  throttled(retryAfterMs: number | undefined): void {
    this.#payer.pause(this.#clock.monotonicMs(), retryAfterMs);
  }
}

function queueFull(tenant: string, maxQueued: number): EnvelockError {
  const message = `${maxQueued} calls of this tenant wait already`;
  const hint = "Try again later; raise maxQueued or perTenant of the limits if the tenant may have more.";
  return new EnvelockError("rate-limited", message, { detail: QUEUE_FULL, whose: "vendor", tenant, hint });
}

const OWN_PLACES: HoldUp = { by: undefined, delayMs: Number.POSITIVE_INFINITY };
/** A call that becomes possible at once is still one turn of the timers away, so that nothing spins. */
const LEAST_WAKE_MS = 1;
const LANES: readonly Lane[] = ["request", "background"];
const LIMIT_OPTIONS: OptionNames<FairLimitsOptions> = {
  perTenant: true,
  total: true,
  maxQueued: true,
  tenantRate: true,
  payerRate: true,
  payerOf: true,
  budgetOf: true,
  backgroundShare: true,
  clock: true,
};
/** How many idle tenants and payers are remembered. Those with calls, or whose rate is used up, stay anyway. */
const KEPT = 1000;
