import { Answer, forbidden, keyNotFound, throttled } from "./answer.ts";

/**
 * What becomes of a request instead of an answer, or before it.
 *
 * By name: `reset`, `hang`, `cut` (an answer that breaks off), `endless` (one that never ends) and `garbage` (no JSON) break the
 * transport; `claims` is a claims challenge; `rotation` makes a new version of the key that is asked for, then answers; `slow:2000` waits as many milliseconds;
 * `throttled` is a 429, `throttled:5` one that names 5 seconds; the others are answers of the service.
 */
export type Fault = FaultName | Answer | RawAnswer | Meanwhile;

export type FaultName = TransportFault | "claims" | "rotation" | AnswerName | `throttled:${number}` | `slow:${number}`;

/** What a proxy, a load balancer or a broken service says. */
export interface RawAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Something that happens while a request is on its way, which is then answered as usual. */
export interface Meanwhile {
  meanwhile(): unknown;
}

export type TransportFault = "reset" | "hang" | "cut" | "endless" | "garbage";

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
  return TRANSPORT_FAULTS.has(text) || text === "claims" || text === "rotation" || isAnswerName(text) || numberIn(text) !== undefined;
}

export function isTransportFault(fault: Fault): fault is TransportFault {
  return typeof fault === "string" && TRANSPORT_FAULTS.has(fault);
}

/** The answer that a name stands for, if it is one. */
export function namedAnswer(name: FaultName): Answer | undefined {
  if (isAnswerName(name)) return ANSWERS[name]();
  return name.startsWith("throttled:") ? throttled(numberIn(name)) : undefined;
}

/** How many milliseconds a `slow` fault takes. */
export function slownessOf(name: FaultName): number | undefined {
  return name.startsWith("slow:") ? numberIn(name) : undefined;
}

/** Faults that were ordered, each for the requests that its pattern fits, in the order they were given. */
export class FaultPlan {
  readonly #faults: { readonly fault: Fault; readonly on: RegExp; left: number }[] = [];

  add(fault: Fault, on: RegExp, times: number): void {
    this.#faults.push({ fault, on, left: times });
  }

  clear(): void {
    this.#faults.length = 0;
  }

  /** @param path `METHOD /path` */
  take(path: string): Fault | undefined {
    const index = this.#faults.findIndex(({ on }) => on.test(path));
    const met = this.#faults[index];
    if (met === undefined) return undefined;
    met.left--;
    if (met.left < 1) this.#faults.splice(index, 1);
    return met.fault;
  }
}

function isAnswerName(name: string): name is AnswerName {
  return Object.hasOwn(ANSWERS, name);
}

function numberIn(name: string): number | undefined {
  const [, digits] = /^(?:throttled|slow):([0-9]{1,7})$/.exec(name) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

const TRANSPORT_FAULTS: ReadonlySet<string> = new Set(["reset", "hang", "cut", "endless", "garbage"]);

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
