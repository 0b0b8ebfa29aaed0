import { EnvelockError, type ErrorCode } from "../../src/core/base/errors.ts";
import { textFieldOf } from "../http/fields.ts";
import type { HttpAnswer } from "../http/http-service.ts";
import { meaning } from "../http/meaning.ts";
import { wordOf } from "../http/transport-failures.ts";

/** What was asked of a service: the names of AWS's own operations. */
export type AwsOperation =
  | "Encrypt"
  | "Decrypt"
  | "DescribeKey"
  | "GetKeyRotationStatus"
  | "GetKeyPolicy"
  | "CreateGrant"
  | "GenerateRandom"
  | "AssumeRole"
  | "AssumeRoleWithWebIdentity"
  | "GetCredentials";

/** What a service said: its type of error, never its message, which may quote the request. */
export class AwsServiceError extends Error {
  override readonly name = "AwsServiceError";
  /** The name, such as `DisabledException`; undefined for an answer that has none, of a proxy for instance. */
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
  const { code, ...more } = meaningOf(answer, operation);
  return new EnvelockError(code, `aws answered ${answer.status}${type === undefined ? "" : ` ${type}`} to ${operation} with ${of}`, {
    ...more,
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
  return (
    /^(?:ExpiredToken|UnrecognizedClient|InvalidClientTokenId|InvalidSignature|SignatureDoesNotMatch)/.test(nameOf(answer)) &&
    !isSkewed(answer)
  );
}

/** Whether the time of the signature was refused, so that the service's own is to be used. */
export function isSkewed(answer: HttpAnswer): boolean {
  const name = nameOf(answer);
  if (/^Request(?:Expired|TimeTooSkewed)/.test(name)) return true;
  return /^(?:InvalidSignature|SignatureDoesNotMatch)/.test(name) && /signature (?:not yet current|expired)/i.test(messageOf(answer));
}

/** The error's type, in JSON or in a header. A namespace before `#` and an address after `:` are no part of it. */
function errorTypeOf(answer: HttpAnswer): string | undefined {
  if (answer.status < 400) return undefined;
  const text = textFieldOf(answer.json, "__type") ?? answer.header("x-amzn-errortype");
  return wordOf(text?.replace(/^.*#|:.*$/g, ""));
}

/** The type without its ending, which some services leave out. */
function nameOf(answer: HttpAnswer): string {
  return (errorTypeOf(answer) ?? "").replace(/Exception$/, "");
}

/** For patterns alone. */
function messageOf({ json }: HttpAnswer): string {
  return textFieldOf(json, "message") ?? textFieldOf(json, "Message") ?? "";
}

interface Meaning {
  readonly code: ErrorCode;
  readonly detail?: string;
  readonly hint?: string;
}

function meaningOf(answer: HttpAnswer, operation: AwsOperation): Meaning {
  if (isSkewed(answer)) return CLOCK_SKEW;
  const name = nameOf(answer);
  if (name === "KMSInvalidState") return meaningOfState(messageOf(answer));
  const [, known] = MEANINGS.find(([names]) => names.split(" ").includes(name)) ?? [];
  if (known !== undefined) return known;
  if (/^(?:Xks|CloudHsmCluster|CustomKeyStore)/.test(name)) return CUSTOM_KEY_STORE;
  if (answer.status === 429) return THROTTLED;
  if (answer.status >= 500) return UNAVAILABLE;
  if (answer.status >= 400 && /^(?:Assume|GetCred)/.test(operation)) return LOGIN_REFUSED;
  return answer.status === 401 || answer.status === 403 ? ACCESS_DENIED : { code: "provider-failure", detail: "bad-request" };
}

/** One type for what passes by itself and for what an operator has done: the text tells. */
function meaningOfState(message: string): Meaning {
  if (/creating|updating|pending replica/i.test(message)) return { code: "unavailable", detail: "key-changing" };
  if (/custom key store|general failure|cluster|unavailable/i.test(message)) return CUSTOM_KEY_STORE;
  if (/pending deletion/i.test(message)) return meaning("key-disabled", "pending-deletion", "cancel the deletion of the key");
  if (/pending import/i.test(message)) return meaning("key-disabled", "pending-import", "import its key material again");
  return meaning("key-disabled", "key-state", "look at the state of the key");
}

const ACCESS_DENIED: Meaning = meaning(
  "access-denied",
  "permission-denied",
  "key policy and IAM policy must both allow it, across accounts too; a key that is not there is answered the same",
);
const LOGIN_REFUSED: Meaning = meaning("access-denied", "login", "check the role, its trust policy and the proof of identity");
const THROTTLED: Meaning = { code: "rate-limited", hint: "a quota of the account and region: reuse data keys and cache unwrapped ones" };
const CLOCK_SKEW: Meaning = meaning("provider-failure", "clock-skew", "set the clock of this machine");
const CUSTOM_KEY_STORE: Meaning = meaning("unavailable", "custom-key-store", "look at the connection of the custom key store");
const UNAVAILABLE: Meaning = { code: "unavailable" };
/** The names of errors, without the ending `Exception`. facts: the error lists of the KMS and STS service models */
export const MEANINGS: readonly (readonly [names: string, meaning: Meaning])[] = [
  ["InvalidCiphertext IncorrectKey", { code: "unwrap-rejected" }],
  ["NotFound InvalidArn", { code: "key-not-found", hint: "check the ARN; a new replica takes a moment" }],
  ["Disabled", meaning("key-disabled", "disabled", "enable the key, or cancel its deletion")],
  ["KeyUnavailable KMSInternal DependencyTimeout InternalFailure ServiceUnavailable IDPCommunicationError", UNAVAILABLE],
  ["AccessDenied InvalidGrantToken", ACCESS_DENIED],
  [
    "UnrecognizedClient InvalidClientTokenId InvalidSignature SignatureDoesNotMatch IncompleteSignature MissingAuthenticationToken ExpiredToken",
    meaning("access-denied", "credential", "the credentials are unknown, wrong or have ended"),
  ],
  ["Throttling LimitExceeded RequestLimitExceeded", THROTTLED],
  [
    "InvalidKeyUsage Validation UnsupportedOperation",
    meaning("provider-failure", "key-type", 'the key must have the usage ENCRYPT_DECRYPT; give keyType: "rsa" for an RSA key'),
  ],
];
