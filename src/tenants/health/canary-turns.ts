import type { Clock } from "../../core/base/clock.ts";
import { sleep } from "../../core/base/wait.ts";

/** A page of tenants, as one look at the store finds them. */
export interface CanaryPage {
  /** The tenants on it of which a canary is due. */
  readonly due: readonly string[];
  /** The place behind which the next page begins. Undefined at the end of the list. */
  readonly after: string | undefined;
}

export interface CanaryTurnsParts {
  readonly clock: Clock;
  /** Looks at a page of the tenants that come first: those with traffic, and those in trouble. */
  pageOfFirst(after: string | undefined): Promise<CanaryPage>;
  pageOfAll(after: string | undefined): Promise<CanaryPage>;
  /** The place at which the round over all tenants goes on. */
  readonly from: string | undefined;
  /** Sends the canary of a tenant, unless it is not due any more. Does not wait for its end. @returns whether it took a turn */
  send(id: string): Promise<boolean>;
}

export interface CanaryPace {
  readonly signal: AbortSignal;
  /** The most canaries a second, over all tenants. */
  readonly perSecond: number;
  /** The pause between two rounds over one list. */
  readonly everyMs: number;
}

/**
 * Shares one budget of canaries among all tenants. Two rounds go over lists page by page, each from where it stands. Three turns of four
 * belong to the tenants that come first, the fourth to the round over all; a turn that one round does not need is the other's. So a
 * tenant's turn comes, however many tenants there are: at the latest after four times as many turns as there are tenants.
 */
export class CanaryTurns {
  readonly #parts: CanaryTurnsParts;

  constructor(parts: CanaryTurnsParts) {
    this.#parts = parts;
  }

  /** @returns when the signal is aborted */
  async run({ signal, perSecond, everyMs }: CanaryPace): Promise<void> {
    const { clock, from } = this.#parts;
    const first = new Round((after) => this.#parts.pageOfFirst(after), clock, everyMs);
    const all = new Round((after) => this.#parts.pageOfAll(after), clock, everyMs, from);
    for (let turn = 1; !signal.aborted; ) {
      let restMs = Math.min(first.restMs, all.restMs);
      if (await this.#takeTurn(turn % ALL_EVERY === 0 ? [all, first] : [first, all])) {
        turn++;
        restMs = 1000 / perSecond;
      }
      if (restMs > 0) await sleep(clock, restMs, signal).catch(() => undefined);
    }
  }

  async #takeTurn(rounds: readonly Round[]): Promise<boolean> {
    for (const round of rounds) {
      for (let id = await round.next(); id !== undefined; id = round.waiting()) {
        // a read that fails takes a turn too: a store that is down is not asked for tenant after tenant
        if (await this.#parts.send(id).catch(() => true)) return true;
      }
    }
    return false;
  }
}

/** Goes over a list again and again, one page at a time. What it has found waits until it is taken. */
class Round {
  readonly #page: (after: string | undefined) => Promise<CanaryPage>;
  readonly #clock: Clock;
  readonly #everyMs: number;
  #after: string | undefined;
  #restsUntilMs = Number.NEGATIVE_INFINITY;
  #found: readonly string[] = [];
  #taken = 0;

  constructor(page: (after: string | undefined) => Promise<CanaryPage>, clock: Clock, everyMs: number, from?: string) {
    this.#page = page;
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#after = from;
  }

  /** The time until it may go on. */
  get restMs(): number {
    return this.#taken < this.#found.length ? 0 : Math.max(0, this.#restsUntilMs - this.#clock.monotonicMs());
  }

  /** Takes a tenant that was due when it was found. */
  waiting(): string | undefined {
    return this.#taken < this.#found.length ? this.#found[this.#taken++] : undefined;
  }

  /** Takes a tenant, after a look at the next page where none waits. Undefined while it rests, and for a page without any. */
  async next(): Promise<string | undefined> {
    if (this.restMs === 0 && this.#taken === this.#found.length) await this.#look();
    return this.waiting();
  }

  async #look(): Promise<void> {
    try {
      const { due, after } = await this.#page(this.#after);
      [this.#found, this.#taken, this.#after] = [due, 0, after];
      if (after !== undefined) return;
    } catch {
      // the list cannot be read: the round goes on from there after the pause
    }
    this.#restsUntilMs = this.#clock.monotonicMs() + this.#everyMs;
  }
}

const ALL_EVERY = 4;
