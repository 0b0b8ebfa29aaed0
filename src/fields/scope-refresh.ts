import type { CallOptions } from "../core/base/call-options.ts";
import { SingleFlights } from "../core/base/single-flight.ts";
import type { ScopePolicy } from "./scope-policy.ts";

/** The scope that reads its rows. */
export interface Refreshed {
  /** Reads the store once. Calls `done` when the rows are taken over. */
  readOnce(done: () => void): Promise<void>;
  /** Whether the scope was closed or shredded. */
  isOver(): boolean;
  /** The store could not be read for `maxStaleMs`. */
  turnStale(): void;
  /** Reports a failure in the background. Throws nothing. */
  failed(error: unknown): void;
}

/** Reads the store for a scope: on demand, once for all that ask at the same time, and every `refreshMs`, sooner after a failure. */
export class ScopeRefresh {
  readonly #policy: ScopePolicy;
  readonly #scope: Refreshed;
  readonly #reads = new SingleFlights<"read", void>();
  #readAt: Moment;
  #hasFailed = false;
  #isWaiting = false;
  #cancelTimer: (() => void) | undefined;

  constructor(policy: ScopePolicy, scope: Refreshed) {
    this.#policy = policy;
    this.#scope = scope;
    this.#readAt = this.#now();
  }

  /** Whether the last read failed. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** The time since the last successful read, by the clock that shows more: on a suspended machine the monotonic one may stand still. */
  get ageMs(): number {
    const { monotonicMs, unixMs } = this.#now();
    return Math.max(monotonicMs - this.#readAt.monotonicMs, unixMs - this.#readAt.unixMs);
  }

  /** Joins the read in flight, or starts one. */
  async join(options: CallOptions = {}): Promise<void> {
    await this.#reads.run("read", () => this.#read(), options);
  }

  /** Reads the store after this call began. A read in flight began too early, so it is waited for first. */
  async anew(options: CallOptions = {}): Promise<void> {
    if (this.#reads.has("read")) await this.join(options).catch(() => undefined);
    options.signal?.throwIfAborted();
    await this.join(options);
  }

  inBackground(): void {
    void this.#anewOrReported();
  }

  async #anewOrReported(): Promise<void> {
    try {
      await this.anew();
    } catch (error) {
      if (!this.#scope.isOver()) this.#scope.failed(error);
    }
  }

  /** Lets the next caller start a read of its own, beside the one in flight. */
  detach(): void {
    this.#reads.detach("read");
  }

  /** Ends the reads by time. */
  stop(): void {
    this.#cancelTimer?.();
  }

  async #read(): Promise<void> {
    const startedAt = this.#now();
    try {
      await this.#scope.readOnce(() => {
        this.#readAt = startedAt;
        this.#cancelTimer ??= this.#tickLater();
      });
      this.#hasFailed = false;
    } catch (error) {
      this.#hasFailed = true;
      if (this.#cancelTimer !== undefined && !this.#scope.isOver()) {
        this.#cancelTimer();
        this.#cancelTimer = this.#tickLater(); // sooner
      }
      throw error;
    }
  }

  #tick(): void {
    const { time, clock, maxStaleMs } = this.#policy;
    time.nowMs = clock.monotonicMs();
    if (time.nowMs - this.#readAt.monotonicMs >= maxStaleMs) this.#scope.turnStale();
    if (!this.#reads.has("read")) this.#takeTurn();
    this.#cancelTimer = this.#tickLater();
    this.#policy.onTick();
  }

  /** Scopes that are due at the same time take turns: a thousand at once would fill the queue that callers of their tenant wait in. */
  #takeTurn(): void {
    const { turns } = this.#policy;
    if (this.#isWaiting) return;
    if (turns.tryEnter()) {
      this.#readInTurn();
      return;
    }
    this.#isWaiting = true;
    void turns.enter({}).then(() => {
      this.#isWaiting = false;
      this.#readInTurn();
    });
  }

  #readInTurn(): void {
    const { turns, clock, refreshMs } = this.#policy;
    if (this.#scope.isOver()) {
      turns.leave();
      return;
    }
    let hasLeft = false;
    const leave = (): void => {
      if (!hasLeft) turns.leave();
      hasLeft = true;
    };
    const cancel = clock.after(Math.max(refreshMs, LONGEST_TURN_MS), leave, "idle"); // a store that never answers holds up no other scope
    void this.#anewOrReported().then(() => {
      cancel();
      leave();
    });
  }

  #tickLater(): () => void {
    const { clock, refreshMs } = this.#policy;
    const delayMs = this.#hasFailed ? Math.min(refreshMs, AFTER_FAILURE_MS) : refreshMs;
    return clock.after(delayMs * (1 - clock.random() / 4), () => this.#tick(), "idle"); // not all scopes at once
  }

  #now(): Moment {
    const { clock } = this.#policy;
    return { monotonicMs: clock.monotonicMs(), unixMs: clock.unixMs() };
  }
}

interface Moment {
  readonly monotonicMs: number;
  readonly unixMs: number;
}

/** The time until a store that failed is read again: 5 s, if `refreshMs` is not shorter. */
const AFTER_FAILURE_MS = 5000;
/** Longer than the deadline of a key service, so that slow reads do not pile up. */
const LONGEST_TURN_MS = 30_000;
