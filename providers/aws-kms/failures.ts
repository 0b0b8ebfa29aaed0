import { EnvelockError, type ErrorCode } from "../../src/core/base/errors.ts";
import { textFieldOf } from "../http/fields.ts";
import type { HttpAnswer } from "../http/http-service.ts";
import { wordOf } from "../http/transport-failures.ts";

/** What was asked of a service: the names of AWS's own operations. */
export type AwsOperation =
  | "Encrypt"
  | "Decrypt"
  | "DescribeKey"
  | "GetKeyRotationStatus"
  | "AssumeRole"
  | "AssumeRoleWithWebIdentity"
  | "GetCredentials";

/** What a service said: its type of error, never its message, which may quote the request. */
export class AwsServiceError extends Error {
  override readonly name = "AwsServiceError";
  /** Such as `DisabledException`; undefined for an answer that has none, of a proxy for instance. */
  readonly type: string | undefined;
  readonly status: number;
  readonly requestId: string | undefined;

  constructor(type: string | undefined, status: number, requestId: string | undefined) {
    super(type ?? `status ${status}`);
    this.type = type;
    this.status = status;
    this.requestId = requestId;
  }
}

/**
 * An answer that is no success, in our codes.
 *
 * @param of the key or role that it was asked of
 * @see docs/providers/aws-kms.md for the table
 */
export function serviceFailure(answer: HttpAnswer, operation: AwsOperation, of: string): EnvelockError {
  const type = errorTypeOf(answer);
  const { code, detail, hint } = meaningOf(type, answer, operation);
  return new EnvelockError(code, `aws answered ${answer.status}${type === undefined ? "" : ` ${type}`} to ${operation} with ${of}`, {
    ...(detail !== undefined && { detail }),
    ...(hint !== undefined && { hint }),
    ...(answer.retryAfterMs !== undefined && { retryAfterMs: answer.retryAfterMs }),
    cause: new AwsServiceError(type, answer.status, wordOf(answer.header("x-amzn-requestid"))),
  });
}

/** An answer that is not what the service documents. */
export function brokenAnswer(operation: AwsOperation, of: string, what: string): EnvelockError {
  return new EnvelockError("provider-failure", `aws's answer to ${operation} with ${of} ${what}`, { detail: "broken-answer" });
}

export function rejected(): EnvelockError {
  return new EnvelockError("unwrap-rejected", "this AWS KMS key did not wrap this data key in this context");
}

/** Whether other credentials may be let in where these are not. */
export function refusesCredentials(answer: HttpAnswer): boolean {
  const type = errorTypeOf(answer);
  return type !== undefined && CREDENTIAL_TYPES.has(type) && !isSkewed(answer);
}

/** Whether the time of the signature was refused, so that the service's own is to be used. */
export function isSkewed(answer: HttpAnswer): boolean {
  const type = errorTypeOf(answer);
  if (type === undefined || !SIGNATURE_TYPES.has(type)) return false;
  return TIME_TYPES.has(type) || /signature not yet current|signature expired/i.test(messageOf(answer));
}

/** The error's name: in JSON, in a header or, of STS, in XML. A namespace before `#` and an address after `:` are no part of it. */
function errorTypeOf(answer: HttpAnswer): string | undefined {
  if (answer.status < 400) return undefined;
  const [, inXml] = /<Code>([\w.]{1,64})<\/Code>/.exec(answer.text) ?? [];
  const text = textFieldOf(answer.json, "__type") ?? answer.header("x-amzn-errortype") ?? inXml;
  return wordOf(text?.replace(/^.*#/, "").replace(/:.*$/, ""));
}

/** For patterns alone. */
function messageOf({ json, text }: HttpAnswer): string {
  const [, inXml] = /<Message>([^<]{1,2000})<\/Message>/.exec(text) ?? [];
  return textFieldOf(json, "message") ?? textFieldOf(json, "Message") ?? inXml ?? "";
}

interface Meaning {
  readonly code: ErrorCode;
  readonly detail?: string;
  readonly hint?: string;
}

function meaningOf(type: string | undefined, answer: HttpAnswer, operation: AwsOperation): Meaning {
  if (isSkewed(answer)) return CLOCK_SKEW;
  if (type === "KMSInvalidStateException") return meaningOfState(messageOf(answer));
  const known = type !== undefined && Object.hasOwn(MEANINGS, type) ? MEANINGS[type] : undefined;
  if (known !== undefined) return known;
  if (type?.startsWith("Xks") === true || type?.startsWith("CloudHsmCluster") === true) return CUSTOM_KEY_STORE;
  if (answer.status === 429) return THROTTLED;
  if (answer.status >= 500) return { code: "unavailable" };
  if (answer.status === 401 || answer.status === 403) return ACCESS_DENIED;
  return LOGINS.has(operation) ? LOGIN_REFUSED : { code: "provider-failure", detail: "bad-request" };
}

/** One type for what passes by itself and for what an operator has done: the text tells. */
function meaningOfState(message: string): Meaning {
  if (/creating|updating|pending replica/i.test(message)) return { code: "unavailable", detail: "key-changing" };
  if (/custom key store|general failure|cluster|unavailable/i.test(message)) return CUSTOM_KEY_STORE;
  if (/pending deletion/i.test(message))
    return { code: "key-disabled", detail: "pending-deletion", hint: "cancel the deletion of the key" };
  if (/pending import/i.test(message)) return { code: "key-disabled", detail: "pending-import", hint: "import its key material again" };
  return { code: "key-disabled", detail: "key-state", hint: "look at the state of the key" };
}

const LOGINS: ReadonlySet<AwsOperation> = new Set(["AssumeRole", "AssumeRoleWithWebIdentity", "GetCredentials"]);
const ACCESS_DENIED: Meaning = {
  code: "access-denied",
  detail: "permission-denied",
  hint: "key policy and IAM policy must both allow it, across accounts too; a key that is not there is answered the same",
};
const LOGIN_REFUSED: Meaning = {
  code: "access-denied",
  detail: "login",
  hint: "check the role, its trust policy and the proof of identity",
};
const BAD_CREDENTIALS: Meaning = { code: "access-denied", detail: "credential", hint: "the credentials are unknown, wrong or have ended" };
const THROTTLED: Meaning = { code: "rate-limited", hint: "a quota of the account and region: reuse data keys and cache unwrapped ones" };
const CLOCK_SKEW: Meaning = { code: "provider-failure", detail: "clock-skew", hint: "set the clock of this machine" };
const CUSTOM_KEY_STORE: Meaning = {
  code: "unavailable",
  detail: "custom-key-store",
  hint: "look at the connection of the custom key store",
};
const WRONG_KEY: Meaning = {
  code: "provider-failure",
  detail: "key-type",
  hint: 'the key must have the usage ENCRYPT_DECRYPT; give keyType: "rsa" for an RSA key',
};
const REJECTED: Meaning = { code: "unwrap-rejected" };
const NOT_FOUND: Meaning = { code: "key-not-found", hint: "check the ARN; a new replica takes a moment" };
const UNAVAILABLE: Meaning = { code: "unavailable" };
/** facts: the error lists of the KMS and STS service models */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  InvalidCiphertextException: REJECTED,
  IncorrectKeyException: REJECTED,
  NotFoundException: NOT_FOUND,
  InvalidArnException: NOT_FOUND,
  DisabledException: { code: "key-disabled", detail: "disabled", hint: "enable the key, or cancel its deletion" },
  KeyUnavailableException: UNAVAILABLE,
  KMSInternalException: UNAVAILABLE,
  DependencyTimeoutException: UNAVAILABLE,
  InternalFailure: UNAVAILABLE,
  ServiceUnavailable: UNAVAILABLE,
  ServiceUnavailableException: UNAVAILABLE,
  IDPCommunicationError: UNAVAILABLE,
  AccessDeniedException: ACCESS_DENIED,
  AccessDenied: ACCESS_DENIED,
  InvalidGrantTokenException: ACCESS_DENIED,
  UnrecognizedClientException: BAD_CREDENTIALS,
  InvalidClientTokenId: BAD_CREDENTIALS,
  InvalidSignatureException: BAD_CREDENTIALS,
  SignatureDoesNotMatch: BAD_CREDENTIALS,
  IncompleteSignature: BAD_CREDENTIALS,
  IncompleteSignatureException: BAD_CREDENTIALS,
  MissingAuthenticationToken: BAD_CREDENTIALS,
  MissingAuthenticationTokenException: BAD_CREDENTIALS,
  ExpiredTokenException: BAD_CREDENTIALS,
  ExpiredToken: BAD_CREDENTIALS,
  InvalidIdentityToken: LOGIN_REFUSED,
  IDPRejectedClaim: LOGIN_REFUSED,
  RegionDisabledException: LOGIN_REFUSED,
  ThrottlingException: THROTTLED,
  Throttling: THROTTLED,
  LimitExceededException: THROTTLED,
  RequestLimitExceeded: THROTTLED,
  InvalidKeyUsageException: WRONG_KEY,
  ValidationException: WRONG_KEY,
  UnsupportedOperationException: WRONG_KEY,
  RequestExpired: CLOCK_SKEW,
};
const TIME_TYPES: ReadonlySet<string> = new Set(["RequestExpired", "RequestTimeTooSkewed"]);
const SIGNATURE_TYPES: ReadonlySet<string> = new Set([...TIME_TYPES, "InvalidSignatureException", "SignatureDoesNotMatch"]);
const CREDENTIAL_TYPES: ReadonlySet<string> = new Set([
  "ExpiredTokenException",
  "ExpiredToken",
  "UnrecognizedClientException",
  "InvalidClientTokenId",
  "InvalidSignatureException",
  "SignatureDoesNotMatch",
]);
