import { systemClock } from "../../../src/core/base/clock.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { singleFlight } from "../../../src/core/base/single-flight.ts";
import { sleep } from "../../../src/core/base/wait.ts";
import * as ck from "../cryptoki/constants.ts";
import type { Handle, TokenInfo } from "../cryptoki/cryptoki.ts";
import { losesObject, losesToken, returns, tokenFailure } from "../cryptoki/failures.ts";
import { type Module, type ModuleUser, openModule } from "../cryptoki/modules.ts";
import type { Pkcs11Pin, TokenLocation } from "../options.ts";
import { findToken, isTokenMissing, shownMissing } from "./find-token.ts";
import { logIn } from "./login.ts";
import { type OpenLink, openLink, type SessionSeat } from "./open-link.ts";
import type { Session } from "./session.ts";

/**
 * Sessions with one token: one login, a bounded number of sessions, each used by one call at a time. A session in which a call failed
 * is closed, whatever the failure, since what is left in it differs from library to library. When the token is lost everything is let
 * go, and the next call finds it anew.
 */
export class TokenSessions implements ModuleUser {
  readonly #location: TokenLocation;
  readonly #pin: Pkcs11Pin | undefined;
  readonly #isReadWrite: boolean;
  #link: OpenLink | undefined;
  #module: Module | undefined;
  #hasBeenOpen = false;
  #isClosed = false;
  #inUse = 0;
  /** The most calls that may run at once: `maxSessions`, or fewer if the token has shown that it allows fewer. */
  #limit: number;
  #fruitless = 0;
  #nextRestartMs = 0;
  readonly #waiting: Array<{ readonly go: () => void; readonly stop: (error: EnvelockError) => void }> = [];
  readonly #whenIdle: Array<() => void> = [];
  readonly #opened: () => Promise<OpenLink> = singleFlight(() => this.#open());

  /** @param isReadWrite whether the sessions are to make objects that stay */
  constructor(location: TokenLocation, pin: Pkcs11Pin | undefined, isReadWrite: boolean = false) {
    this.#location = location;
    this.#pin = pin;
    this.#isReadWrite = isReadWrite;
    this.#limit = location.maxSessions;
  }

  /**
   * Runs `work` with a session of its own.
   *
   * @throws what `work` throws; `closed`, `access-denied`, `key-not-found`, `unavailable` and `provider-failure` if there is no session
   */
  async use<T>(work: (session: Session) => Promise<T> | T): Promise<T> {
    for (;;) {
      await this.#turn();
      try {
        const link = await this.#openLink();
        if (!(await link.module.enter(link.generation))) continue;
        try {
          const seat = this.#takeSeat(link);
          if (seat !== undefined) return await this.#with(link, seat, work);
        } finally {
          link.module.leave();
        }
      } finally {
        this.#release();
      }
    }
  }

  makeRoom(all: boolean): boolean {
    const link = this.#link;
    if (link === undefined || (all && this.#inUse > 0)) return false;
    if (all) {
      this.#lose(link);
      return true;
    }
    return link.closeIdle();
  }

  requireOpen(): void {
    if (this.#isClosed) throw closed();
  }

  /** Calls in flight come to their end first; those that wait for a session do not begin. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { stop } of this.#waiting.splice(0)) stop(closed());
    if (this.#inUse > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
    this.#lose(this.#link);
    this.#module?.detach(this);
  }

  /** A session for a call, or undefined if the call is to wait for one that another call gives back. */
  #takeSeat(link: OpenLink): SessionSeat | undefined {
    try {
      return link.take();
    } catch (error) {
      if (!returns(error, ck.CKR_SESSION_COUNT)) this.#judge(link, error);
      if (!returns(error, ck.CKR_SESSION_COUNT) || this.#inUse <= 1) throw error;
      this.#limit = this.#inUse - 1; // the token has no more
      return undefined;
    }
  }

  async #with<T>(link: OpenLink, seat: SessionSeat, work: (session: Session) => Promise<T> | T): Promise<T> {
    try {
      const result = await work({ ...link.link, session: seat.session });
      if (this.#link === link) link.giveBack(seat);
      else link.discard(seat);
      return result;
    } catch (error) {
      const isLoggedOut = (isKeyMissing(error) || losesObject(error)) && !link.isLoggedIn(seat);
      if (!link.discard(seat)) this.#lose(link); // it was the one that kept the login
      if (isLoggedOut) this.#lose(link);
      this.#judge(link, error);
      throw isLoggedOut && isKeyMissing(error) ? loginLost(error) : error;
    }
  }

  #judge(link: OpenLink, error: unknown): void {
    if (losesToken(error)) this.#lose(link);
  }

  #turn(): Promise<void> | undefined {
    this.requireOpen();
    if (this.#inUse < this.#limit) {
      this.#inUse++;
      return undefined;
    }
    return new Promise((go, stop) => this.#waiting.push({ go, stop }));
  }

  #release(): void {
    const next = this.#inUse <= this.#limit ? this.#waiting.shift() : undefined;
    if (next === undefined) this.#inUse--;
    else next.go(); // it takes over the place
    if (this.#inUse > 0) return;
    this.#limit = this.#location.maxSessions;
    for (const idle of this.#whenIdle.splice(0)) idle();
  }

  async #openLink(): Promise<OpenLink> {
    if (this.#link !== undefined && !this.#link.isCurrent) this.#lose(this.#link);
    return this.#link ?? (await this.#opened());
  }

  /** Looks once, looks again, and at last lets the library look anew: a token is missing only once that has shown it. */
  async #open(): Promise<OpenLink> {
    try {
      this.#module ??= await openModule(this.#location.module);
      this.#module.attach(this, this.#location.libraryParameters);
      this.#link = await this.#findPatiently(this.#module);
    } catch (error) {
      throw tokenFailure(error);
    }
    this.#hasBeenOpen = true;
    this.#fruitless = 0;
    return this.#link;
  }

  async #findPatiently(module: Module): Promise<OpenLink> {
    try {
      return await this.#find(module);
    } catch (error) {
      if (returns(error, ck.CKR_CRYPTOKI_NOT_INITIALIZED)) module.initialiseAgain();
      else if (!losesToken(error) && !isTokenMissing(error)) throw error;
      await sleep(systemClock, RESCAN_MS); // another process may be writing to the token
    }
    try {
      return await this.#find(module);
    } catch (error) {
      if (!(losesToken(error) || isTokenMissing(error)) || !(await this.#restart(module))) throw error;
    }
    return await this.#find(module).catch((error: unknown) => {
      throw isTokenMissing(error) && !this.#hasBeenOpen ? shownMissing(error) : error;
    });
  }

  /** At once at first, then at longer and longer intervals, up to ten seconds. */
  async #restart(module: Module): Promise<boolean> {
    const nowMs = systemClock.monotonicMs();
    if (nowMs < this.#nextRestartMs) return false;
    this.#nextRestartMs =
      nowMs + (this.#fruitless < FREE_RESTARTS ? 0 : Math.min(LONGEST_PAUSE_MS, 100 * 2 ** (this.#fruitless - FREE_RESTARTS)));
    this.#fruitless++;
    return await module.restart();
  }

  async #find(module: Module): Promise<OpenLink> {
    const { generation } = module;
    const found = findToken(module.cryptoki, this.#location);
    const link = this.#openAnchor(module, generation, found.slot, found.info);
    try {
      if ((found.info.flags & ck.CKF_LOGIN_REQUIRED) !== 0) {
        await logIn(link, { pin: this.#pin, mayUseLastPinTry: this.#location.mayUseLastPinTry }, () => this.requireOpen());
      }
      return link;
    } catch (error) {
      link.closeAll();
      throw error;
    }
  }

  /** The login lasts as long as any session does. */
  #openAnchor(module: Module, generation: number, slot: Handle, info: TokenInfo): OpenLink {
    const open = (): OpenLink => openLink({ module, generation, slot, info, isReadWrite: this.#isReadWrite, user: this });
    try {
      return open();
    } catch (error) {
      if (returns(error, ck.CKR_SESSION_COUNT) && module.makeRoom(this)) return open();
      throw error;
    }
  }

  #lose(link: OpenLink | undefined): void {
    if (link === undefined || this.#link !== link) return;
    this.#link = undefined;
    link.closeAll();
  }
}

function closed(): EnvelockError {
  return new EnvelockError("closed", "this PKCS#11 token has been closed");
}

/** A session without a login does not see a private key, which may well be there. */
function loginLost(cause: unknown): EnvelockError {
  return new EnvelockError("unavailable", "the login to the token was lost", { detail: "token-lost", cause });
}

function isKeyMissing(error: unknown): boolean {
  return error instanceof EnvelockError && error.code === "key-not-found";
}

const RESCAN_MS = 10;
const FREE_RESTARTS = 4;
const LONGEST_PAUSE_MS = 10_000;
