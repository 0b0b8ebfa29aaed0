import type { RawAnswer } from "./fault-plan.ts";

/** One violation of a precondition, as `google.rpc.PreconditionFailure` has it. */
export interface Violation {
  readonly type: string;
  readonly subject: string;
  readonly description: string;
}

/**
 * An error as the service answers it over REST, for `failNext`.
 *
 * @example
 * ```ts
 * import { GcpAnswer, GcpKmsEmulator } from "envelock/testing/gcp-kms-emulator";
 *
 * const emulator = await GcpKmsEmulator.start();
 * emulator.failNext(new GcpAnswer(503, "UNAVAILABLE", "The service is currently unavailable."), /encrypt/);
 * ```
 */
export class GcpAnswer extends Error {
  override readonly name = "GcpAnswer";
  readonly httpStatus: number;
  /** The canonical code, such as `NOT_FOUND`. */
  readonly status: string;
  readonly violations: readonly Violation[];

  constructor(httpStatus: number, status: string, message: string, violations: readonly Violation[] = []) {
    super(message);
    this.httpStatus = httpStatus;
    this.status = status;
    this.violations = violations;
  }

  get raw(): RawAnswer {
    const details = this.violations.length === 0 ? {} : { details: [{ "@type": PRECONDITION_FAILURE, violations: this.violations }] };
    const error = { code: this.httpStatus, message: this.message, status: this.status, ...details };
    return { status: this.httpStatus, text: `${JSON.stringify({ error }, undefined, 2)}\n` };
  }
}

export function denied(permission: string, resource: string): GcpAnswer {
  return new GcpAnswer(403, "PERMISSION_DENIED", `Permission '${permission}' denied on resource '${resource}' (or it may not exist).`);
}

export function unauthenticated(): GcpAnswer {
  return new GcpAnswer(
    401,
    "UNAUTHENTICATED",
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
  );
}

const PRECONDITION_FAILURE = "type.googleapis.com/google.rpc.PreconditionFailure";
