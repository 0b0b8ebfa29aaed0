import { EnvelockError } from "../../../src/core/base/errors.ts";
import * as ck from "../cryptoki/constants.ts";
import type { Cryptoki, Handle, TokenInfo } from "../cryptoki/cryptoki.ts";
import { losesObject, losesToken, pinFailure, refusesPin, tokenFailure } from "../cryptoki/failures.ts";
import { type Module, type ModuleUser, openModule } from "../cryptoki/modules.ts";
import type { Pkcs11Pin, TokenLocation } from "../options.ts";
import type { KeyObject, PublicHalf } from "./key-objects.ts";

/** A token that has been found and logged in to. Its handles are good for as long as it is. */
export interface Link {
  readonly cryptoki: Cryptoki;
  readonly slot: Handle;
  readonly info: TokenInfo;
  readonly found: Findings;
}

/** What was found out about the token, so as not to ask again. */
export interface Findings {
  readonly mechanismFlags: Map<number, number>;
  /** KEKs by their key id. */
  readonly keys: Map<string, KeyObject>;
  readonly publicHalves: WeakMap<KeyObject, PublicHalf>;
  /** Whether CKM_AES_KEY_WRAP_PAD is RFC 5649 here. */
  isPadKwp?: boolean;
}

/** A session for one call at a time. */
export interface Session extends Link {
  readonly session: Handle;
}

/**
 * Sessions with one token: logged in once, a bounded number of them, each used by one call at a time. A session whose call failed is
 * closed, whatever the failure, since what is left in it differs from library to library. When the token is lost everything is let
 * go, and the next call finds it anew.
 */
export class TokenSessions implements ModuleUser {
  readonly #location: TokenLocation;
  readonly #pin: Pkcs11Pin | undefined;
  #link: OpenLink | undefined;
  #opening: Promise<OpenLink> | undefined;
  #module: Module | undefined;
  #refusedPin: string | undefined;
  #hasBeenOpen = false;
  #isClosed = false;
  #inUse = 0;
  readonly #waiting: Array<{ readonly go: () => void; readonly stop: (error: EnvelockError) => void }> = [];
  readonly #whenIdle: Array<() => void> = [];

  constructor(location: TokenLocation, pin: Pkcs11Pin | undefined) {
    this.#location = location;
    this.#pin = pin;
  }

  /**
   * Runs `work` with a session of its own.
   *
   * @throws what `work` throws; `closed`, `access-denied`, `key-not-found`, `unavailable` and `provider-failure` if there is no session
   */
  async use<T>(work: (session: Session) => Promise<T> | T): Promise<T> {
    await this.#turn();
    try {
      const link = await this.#openLink();
      return await link.module.during(() => this.#with(link, work));
    } finally {
      this.#release();
    }
  }

  isAlive(): boolean {
    const link = this.#link;
    if (link === undefined || link.generation !== link.module.generation) return false;
    try {
      link.cryptoki.checkSession(link.anchor);
      return true;
    } catch {
      return false;
    }
  }

  requireOpen(): void {
    if (this.#isClosed) throw new EnvelockError("closed", "this PKCS#11 token has been closed");
  }

  /** Calls under way come to their end first; those that wait for a session do not begin. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { stop } of this.#waiting.splice(0)) stop(new EnvelockError("closed", "this PKCS#11 token has been closed"));
    if (this.#inUse > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
    this.#lose(this.#link);
    this.#module?.detach(this);
  }

  async #with<T>(link: OpenLink, work: (session: Session) => Promise<T> | T): Promise<T> {
    let session: Handle | undefined;
    try {
      session = link.idle.pop() ?? link.cryptoki.openSession(link.slot);
      const result = await work({ ...link, session });
      if (this.#link === link) link.idle.push(session);
      else closeQuietly(link, session);
      return result;
    } catch (error) {
      const isLoggedOut = session !== undefined && (isKeyMissing(error) || losesObject(error)) && !isUser(link, session);
      if (session !== undefined) closeQuietly(link, session);
      if (isLoggedOut || losesToken(error)) this.#lose(link);
      throw isLoggedOut && isKeyMissing(error) ? loginLost(error) : error;
    }
  }

  #turn(): Promise<void> | undefined {
    this.requireOpen();
    if (this.#inUse < this.#location.maxSessions) {
      this.#inUse++;
      return undefined;
    }
    return new Promise((go, stop) => this.#waiting.push({ go, stop }));
  }

  #release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#inUse--;
    else next.go(); // it takes over the place
    if (this.#inUse === 0) for (const idle of this.#whenIdle.splice(0)) idle();
  }

  async #openLink(): Promise<OpenLink> {
    if (this.#link !== undefined && this.#link.generation !== this.#link.module.generation) this.#lose(this.#link);
    if (this.#link !== undefined) return this.#link;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return await this.#opening;
  }

  async #open(): Promise<OpenLink> {
    try {
      this.#module ??= await openModule(this.#location.module);
      this.#module.attach(this, this.#location.libraryParameters);
      this.#link = await this.#find(this.#module);
    } catch (error) {
      if (!losesToken(error) || this.#module === undefined || !this.#module.restart(this, error)) throw tokenFailure(error);
      this.#link = await this.#find(this.#module).catch((again: unknown) => {
        throw tokenFailure(again);
      });
    }
    this.#hasBeenOpen = true;
    return this.#link;
  }

  async #find(module: Module): Promise<OpenLink> {
    const { cryptoki, generation } = module;
    const { slot, info } = findToken(cryptoki, this.#location, this.#hasBeenOpen);
    // The login lasts as long as any session: this one does nothing else.
    const anchor = cryptoki.openSession(slot);
    const link: OpenLink = { module, generation, cryptoki, slot, info, anchor, idle: [], found: newFindings() };
    try {
      if ((info.flags & ck.CKF_LOGIN_REQUIRED) !== 0) await this.#login(link);
      return link;
    } catch (error) {
      closeQuietly(link, anchor);
      throw error;
    }
  }

  async #login(link: OpenLink): Promise<void> {
    const pin = await this.#askPin(link.info);
    this.requireOpen();
    if (link.generation !== link.module.generation)
      throw new EnvelockError("unavailable", "the token was lost while its PIN was asked for");
    if (pin === this.#refusedPin) {
      throw new EnvelockError("access-denied", "the PIN is the one that the token has refused before", {
        detail: "pin",
        hint: "correct the PIN; the same one is not shown to the token again, because tokens lock after a few",
        cause: new Error("the token was not asked"),
      });
    }
    try {
      link.cryptoki.login(link.anchor, pin);
      this.#refusedPin = undefined;
    } catch (error) {
      if (refusesPin(error)) this.#refusedPin = pin;
      throw error;
    }
  }

  async #askPin({ label, flags }: TokenInfo): Promise<string> {
    if (this.#pin === undefined) {
      throw new EnvelockError("access-denied", `the token "${label}" needs a login and no PIN was given`, {
        detail: "pin",
        hint:
          (flags & ck.CKF_PROTECTED_AUTHENTICATION_PATH) === 0
            ? "give `pin`"
            : "a PIN that is typed on the device itself cannot be asked for through pkcs11js",
      });
    }
    const pin: unknown = await (async (ask) => await ask())(this.#pin).catch((error: unknown) => {
      throw pinFailure(error);
    });
    if (typeof pin === "string" && pin !== "") return pin;
    throw new EnvelockError("access-denied", "the pin function returned no PIN", { detail: "pin", cause: new Error("no PIN") });
  }

  #lose(link: OpenLink | undefined): void {
    if (link === undefined || this.#link !== link) return;
    this.#link = undefined;
    for (const session of [...link.idle.splice(0), link.anchor]) closeQuietly(link, session);
  }
}

interface OpenLink extends Link {
  readonly module: Module;
  readonly generation: number;
  readonly anchor: Handle;
  readonly idle: Handle[];
}

function newFindings(): Findings {
  return { mechanismFlags: new Map(), keys: new Map(), publicHalves: new WeakMap() };
}

/** A key that a session without a login does not see may well be there. */
function loginLost(cause: unknown): EnvelockError {
  return new EnvelockError("unavailable", "the login to the token was lost", { detail: "token-lost", cause });
}

function isKeyMissing(error: unknown): boolean {
  return error instanceof EnvelockError && error.code === "key-not-found";
}

/** Whether the session sees what the user may see. */
function isUser({ cryptoki, info }: OpenLink, session: Handle): boolean {
  try {
    return (info.flags & ck.CKF_LOGIN_REQUIRED) === 0 || cryptoki.isLoggedIn(session);
  } catch {
    return false;
  }
}

function closeQuietly({ module, generation, cryptoki }: OpenLink, session: Handle): void {
  if (generation !== module.generation) return; // by now the number may be another session's
  try {
    cryptoki.closeSession(session);
  } catch {
    // it is gone already, or with the token
  }
}

function findToken(
  cryptoki: Cryptoki,
  { module, token }: TokenLocation,
  hasBeenOpen: boolean,
): { readonly slot: Handle; readonly info: TokenInfo } {
  const matches: { slot: Handle; info: TokenInfo }[] = [];
  const labels: string[] = [];
  let failure: unknown;
  for (const slot of cryptoki.slots()) {
    try {
      const info = cryptoki.tokenInfo(slot);
      if ((info.flags & ck.CKF_TOKEN_INITIALIZED) === 0) continue;
      labels.push(`"${info.label}"`);
      if (isMeant(token, info)) matches.push({ slot, info });
    } catch (error) {
      failure = error; // another slot's trouble, or this one's
    }
  }
  const [match, ...others] = matches;
  if (match !== undefined && others.length === 0) return match;
  if (match !== undefined) {
    throw new EnvelockError("provider-failure", `${matches.length} tokens fit`, {
      detail: "ambiguous-token",
      hint: "name the token's serial too",
    });
  }
  if (failure !== undefined) throw failure;
  throw new EnvelockError(hasBeenOpen ? "unavailable" : "key-not-found", `${module} has no such token`, {
    detail: hasBeenOpen ? "token-lost" : "token-missing",
    hint: labels.length === 0 ? "it has no token at all" : `it has ${labels.slice(0, 8).join(", ")}`,
    cause: new Error("C_GetTokenInfo named other tokens, or none"),
  });
}

function isMeant(selector: TokenLocation["token"], info: TokenInfo): boolean {
  return (
    (selector.label === undefined || selector.label === info.label) &&
    (selector.serial === undefined || selector.serial === info.serial) &&
    (selector.manufacturer === undefined || selector.manufacturer === info.manufacturer) &&
    (selector.model === undefined || selector.model === info.model)
  );
}
