import type { Clock } from "../../src/core/base/clock.ts";
import { SingleFlights } from "../../src/core/base/single-flight.ts";

export interface ExpiringOptions<T> {
  readonly clock: Clock;
  /** Fetches a fresh value. Called once for all callers that wait. */
  load(): Promise<T>;
  /** The expiry of the value, in Unix milliseconds; undefined for one that does not expire. */
  expiresAtMs(value: T): number | undefined;
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

  /** Drops a value that the service has refused. A newer one stays. */
  refused(value: T): void {
    if (this.#kept?.value === value) this.#kept = undefined;
  }

  async #load(): Promise<T> {
    const { clock, aheadMs = DEFAULT_AHEAD_MS } = this.#options;
    try {
      const value = await this.#options.load();
      const nowMs = clock.unixMs();
      const endMs = this.#options.expiresAtMs(value) ?? Number.POSITIVE_INFINITY;
      this.#kept = { value, endMs, renewAtMs: endMs - Math.min(aheadMs, Math.max(0, endMs - nowMs) / 3) };
      return value;
    } catch (error) {
      const kept = this.#kept;
      if (kept !== undefined && kept.endMs - clock.unixMs() > LEAST_LEFT_MS) return kept.value;
      throw error;
    }
  }
}

const DEFAULT_AHEAD_MS = 120_000;
const LEAST_LEFT_MS = 5_000;
