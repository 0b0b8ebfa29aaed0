import { EnvelockError } from "../../core/base/errors.ts";

/**
 * An error as the service answers it: `{error:{code,message,innererror:{code}}}`.
 *
 * @example
 * ```ts
 * import { Answer, type AzureEmulator } from "envelock/testing/azure-emulator";
 *
 * export function breakNext(emulator: AzureEmulator): void {
 *   emulator.failNext(new Answer(500, { code: "InternalServerError" }), /unwrapkey$/);
 * }
 * ```
 */
export class Answer extends Error {
  override readonly name = "Answer";
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly error: AnswerBody;

  constructor(status: number, error: AnswerBody, headers: Readonly<Record<string, string>> = {}) {
    super(error.message ?? error.code);
    this.status = status;
    this.error = error;
    this.headers = headers;
  }

  get body(): object {
    const { code, message = "", innerCode } = this.error;
    return { error: { code, message, ...(innerCode !== undefined && { innererror: { code: innerCode } }) } };
  }
}

export interface AnswerBody {
  readonly code: string;
  readonly message?: string;
  /** The code of `innererror`, such as `ForbiddenByRbac`. */
  readonly innerCode?: string;
}

/**
 * 403 with an inner code such as `ForbiddenByRbac`, `ForbiddenByFirewall` or `KeyDisabled`.
 *
 * @example
 * ```ts
 * import { type AzureEmulator, forbidden } from "envelock/testing/azure-emulator";
 *
 * export function refuseNext(emulator: AzureEmulator): void {
 *   emulator.failNext(forbidden("ForbiddenByRbac"));
 * }
 * ```
 */
export function forbidden(innerCode: string, headers: Readonly<Record<string, string>> = {}, message = "This is not allowed."): Answer {
  return new Answer(403, { code: "Forbidden", message, innerCode }, headers);
}

/**
 * @example
 * ```ts
 * import { type AzureEmulator, keyNotFound } from "envelock/testing/azure-emulator";
 *
 * export function loseNext(emulator: AzureEmulator): void {
 *   emulator.failNext(keyNotFound("orders"));
 * }
 * ```
 */
export function keyNotFound(name = "", version = ""): Answer {
  const message = `There is no key ${[name, version].filter((part) => part !== "").join("/")} in this vault.`;
  return new Answer(404, { code: "KeyNotFound", message });
}

/**
 * 429. The service mostly names no time to wait.
 *
 * @example
 * ```ts
 * import { type AzureEmulator, throttled } from "envelock/testing/azure-emulator";
 *
 * export function slowDown(emulator: AzureEmulator): void {
 *   emulator.failNext(throttled(5), /^/, 3); // three refusals that name 5 seconds
 * }
 * ```
 */
export function throttled(retryAfterSeconds?: number): Answer {
  const headers: Record<string, string> = retryAfterSeconds === undefined ? {} : { "retry-after": `${retryAfterSeconds}` };
  return new Answer(429, { code: "Throttled", message: "Too many requests. Reason: VaultRequestTypeLimitReached" }, headers);
}

export function badParameter(message = "A parameter is incorrect."): Answer {
  return new Answer(400, { code: "BadParameter", message });
}

/** Turns the answer for a client into the library's error for a caller in this process. */
export function asLibraryError(error: unknown): unknown {
  if (!(error instanceof Answer)) return error;
  return new EnvelockError(error.status === 404 ? "key-not-found" : "invalid-argument", `azure emulator: ${error.message}`, {
    cause: error,
  });
}
