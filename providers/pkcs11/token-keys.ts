import { type OwnedBytes, wipe } from "../../src/core/base/bytes.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { RoundTrips } from "../../src/core/contracts/round-trips.ts";
import { DATA_KEY_BYTES } from "../../src/core/contracts/suite.ts";
import { isUnclear, losesObject, refusesMechanism, rejected, showsUnable, tokenFailure } from "./cryptoki/failures.ts";
import { formatKeyId, type KeyName, parseKeyId } from "./key-id.ts";
import type { Pkcs11KeySelector, Pkcs11Pin, TokenLocation } from "./options.ts";
import { exactKey, newestKey, requireUsable } from "./session/key-objects.ts";
import type { KeyObject, Session } from "./session/session.ts";
import { TokenSessions } from "./session/token-sessions.ts";
import {
  noWrapping,
  type Pkcs11Mechanism,
  pastWrapping,
  possibleWrappings,
  unwrapUnder,
  WRAPPINGS,
  type Wrapping,
  wrappedBytes,
  wrapUnder,
} from "./wrapping/wrappings.ts";

/** The KEKs of one token as a provider needs them, on this thread or on another. All of it can be sent between threads. */
export interface TokenKeys {
  /** The version that wraps at a time. */
  current(nowMs: number): Promise<WrapTarget>;
  wrap(target: WrapTarget, dek: Uint8Array, aad: Uint8Array): Promise<OwnedBytes>;
  /** @param keyId one that `formatKeyId` wrote, of a key that is configured */
  unwrap(keyId: string, alg: number, wrapped: Uint8Array, aad: Uint8Array): Promise<OwnedBytes>;
  random(count: number): Promise<OwnedBytes>;
  close(): Promise<void>;
}

export interface WrapTarget {
  readonly keyId: string;
  readonly alg: number;
}

export interface TokenKeysOptions {
  readonly location: TokenLocation;
  /** Empty where only random bytes are asked for. */
  readonly key: Pkcs11KeySelector;
  /** Chosen by key and token if left out. */
  readonly mechanism: Pkcs11Mechanism | undefined;
  /** Algorithms that unwrap beside the one that the key is bound to. */
  readonly alsoUnwraps: readonly number[];
  readonly isRsaWrapLocal: boolean;
}

/** Makes one attempt at each call, and fails with an `EnvelockError`. */
export class ThisThreadKeys implements TokenKeys {
  readonly #options: TokenKeysOptions;
  readonly #sessions: TokenSessions;
  readonly #roundTrips: RoundTrips = new RoundTrips();
  /** Keys on the token with the algorithm that they are bound to. */
  readonly #bound: Set<string> = new Set();

  constructor(options: TokenKeysOptions, sessions: TokenSessions) {
    this.#options = options;
    this.#sessions = sessions;
  }

  /** Makes keys with sessions of their own. */
  static open(options: TokenKeysOptions, pin: Pkcs11Pin | undefined): ThisThreadKeys {
    return new ThisThreadKeys(options, new TokenSessions(options.location, pin));
  }

  async current(nowMs: number): Promise<WrapTarget> {
    const { mechanism, key: selector } = this.#options;
    const keyId = await this.#use((session) => {
      const key = newestKey(session, selector, nowMs);
      requireUsable(key);
      const id = formatKeyId(nameOf(session, key));
      session.found.keys.set(id, key);
      return mechanism === undefined ? id : { keyId: id, alg: named(mechanism, key).alg };
    });
    return typeof keyId === "string" ? { keyId, alg: await this.chosen(keyId) } : keyId;
  }

  async wrap({ keyId, alg }: WrapTarget, dek: Uint8Array, aad: Uint8Array): Promise<OwnedBytes> {
    await this.#prove(keyId, alg);
    return await this.#use(async (session) => {
      const { key, wrapping } = keyFor(session, keyId, alg);
      return await forgetting(session, keyId, this.#wrapUnder(session, key, wrapping, dek, aad));
    });
  }

  async unwrap(keyId: string, alg: number, wrapped: Uint8Array, aad: Uint8Array): Promise<OwnedBytes> {
    const attempt = async (session: Session): Promise<OwnedBytes> => {
      const { key, wrapping } = keyFor(session, keyId, alg);
      if (wrapped.length !== wrappedBytes(wrapping, key)) throw rejected();
      const dek = await forgetting(session, keyId, unwrapUnder(session, key, wrapping, wrapped, aad)).catch((error: unknown) => {
        throw isUnclear(error) ? new Unclear(error) : error;
      });
      if (dek.length === DATA_KEY_BYTES) return dek;
      wipe(dek);
      throw rejected();
    };
    await this.#requireBound(keyId, alg);
    try {
      return await this.#sessions.use(attempt);
    } catch (error) {
      if (error instanceof Unclear) return await this.#unwrapAgain(attempt, { keyId, alg }, error.cause);
      throw tokenFailure(error, true);
    }
  }

  async random(count: number): Promise<OwnedBytes> {
    return await this.#use(({ cryptoki, session }) => cryptoki.random(session, count));
  }

  async close(): Promise<void> {
    await this.#sessions.close();
  }

  /**
   * The best wrapping of a key that a trial has shown to work. What cannot work is passed over; what fails otherwise ends the search,
   * for an outage must not lead to another algorithm.
   */
  async chosen(keyId: string): Promise<number> {
    const tried: string[] = [];
    for (;;) {
      const next = await this.#use((session) => {
        const key = keyNamed(session, keyId);
        for (const { alg, name } of possibleWrappings(session, key)) {
          const reason = session.found.impossible.get(tripOf(keyId, alg));
          if (reason === undefined) return { alg, name };
          if (!tried.includes(reason)) tried.push(reason);
        }
        throw noWrapping(key, tried);
      });
      if (this.#roundTrips.isProven(tripOf(keyId, next.alg))) return next.alg;
      try {
        await this.#prove(keyId, next.alg);
        return next.alg;
      } catch (error) {
        if (!showsUnable(error) && !isNoRoundTrip(error)) throw error;
        const reason = `${next.name}: ${tokenFailure(error).message}`;
        await this.#use(({ found }) => void found.impossible.set(tripOf(keyId, next.alg), reason));
      }
    }
  }

  /** Wraps a data key that protects nothing, and unwraps it. */
  async #prove(keyId: string, alg: number): Promise<void> {
    await this.#roundTrips.prove(tripOf(keyId, alg), async (dek) => {
      const aad = new Uint8Array(1);
      return await this.#use(async (session) => {
        const { key, wrapping } = keyFor(session, keyId, alg);
        const wrapped = await forgetting(session, keyId, this.#wrapUnder(session, key, wrapping, dek, aad));
        return await unwrapUnder(session, key, wrapping, wrapped, aad);
      });
    });
  }

  async #wrapUnder(session: Session, key: KeyObject, wrapping: Wrapping, dek: Uint8Array, aad: Uint8Array): Promise<OwnedBytes> {
    const wrapped = await wrapUnder(session, key, wrapping, dek, aad, this.#options.isRsaWrapLocal);
    if (wrapped.length === wrappedBytes(wrapping, key)) return wrapped;
    throw new EnvelockError("provider-failure", `the token wrapped to ${wrapped.length} bytes`, { detail: "broken-answer" });
  }

  /**
   * An AES key opens one algorithm: the one that it would wrap with, or what the options name. docs/providers/pkcs11.md
   *
   * @throws `unwrap-rejected`
   */
  async #requireBound(keyId: string, alg: number): Promise<void> {
    const { mechanism, alsoUnwraps } = this.#options;
    if (mechanism !== undefined || alsoUnwraps.includes(alg) || this.#bound.has(tripOf(keyId, alg))) return;
    const bound = await this.#use((session) => {
      const { key } = keyFor(session, keyId, alg);
      if (key.kind === "rsa") return alg;
      const [best] = possibleWrappings(session, key);
      return best === undefined ? pastWrapping(session, key)?.alg : best.alg;
    });
    if (bound === alg || (bound !== undefined && (await this.#chosenOr(bound, keyId)) === alg))
      return void this.#bound.add(tripOf(keyId, alg));
    throw rejected(undefined, {
      detail: "mechanism",
      hint: "this key wraps with another mechanism; name the old one in `unwrapMechanisms` if the data is yours",
    });
  }

  /** A key that works with none stays bound to what it may have wrapped with. */
  async #chosenOr(bound: number, keyId: string): Promise<number> {
    return await this.chosen(keyId).catch((error: unknown) => {
      if (error instanceof EnvelockError && error.retryable) throw error;
      return bound;
    });
  }

  /**
   * A token that answers CKR_GENERAL_ERROR may mean that the bytes were changed, or that it is broken. It means the bytes if it can
   * still wrap and unwrap a key of ours, and says the same of them again.
   */
  async #unwrapAgain(attempt: (session: Session) => Promise<OwnedBytes>, target: WrapTarget, first: unknown): Promise<OwnedBytes> {
    const breakdown = await this.#breakdown(target);
    if (breakdown?.retryable === true) throw breakdown;
    if (breakdown !== undefined && refusesMechanism(first)) throw tokenFailure(first); // not even for bytes of its own
    try {
      return await this.#sessions.use(attempt);
    } catch (error) {
      if (error instanceof Unclear) throw rejected(error.cause);
      throw tokenFailure(error, true);
    }
  }

  /** The failure with which the token wraps and unwraps a key of ours, if it does. A key that may only unwrap tells nothing. */
  async #breakdown({ keyId, alg }: WrapTarget): Promise<EnvelockError | undefined> {
    this.#roundTrips.forget(tripOf(keyId, alg));
    try {
      await this.#prove(keyId, alg);
      return undefined;
    } catch (error) {
      if (!isNoRoundTrip(error)) return tokenFailure(error);
      return new EnvelockError("unavailable", "the token does not unwrap what it wraps", { detail: "token-lost", cause: error });
    }
  }

  async #use<T>(work: (session: Session) => Promise<T> | T): Promise<T> {
    try {
      return await this.#sessions.use(work);
    } catch (error) {
      throw tokenFailure(error);
    }
  }
}

/** A failure that tells nothing of its reason. Not a `CryptokiError`, for which the sessions would take the token for lost. */
class Unclear extends Error {
  constructor(cause: unknown) {
    super("unclear", { cause });
  }
}

/** The key that `keyId` names, found before or now. @throws `unwrap-rejected` for an algorithm of another type of key, `provider-failure` */
function keyFor(session: Session, keyId: string, alg: number): { readonly key: KeyObject; readonly wrapping: Wrapping } {
  const wrapping = WRAPPINGS.find((candidate) => candidate.alg === alg);
  if (wrapping === undefined) throw rejected();
  const key = keyNamed(session, keyId);
  if (key.kind !== wrapping.kind) throw rejected();
  return { key, wrapping };
}

function keyNamed(session: Session, keyId: string): KeyObject {
  const known = session.found.keys.get(keyId);
  if (known !== undefined) return known;
  const key = lookedUp(session, keyId);
  session.found.keys.set(keyId, key);
  return key;
}

function lookedUp(session: Session, keyId: string): KeyObject {
  const name = parseKeyId(keyId);
  if (name === undefined) throw rejected();
  const key = exactKey(session, name);
  requireUsable(key);
  return key;
}

/** Looks a key up anew after the token has lost its object. */
async function forgetting<T>({ found }: Session, keyId: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (losesObject(error)) found.keys.delete(keyId);
    throw error;
  }
}

function named(mechanism: Pkcs11Mechanism, key: KeyObject): Wrapping {
  const wrapping = WRAPPINGS.find(({ name }) => name === mechanism);
  if (wrapping !== undefined && wrapping.kind === key.kind) return wrapping;
  throw new EnvelockError("provider-failure", `the key is of type ${key.kind.toUpperCase()}, which does not do ${mechanism}`, {
    detail: "mechanism",
    hint: "leave `mechanism` out, or name one for this type of key",
  });
}

function nameOf({ info }: Session, { label, id }: KeyObject): KeyName {
  return { token: info.label, label, id, serial: info.serial };
}

function tripOf(keyId: string, alg: number): string {
  return `${alg} ${keyId}`;
}

function isNoRoundTrip(error: unknown): boolean {
  return error instanceof EnvelockError && error.detail === "no-round-trip";
}
