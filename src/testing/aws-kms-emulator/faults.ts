import { type CommonFault, isCommonFaultName } from "../emulator/fault-plan.ts";
import { AwsAnswer, invalidCiphertext, throttled } from "./answer.ts";

/** A fault of the AWS services, beside the faults common to all emulators: an error, given by its type or as a whole. */
export type OwnFault = FaultName | AwsAnswer;

export type Fault = CommonFault | OwnFault;

export type FaultName = keyof typeof MESSAGES;

export function isFaultName(text: string): text is Exclude<Fault, object> {
  return isCommonFaultName(text) || Object.hasOwn(MESSAGES, text);
}

export function namedAnswer(name: FaultName): AwsAnswer {
  if (name === "InvalidCiphertextException") return invalidCiphertext();
  if (name === "ThrottlingException") return throttled();
  const message = MESSAGES[name];
  if (name === "Creating" || name === "PendingDeletion" || name === "PendingImport" || name === "CustomKeyStore")
    return new AwsAnswer("KMSInvalidStateException", message);
  return new AwsAnswer(name, message);
}

/** Errors of the table in docs/providers/aws-kms.md. The last ones are states that share one type. */
const MESSAGES = {
  AccessDeniedException: "User is not authorized to perform this action",
  AlreadyExistsException: "The alias already exists",
  CloudHsmClusterInvalidConfigurationException: "The cluster does not have the required configuration",
  CloudHsmClusterNotActiveException: "The cluster is not active",
  CustomKeyStoreInvalidStateException: "The custom key store is in a state that does not allow the operation",
  CustomKeyStoreNotFoundException: "The custom key store does not exist",
  DependencyTimeoutException: "The system timed out while trying to fulfill the request",
  DisabledException: "The key is disabled",
  ExpiredTokenException: "The security token included in the request is expired",
  IncorrectKeyException: "The key ID in the request does not identify a CMK that can perform this operation.",
  InvalidAliasNameException: "The alias name is not valid",
  InvalidArnException: "The ARN is not valid",
  InvalidCiphertextException: "",
  InvalidGrantTokenException: "The grant token is not valid",
  InvalidKeyUsageException: "The key usage is incompatible with the operation",
  InvalidMarkerException: "The marker is not valid",
  InvalidSignatureException: "The request signature we calculated does not match the signature you provided.",
  KMSInternalException: "An internal exception occurred",
  KeyUnavailableException: "The key was not available",
  LimitExceededException: "A quota was exceeded",
  MalformedPolicyDocumentException: "The policy is not well formed",
  NotFoundException: "The key does not exist",
  TagException: "A tag is not valid",
  ThrottlingException: "",
  UnrecognizedClientException: "The security token included in the request is invalid.",
  UnsupportedOperationException: "The operation is not supported",
  ValidationException: "A value failed to satisfy a constraint",
  XksKeyAlreadyInUseException: "The external key is in use by another key",
  XksKeyInvalidConfigurationException: "The external key cannot be used",
  XksKeyNotFoundException: "The external key does not exist",
  XksProxyUriUnreachableException: "The proxy is not reachable",
  Creating: "The key is in state Creating",
  PendingDeletion: "The key is pending deletion.",
  PendingImport: "The key is pending import.",
  CustomKeyStore: "The custom key store has a general failure",
} as const;

/** The names, for a comparison with the service's model. */
export const FAULT_NAMES: readonly string[] = Object.keys(MESSAGES);
