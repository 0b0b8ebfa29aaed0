import pkcs11js from "pkcs11js";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { type Pkcs11KeyOptions, pkcs11Key } from "../../../providers/pkcs11/index.ts";
import { EnvelockError, type ErrorCode } from "../../../src/core/base/errors.ts";
import type { KeyProvider, Recipient } from "../../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { noise } from "../../support/arbitraries.ts";
import { hexOf } from "../../support/bytes.ts";
import { refusalCode } from "../../support/refusal.ts";
import { faultShim } from "./fault-shim.ts";
import { DEK, locationOf, OPTIONS } from "./location.ts";
import { softHsmTokens } from "./tokens.ts";

const softHsm = softHsmTokens("faulty");
const [token] = softHsm.tokens;
const shim = faultShim(token.module, softHsm.folder);
const library = new pkcs11js.PKCS11();
library.load(shim.module);
token.addKey({ label: "gcm", id: "01", aes: noise(32, "gcm") });
token.addKey({
  label: "kw",
  id: "02",
  aes: noise(32, "kw"),
  attributes: { [pkcs11js.CKA_ENCRYPT]: false, [pkcs11js.CKA_DECRYPT]: false },
});
const KEYS_ON_TOKEN = 2;
afterEach(() => shim.heal());
afterAll(() => softHsm.remove());

const VENDOR_ERROR = 0xce534351;
const FAULTS: readonly (readonly [name: string, returnValue: number, code: ErrorCode])[] = [
  ["GENERAL_ERROR", pkcs11js.CKR_GENERAL_ERROR, "unavailable"],
  ["DEVICE_ERROR", pkcs11js.CKR_DEVICE_ERROR, "unavailable"],
  ["DEVICE_REMOVED", pkcs11js.CKR_DEVICE_REMOVED, "unavailable"],
  ["TOKEN_NOT_PRESENT", pkcs11js.CKR_TOKEN_NOT_PRESENT, "unavailable"],
  ["SESSION_HANDLE_INVALID", pkcs11js.CKR_SESSION_HANDLE_INVALID, "unavailable"],
  ["USER_NOT_LOGGED_IN", pkcs11js.CKR_USER_NOT_LOGGED_IN, "unavailable"],
  ["PIN_LOCKED", pkcs11js.CKR_PIN_LOCKED, "access-denied"],
  ["OPERATION_ACTIVE", pkcs11js.CKR_OPERATION_ACTIVE, "unavailable"],
  ["HOST_MEMORY", pkcs11js.CKR_HOST_MEMORY, "unavailable"],
  ["a vendor's own code", VENDOR_ERROR, "provider-failure"],
];

/** Every function that a provider calls, the key with which it does, and whether it does so once all is open. */
const FUNCTIONS: readonly (readonly [functionName: string, label: string, calledWhenOpen: boolean])[] = [
  ["C_Initialize", "gcm", false],
  ["C_GetSlotList", "gcm", false],
  ["C_GetTokenInfo", "gcm", false],
  ["C_GetMechanismList", "gcm", false],
  ["C_GetMechanismInfo", "gcm", false],
  ["C_OpenSession", "gcm", true],
  ["C_Login", "gcm", false],
  ["C_FindObjectsInit", "gcm", false],
  ["C_FindObjects", "gcm", false],
  ["C_FindObjectsFinal", "gcm", false],
  ["C_GetAttributeValue", "gcm", false],
  ["C_EncryptInit", "gcm", true],
  ["C_Encrypt", "gcm", true],
  ["C_DecryptInit", "gcm", true],
  ["C_Decrypt", "gcm", true],
  ["C_CreateObject", "kw", true],
  ["C_WrapKey", "kw", true],
  ["C_UnwrapKey", "kw", true],
  ["C_GetAttributeValue", "kw", true],
  ["C_DestroyObject", "kw", true],
];

const { ENVELOCK_FAULT_DELAY_MS = "5" } = process.env;

describe.each(FUNCTIONS)("%s with the key %s", (functionName, label, calledWhenOpen) => {
  test.each(
    calledWhenOpen ? [false, true] : [false],
  )("fails (when all was open before: %s) with the right code, and no trace", async (isOpen) => {
    for (const [name, returnValue, code] of FAULTS) {
      expect(await meet(functionName, label, { returnValue }, isOpen), name).toEqual([code]);
    }
  });

  test("is slow: nothing fails", async () => {
    expect(await meet(functionName, label, { delayMs: Number(ENVELOCK_FAULT_DELAY_MS) }, false)).toEqual([]);
  });
});

test("a session that says it does not close is closed as far as possible", async () => {
  for (const [name, returnValue] of FAULTS) {
    const subject = provider("gcm");
    await subject.wrap(noise(32, name), OPTIONS);
    shim.inject("C_CloseSession", { returnValue });
    await subject.close();
    expect(shim.openSessions(), name).toBe(0);
  }
});

test("a PIN that is wrong is shown to the token once, and not again until it is another", async () => {
  let pin = "0000-wrong";
  const subject = provider("gcm", { pin: () => pin });
  shim.calls();
  for (let call = 0; call < 3; call++) expect(await refusalCode(() => subject.wrap(DEK, OPTIONS))).toBe("access-denied");
  expect(shim.calls().filter((name) => name === "C_Login")).toHaveLength(1);
  pin = token.pin;
  await subject.wrap(DEK, OPTIONS);
  await subject.close();
});

test("a keyring gets over a logout by another user of the process", async () => {
  const subject = provider("gcm");
  const keyring = new Keyring({ wrapWith: [subject], retry: { delaysMs: [1] } });
  const envelope = await keyring.encrypt(noise(100, "plaintext"));
  const [slot] = library.C_GetSlotList(true);
  if (slot === undefined) throw new Error("there is a token");
  const session = library.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION);
  library.C_Logout(session);
  expect(hexOf(await keyring.decrypt(envelope))).toBe(hexOf(noise(100, "plaintext")));
  library.C_CloseSession(session);
  await subject.close();
});

test.each([
  ["DEVICE_REMOVED", pkcs11js.CKR_DEVICE_REMOVED],
  ["SESSION_HANDLE_INVALID", pkcs11js.CKR_SESSION_HANDLE_INVALID],
  ["USER_NOT_LOGGED_IN", pkcs11js.CKR_USER_NOT_LOGGED_IN],
])("a keyring gets over %s by trying once more", async (_name, returnValue) => {
  const subject = provider("gcm");
  const keyring = new Keyring({ wrapWith: [subject], retry: { delaysMs: [1, 1, 1] } });
  const plaintext = noise(100, "plaintext");
  const envelope = await keyring.encrypt(plaintext);
  shim.inject("C_EncryptInit", { returnValue, times: 1 });
  expect(hexOf(await keyring.decrypt(await keyring.encrypt(plaintext)))).toBe(hexOf(plaintext));
  shim.inject("C_DecryptInit", { returnValue, times: 1 });
  expect(hexOf(await keyring.decrypt(envelope))).toBe(hexOf(plaintext));
  await subject.close();
});

/** Wraps and unwraps while a function fails, then when it works again. @returns the codes of the calls that failed, without doubles */
async function meet(
  functionName: string,
  label: string,
  fault: { returnValue?: number; delayMs?: number },
  isOpen: boolean,
): Promise<readonly ErrorCode[]> {
  const dek = noise(32, `${functionName} ${label}`);
  const wrapped = await wrappedBefore(label, dek);
  const subject = provider(label);
  if (isOpen) await subject.unwrap(wrapped, OPTIONS);
  shim.calls();
  shim.inject(functionName, fault);
  const calls = [
    subject.wrap(dek, OPTIONS),
    subject.unwrap(wrapped, OPTIONS),
    subject.wrap(dek, OPTIONS),
    subject.unwrap(wrapped, OPTIONS),
  ];
  const outcomes = await Promise.allSettled(calls);
  shim.heal();
  expect(shim.calls()).toContain(functionName); // else nothing was shown

  expect(hexOf(await subject.unwrap(await subject.wrap(dek, OPTIONS), OPTIONS))).toBe(hexOf(dek));
  expect(hexOf(await subject.unwrap(wrapped, OPTIONS))).toBe(hexOf(dek));
  expect(shim.openSessions()).toBeLessThanOrEqual(MAX_SESSIONS + 1); // one of them keeps the login
  expect(token.countObjects()).toBe(KEYS_ON_TOKEN);
  await subject.close();
  expect(shim.openSessions()).toBe(0);
  return [...new Set(outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [codeOf(outcome.reason)] : [])))];
}

/** Wraps under a library that is left as if it had not been used. */
async function wrappedBefore(label: string, dek: Uint8Array): Promise<Recipient> {
  const earlier = provider(label);
  const wrapped = await earlier.wrap(dek, OPTIONS);
  await earlier.close();
  library.C_Finalize();
  return wrapped;
}

function provider(label: string, options: Partial<Pkcs11KeyOptions> = {}): Required<KeyProvider> {
  return pkcs11Key({
    ...locationOf(token),
    module: shim.module,
    key: { label },
    maxSessions: MAX_SESSIONS,
    ...options,
  });
}

function codeOf(error: unknown): ErrorCode {
  if (!(error instanceof EnvelockError)) throw error;
  expect(error.message).not.toContain(token.pin);
  return error.code;
}

const MAX_SESSIONS = 4;
