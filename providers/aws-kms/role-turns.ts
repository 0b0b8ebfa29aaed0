import type { Clock } from "../../src/core/base/clock.ts";
import { invalidArgument } from "../../src/core/base/errors.ts";
import { shownValue } from "../../src/core/base/options.ts";
import { TokenBucket } from "../../src/core/base/token-bucket.ts";
import { sleep } from "../../src/core/base/wait.ts";

/**
 * Lets logins of all tenants pass at one rate, first come, first served, with those of one second at once after a pause: the account that
 * assumes the roles is the vendor's, and its token service has one quota for all of them. A tenant has one login under way at most, so one
 * with a role that is refused again and again takes one turn among the others.
 */
export class RoleTurns {
  readonly #perSecond: number;
  #bucket: TokenBucket | undefined;
  #last: Promise<void> = Promise.resolve();

  /** @throws `invalid-argument` */
  constructor(perSecond: number) {
    if (!(typeof perSecond === "number" && perSecond > 0))
      throw invalidArgument(`rolesPerSecond is ${shownValue(perSecond)}, expected a number above 0`);
    this.#perSecond = perSecond;
  }

  /** Waits for a turn. */
  async take(clock: Clock): Promise<void> {
    const turn = this.#last.then(() => this.#next(clock));
    this.#last = turn;
    await turn;
  }

  async #next(clock: Clock): Promise<void> {
    this.#bucket ??= new TokenBucket({ perSecond: this.#perSecond }, clock.monotonicMs());
    const delayMs = (): number => this.#bucket?.delayMs(clock.monotonicMs()) ?? 0;
    for (let waitMs = delayMs(); waitMs > 0; waitMs = delayMs()) await sleep(clock, waitMs);
    this.#bucket.take();
  }
}
