import { refuseUnknown } from "../../../src/core/base/options.ts";
import * as ck from "../cryptoki/constants.ts";
import type { TokenInfo } from "../cryptoki/cryptoki.ts";
import { tokenFailure } from "../cryptoki/failures.ts";
import { openModule } from "../cryptoki/modules.ts";
import { keySelector, moduleLocation, type Pkcs11KeySelector, type Pkcs11TokenOptions, TOKEN_OPTIONS, tokenLocation } from "../options.ts";
import { findKeys } from "../session/key-objects.ts";
import type { UseSession } from "../session/session.ts";
import { TokenSessions } from "../session/token-sessions.ts";
import { ThisThreadKeys } from "../token-keys.ts";
import { type ByokKek, byokExchangeKey } from "./byok.ts";
import { byokFileOf } from "./byok-of-token.ts";
import { describeKey, type Pkcs11KeyDescription } from "./key-description.ts";
import { generateKek, type NewPkcs11Key } from "./key-generation.ts";
import { describeMechanisms, type Pkcs11MechanismDescription } from "./mechanism-description.ts";
import { type Pkcs11SelfTestOptions, type Pkcs11TestResult, selfTest } from "./self-test.ts";

/** A token to set up and to look at, as `envelock hsm` does. Not needed to encrypt. */
export interface Pkcs11Token {
  /** Lists the keys that could be KEKs: secret AES keys and private RSA keys. */
  keys(): Promise<readonly Pkcs11KeyDescription[]>;
  mechanisms(): Promise<readonly Pkcs11MechanismDescription[]>;
  /**
   * Makes a KEK that never leaves the token, unless told otherwise, and tries it: a key that does not unwrap what it wraps is deleted
   * again.
   *
   * @throws `invalid-argument`, `access-denied`, `provider-failure`
   */
  generateKey(key: NewPkcs11Key): Promise<Pkcs11KeyDescription>;
  /**
   * Wraps and unwraps with each mechanism as a provider does, under a key that exists, or under keys that are gone afterwards. These are
   * objects of the session where the token makes such, else objects on the token that are deleted.
   */
  selfTest(options?: Pkcs11SelfTestOptions): Promise<readonly Pkcs11TestResult[]>;
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
 * @example
 * ```ts
 * import { pkcs11Tokens } from "envelock/providers/pkcs11";
 *
 * for (const { label, serial } of await pkcs11Tokens({ module: "/usr/lib/softhsm/libsofthsm2.so" })) console.log(label, serial);
 * ```
 */
export async function pkcs11Tokens(
  options: Pick<Pkcs11TokenOptions, "module" | "libraryParameters">,
): Promise<readonly Pkcs11TokenDescription[]> {
  refuseUnknown<Pkcs11TokenOptions>(options, TOKEN_OPTIONS, "pkcs11Tokens");
  const module = await openModule(moduleLocation(options.module));
  const user = { makeRoom: () => false };
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
 * @example
 * ```ts
 * import { pkcs11Token } from "envelock/providers/pkcs11";
 *
 * const token = pkcs11Token({ uri: "pkcs11:token=hsm?module-path=/usr/lib/softhsm/libsofthsm2.so", pin: () => "1234" });
 * const { keyId } = await token.generateKey({ type: "aes-256", label: "orders" });
 * await token.close();
 * ```
 */
export function pkcs11Token(options: Pkcs11TokenOptions): Pkcs11Token {
  refuseUnknown(options, TOKEN_OPTIONS, "pkcs11Token");
  const { uri: _uri, ...location } = tokenLocation(options);
  const sessions = new TokenSessions(location, options.pin, true);
  const keys = new ThisThreadKeys({ location, key: {}, mechanism: undefined, alsoUnwraps: [], isRsaWrapLocal: false }, sessions);
  const use: UseSession = async (work) => {
    try {
      return await sessions.use(work);
    } catch (error) {
      throw tokenFailure(error);
    }
  };
  return {
    keys: () => use((session) => findKeys(session, {}).map((key) => describeKey(session, key))),
    mechanisms: () => use(describeMechanisms),
    generateKey: (key) => generateKek(use, key, (keyId) => keys.chosen(keyId)),
    selfTest: (test = {}) => selfTest(use, test),
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
  [ck.CKF_USER_PIN_LOCKED, "locked"],
  [ck.CKF_USER_PIN_FINAL_TRY, "last try"],
  [ck.CKF_USER_PIN_COUNT_LOW, "few tries left"],
] as const;
