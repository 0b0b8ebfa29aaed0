import { copyOf, isBytes, isTextOfAtMost, type OwnedBytes } from "../../src/core/base/bytes.ts";
import { invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { type Pkcs11Uri, parsePkcs11Uri } from "./pkcs11-uri.ts";

/** Which library, and which token in it. */
export interface Pkcs11TokenOptions {
  /** `pkcs11:…?module-path=…` of RFC 7512, in place of `module`, `token` and, where there is one, `key`. */
  readonly uri?: string;
  /** The absolute path of the PKCS#11 library. It runs in this process: nothing is searched for, and none comes from outside. */
  readonly module?: string;
  /** Label or serial of the token, or both. Slots are not named, because they change their numbers. */
  readonly token?: Pkcs11TokenSelector;
  /**
   * Returns the user's PIN. Called when a login is due: at the first call, and after the token was lost. The PIN is not kept, but
   * JavaScript cannot wipe a string. A PIN that the token has refused is not shown to it again in this process, by any provider.
   */
  readonly pin?: Pkcs11Pin;
  /**
   * Shows the PIN also to a token that locks at the next wrong one (CKF_USER_PIN_FINAL_TRY). Default false: such a token is left alone
   * until a login with its own tool has reset the count.
   */
  readonly dangerLastPinTry?: boolean;
  /** Parameters for C_Initialize, such as NSS's `configdir='sql:…'`. */
  readonly libraryParameters?: string;
  /**
   * Lets the library work in a thread of its own. Opening sessions, logging in, finding keys and beginning an operation block the
   * thread in which they are called, for as long as the token takes: with a token on the network that should not be the main thread.
   * All users of a library give the same value. Default false.
   */
  readonly thread?: boolean;
  /** The most calls that may be in flight at once, each in a session of its own. A token that allows fewer sessions gets fewer. Default 8. */
  readonly maxSessions?: number;
}

export type Pkcs11Pin = () => string | Promise<string>;

export interface Pkcs11TokenSelector {
  readonly label?: string;
  readonly serial?: string;
  readonly manufacturer?: string;
  readonly model?: string;
}

/** Label (CKA_LABEL), id (CKA_ID), or both. */
export interface Pkcs11KeySelector {
  readonly label?: string;
  readonly id?: Uint8Array;
}

/** A library and a token, checked. */
export interface TokenLocation {
  readonly module: string;
  readonly libraryParameters: string | undefined;
  readonly token: Pkcs11TokenSelector;
  readonly maxSessions: number;
  readonly mayUseLastPinTry: boolean;
}

/** @throws `invalid-argument` */
export function tokenLocation(options: Pkcs11TokenOptions): TokenLocation & { readonly uri: Pkcs11Uri } {
  const uri = parsePkcs11Uri(options.uri ?? "pkcs11:");
  const ofUri = tokenOf(uri);
  const token = tokenSelector(options.token ?? ofUri);
  if (options.token !== undefined && Object.keys(ofUri).length > 0)
    throw invalidArgument("the token is named by `uri` or by `token`, not by both");
  if (!isNamed(token)) throw invalidArgument("the token needs a label or a serial");
  if (options.pin !== undefined && typeof options.pin !== "function") {
    throw invalidArgument("pin must be a function that returns the PIN", "a PIN that stands in options is soon in a log");
  }
  return {
    module: checkedModule(options.module, uri.modulePath),
    libraryParameters: options.libraryParameters,
    token,
    maxSessions: checkedCount("maxSessions", options.maxSessions ?? DEFAULT_SESSIONS, MAX_SESSIONS),
    mayUseLastPinTry: options.dangerLastPinTry === true,
    uri,
  };
}

/** @throws `invalid-argument` */
export function moduleLocation(module: string | undefined): string {
  return checkedModule(module, undefined);
}

/** @throws `invalid-argument` */
export function keySelector(what: string, key: Pkcs11KeySelector | undefined): Pkcs11KeySelector {
  if (key !== undefined) refuseUnknown(key, KEY_SELECTOR, what);
  const { label, id } = key ?? {};
  if (label !== undefined && !isTextOfAtMost(MAX_LABEL_BYTES, label))
    throw invalidArgument(`${what}: a label has 1 to ${MAX_LABEL_BYTES} bytes`);
  if (id !== undefined && !(isBytes(id) && id.length >= 1 && id.length <= MAX_ID_BYTES)) {
    throw invalidArgument(`${what}: an id is 1 to ${MAX_ID_BYTES} bytes`);
  }
  if (label === undefined && id === undefined) throw invalidArgument(`${what} needs a label or an id`);
  return { ...(label !== undefined && { label }), ...(id !== undefined && { id: copyOf(id) }) };
}

/** The key that a URI names, if it names one. @throws `invalid-argument` */
export function keyInUri({ object, id, type }: Pkcs11Uri): { readonly label?: string; readonly id?: OwnedBytes } | undefined {
  if (type === "public") throw invalidArgument('a KEK is a secret key or a private key; the URI has "type=public"');
  if (object === undefined && id === undefined) return undefined;
  return { ...(object !== undefined && { label: object }), ...(id !== undefined && { id }) };
}

/** @throws `invalid-argument` */
export function checkedCount(what: string, value: number, most: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw invalidArgument(`${what} is ${value}, expected 1 to ${most}`);
}

function tokenOf({ token, serial, manufacturer, model }: Pkcs11Uri): Pkcs11TokenSelector {
  return {
    ...(token !== undefined && { label: token }),
    ...(serial !== undefined && { serial }),
    ...(manufacturer !== undefined && { manufacturer }),
    ...(model !== undefined && { model }),
  };
}

function isNamed({ label, serial }: Pkcs11TokenSelector): boolean {
  return label !== undefined || serial !== undefined;
}

function tokenSelector(token: Pkcs11TokenSelector): Pkcs11TokenSelector {
  refuseUnknown(token, TOKEN_SELECTOR, "`token`");
  const { label, serial, manufacturer, model } = token;
  for (const [name, text] of Object.entries({ label, serial, manufacturer, model })) {
    if (text !== undefined && !isTextOfAtMost(32, text)) throw invalidArgument(`the ${name} of a token has 1 to 32 bytes`); // CK_TOKEN_INFO
  }
  return {
    ...(label !== undefined && { label }),
    ...(serial !== undefined && { serial }),
    ...(manufacturer !== undefined && { manufacturer }),
    ...(model !== undefined && { model }),
  };
}

function checkedModule(option: string | undefined, inUri: string | undefined): string {
  if (option !== undefined && inUri !== undefined)
    throw invalidArgument("the library is named by `module` or by `module-path`, not by both");
  const module = option ?? inUri;
  if (typeof module !== "string" || !ABSOLUTE.test(module) || module.includes("\0")) {
    throw invalidArgument("module must be the absolute path of a PKCS#11 library", "such as /usr/lib/softhsm/libsofthsm2.so");
  }
  return module;
}

/** The options of every function here that opens a token. */
export const TOKEN_OPTIONS: OptionNames<Pkcs11TokenOptions> = {
  uri: true,
  module: true,
  token: true,
  pin: true,
  dangerLastPinTry: true,
  libraryParameters: true,
  thread: true,
  maxSessions: true,
};
const TOKEN_SELECTOR: OptionNames<Pkcs11TokenSelector> = { label: true, serial: true, manufacturer: true, model: true };
const KEY_SELECTOR: OptionNames<Pkcs11KeySelector> = { label: true, id: true };
const ABSOLUTE = /^(\/|[A-Za-z]:[\\/]|\\\\)/;
const DEFAULT_SESSIONS = 8;
const MAX_SESSIONS = 256;
const MAX_LABEL_BYTES = 128;
const MAX_ID_BYTES = 64;
