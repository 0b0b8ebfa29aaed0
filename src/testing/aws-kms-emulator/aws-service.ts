import { randomUUID } from "node:crypto";
import type { Clock } from "../../core/base/clock.ts";
import type { RawAnswer } from "../emulator/fault-plan.ts";
import type { EmulatedService, LogEntry, ServedRequest } from "../emulator/loopback-server.ts";
import { AwsAnswer, throttled } from "./answer.ts";
import { namedAnswer, type OwnFault } from "./faults.ts";
import type { IdentityServices } from "./identity-services.ts";
import type { KeyStore } from "./key-store.ts";
import { Call, OPERATIONS, run } from "./operations.ts";
import type { Principals } from "./principals.ts";
import { RequestFields } from "./request-fields.ts";
import { checkSignature } from "./signatures.ts";

/** One request, as the audit trail records it. */
export interface LoggedRequest extends LogEntry {
  readonly requestId: string;
  /**
   * The operation, such as `Encrypt`; undefined for the metadata services. The path is `POST /Encrypt`. Faults match the path, followed by a
   * space and the `KeyId` of the request if it has one.
   */
  readonly operation: string | undefined;
  /** The ARN of the caller, if the signature was good. */
  principal: string | undefined;
}

/** The state of the services. */
export interface AwsState {
  readonly clock: Clock;
  readonly keys: KeyStore;
  readonly principals: Principals;
  readonly identity: IdentityServices;
  /** The lead of the services' clock over the emulator's. */
  skewMs: number;
  /** Calls of the key service answered per second; the rest is throttled. */
  readonly callsPerSecond: number;
}

/** The key service, the security token service and the metadata services behind one port. The form of a request tells its service. */
export class AwsService implements EmulatedService<LoggedRequest, OwnFault> {
  readonly name = "aws kms emulator";
  readonly #state: AwsState;
  #second = { start: 0, calls: 0 };

  constructor(state: AwsState) {
    this.#state = state;
  }

  entryOf({ headers, body }: ServedRequest, base: LogEntry): LoggedRequest {
    const target = headers["x-amz-target"]?.toString();
    const operation = target === undefined ? stsOperation(headers["content-type"], body) : target.replace(/^TrentService\./, "");
    const path = operation === undefined ? base.path : `${base.method} /${operation}`;
    const keyId = target === undefined ? undefined : KEY_ID.exec(body)?.[1];
    const matched = keyId === undefined ? path : `${path} ${keyId}`;
    return { ...base, path, matched, requestId: randomUUID(), operation, principal: undefined };
  }

  headersOf({ requestId }: LoggedRequest): Readonly<Record<string, string>> {
    return {
      "content-type": "application/x-amz-json-1.1",
      "x-amzn-requestid": requestId,
      date: new Date(this.#nowMs()).toUTCString(),
    };
  }

  async meet(fault: OwnFault, _request: ServedRequest, { operation }: LoggedRequest): Promise<RawAnswer> {
    const answer = fault instanceof AwsAnswer ? fault : namedAnswer(fault);
    return isOfSts(operation) ? answer.xml : answer.json;
  }

  async answer(request: ServedRequest, entry: LoggedRequest): Promise<RawAnswer> {
    const { operation } = entry;
    try {
      if (operation === undefined) return this.#state.identity.metadata(request) ?? { status: 404, text: "" };
      if (isOfSts(operation)) return this.#state.identity.sts(operation, new URLSearchParams(request.body), request, this.#nowMs());
      const answer = this.#kms(operation, request, entry);
      return { status: 200, text: answer === undefined ? "" : JSON.stringify(answer) };
    } catch (error) {
      const answer = error instanceof AwsAnswer ? error : new AwsAnswer("KMSInternalException", `${error}`);
      return isOfSts(operation) ? answer.xml : answer.json;
    }
  }

  #kms(operation: string, request: ServedRequest, entry: LoggedRequest): object | undefined {
    const { keys, principals, clock } = this.#state;
    if (!Object.hasOwn(OPERATIONS, operation)) throw new AwsAnswer("UnknownOperationException", "");
    const signed = checkSignature(request, principals, this.#nowMs());
    entry.principal = signed.principal.arn;
    if (signed.service !== "kms")
      throw new AwsAnswer("InvalidSignatureException", "Credential should be scoped to correct service: 'kms'.");
    this.#count();
    return run(operation, new Call(operation, RequestFields.parse(request.body), signed, keys, clock));
  }

  #count(): void {
    const start = Math.floor(this.#nowMs() / 1000);
    if (start !== this.#second.start) this.#second = { start, calls: 0 };
    this.#second.calls++;
    if (this.#second.calls > this.#state.callsPerSecond) throw throttled();
  }

  #nowMs(): number {
    return this.#state.clock.unixMs() + this.#state.skewMs;
  }
}

function stsOperation(contentType = "", body: string): string | undefined {
  return contentType.startsWith("application/x-www-form-urlencoded") ? (new URLSearchParams(body).get("Action") ?? undefined) : undefined;
}

function isOfSts(operation: string | undefined): operation is string {
  return operation === "AssumeRole" || operation === "AssumeRoleWithWebIdentity" || operation === "GetCallerIdentity";
}

const KEY_ID = /"KeyId":\s*"([^"\\]*)"/;
