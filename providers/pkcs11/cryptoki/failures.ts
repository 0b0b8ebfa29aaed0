import { EnvelockError, type EnvelockErrorOptions, type ErrorCode } from "../../../src/core/base/errors.ts";
import * as ck from "./constants.ts";
import { returnValueName } from "./return-values.ts";

/** The value that a function of the library returned in place of CKR_OK. */
export class CryptokiError extends Error {
  override readonly name = "CryptokiError";
  readonly functionName: string;
  readonly returnValue: number;

  constructor(functionName: string, returnValue: number) {
    super(`${functionName} returned ${returnValueName(returnValue)}`);
    this.functionName = functionName;
    this.returnValue = returnValue;
  }
}

/**
 * Translates what the library says into our codes.
 *
 * @param isUnwrap whether it was asked to open bytes from outside: then what it says of data is `unwrap-rejected`
 * @see docs/providers/pkcs11.md for the table
 */
export function tokenFailure(error: unknown, isUnwrap = false): EnvelockError {
  if (error instanceof EnvelockError) return error;
  if (!(error instanceof CryptokiError)) {
    return new EnvelockError("provider-failure", "the PKCS#11 library could not be called", { cause: error });
  }
  const { returnValue } = error;
  if (isUnwrap && REJECTS.has(returnValue)) {
    return new EnvelockError("unwrap-rejected", `this key did not wrap this data key: ${error.message}`, { cause: error });
  }
  const { code, ...rest } = MEANINGS.get(returnValue) ?? OTHERWISE;
  return new EnvelockError(code, `the token failed: ${error.message}`, { ...rest, cause: error });
}

/** The failure of C_Initialize, with what usually is behind it. An outage, unless it says that the library was called wrongly. */
export function startFailure(module: string, error: unknown): unknown {
  if (!(error instanceof CryptokiError)) return error;
  const hint = START_HINTS.find(([returnValue]) => returnValue === error.returnValue)?.[1] ?? START_HINT;
  const { code } = MEANINGS.get(error.returnValue) ?? OTHERWISE;
  return new EnvelockError(code, `${module} did not start: ${error.message}`, { detail: "library-start", hint, cause: error });
}

/** The key did not wrap the bytes that it was to unwrap. @param why for the hint, where the configuration is the reason */
export function rejected(cause?: unknown, why: { readonly detail?: string; readonly hint?: string } = {}): EnvelockError {
  return new EnvelockError("unwrap-rejected", "this PKCS#11 key did not wrap this data key", { ...why, cause });
}

/** The failure of the caller's own function for the PIN. */
export function pinFailure(cause: unknown): EnvelockError {
  if (cause instanceof EnvelockError) return cause;
  return new EnvelockError("access-denied", "the pin function failed", { detail: "pin", cause });
}

/** Whether sessions, login or the token itself are gone or in doubt, so that all must be opened again. */
export function losesToken(error: unknown): boolean {
  return error instanceof CryptokiError && LOSES_TOKEN.has(error.returnValue);
}

/** Whether an object that was found before is there no more, or not under that handle. */
export function losesObject(error: unknown): boolean {
  return error instanceof CryptokiError && LOSES_OBJECT.has(error.returnValue);
}

/** Whether this, said to an unwrap, leaves open why: some tokens say it of changed bytes, others of a breakdown or a wrong setting. */
export function isUnclear(error: unknown): boolean {
  return returns(error, ck.CKR_GENERAL_ERROR, ck.CKR_FUNCTION_FAILED, ck.CKR_ARGUMENTS_BAD);
}

/** Whether the token knows the PIN to be wrong, so that showing it again would only bring it nearer to being locked. */
export function refusesPin(error: unknown): boolean {
  return returns(error, ck.CKR_PIN_INCORRECT, ck.CKR_PIN_INVALID, ck.CKR_PIN_LEN_RANGE);
}

/** Whether the token has the mechanism, but not with these parameters. */
export function refusesMechanism(error: unknown): boolean {
  return returns(error, ck.CKR_ARGUMENTS_BAD, ck.CKR_MECHANISM_INVALID, ck.CKR_MECHANISM_PARAM_INVALID);
}

/** Whether this, said to a trial, means that key and token will never do it: a property of them, and not of the moment. */
export function showsUnable(error: unknown): boolean {
  const told = error instanceof EnvelockError ? error.cause : error;
  return refusesMechanism(told) || (told instanceof CryptokiError && UNABLE.has(told.returnValue));
}

/** Whether the token does not take this template for a new object. */
export function refusesTemplate(error: unknown): boolean {
  return returns(
    error,
    ck.CKR_ATTRIBUTE_READ_ONLY,
    ck.CKR_ATTRIBUTE_TYPE_INVALID,
    ck.CKR_ATTRIBUTE_VALUE_INVALID,
    ck.CKR_TEMPLATE_INCONSISTENT,
    ck.CKR_ARGUMENTS_BAD,
    ck.CKR_FUNCTION_NOT_SUPPORTED,
    ck.CKR_GENERAL_ERROR,
    ck.CKR_FUNCTION_FAILED,
  );
}

export function returns(error: unknown, ...returnValues: readonly number[]): boolean {
  return error instanceof CryptokiError && returnValues.includes(error.returnValue);
}

interface Meaning extends Omit<EnvelockErrorOptions, "cause"> {
  readonly code: ErrorCode;
}

const OTHERWISE: Meaning = { code: "provider-failure" };
const LOST: Meaning = { code: "unavailable", detail: "token-lost" };
const BUSY: Meaning = { code: "unavailable", detail: "session" };
const MOVED: Meaning = { code: "unavailable", detail: "object-lost" };
const FORBIDDEN: Meaning = {
  code: "access-denied",
  detail: "key-usage",
  hint: "the key's attributes forbid this; look at them with `envelock hsm list`",
};
const BAD_PIN: Meaning = {
  code: "access-denied",
  detail: "pin",
  hint: "correct the PIN; this process does not show the same one to the token again, because tokens lock after a few",
};
const POLICY: Meaning = {
  code: "provider-failure",
  detail: "policy",
  hint: "the token's policy refuses this, as in FIPS mode or for data keys as objects; use a key with CKA_ENCRYPT and CKA_DECRYPT and a mechanism that encrypts, such as aes-gcm",
};
const READ_ONLY: Meaning = {
  code: "access-denied",
  detail: "write-protected",
  hint: "the token takes no new objects; make keys with the vendor's tool, or lift the write protection",
};

const MEANINGS: ReadonlyMap<number, Meaning> = new Map([
  [ck.CKR_HOST_MEMORY, LOST],
  [ck.CKR_SLOT_ID_INVALID, LOST],
  [ck.CKR_GENERAL_ERROR, LOST],
  [ck.CKR_FUNCTION_FAILED, LOST],
  [ck.CKR_DEVICE_ERROR, LOST],
  [ck.CKR_DEVICE_MEMORY, LOST],
  [ck.CKR_DEVICE_REMOVED, LOST],
  [ck.CKR_FUNCTION_CANCELED, BUSY],
  [ck.CKR_KEY_HANDLE_INVALID, MOVED],
  [ck.CKR_OBJECT_HANDLE_INVALID, MOVED],
  [ck.CKR_WRAPPING_KEY_HANDLE_INVALID, MOVED],
  [ck.CKR_UNWRAPPING_KEY_HANDLE_INVALID, MOVED],
  [ck.CKR_KEY_FUNCTION_NOT_PERMITTED, FORBIDDEN],
  [ck.CKR_FUNCTION_REJECTED, { code: "access-denied", detail: "rejected" }],
  [ck.CKR_ATTRIBUTE_SENSITIVE, POLICY],
  [ck.CKR_ATTRIBUTE_VALUE_INVALID, POLICY],
  [ck.CKR_ATTRIBUTE_READ_ONLY, POLICY],
  [ck.CKR_TEMPLATE_INCONSISTENT, POLICY],
  [ck.CKR_ACTION_PROHIBITED, POLICY],
  [ck.CKR_OPERATION_ACTIVE, BUSY],
  [ck.CKR_OPERATION_NOT_INITIALIZED, BUSY],
  [ck.CKR_PIN_INCORRECT, BAD_PIN],
  [ck.CKR_PIN_INVALID, BAD_PIN],
  [ck.CKR_PIN_LEN_RANGE, BAD_PIN],
  [ck.CKR_PIN_EXPIRED, { code: "access-denied", detail: "pin", hint: "set a new PIN with the token's own tool" }],
  [ck.CKR_PIN_LOCKED, { code: "access-denied", detail: "pin-locked", hint: "the security officer must unlock the PIN" }],
  [ck.CKR_SESSION_CLOSED, LOST],
  [ck.CKR_SESSION_HANDLE_INVALID, LOST],
  [
    ck.CKR_SESSION_COUNT,
    {
      code: "unavailable",
      detail: "session",
      hint: "all sessions of the token are taken: close those of other programs, or lower maxSessions there",
    },
  ],
  [ck.CKR_SESSION_READ_ONLY, READ_ONLY],
  [ck.CKR_TOKEN_WRITE_PROTECTED, READ_ONLY],
  [ck.CKR_TOKEN_NOT_PRESENT, LOST],
  [ck.CKR_TOKEN_NOT_RECOGNIZED, LOST],
  [ck.CKR_USER_NOT_LOGGED_IN, LOST],
  [
    ck.CKR_USER_PIN_NOT_INITIALIZED,
    { code: "access-denied", detail: "pin", hint: "the token has no user PIN yet: set one with the token's own tool" },
  ],
  [ck.CKR_USER_TYPE_INVALID, { code: "access-denied", detail: "user" }],
  [ck.CKR_USER_ANOTHER_ALREADY_LOGGED_IN, { code: "access-denied", detail: "user", hint: "this process is logged in as another user" }],
  [ck.CKR_USER_TOO_MANY_TYPES, { code: "access-denied", detail: "user" }],
  [ck.CKR_CRYPTOKI_NOT_INITIALIZED, LOST],
]);
const LOSES_TOKEN: ReadonlySet<number> = new Set(
  [...MEANINGS].filter(([, meaning]) => meaning === LOST).map(([returnValue]) => returnValue),
);
const LOSES_OBJECT: ReadonlySet<number> = new Set(
  [...MEANINGS].filter(([, meaning]) => meaning === MOVED).map(([returnValue]) => returnValue),
);
const REJECTS: ReadonlySet<number> = new Set([
  ck.CKR_DATA_INVALID,
  ck.CKR_DATA_LEN_RANGE,
  ck.CKR_ENCRYPTED_DATA_INVALID,
  ck.CKR_ENCRYPTED_DATA_LEN_RANGE,
  ck.CKR_WRAPPED_KEY_INVALID,
  ck.CKR_WRAPPED_KEY_LEN_RANGE,
  0x042, // CKR_AEAD_DECRYPT_FAILED of v3.1
]);
const UNABLE: ReadonlySet<number> = new Set([
  ck.CKR_ATTRIBUTE_READ_ONLY,
  ck.CKR_ATTRIBUTE_SENSITIVE,
  ck.CKR_ATTRIBUTE_TYPE_INVALID,
  ck.CKR_ATTRIBUTE_VALUE_INVALID,
  ck.CKR_ACTION_PROHIBITED,
  ck.CKR_FUNCTION_NOT_SUPPORTED,
  ck.CKR_KEY_SIZE_RANGE,
  ck.CKR_KEY_TYPE_INCONSISTENT,
  ck.CKR_KEY_FUNCTION_NOT_PERMITTED,
  ck.CKR_TEMPLATE_INCOMPLETE,
  ck.CKR_TEMPLATE_INCONSISTENT,
  ck.CKR_WRAPPING_KEY_SIZE_RANGE,
  ck.CKR_WRAPPING_KEY_TYPE_INCONSISTENT,
  ck.CKR_UNWRAPPING_KEY_SIZE_RANGE,
  ck.CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT,
]);

const START_HINT = "look into the library's own log and configuration";
const START_HINTS: readonly (readonly [returnValue: number, hint: string])[] = [
  [
    ck.CKR_ARGUMENTS_BAD,
    "the library wants parameters at its start, as NSS does: give `libraryParameters` (ENVELOCK_PKCS11_PARAMETERS for the command)",
  ],
  [
    ck.CKR_GENERAL_ERROR,
    "the library cannot read its configuration or its tokens: for SoftHSM look at the file that SOFTHSM2_CONF names and at the folder in it",
  ],
  [ck.CKR_FUNCTION_FAILED, "the library's service may not be running, such as pkcsslotd of openCryptoki or the vendor's client"],
  [ck.CKR_HOST_MEMORY, "the library's service may not be running, such as pkcsslotd of openCryptoki or the vendor's client"],
  [ck.CKR_DEVICE_ERROR, "the device or its service does not answer"],
  [ck.CKR_CANT_LOCK, "the library cannot be used by several threads"],
  [ck.CKR_NEED_TO_CREATE_THREADS, "the library must be allowed to start threads of its own"],
  [0xce534351, "NSS finds no database where `configdir` in `libraryParameters` says: make one with certutil -N"],
];
