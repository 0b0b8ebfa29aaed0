import type { EnvelockError } from "../base/errors.ts";
import type { BreakerEvent } from "../telemetry/events.ts";
import type { Breaker } from "./breaker.ts";
import type { Limiter } from "./limiter.ts";

/** A change of a breaker, to be told. */
export type BreakerChange = Pick<BreakerEvent, "state" | "host">;

/** The breaker of a service host. It counts the connections that fail, and nothing that one key could cause alone. */
export interface HostGuard {
  readonly host: string;
  readonly breaker: Breaker;
}

/** Which breakers an attempt probes. Its end must report it. */
export interface Probes {
  readonly ofKey: boolean;
  readonly ofHost: boolean;
}

/** The guard of one key: its breaker, its places, and the breaker of its service's host if that is known. */
export class Guard {
  readonly breaker: Breaker;
  readonly limiter: Limiter;
  readonly #host: HostGuard | undefined;

  constructor(breaker: Breaker, limiter: Limiter, host: HostGuard | undefined) {
    this.breaker = breaker;
    this.limiter = limiter;
    this.#host = host;
  }

  /** Whether it holds a state that a new guard would lack. */
  get isInUse(): boolean {
    return this.limiter.active > 0 || this.limiter.queued > 0 || !this.breaker.isClosed || this.breaker.consecutiveFailures > 0;
  }

  get isClosed(): boolean {
    return this.breaker.isClosed && this.#host?.breaker.isClosed !== false;
  }

  /** Whether an answer would change nothing. */
  get isUntroubled(): boolean {
    return this.isClosed && this.breaker.consecutiveFailures === 0;
  }

  /** Returns the breaker that refuses a call now, with its host if it is the host's. */
  refusing(now: number): { readonly breaker: Breaker; readonly host?: string } | undefined {
    if (!this.breaker.admits(now)) return { breaker: this.breaker };
    return this.#host?.breaker.admits(now) === false ? this.#host : undefined;
  }

  /** Begins a call that no breaker refuses. */
  begin(): Probes {
    if (this.isClosed) return NO_PROBES;
    return { ofKey: this.breaker.begin(), ofHost: this.#host?.breaker.begin() === true };
  }

  /** Lists the breakers that are half-open by these probes. */
  probing({ ofKey, ofHost }: Probes): readonly BreakerChange[] {
    if (!ofKey && !ofHost) return NO_CHANGES;
    const changes: BreakerChange[] = ofKey ? [{ state: "half-open" }] : [];
    return ofHost && this.#host !== undefined ? [...changes, { state: "half-open", host: this.#host.host }] : changes;
  }

  /** Notes an answer, even a refusal or a request for fewer calls. @returns what changed */
  answered(): readonly BreakerChange[] {
    const wasClosed = this.breaker.isClosed;
    this.breaker.answered();
    const ofHost = this.#hostAnswered();
    return wasClosed ? ofHost : [{ state: "closed" }, ...ofHost];
  }

  /** Notes a retryable failure other than throttling. @returns what changed */
  failed({ ofKey, ofHost }: Probes, error: EnvelockError, now: number): readonly BreakerChange[] {
    const changes: BreakerChange[] = hasOpened(this.breaker, ofKey, now) ? [{ state: "open" }] : [];
    if (this.#host === undefined) return changes;
    if (error.code === "unavailable" && CONNECTION_FAULTS.has(error.detail)) {
      const { host, breaker } = this.#host;
      return hasOpened(breaker, ofHost, now) ? [...changes, { state: "open", host }] : changes;
    }
    if (error.code !== "timeout") return [...changes, ...this.#hostAnswered()];
    this.#host.breaker.abandoned(ofHost); // a key that is slow says nothing about its host
    return changes;
  }

  /** Notes that the caller left before there was an answer. */
  abandoned({ ofKey, ofHost }: Probes): void {
    this.breaker.abandoned(ofKey);
    this.#host?.breaker.abandoned(ofHost);
  }

  #hostAnswered(): readonly BreakerChange[] {
    if (this.#host === undefined) return NO_CHANGES;
    const { host, breaker } = this.#host;
    const wasClosed = breaker.isClosed;
    breaker.answered();
    return wasClosed ? NO_CHANGES : [{ state: "closed", host }];
  }
}

/** Counts a failure. @returns whether the breaker has opened by it */
function hasOpened(breaker: Breaker, isProbe: boolean, now: number): boolean {
  const wasClosed = breaker.isClosed;
  breaker.failed(isProbe, now);
  return !breaker.isClosed && (wasClosed || isProbe);
}

const NO_PROBES: Probes = { ofKey: false, ofHost: false };
const NO_CHANGES: readonly BreakerChange[] = [];
/** The details by which providers tell that no connection came about. */
const CONNECTION_FAULTS: ReadonlySet<string | undefined> = new Set(["connection", "dns"]);
