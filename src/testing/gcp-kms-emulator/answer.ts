import type { RawAnswer } from "../emulator/fault-plan.ts";

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

export function invalid(message: string): GcpAnswer {
  return new GcpAnswer(400, "INVALID_ARGUMENT", message);
}

export function checksumMismatch(field: string): GcpAnswer {
  return invalid(`The checksum in field ${field}_crc32c did not match the data in field ${field}.`);
}

/** The answer for a ciphertext that the service did not make. */
export function ciphertextInvalid(): GcpAnswer {
  return invalid("Decryption failed: the ciphertext is invalid.");
}

/** The answer for another key, another AAD or a changed ciphertext. */
export function ciphertextRefused(): GcpAnswer {
  return invalid(
    "Decryption failed: verify that 'name' refers to the correct CryptoKey, and that 'ciphertext' and 'additional_authenticated_data' are correct.",
  );
}

export function notEnabled(version: string, state: string): GcpAnswer {
  const type = state === "DESTROYED" ? "KEY_DESTROYED" : state === "PENDING_GENERATION" ? "KEY_PENDING_GENERATION" : "KEY_DISABLED";
  const message = `${version} is not enabled, current state is: ${state}.`;
  return new GcpAnswer(400, "FAILED_PRECONDITION", message, [{ type, subject: version, description: message }]);
}

/** The answer for an external key whose key manager refuses or fails. */
export function externalFailure(domain: string): GcpAnswer {
  const description = "The external key manager did not perform the operation.";
  return new GcpAnswer(400, "FAILED_PRECONDITION", description, [
    { type: "KEY_ENABLED", subject: "external key", description },
    { type: domain, subject: "external key", description },
  ]);
}

export function denied(permission: string, resource: string): GcpAnswer {
  return new GcpAnswer(403, "PERMISSION_DENIED", `Permission '${permission}' denied on resource '${resource}' (or it may not exist).`);
}

export function notFound(resource: string): GcpAnswer {
  return new GcpAnswer(404, "NOT_FOUND", `${resource} not found.`);
}

export function unauthenticated(): GcpAnswer {
  return new GcpAnswer(
    401,
    "UNAUTHENTICATED",
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
  );
}

export function exhausted(): GcpAnswer {
  return new GcpAnswer(
    429,
    "RESOURCE_EXHAUSTED",
    "Quota exceeded for quota metric 'Cryptographic requests' of service 'cloudkms.googleapis.com'.",
  );
}

const PRECONDITION_FAILURE = "type.googleapis.com/google.rpc.PreconditionFailure";
