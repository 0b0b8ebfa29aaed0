import { type CommonFault, isCommonFaultName, numberOf } from "../emulator/fault-plan.ts";
import { badRequest, noHandler, permissionDenied, quotaExceeded, sealed, VaultAnswer } from "./answer.ts";

/** A fault of the Vault server, beside the faults common to all emulators: an answer of the server, by name or as a whole. */
export type OwnFault = FaultAnswerName | `quota:${number}` | VaultAnswer;

export type Fault = CommonFault | OwnFault;

export type FaultAnswerName =
  | "sealed"
  | "quota"
  | "permission-denied"
  | "key-not-found"
  | "no-mount"
  | "authentication-failed"
  | "authentication-failed-500"
  | "rsa-failed"
  | "too-old"
  | "too-new"
  | "soft-deleted"
  | "standby"
  | "behind-replica"
  | "internal-error"
  | "bad-gateway";

export function isFaultName(text: string): text is Exclude<Fault, object> {
  return isCommonFaultName(text) || Object.hasOwn(ANSWERS, text) || numberOf("quota", text) !== undefined;
}

export function namedAnswer(name: Exclude<OwnFault, VaultAnswer>): VaultAnswer {
  return isAnswerName(name) ? ANSWERS[name]() : quotaExceeded(numberOf("quota", name));
}

export function isAnswerName(name: string): name is FaultAnswerName {
  return Object.hasOwn(ANSWERS, name);
}

const ANSWERS: Readonly<Record<FaultAnswerName, () => VaultAnswer>> = {
  sealed: () => sealed(),
  quota: () => quotaExceeded(),
  "permission-denied": () => permissionDenied(),
  "key-not-found": () => badRequest("encryption key not found"),
  "no-mount": () => noHandler("transit/"),
  "authentication-failed": () => badRequest("cipher: message authentication failed"),
  "authentication-failed-500": () => new VaultAnswer(500, ["1 error occurred:\n\t* cipher: message authentication failed\n\n"]),
  "rsa-failed": () =>
    new VaultAnswer(500, ["1 error occurred:\n\t* failed to RSA decrypt the ciphertext: crypto/rsa: decryption error\n\n"]),
  "too-old": () => badRequest("ciphertext or signature version is disallowed by policy (too old)"),
  "too-new": () => badRequest("invalid ciphertext: version is too new"),
  "soft-deleted": () => badRequest("refusing to use soft-deleted key"),
  standby: () => new VaultAnswer(307, [], { location: "https://127.0.0.1:1/" }),
  "behind-replica": () => new VaultAnswer(412, ["required index state not present"]),
  "internal-error": () => new VaultAnswer(500, ["internal error"]),
  "bad-gateway": () => new VaultAnswer(502, ["upstream"]),
};
