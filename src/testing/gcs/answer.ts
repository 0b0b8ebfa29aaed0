import type { RawAnswer } from "../emulator/fault-plan.ts";

/**
 * An error as the JSON API answers it: a status, a reason and a message.
 *
 * @example
 * ```ts
 * import { GcsAnswer, GcsEmulator } from "envelock/testing/gcs";
 *
 * const emulator = await GcsEmulator.start();
 * emulator.failNext(new GcsAnswer(503, "backendError", "We encountered an internal error."), /objects.insert/);
 * await emulator.close();
 * ```
 */
export class GcsAnswer extends Error {
  override readonly name = "GcsAnswer";
  readonly status: number;
  /** The reason, such as `conditionNotMet`. */
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }

  get raw(): RawAnswer {
    if (this.status === 304) return { status: 304, text: "" };
    const { message, reason, status: code } = this;
    const error = { code, message, errors: [{ message, domain: "global", reason }] };
    return {
      status: code,
      text: `${JSON.stringify({ error }, undefined, 2)}\n`,
      headers: { "content-type": "application/json; charset=UTF-8" },
    };
  }
}

export function invalid(message: string): GcsAnswer {
  return new GcsAnswer(400, "invalid", message);
}

export function noBucket(): GcsAnswer {
  return new GcsAnswer(404, "notFound", "The specified bucket does not exist.");
}

export function noObject(bucket: string, name: string): GcsAnswer {
  return new GcsAnswer(404, "notFound", `No such object: ${bucket}/${name}`);
}

export function conditionNotMet(): GcsAnswer {
  return new GcsAnswer(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.");
}

export function notModified(): GcsAnswer {
  return new GcsAnswer(304, "notModified", "Not Modified");
}

export function forbidden(email: string, permission: string): GcsAnswer {
  return new GcsAnswer(403, "forbidden", `${email} does not have ${permission} access to the Google Cloud Storage resource.`);
}

export function authError(): GcsAnswer {
  return new GcsAnswer(401, "authError", "Invalid Credentials");
}

export function notImplemented(what: string): GcsAnswer {
  return new GcsAnswer(501, "notImplemented", `The emulator has no ${what}.`);
}
