import { execFileSync } from "node:child_process";
import type { KeyObject } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pkcs11js, { type Attribute, type Handle, type PKCS11 } from "pkcs11js";
import { fileOfPackages } from "../../support/debian-packages.ts";

/** A token that this process alone uses, with a PIN. */
export interface TestToken {
  /** The module's absolute path. */
  readonly module: string;
  /** What NSS wants at C_Initialize. */
  readonly libraryParameters?: string;
  readonly label: string;
  readonly serial: string;
  readonly pin: string;
  /** Puts a key on it, as good for wrapping as the token allows; a test takes away what it wants to be missing. */
  addKey(key: AesTestKey | RsaTestKey): void;
  /** Deletes all objects of that label. */
  deleteKey(label: string): void;
  /** The objects of that label, session objects too. */
  countObjects(label?: string): number;
}

interface TestKey {
  readonly label: string;
  /** CKA_ID in hexadecimal digits. */
  readonly id: string;
  /** CKA_START_DATE as `YYYYMMDD`. */
  readonly startDate?: string;
  /** Attributes to add or to have instead, by their number. */
  readonly attributes?: Readonly<Record<number, boolean | Uint8Array>>;
}

export interface AesTestKey extends TestKey {
  readonly aes: Uint8Array;
}

/** Put there as private and public key. */
export interface RsaTestKey extends TestKey {
  readonly rsa: KeyObject;
  /** The `attributes` of the public half. */
  readonly publicAttributes?: TestKey["attributes"];
}

/** Tokens in a folder of their own; `remove` deletes it. */
export interface TestTokens<T> {
  readonly folder: string;
  readonly tokens: T;
  remove(): void;
}

/**
 * SoftHSM tokens of these labels for this process alone, once in a process and before the module is first used: it reads where they
 * are from the environment, then and never again.
 *
 * @throws Error that names the package that is missing and may not be installed
 */
export function softHsmTokens<const L extends readonly string[]>(...labels: L): TestTokens<{ readonly [K in keyof L]: TestToken }>;
export function softHsmTokens(...labels: readonly string[]): TestTokens<readonly TestToken[]> {
  const module = softHsmModule();
  const folder = mkdtempSync(join(tmpdir(), "envelock-softhsm-"));
  mkdirSync(join(folder, "tokens"));
  const settings = [`directories.tokendir = ${join(folder, "tokens")}`, "objectstore.backend = file", "log.level = ERROR"];
  const configuration = join(folder, "softhsm2.conf");
  writeFileSync(configuration, `${settings.join("\n")}\n`);
  Object.assign(process.env, { SOFTHSM2_CONF: configuration });
  for (const label of labels) initialiseSoftHsm(label);
  return { folder, tokens: labels.map((label) => testToken({ module, label })), remove: () => rmSync(folder, { recursive: true }) };
}

/** Makes a further token beside those of `softHsmTokens`, in another process: a module that is loaded already does not know it. */
export function initialiseSoftHsm(label: string): void {
  const util = fileOfPackages(["/usr/bin/softhsm2-util"], ["softhsm2"]);
  execFileSync(util, ["--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "5678"], { stdio: "pipe" });
}

/** Puts an AES key on a token of SoftHSM, in another process. */
export function importIntoSoftHsm(token: string, label: string, id: string, aes: Uint8Array, folder: string): void {
  const util = fileOfPackages(["/usr/bin/softhsm2-util"], ["softhsm2"]);
  const file = join(folder, `${label}-${id}.key`);
  writeFileSync(file, aes);
  execFileSync(util, ["--import", file, "--aes", "--token", token, "--label", label, "--id", id, "--pin", PIN], { stdio: "pipe" });
}

/** SoftHSM's shared object. */
export function softHsmModule(): string {
  return fileOfPackages(["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"], ["softhsm2"]);
}

/** A fresh NSS database for this process alone, with one token; once in a process, for softokn has one state for all of it. */
export function nssToken(): TestTokens<readonly [TestToken]> {
  const module = fileOfPackages(["/usr/lib/x86_64-linux-gnu/libsoftokn3.so", "/usr/lib/aarch64-linux-gnu/libsoftokn3.so"], ["libnss3"]);
  const certutil = fileOfPackages(["/usr/bin/certutil"], ["libnss3-tools"]);
  const folder = mkdtempSync(join(tmpdir(), "envelock-nss-"));
  const pinFile = join(folder, "pin");
  writeFileSync(pinFile, `${PIN}\n`);
  // Each use of a key opens it with a key that is derived from the PIN: by default in 10,000 rounds, which is most of what it takes.
  Object.assign(process.env, { NSS_MAX_MP_PBE_ITERATION_COUNT: "1" });
  execFileSync(certutil, ["-N", "-d", `sql:${folder}`, "-f", pinFile], { stdio: "pipe" });
  const libraryParameters = `configdir='sql:${folder}' certPrefix='' keyPrefix='' secmod='secmod.db' flags=`;
  const token = testToken({ module, libraryParameters, label: "NSS Certificate DB" });
  return { folder, tokens: [token], remove: () => rmSync(folder, { recursive: true }) };
}

interface Location {
  readonly module: string;
  readonly libraryParameters?: string;
  readonly label: string;
}

function testToken(location: Location): TestToken {
  return {
    ...location,
    pin: PIN,
    serial: withSession(location, (_pkcs11, _session, serial) => serial),
    addKey: (key) =>
      withSession(location, (pkcs11, session) => {
        for (const template of templatesOf(key)) pkcs11.C_CreateObject(session, template);
      }),
    deleteKey: (label) =>
      withSession(location, (pkcs11, session) => {
        for (const object of objectsOf(pkcs11, session, label)) pkcs11.C_DestroyObject(session, object);
      }),
    countObjects: (label) => withSession(location, (pkcs11, session) => objectsOf(pkcs11, session, label).length),
  };
}

/** Attribute values by their type. */
type Template = Readonly<Record<number, NonNullable<Attribute["value"]>>>;

/** Opens a session of its own. A module that is in use already is left as it was: neither finalised nor logged out. */
function withSession<T>({ module, libraryParameters, label }: Location, use: (pkcs11: PKCS11, session: Handle, serial: string) => T): T {
  const pkcs11 = new pkcs11js.PKCS11();
  pkcs11.load(module);
  const initialised = succeeds(pkcs11js.CKR_CRYPTOKI_ALREADY_INITIALIZED, () =>
    pkcs11.C_Initialize({
      flags: pkcs11js.CKF_OS_LOCKING_OK,
      ...(libraryParameters !== undefined && { libraryParameters: `${libraryParameters} ` }), // pkcs11js drops the last character
    }),
  );
  try {
    const slot = pkcs11.C_GetSlotList(true).find((candidate) => pkcs11.C_GetTokenInfo(candidate).label.trim() === label);
    if (slot === undefined) throw new Error(`no token "${label}" in ${module}`);
    const session = pkcs11.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION);
    try {
      succeeds(pkcs11js.CKR_USER_ALREADY_LOGGED_IN, () => pkcs11.C_Login(session, pkcs11js.CKU_USER, PIN));
      return use(pkcs11, session, pkcs11.C_GetTokenInfo(slot).serialNumber.trim());
    } finally {
      pkcs11.C_CloseSession(session);
    }
  } finally {
    if (initialised) pkcs11.C_Finalize();
  }
}

/** False if it failed with that code, which says that it had been done before. */
function succeeds(already: number, action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (error instanceof pkcs11js.Pkcs11Error && error.code === already) return false;
    throw error;
  }
}

function objectsOf(pkcs11: PKCS11, session: Handle, label?: string): readonly Handle[] {
  pkcs11.C_FindObjectsInit(session, label === undefined ? [] : [{ type: pkcs11js.CKA_LABEL, value: label }]);
  try {
    const found: Handle[] = [];
    for (;;) {
      const batch = pkcs11.C_FindObjects(session, 100);
      found.push(...batch);
      if (batch.length < 100) return found;
    }
  } finally {
    pkcs11.C_FindObjectsFinal(session);
  }
}

function templatesOf(key: AesTestKey | RsaTestKey): readonly Attribute[][] {
  const common: Template = {
    [pkcs11js.CKA_TOKEN]: true,
    [pkcs11js.CKA_LABEL]: key.label,
    [pkcs11js.CKA_ID]: Buffer.from(key.id, "hex"),
    ...(key.startDate !== undefined && { [pkcs11js.CKA_START_DATE]: Buffer.from(key.startDate) }),
  };
  if ("aes" in key) {
    return [attributesOf({ ...common, ...AES_KEY, [pkcs11js.CKA_VALUE]: Buffer.from(key.aes), ...ownOf(key) })];
  }
  const jwk = key.rsa.export({ format: "jwk" });
  const numbers = (names: readonly (readonly [number, string | undefined])[]): Template =>
    Object.fromEntries(names.map(([attribute, text = ""]) => [attribute, Buffer.from(text, "base64url")]));
  const publicNumbers = numbers([
    [pkcs11js.CKA_MODULUS, jwk.n],
    [pkcs11js.CKA_PUBLIC_EXPONENT, jwk.e],
  ]);
  const secretNumbers = numbers([
    [pkcs11js.CKA_PRIVATE_EXPONENT, jwk.d],
    [pkcs11js.CKA_PRIME_1, jwk.p],
    [pkcs11js.CKA_PRIME_2, jwk.q],
    [pkcs11js.CKA_EXPONENT_1, jwk.dp],
    [pkcs11js.CKA_EXPONENT_2, jwk.dq],
    [pkcs11js.CKA_COEFFICIENT, jwk.qi],
  ]);
  return [
    attributesOf({ ...common, ...RSA_PRIVATE_KEY, ...publicNumbers, ...secretNumbers, ...ownOf(key) }),
    attributesOf({ ...common, ...RSA_PUBLIC_KEY, ...publicNumbers, ...ownOf({ ...key, attributes: key.publicAttributes ?? {} }) }),
  ];
}

function ownOf({ attributes = {} }: TestKey): Template {
  const bufferOf = (value: boolean | Uint8Array): boolean | Buffer => (typeof value === "boolean" ? value : Buffer.from(value));
  return Object.fromEntries(Object.entries(attributes).map(([type, value]) => [type, bufferOf(value)]));
}

function attributesOf(values: Template): Attribute[] {
  return Object.entries(values).map(([type, value]) => ({ type: Number(type), value }));
}

/** The user PIN of every token here. */
export const PIN = "1234-test";

const AES_KEY: Template = {
  [pkcs11js.CKA_CLASS]: pkcs11js.CKO_SECRET_KEY,
  [pkcs11js.CKA_KEY_TYPE]: pkcs11js.CKK_AES,
  [pkcs11js.CKA_PRIVATE]: true,
  [pkcs11js.CKA_SENSITIVE]: true,
  [pkcs11js.CKA_EXTRACTABLE]: false,
  [pkcs11js.CKA_ENCRYPT]: true,
  [pkcs11js.CKA_DECRYPT]: true,
  [pkcs11js.CKA_WRAP]: true,
  [pkcs11js.CKA_UNWRAP]: true,
};
const RSA_PRIVATE_KEY: Template = {
  [pkcs11js.CKA_CLASS]: pkcs11js.CKO_PRIVATE_KEY,
  [pkcs11js.CKA_KEY_TYPE]: pkcs11js.CKK_RSA,
  [pkcs11js.CKA_PRIVATE]: true,
  [pkcs11js.CKA_SENSITIVE]: true,
  [pkcs11js.CKA_EXTRACTABLE]: false,
  [pkcs11js.CKA_DECRYPT]: true,
  [pkcs11js.CKA_UNWRAP]: true,
};
const RSA_PUBLIC_KEY: Template = {
  [pkcs11js.CKA_CLASS]: pkcs11js.CKO_PUBLIC_KEY,
  [pkcs11js.CKA_KEY_TYPE]: pkcs11js.CKK_RSA,
  [pkcs11js.CKA_PRIVATE]: false,
  [pkcs11js.CKA_ENCRYPT]: true,
  [pkcs11js.CKA_WRAP]: true,
};
