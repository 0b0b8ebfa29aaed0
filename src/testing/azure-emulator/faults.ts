import { type CommonFault, isCommonFaultName, numberOf, type TransportFault } from "../emulator/fault-plan.ts";
import { Answer, forbidden, keyNotFound, throttled } from "./answer.ts";

/**
 * A fault of the key vault, beside the faults common to all emulators. By name: `claims` is a
 * claims challenge; `rotation` makes a new version of the key that is asked for, then answers; `throttled` is a 429, `throttled:5` one
 * that names 5 seconds; the others are answers of the service.
 */
export type OwnFault = "claims" | "rotation" | AnswerName | `throttled:${number}` | Answer;

export type Fault = CommonFault | OwnFault;

export type FaultName = TransportFault | `slow:${number}` | Exclude<OwnFault, Answer>;

export type AnswerName =
  | "throttled"
  | "timeout"
  | "internal-error"
  | "bad-gateway"
  | "unavailable"
  | "rbac"
  | "policy"
  | "firewall"
  | "private-link"
  | "disabled"
  | "expired"
  | "not-yet-valid"
  | "deleted"
  | "not-replicated";

export function isFaultName(text: string): text is FaultName {
  return (
    isCommonFaultName(text) || text === "claims" || text === "rotation" || isAnswerName(text) || numberOf("throttled", text) !== undefined
  );
}

/** Returns the answer for the name of a fault; undefined for an unknown name. */
export function namedAnswer(name: Exclude<OwnFault, Answer>): Answer | undefined {
  if (isAnswerName(name)) return ANSWERS[name]();
  return name.startsWith("throttled:") ? throttled(numberOf("throttled", name)) : undefined;
}

function isAnswerName(name: string): name is AnswerName {
  return Object.hasOwn(ANSWERS, name);
}

const ANSWERS: Readonly<Record<AnswerName, () => Answer>> = {
  throttled: () => throttled(),
  timeout: () => new Answer(408, { code: "RequestTimeout", message: "The request took too long." }),
  "internal-error": () => new Answer(500, { code: "InternalServerError", message: "An error occurred." }),
  "bad-gateway": () => new Answer(502, { code: "BadGateway", message: "The server behind gave no answer." }),
  unavailable: () => new Answer(503, { code: "ServiceUnavailable", message: "The service is not available." }),
  rbac: () => forbidden("ForbiddenByRbac"),
  policy: () => forbidden("ForbiddenByPolicy"),
  firewall: () => forbidden("ForbiddenByFirewall"),
  "private-link": () => forbidden("ForbiddenByConnection"),
  disabled: () => forbidden("KeyDisabled"),
  expired: () => forbidden("KeyExpired"),
  "not-yet-valid": () => forbidden("KeyNotYetValid"),
  deleted: () => keyNotFound(),
  "not-replicated": () => keyNotFound(),
};
