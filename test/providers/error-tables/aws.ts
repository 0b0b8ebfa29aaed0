import { AwsAnswer, type Fault } from "../../../src/testing/aws-kms-emulator/index.ts";
import { type ErrorCase, transportCases } from "./error-case.ts";

type Case = ErrorCase<Fault>;

export const AWS_CASES: readonly Case[] = [
  ...named("InvalidCiphertext,", { code: "unwrap-rejected" }, ["InvalidCiphertextException", "IncorrectKeyException"]),
  ...named("NotFound,", { code: "key-not-found", hint: /check the ARN/ }, ["NotFoundException", "InvalidArnException"]),
  ...named("Disabled", { code: "key-disabled", detail: "disabled", hint: /enable the key/ }, ["DisabledException"]),
  state("The key is pending deletion.", "pending-deletion", /cancel the deletion/),
  state("The key is pending import.", "pending-import", /import its key material/),
  state("The key is in a state of its own.", "key-state", /state of the key/),
  ...["Creating", "Updating", "pending replica deletion"].map((word) => ({
    row: "KMSInvalidState while",
    what: word,
    fault: invalidState(`The key is in state ${word}`),
    code: "unavailable" as const,
    detail: "key-changing",
  })),
  {
    row: "KMSInvalidState of a custom key store",
    what: "a general failure",
    fault: invalidState("The custom key store has a general failure"),
    ...CUSTOM_STORE(),
  },
  ...named("KMSInvalidState of a custom key store", CUSTOM_STORE(), [
    "CustomKeyStoreInvalidStateException",
    "CustomKeyStoreNotFoundException",
    "XksKeyInvalidConfigurationException",
    "XksKeyNotFoundException",
    "XksProxyUriUnreachableException",
    "CloudHsmClusterNotActiveException",
    "CloudHsmClusterInvalidConfigurationException",
  ]),
  ...named("KeyUnavailable,", { code: "unavailable" }, [
    "KeyUnavailableException",
    "KMSInternalException",
    "DependencyTimeoutException",
    "InternalFailure",
    "ServiceUnavailable",
    "IDPCommunicationError",
  ]),
  { row: "KeyUnavailable,", what: "a page of a proxy with 503", fault: { status: 503, text: "<html>" }, code: "unavailable" },
  ...named("AccessDenied,", { code: "access-denied", detail: "permission-denied", hint: /key policy and IAM policy/ }, [
    "AccessDeniedException",
    "InvalidGrantTokenException",
  ]),
  ...["401", "403"].map((status) => ({
    row: "AccessDenied,",
    what: `a page of a proxy with ${status}`,
    fault: { status: Number(status), text: "<html>" },
    code: "access-denied" as const,
    detail: "permission-denied",
    hint: /key policy and IAM policy/,
  })),
  ...named("UnrecognizedClient,", { code: "access-denied", detail: "credential", hint: /have ended/ }, [
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "ExpiredTokenException",
  ]),
  ...named("Throttling,", { code: "rate-limited", hint: /reuse data keys/ }, [
    "ThrottlingException",
    "LimitExceededException",
    "RequestLimitExceeded",
  ]),
  {
    row: "Throttling,",
    what: "429 with a time",
    fault: { status: 429, text: "<html>", headers: { "retry-after": "3" } },
    code: "rate-limited",
    hint: /reuse data keys/,
    retryAfterMs: 3000,
  },
  ...named("InvalidKeyUsage,", { code: "provider-failure", detail: "key-type", hint: /ENCRYPT_DECRYPT/ }, [
    "InvalidKeyUsageException",
    "ValidationException",
    "UnsupportedOperationException",
  ]),
  ...[
    new AwsAnswer("InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than QUOTED"),
    new AwsAnswer("InvalidSignatureException", "Signature not yet current: QUOTED"),
    new AwsAnswer("RequestExpired", "QUOTED"),
    new AwsAnswer("RequestTimeTooSkewed", "QUOTED", 403),
  ].map((fault) => ({
    row: "a signature out of time",
    what: `${fault.type} ${fault.message}`,
    fault,
    times: 2,
    code: "provider-failure" as const,
    detail: "clock-skew",
    hint: /clock of this machine/,
  })),
  {
    row: "any other error",
    what: "a type that is not known",
    fault: new AwsAnswer("SomethingNewException", "QUOTED"),
    code: "provider-failure",
    detail: "bad-request",
  },
  ...transportCases(),
];

function CUSTOM_STORE(): Pick<Case, "code" | "detail" | "hint"> {
  return { code: "unavailable", detail: "custom-key-store", hint: /custom key store/ };
}

/** The errors of a row, by their types. A namespace before the type and an address after it are no part of it. */
function named(row: string, meaning: Omit<Case, "row" | "what" | "fault">, types: readonly string[]): readonly Case[] {
  return types.flatMap((type) => [
    { row, what: type, fault: new AwsAnswer(type, "QUOTED"), ...meaning },
    { row, what: `${type} in a namespace`, fault: new AwsAnswer(`com.amazonaws.kms#${type}:http://x`, "QUOTED"), ...meaning },
  ]);
}

function state(message: string, detail: string, hint: RegExp): Case {
  return { row: "KMSInvalidState |", what: message, fault: invalidState(message), code: "key-disabled", detail, hint };
}

function invalidState(message: string): AwsAnswer {
  return new AwsAnswer("KMSInvalidStateException", message);
}
