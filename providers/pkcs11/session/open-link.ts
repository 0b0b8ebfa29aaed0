import { RecentMap } from "../../../src/core/base/recent-map.ts";
import * as ck from "../cryptoki/constants.ts";
import type { Handle, TokenInfo } from "../cryptoki/cryptoki.ts";
import { returns } from "../cryptoki/failures.ts";
import type { Module, ModuleUser } from "../cryptoki/modules.ts";
import type { Link } from "./session.ts";

/** A session that a call works in, from `take` until `giveBack` or `discard`. */
export interface SessionSeat {
  readonly session: Handle;
}

export interface OpenLinkOptions {
  readonly module: Module;
  /** The module's generation when the token was looked for. */
  readonly generation: number;
  readonly slot: Handle;
  readonly info: TokenInfo;
  /** Asks for sessions that may write; gets others from a token that takes nothing. */
  readonly isReadWrite: boolean;
  readonly user: ModuleUser;
}

/** A token with its open sessions. One of them, the anchor, keeps the login; calls use it only where the token gives them no other. */
export class OpenLink {
  readonly module: Module;
  readonly generation: number;
  readonly link: Link;
  readonly #user: ModuleUser;
  readonly #isReadWrite: boolean;
  readonly #anchor: Handle;
  #isAnchorTaken = false;
  #isClosed = false;
  readonly #idle: Handle[] = [];

  constructor({ module, generation, slot, info, isReadWrite, user }: OpenLinkOptions, anchor: Handle, mayWrite: boolean) {
    this.module = module;
    this.generation = generation;
    this.link = { cryptoki: module.cryptoki, slot, info, found: noFindings() };
    this.#user = user;
    this.#isReadWrite = isReadWrite && mayWrite;
    this.#anchor = anchor;
  }

  /** Whether the handles still mean what they meant. */
  get isCurrent(): boolean {
    return this.generation === this.module.generation;
  }

  get anchor(): Handle {
    return this.#anchor;
  }

  /** @throws CKR_SESSION_COUNT if the token has no session left, and what C_OpenSession says */
  take(): SessionSeat {
    const session = this.#idle.pop();
    if (session !== undefined) return { session };
    try {
      return { session: this.#openOrMakeRoom() };
    } catch (error) {
      if (!returns(error, ck.CKR_SESSION_COUNT) || this.#isAnchorTaken) throw error;
      this.#isAnchorTaken = true;
      return { session: this.#anchor };
    }
  }

  giveBack({ session }: SessionSeat): void {
    if (session === this.#anchor) this.#isAnchorTaken = false;
    else this.#idle.push(session);
  }

  /** Closes a session. @returns false for the anchor: the link is no more */
  discard({ session }: SessionSeat): boolean {
    if (session !== this.#anchor) {
      this.#close(session);
      return true;
    }
    this.#isAnchorTaken = false;
    if (this.#isClosed) this.#close(session);
    return false;
  }

  /** @returns whether there was an idle session */
  closeIdle(): boolean {
    const idle = this.#idle.splice(0);
    for (const session of idle) this.#close(session);
    return idle.length > 0;
  }

  /** Closes all sessions but those that calls work in, which `discard` closes. */
  closeAll(): void {
    this.closeIdle();
    this.#isClosed = true;
    if (!this.#isAnchorTaken) this.#close(this.#anchor);
  }

  /** Whether the session sees what the user may see. */
  isLoggedIn({ session }: SessionSeat): boolean {
    const { cryptoki, info } = this.link;
    try {
      return (info.flags & ck.CKF_LOGIN_REQUIRED) === 0 || cryptoki.isLoggedIn(session);
    } catch {
      return false;
    }
  }

  #openOrMakeRoom(): Handle {
    const { module, link } = this;
    try {
      return openSession(module, link.slot, this.#isReadWrite);
    } catch (error) {
      if (returns(error, ck.CKR_SESSION_COUNT) && module.makeRoom(this.#user)) return openSession(module, link.slot, this.#isReadWrite);
      throw error;
    }
  }

  #close(session: Handle): void {
    if (!this.isCurrent) return; // by now the number may be another session's
    this.module.peers.countSession(-1);
    try {
      this.link.cryptoki.closeSession(session);
    } catch {
      // it is gone already, or with the token
    }
  }
}

/** @throws what C_OpenSession says */
export function openLink(options: OpenLinkOptions): OpenLink {
  const { module, slot, info, isReadWrite } = options;
  const mayWrite = (info.flags & ck.CKF_WRITE_PROTECTED) === 0;
  try {
    return new OpenLink(options, openSession(module, slot, isReadWrite && mayWrite), mayWrite);
  } catch (error) {
    if (!isReadWrite || !returns(error, ck.CKR_TOKEN_WRITE_PROTECTED)) throw error;
    return new OpenLink(options, openSession(module, slot, false), false);
  }
}

function openSession({ cryptoki, peers }: Module, slot: Handle, isReadWrite: boolean): Handle {
  const session = cryptoki.openSession(slot, isReadWrite);
  peers.countSession(1);
  return session;
}

function noFindings(): Link["found"] {
  return {
    mechanismFlags: new Map(),
    keys: new RecentMap({ maxEntries: MAX_KEYS }),
    publicHalves: new WeakMap(),
    unknownAttributes: new Set(),
    impossible: new Map(),
  };
}

const MAX_KEYS = 256;
