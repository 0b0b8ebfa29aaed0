import { type RateLimit, TokenBucket } from "../base/token-bucket.ts";
import { count } from "./checks.ts";
import { checkedRate, partOf } from "./rates.ts";

/** The urgency of a keyring's calls: those that a user waits for, or those of jobs such as rewraps and health checks. */
export type Lane = "request" | "background";

/** The bounds of one tenant's attempts. */
export interface TenantBudget {
  /** The most in flight. Default `perTenant`. */
  readonly maxConcurrent?: number;
  /** The most a second. Default `tenantRate`. */
  readonly perSecond?: number;
}

/** The rates of one set of limits. */
export interface Rates {
  readonly tenant?: RateLimit;
  readonly payer?: RateLimit;
  /** What the background may take of them. */
  readonly share: number;
}

/** An attempt that waits for its turn. */
export interface Waiter {
  readonly payer: Payer;
  enter(): void;
}

/** The attempts of one tenant: those in flight, and those that wait in each lane, first come, first served. */
export class Tenant {
  readonly active: Record<Lane, number> = { request: 0, background: 0 };
  readonly waiting: Readonly<Record<Lane, Set<Waiter>>> = { request: new Set(), background: new Set() };
  /** Itself, while its rate holds it back. */
  readonly held: Readonly<Record<Lane, Set<Tenant>>> = { request: new Set(), background: new Set() };
  /** What cancels the timers that end that. */
  readonly wakes: Record<Lane, (() => void) | undefined> = { request: undefined, background: undefined };
  /** The most attempts in flight, where they are the tenant's own. */
  places: number | undefined;
  #perSecond: number | undefined;
  #pace: Pace;

  constructor({ tenant, share }: Rates, now: number) {
    this.#pace = new Pace(tenant, share, now);
  }

  /** Takes over bounds of its own. A changed rate begins anew. @throws `invalid-argument` */
  setBudget({ maxConcurrent, perSecond }: TenantBudget, { tenant, share }: Rates, now: number): void {
    if (maxConcurrent !== this.places) this.places = maxConcurrent === undefined ? undefined : count(maxConcurrent, "maxConcurrent");
    if (perSecond === this.#perSecond) return;
    const rate = perSecond === undefined ? tenant : checkedRate({ perSecond }, "the budget of a tenant");
    this.#perSecond = perSecond;
    this.#pace = new Pace(rate, share, now);
  }

  get activeInAll(): number {
    return this.active.request + this.active.background;
  }

  get queued(): number {
    return this.waiting.request.size + this.waiting.background.size;
  }

  /** The time until its rate lets an attempt pass. */
  delayMs(lane: Lane, now: number): number {
    return this.#pace.delayMs(lane, now);
  }

  /** How many attempts its rate lets pass now. */
  callsAt(lane: Lane, now: number): number {
    return this.#pace.callsAt(lane, now);
  }

  take(lane: Lane): void {
    this.#pace.take(lane);
  }

  /** Whether it holds a state that a new one would lack. */
  isInUse(now: number): boolean {
    return this.activeInAll > 0 || this.queued > 0 || !this.#pace.isUnused(now);
  }
}

/** The account that pays for calls, with its rate and the pauses that its service has asked for. */
export class Payer {
  active = 0;
  /** Tenants whose next attempt waits for this payer, in the order in which they came. */
  readonly held: Readonly<Record<Lane, Set<Tenant>>> = { request: new Set(), background: new Set() };
  /** What cancels the timers that end that. */
  readonly wakes: Record<Lane, (() => void) | undefined> = { request: undefined, background: undefined };
  readonly #pace: Pace;
  readonly #pausedUntil: Record<Lane, number> = { request: Number.NEGATIVE_INFINITY, background: Number.NEGATIVE_INFINITY };

  constructor({ payer, share }: Rates, now: number) {
    this.#pace = new Pace(payer, share, now);
  }

  /** Keeps all attempts back for the time that the service asked for, and those of the background for longer. */
  pause(now: number, retryAfterMs: number | undefined): void {
    const { request, background } = this.#pausedUntil;
    const until = now + Math.min(retryAfterMs ?? PAUSE_MS, LONGEST_PAUSE_MS);
    this.#pausedUntil.request = Math.max(request, until);
    this.#pausedUntil.background = Math.max(background, until + BACKGROUND_PAUSE_MS);
  }

  delayMs(lane: Lane, now: number): number {
    return Math.max(this.#pace.delayMs(lane, now), this.#pausedUntil[lane] - now, 0);
  }

  /** How many attempts its rate and its pauses let pass now. */
  callsAt(lane: Lane, now: number): number {
    return this.#pausedUntil[lane] > now ? 0 : this.#pace.callsAt(lane, now);
  }

  take(lane: Lane): void {
    this.#pace.take(lane);
  }

  isInUse(now: number): boolean {
    return (
      this.active > 0 ||
      this.held.request.size + this.held.background.size > 0 ||
      !this.#pace.isUnused(now) ||
      this.#pausedUntil.background > now
    );
  }
}

/** A rate, of which the background may use a part. */
class Pace {
  readonly #all: TokenBucket | undefined;
  readonly #background: TokenBucket | undefined;

  constructor(rate: RateLimit | undefined, share: number, now: number) {
    if (rate === undefined) return;
    this.#all = new TokenBucket(rate, now);
    this.#background = new TokenBucket(partOf(rate, share), now);
  }

  delayMs(lane: Lane, now: number): number {
    const delayMs = this.#all?.delayMs(now) ?? 0;
    return lane === "request" ? delayMs : Math.max(delayMs, this.#background?.delayMs(now) ?? 0);
  }

  callsAt(lane: Lane, now: number): number {
    const calls = this.#all?.callsAt(now) ?? Number.POSITIVE_INFINITY;
    return lane === "request" ? calls : Math.min(calls, this.#background?.callsAt(now) ?? Number.POSITIVE_INFINITY);
  }

  take(lane: Lane): void {
    this.#all?.take();
    if (lane === "background") this.#background?.take();
  }

  isUnused(now: number): boolean {
    return this.#all?.isFull(now) !== false && this.#background?.isFull(now) !== false;
  }
}

/** The pause where the service does not say how long: the retries of each call wait longer by themselves. */
const PAUSE_MS = 100;
/** No answer of a service stops its payer for longer. */
const LONGEST_PAUSE_MS = 60_000;
const BACKGROUND_PAUSE_MS = 30_000;
