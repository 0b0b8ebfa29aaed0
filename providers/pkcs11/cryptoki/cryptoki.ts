import type { Attribute, Handle, Mechanism, PKCS11 } from "pkcs11js";
import { copyOf, type OwnedBytes, wipe } from "../../../src/core/base/bytes.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import * as ck from "./constants.ts";
import { CryptokiError } from "./failures.ts";

/** The id of a slot, and what names a session or an object, as pkcs11js hands them out. */
export type { Handle, Mechanism };

export interface TokenInfo {
  readonly label: string;
  readonly serial: string;
  readonly manufacturer: string;
  readonly model: string;
  readonly flags: number;
  /** The number of sessions of this process with the token; undefined if it does not tell. */
  readonly sessions: number | undefined;
}

/** Attribute values by their type. Numbers are CK_ULONG. */
export type Template = ReadonlyMap<number, boolean | number | string | Uint8Array>;

/**
 * One PKCS#11 library, through pkcs11js. Makes all calls of it, in the forms that do no harm: promises that keep their buffers, output
 * that is long enough, templates of our own. A call that fails throws a `CryptokiError`.
 */
export class Cryptoki {
  readonly #library: PKCS11;

  constructor(library: PKCS11) {
    this.#library = library;
  }

  /** @returns whether this call did it; false if another user of the process had done it */
  initialise(libraryParameters: string | undefined): boolean {
    try {
      called("C_Initialize", () =>
        this.#library.C_Initialize({
          flags: ck.CKF_OS_LOCKING_OK, // without it modules switch their locks off, and threads crash them
          ...(libraryParameters !== undefined && { libraryParameters: `${libraryParameters} ` }), // pkcs11js drops the last character
        }),
      );
      return true;
    } catch (error) {
      if (error instanceof CryptokiError && error.returnValue === ck.CKR_CRYPTOKI_ALREADY_INITIALIZED) return false;
      throw error;
    }
  }

  /** Ends every session of this process with every token of the library. */
  finalise(): void {
    called("C_Finalize", () => this.#library.C_Finalize());
  }

  /** The manufacturer and description that the library gives. */
  libraryDescription(): string {
    const { manufacturerID, libraryDescription } = called("C_GetInfo", () => this.#library.C_GetInfo());
    return `${trimmed(manufacturerID)} ${trimmed(libraryDescription)}`;
  }

  /** The slots that have a token. */
  slots(): readonly Handle[] {
    return called("C_GetSlotList", () => this.#library.C_GetSlotList(true));
  }

  tokenInfo(slot: Handle): TokenInfo {
    const info = called("C_GetTokenInfo", () => this.#library.C_GetTokenInfo(slot));
    return {
      label: trimmed(info.label),
      serial: trimmed(info.serialNumber),
      manufacturer: trimmed(info.manufacturerID),
      model: trimmed(info.model),
      flags: info.flags,
      sessions: info.sessionCount < UNAVAILABLE ? info.sessionCount : undefined,
    };
  }

  mechanisms(slot: Handle): readonly number[] {
    return called("C_GetMechanismList", () => this.#library.C_GetMechanismList(slot));
  }

  mechanismFlags(slot: Handle, mechanism: number): number {
    return called("C_GetMechanismInfo", () => this.#library.C_GetMechanismInfo(slot, mechanism)).flags;
  }

  openSession(slot: Handle, isReadWrite = false): Handle {
    const flags = ck.CKF_SERIAL_SESSION | (isReadWrite ? ck.CKF_RW_SESSION : 0);
    return called("C_OpenSession", () => this.#library.C_OpenSession(slot, flags));
  }

  closeSession(session: Handle): void {
    called("C_CloseSession", () => this.#library.C_CloseSession(session));
  }

  /** Whether the user is logged in: without that a token shows no private object, and says nothing of it. */
  isLoggedIn(session: Handle): boolean {
    const { state } = called("C_GetSessionInfo", () => this.#library.C_GetSessionInfo(session));
    return state === ck.CKS_RO_USER_FUNCTIONS || state === ck.CKS_RW_USER_FUNCTIONS;
  }

  login(session: Handle, pin: string): void {
    try {
      called("C_Login", () => this.#library.C_Login(session, ck.CKU_USER, pin));
    } catch (error) {
      if (!(error instanceof CryptokiError && error.returnValue === ck.CKR_USER_ALREADY_LOGGED_IN)) throw error;
    }
  }

  findObjects(session: Handle, template: Template): readonly Handle[] {
    called("C_FindObjectsInit", () => this.#library.C_FindObjectsInit(session, attributesOf(template)));
    const found: Handle[] = [];
    try {
      for (;;) {
        const batch = called("C_FindObjects", () => this.#library.C_FindObjects(session, FIND_AT_ONCE));
        found.push(...batch);
        if (batch.length < FIND_AT_ONCE) return found;
      }
    } finally {
      called("C_FindObjectsFinal", () => this.#library.C_FindObjectsFinal(session));
    }
  }

  /**
   * Reads many attributes at once. None of them is a date: what pkcs11js makes of one depends on the others.
   *
   * @returns the bytes of those that the object shows
   * @throws CKR_ATTRIBUTE_TYPE_INVALID if the object lacks one of them
   */
  attributes(session: Handle, object: Handle, types: readonly number[]): ReadonlyMap<number, OwnedBytes> {
    const wanted = types.map((type) => ({ type }));
    const values = new Map<number, OwnedBytes>();
    for (const { type, value } of called("C_GetAttributeValue", () => this.#library.C_GetAttributeValue(session, object, wanted))) {
      if (value instanceof Uint8Array) values.set(type, copyOf(value));
    }
    return values;
  }

  /** @returns the attribute's bytes, or undefined if the object has none or shows none */
  attribute(session: Handle, object: Handle, type: number): OwnedBytes | undefined {
    try {
      const [attribute] = called("C_GetAttributeValue", () => this.#library.C_GetAttributeValue(session, object, [{ type }]));
      const value = attribute?.value;
      if (!(value instanceof Uint8Array)) return undefined;
      const bytes = copyOf(value);
      wipe(value);
      return bytes;
    } catch (error) {
      if (error instanceof TypeError) return undefined; // what pkcs11js says to a date that is empty
      if (error instanceof CryptokiError && error.returnValue === ck.CKR_ATTRIBUTE_TYPE_INVALID) return undefined;
      throw error;
    }
  }

  createObject(session: Handle, template: Template): Handle {
    return called("C_CreateObject", () => this.#library.C_CreateObject(session, attributesOf(template)));
  }

  destroyObject(session: Handle, object: Handle): void {
    called("C_DestroyObject", () => this.#library.C_DestroyObject(session, object));
  }

  generateKey(session: Handle, mechanism: Mechanism, template: Template): Handle {
    return called("C_GenerateKey", () => this.#library.C_GenerateKey(session, mechanism, attributesOf(template)));
  }

  generateKeyPair(session: Handle, mechanism: Mechanism, publicKey: Template, privateKey: Template): KeyPair {
    return called("C_GenerateKeyPair", () =>
      this.#library.C_GenerateKeyPair(session, mechanism, attributesOf(publicKey), attributesOf(privateKey)),
    );
  }

  random(session: Handle, count: number): OwnedBytes {
    const bytes = Buffer.alloc(count);
    return taken(called("C_GenerateRandom", () => this.#library.C_GenerateRandom(session, bytes)));
  }

  /** @param outputBytes at least what comes out: there are tokens that fill what they are given, and tokens that fail on less */
  async encrypt(session: Handle, mechanism: Mechanism, key: Handle, data: Uint8Array, outputBytes: number): Promise<OwnedBytes> {
    const input = Buffer.from(data);
    try {
      called("C_EncryptInit", () => this.#library.C_EncryptInit(session, mechanism, key));
      return taken(await calledAsync("C_Encrypt", this.#library.C_EncryptAsync(session, input, Buffer.alloc(outputBytes))));
    } finally {
      wipe(input);
    }
  }

  async decrypt(session: Handle, mechanism: Mechanism, key: Handle, data: Uint8Array, outputBytes: number): Promise<OwnedBytes> {
    const input = Buffer.from(data);
    const output = Buffer.alloc(outputBytes);
    try {
      called("C_DecryptInit", () => this.#library.C_DecryptInit(session, mechanism, key));
      return copyOf(await calledAsync("C_Decrypt", this.#library.C_DecryptAsync(session, input, output)));
    } finally {
      wipe(output);
    }
  }

  /** Not the promise form: that leaks its mechanism at every call. */
  wrapKey(session: Handle, mechanism: Mechanism, wrappingKey: Handle, key: Handle, outputBytes: number): OwnedBytes {
    return taken(called("C_WrapKey", () => this.#library.C_WrapKey(session, mechanism, wrappingKey, key, Buffer.alloc(outputBytes))));
  }

  /** Not the promise form: that leaks its mechanism and template at every call. */
  unwrapKey(session: Handle, mechanism: Mechanism, unwrappingKey: Handle, wrapped: Uint8Array, template: Template): Handle {
    return called("C_UnwrapKey", () =>
      this.#library.C_UnwrapKey(session, mechanism, unwrappingKey, Buffer.from(wrapped), attributesOf(template)),
    );
  }
}

export interface KeyPair {
  readonly publicKey: Handle;
  readonly privateKey: Handle;
}

/**
 * Loads a library. It stays loaded for as long as the process lives, if the caller keeps what is returned: pkcs11js unloads it when
 * its object is collected, under threads that may still be in it.
 *
 * @throws `provider-failure` with detail `pkcs11js-missing`, `module-missing`, `module-architecture` or `module-unusable`
 */
export async function loadCryptoki(module: string): Promise<Cryptoki> {
  const { PKCS11 } = await loadPkcs11js();
  const library = new PKCS11();
  try {
    library.load(module);
  } catch (cause) {
    throw loadFailure(module, cause);
  }
  return new Cryptoki(library);
}

type Pkcs11js = typeof import("pkcs11js");

async function loadPkcs11js(): Promise<Pkcs11js> {
  try {
    const loaded: unknown = await import("pkcs11js");
    for (const candidate of [loaded, Reflect.get(Object(loaded), "default")]) if (isPkcs11js(candidate)) return candidate;
    throw new TypeError("the package exports no PKCS11");
  } catch (cause) {
    throw new EnvelockError("provider-failure", "PKCS#11 keys need the package pkcs11js, which did not load", {
      cause,
      detail: "pkcs11js-missing",
      hint: "npm install pkcs11js; it compiles native code, so its install script must be allowed to run",
    });
  }
}

function isPkcs11js(value: unknown): value is Pkcs11js {
  return typeof value === "object" && value !== null && typeof Reflect.get(value, "PKCS11") === "function";
}

function loadFailure(module: string, cause: unknown): EnvelockError {
  const text = cause instanceof Error ? cause.message : String(cause);
  const [detail, hint] = LOAD_FAILURES.find(([, , pattern]) => pattern.test(text)) ?? UNUSABLE;
  return new EnvelockError("provider-failure", `the PKCS#11 library ${module} did not load`, { cause, detail, hint });
}

/** Mirrors what failed, also where pkcs11js throws an error without its number. */
function called<T>(functionName: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw cryptokiError(functionName, error);
  }
}

async function calledAsync<T>(functionName: string, result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    throw cryptokiError(functionName, error);
  }
}

function cryptokiError(functionName: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const code: unknown = Reflect.get(error, "code");
  if (typeof code === "number" && code > 0) return new CryptokiError(functionName, code);
  const [, number] = RETURN_VALUE.exec(error.message) ?? [];
  return number === undefined ? error : new CryptokiError(functionName, Number(number));
}

function attributesOf(template: Template): Attribute[] {
  return [...template].map(([type, value]) => ({ type, value: value instanceof Uint8Array ? Buffer.from(value) : value }));
}

function taken(output: Uint8Array): OwnedBytes {
  const bytes = copyOf(output);
  wipe(output);
  return bytes;
}

/** Padded with blanks by the standard, with zeros by some. */
function trimmed(text: string): string {
  return text.replace(/[\0 ]+$/, "");
}

const RETURN_VALUE = /^CKR_\w+:(\d+)/;
const FIND_AT_ONCE = 64;
const UNAVAILABLE = 0xffffffff; // CK_UNAVAILABLE_INFORMATION, whatever the width that it came in
const UNUSABLE = ["module-unusable", "give the path of a PKCS#11 library"] as const;
const LOAD_FAILURES: readonly (readonly [detail: string, hint: string, pattern: RegExp])[] = [
  [
    "module-architecture",
    "the library is made for another processor or another C library; install that of this process",
    /wrong ELF class|incompatible architecture|not a valid Win32|Exec format/i,
  ],
  ["module-missing", "install the library, or correct the path", /cannot open shared object file|no such file|module could not be found/i],
];
