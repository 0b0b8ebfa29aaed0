import type { Clock } from "../../src/core/base/clock.ts";
import { SingleFlights } from "../../src/core/base/single-flight.ts";

export interface ExpiringOptions<T> {
  readonly clock: Clock;
  /**
   * Fetches a fresh value. Called once for all callers that wait.
   *
   * @param kept the value that is about to expire, which may be renewed; undefined if there is none that works
   */
  load(kept: T | undefined): Promise<T>;
  /** The expiry of the value, in Unix milliseconds; undefined for one that does not expire. */
  expiresAtMs(value: T): number | undefined;
  /** The part of the value that the service checks. Two values with the same part are refused alike. */
  secretOf(value: T): string;
  /**
   * The time before the expiry at which a value is replaced, in milliseconds. Default 120,000, at most a third of its remaining life when
   * loaded.
   */
  readonly aheadMs?: number;
}

/**
 * A credential that is fetched when first needed and replaced before it expires. One flight serves all callers. A value that still works
 * goes on serving while no fresh one can be fetched.
 */
export class Expiring<T> {
  readonly #options: ExpiringOptions<T>;
  readonly #flights: SingleFlights<undefined, T> = new SingleFlights();
  #kept: { readonly value: T; readonly renewAtMs: number; readonly endMs: number } | undefined;

  constructor(options: ExpiringOptions<T>) {
    this.#options = options;
  }

  /** Returns a value that works. @throws what `load` throws when no such value is left; the signal's reason */
  async get(signal?: AbortSignal): Promise<T> {
    const kept = this.#kept;
    if (kept !== undefined && this.#options.clock.unixMs() < kept.renewAtMs) return kept.value;
    return await this.#flights.run(undefined, () => this.#load(), { signal });
  }

  /**
   * Asks with the value, and once more with a fresh one where the answer is a refusal of it.
   *
   * @throws what `get` and `ask` throw
   */
  async use<R>(ask: (value: T) => Promise<R>, isRefusal: (answer: R) => boolean, signal?: AbortSignal): Promise<R> {
    const value = await this.get(signal);
    const answer = await ask(value);
    if (!isRefusal(answer)) return answer;
    if (this.#kept?.value === value) this.#kept = undefined; // a newer one stays
    const fresh = await this.get(signal);
    const { secretOf } = this.#options;
    return secretOf(fresh) === secretOf(value) ? answer : await ask(fresh);
  }

  async #load(): Promise<T> {
    const { clock, aheadMs = DEFAULT_AHEAD_MS } = this.#options;
    const kept = this.#kept;
    try {
      const value = await this.#options.load(kept?.value);
      const nowMs = clock.unixMs();
      const endMs = this.#options.expiresAtMs(value) ?? Number.POSITIVE_INFINITY;
      this.#kept = { value, endMs, renewAtMs: renewalOf(endMs, nowMs, aheadMs) };
      return value;
    } catch (error) {
      if (kept !== undefined && kept === this.#kept && kept.endMs - clock.unixMs() > LEAST_LEFT_MS) return kept.value;
      throw error;
    }
  }
}

function renewalOf(endMs: number, nowMs: number, aheadMs: number): number {
  if (endMs === Number.POSITIVE_INFINITY) return endMs;
  // ended by this machine's clock, which may be wrong: the service refuses what has ended
  return endMs <= nowMs ? nowMs + LEAST_KEPT_MS : endMs - Math.min(aheadMs, (endMs - nowMs) / 3);
}

const DEFAULT_AHEAD_MS = 120_000;
const LEAST_LEFT_MS = 5_000;
/** The time for which a value is kept that had ended when it came. Without it a clock that is ahead would cause a login for each call. */
const LEAST_KEPT_MS = 30_000;
