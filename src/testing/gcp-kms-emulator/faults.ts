import { type CommonFault, isCommonFaultName } from "../emulator/fault-plan.ts";
import { denied, GcpAnswer, unauthenticated } from "../emulator/google-answer.ts";
import { checksumMismatch, ciphertextInvalid, ciphertextRefused, exhausted, externalFailure, notEnabled, notFound } from "./answer.ts";

/** A fault of Cloud KMS, beside the faults common to all emulators: an error by name, a whole answer, or a wrong answer. */
export type OwnFault = FaultAnswerName | WrongAnswerName | GcpAnswer;

export type Fault = CommonFault | OwnFault;

export type FaultAnswerName =
  | "permission-denied"
  | "unauthenticated"
  | "not-found"
  | "disabled"
  | "destroyed"
  | "destroy-scheduled"
  | "pending-generation"
  | "external-denied"
  | "external-unavailable"
  | "checksum"
  | "ciphertext-invalid"
  | "ciphertext-refused"
  | "quota"
  | "deadline"
  | "unavailable"
  | "internal-error";

/**
 * A correct answer with one defect: a checksum that does not fit its bytes, a checksum that was not verified, or another key's name.
 */
export type WrongAnswerName = "wrong-checksum" | "not-verified" | "other-key";

export function isFaultName(text: string): text is Exclude<Fault, object> {
  return isCommonFaultName(text) || Object.hasOwn(ANSWERS, text) || isWrongAnswerName(text);
}

export function isWrongAnswerName(name: unknown): name is WrongAnswerName {
  return name === "wrong-checksum" || name === "not-verified" || name === "other-key";
}

export function namedAnswer(name: FaultAnswerName): GcpAnswer {
  return ANSWERS[name]();
}

/** Applies the defect to an answer. */
export function wrongAnswer(name: WrongAnswerName, fields: object): object {
  return Object.fromEntries(
    Object.entries(fields).map(([field, value]) => {
      if (name === "wrong-checksum" && field.endsWith("Crc32c") && typeof value === "string")
        return [field, `${(Number(value) + 1) % 2 ** 32}`];
      if (name === "not-verified" && field.startsWith("verified")) return [field, false];
      if (name === "other-key" && field === "name") return [field, `${value}`.replace("/cryptoKeys/", "/cryptoKeys/other-")];
      return [field, value];
    }),
  );
}

const VERSION = "projects/acme/locations/europe-west3/keyRings/main/cryptoKeys/orders/cryptoKeyVersions/1";
const ANSWERS: Readonly<Record<FaultAnswerName, () => GcpAnswer>> = {
  "permission-denied": () => denied("cloudkms.cryptoKeyVersions.useToDecrypt", VERSION),
  unauthenticated: () => unauthenticated(),
  "not-found": () => notFound(VERSION),
  disabled: () => notEnabled(VERSION, "DISABLED"),
  destroyed: () => notEnabled(VERSION, "DESTROYED"),
  "destroy-scheduled": () => notEnabled(VERSION, "DESTROY_SCHEDULED"),
  "pending-generation": () => notEnabled(VERSION, "PENDING_GENERATION"),
  "external-denied": () => externalFailure("EXTERNAL_PERMISSION_DENIED"),
  "external-unavailable": () => externalFailure("EXTERNAL_UNAVAILABLE"),
  checksum: () => checksumMismatch("ciphertext"),
  "ciphertext-invalid": () => ciphertextInvalid(),
  "ciphertext-refused": () => ciphertextRefused(),
  quota: () => exhausted(),
  deadline: () => new GcpAnswer(504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
  unavailable: () => new GcpAnswer(503, "UNAVAILABLE", "The service is currently unavailable."),
  "internal-error": () => new GcpAnswer(500, "INTERNAL", "Internal error encountered."),
};
