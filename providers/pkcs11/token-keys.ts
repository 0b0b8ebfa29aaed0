import { equalPublicBytes, type OwnedBytes, wipe } from "../../src/core/base/bytes.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { DATA_KEY_BYTES } from "../../src/core/contracts/sizes.ts";
import { isUnclear, losesObject, refusesMechanism, rejected, tokenFailure } from "./cryptoki/failures.ts";
import { formatKeyId, type KeyName, parseKeyId } from "./key-id.ts";
import type { Pkcs11KeySelector, Pkcs11Pin, TokenLocation } from "./options.ts";
import { exactKey, type KeyObject, newestKey } from "./session/key-objects.ts";
import { type Session, TokenSessions } from "./session/token-sessions.ts";
import {
  bestWrapping,
  type Pkcs11Mechanism,
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
  readonly isRsaWrapLocal: boolean;
}

/** Makes one attempt at each call, and fails with an `EnvelockError`. */
export class ThisThreadKeys implements TokenKeys {
  readonly #options: TokenKeysOptions;
  readonly #sessions: TokenSessions;

  constructor(options: TokenKeysOptions, pin: Pkcs11Pin | undefined) {
    this.#options = options;
    this.#sessions = new TokenSessions(options.location, pin);
  }

  async current(nowMs: number): Promise<WrapTarget> {
    return await this.#use((session) => {
      const key = newestKey(session, this.#options.key, nowMs);
      const { mechanism } = this.#options;
      const wrapping = mechanism === undefined ? bestWrapping(session, key) : named(mechanism, key);
      const keyId = formatKeyId(nameOf(session, key));
      remember(session, keyId, key);
      return { keyId, alg: wrapping.alg };
    });
  }

  async wrap({ keyId, alg }: WrapTarget, dek: Uint8Array, aad: Uint8Array): Promise<OwnedBytes> {
    return await this.#use(async (session) => {
      const { key, wrapping } = keyFor(session, keyId, alg);
      const wrapped = await forgetting(session, keyId, wrapUnder(session, key, wrapping, dek, aad, this.#options.isRsaWrapLocal));
      if (wrapped.length === wrappedBytes(wrapping, key)) return wrapped;
      throw new EnvelockError("provider-failure", `the token wrapped to ${wrapped.length} bytes`, { detail: "broken-answer" });
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

  /** What the token fails with when it wraps and unwraps a key of ours, if it does. A key that may only unwrap tells nothing. */
  async #breakdown({ keyId, alg }: WrapTarget): Promise<EnvelockError | undefined> {
    const [dek, aad] = [crypto.getRandomValues(new Uint8Array(DATA_KEY_BYTES)), new Uint8Array(1)];
    try {
      const isSame = await this.#sessions.use(async (session) => {
        const { key, wrapping } = keyFor(session, keyId, alg);
        const wrapped = await wrapUnder(session, key, wrapping, dek, aad, this.#options.isRsaWrapLocal);
        return equalPublicBytes(await unwrapUnder(session, key, wrapping, wrapped, aad), dek);
      });
      return isSame ? undefined : new EnvelockError("unavailable", "the token does not unwrap what it wraps", { detail: "token-lost" });
    } catch (error) {
      return tokenFailure(error);
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

/** A failure that says nothing of why. It passes the sessions by, which would take the token for lost. */
class Unclear extends Error {
  constructor(cause: unknown) {
    super("unclear", { cause });
  }
}

/** What `keyId` names, found before or now. @throws `unwrap-rejected` for an algorithm of another type of key */
function keyFor(session: Session, keyId: string, alg: number): { readonly key: KeyObject; readonly wrapping: Wrapping } {
  const wrapping = WRAPPINGS.find((candidate) => candidate.alg === alg);
  if (wrapping === undefined) throw rejected();
  const key = session.found.keys.get(keyId) ?? keyNamed(session, keyId);
  remember(session, keyId, key);
  if (key.kind !== wrapping.kind) throw rejected();
  return { key, wrapping };
}

function keyNamed(session: Session, keyId: string): KeyObject {
  const name = parseKeyId(keyId);
  if (name === undefined) throw rejected();
  return exactKey(session, name);
}

/** The keys that were used last: how many key ids there are is up to whoever writes them. */
function remember({ found }: Session, keyId: string, key: KeyObject): void {
  found.keys.delete(keyId);
  found.keys.set(keyId, key);
  const [oldest] = found.keys.keys();
  if (found.keys.size > MAX_KEYS && oldest !== undefined) found.keys.delete(oldest);
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
    cause: new Error("CKA_KEY_TYPE"),
  });
}

function nameOf({ info }: Session, { label, id }: KeyObject): KeyName {
  return { token: info.label, label, id, serial: info.serial };
}

const MAX_KEYS = 256;
