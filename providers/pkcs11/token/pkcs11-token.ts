import { type Clock, systemClock } from "../../../src/core/base/clock.ts";
import * as ck from "../cryptoki/constants.ts";
import type { TokenInfo } from "../cryptoki/cryptoki.ts";
import { tokenFailure } from "../cryptoki/failures.ts";
import { openModule } from "../cryptoki/modules.ts";
import { keySelector, moduleLocation, type Pkcs11KeySelector, type Pkcs11TokenOptions, tokenLocation } from "../options.ts";
import { findKeys } from "../session/key-objects.ts";
import { type Session, TokenSessions } from "../session/token-sessions.ts";
import { type ByokKek, byokExchangeKey } from "./byok.ts";
import { byokFileOf } from "./byok-of-token.ts";
import { describeKey, type Pkcs11KeyDescription } from "./key-description.ts";
import { generateKekOn, type NewPkcs11Key } from "./key-generation.ts";
import { describeMechanisms, type Pkcs11MechanismDescription } from "./mechanism-description.ts";
import { type Pkcs11TestResult, selfTestOn } from "./self-test.ts";

/** A token to be set up and looked at: what `envelock hsm` does. Not needed to encrypt. */
export interface Pkcs11Token {
  /** The keys that could be KEKs: secret AES keys and private RSA keys. */
  keys(): Promise<readonly Pkcs11KeyDescription[]>;
  mechanisms(): Promise<readonly Pkcs11MechanismDescription[]>;
  /** Makes a KEK that never leaves the token, unless told otherwise. */
  generateKey(key: NewPkcs11Key): Promise<Pkcs11KeyDescription>;
  /** Wraps and unwraps with each mechanism, under keys that are gone afterwards. */
  selfTest(clock?: Clock): Promise<readonly Pkcs11TestResult[]>;
  /** The `.byok` file of a key that may be extracted, for Azure. The key does not show in this process. */
  byokFile(key: Pkcs11KeySelector, kek: ByokKek): Promise<string>;
  close(): Promise<void>;
}

export interface Pkcs11TokenDescription {
  readonly label: string;
  readonly serial: string;
  readonly manufacturer: string;
  readonly model: string;
  readonly isInitialised: boolean;
  readonly needsLogin: boolean;
  readonly pin: "set" | "missing" | "few tries left" | "last try" | "locked";
}

/**
 * The tokens that a library shows, without a login to any.
 *
 * @throws `invalid-argument`, `provider-failure`, `unavailable`
 */
export async function pkcs11Tokens(
  options: Pick<Pkcs11TokenOptions, "module" | "libraryParameters">,
): Promise<readonly Pkcs11TokenDescription[]> {
  const module = await openModule(moduleLocation(options.module));
  const user = { isAlive: () => false };
  try {
    module.attach(user, options.libraryParameters);
    return module.cryptoki.slots().map((slot) => describeToken(module.cryptoki.tokenInfo(slot)));
  } catch (error) {
    throw tokenFailure(error);
  } finally {
    module.detach(user);
  }
}

/**
 * One token. Nothing is called before the first of its methods is.
 *
 * @throws `invalid-argument`; its methods what a KEK on the token throws
 */
export function pkcs11Token(options: Pkcs11TokenOptions): Pkcs11Token {
  const { uri: _uri, ...location } = tokenLocation(options);
  const sessions = new TokenSessions(location, options.pin);
  const use = async <T>(work: (session: Session) => Promise<T> | T): Promise<T> => {
    try {
      return await sessions.use(work);
    } catch (error) {
      throw tokenFailure(error);
    }
  };
  return {
    keys: () => use((session) => findKeys(session, {}).map((key) => describeKey(session, key))),
    mechanisms: () => use(describeMechanisms),
    generateKey: (key) => use((session) => generateKekOn(session, key)),
    selfTest: (clock = systemClock) => use((session) => selfTestOn(session, () => clock.monotonicMs())),
    async byokFile(key, kek) {
      const selector = keySelector("the key", key);
      const exchangeKey = byokExchangeKey(kek);
      return await use((session) => byokFileOf(session, selector, kek, exchangeKey));
    },
    close: () => sessions.close(),
  };
}

function describeToken({ label, serial, manufacturer, model, flags }: TokenInfo): Pkcs11TokenDescription {
  const isSet = (flag: number): boolean => (flags & flag) !== 0;
  return {
    label,
    serial,
    manufacturer,
    model,
    isInitialised: isSet(ck.CKF_TOKEN_INITIALIZED),
    needsLogin: isSet(ck.CKF_LOGIN_REQUIRED),
    pin: PIN_STATES.find(([flag]) => isSet(flag))?.[1] ?? (isSet(ck.CKF_USER_PIN_INITIALIZED) ? "set" : "missing"),
  };
}

/** The worst first. PKCS#11 v3.1, token information flags */
const PIN_STATES = [
  [0x40000, "locked"],
  [0x20000, "last try"],
  [0x10000, "few tries left"],
] as const;
