import type { RawAnswer } from "../emulator/fault-plan.ts";

/**
 * An error as the server answers it: a status and texts, without codes.
 *
 * @example
 * ```ts
 * import { VaultAnswer, type VaultEmulator } from "envelock/testing/vault-emulator";
 *
 * export function breakNext(emulator: VaultEmulator): void {
 *   emulator.failNext(new VaultAnswer(500, ["internal error"]), /decrypt/);
 * }
 * ```
 */
export class VaultAnswer extends Error {
  override readonly name = "VaultAnswer";
  readonly status: number;
  readonly errors: readonly string[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, errors: readonly string[] = [], headers: Readonly<Record<string, string>> = {}) {
    super(errors.join(", "));
    this.status = status;
    this.errors = errors;
    this.headers = headers;
  }

  get raw(): RawAnswer {
    return { status: this.status, text: `${JSON.stringify({ errors: this.errors })}\n`, headers: this.headers };
  }
}

export function badRequest(text: string): VaultAnswer {
  return new VaultAnswer(400, [text]);
}

/** 403, also for an expired or unknown token and for one of another namespace. */
export function permissionDenied(): VaultAnswer {
  return new VaultAnswer(403, ["1 error occurred:\n\t* permission denied\n\n"]);
}

/** 404 without a text, for a missing mount or namespace. */
export function noHandler(path: string): VaultAnswer {
  return new VaultAnswer(404, [`no handler for route "${path}". route entry not found.`]);
}

/** 503 of a sealed server. */
export function sealed(): VaultAnswer {
  return new VaultAnswer(503, ["Vault is sealed"]);
}

/** 429 of a rate-limit quota. The server gives a time only if its operator turned that on. */
export function quotaExceeded(retryAfterSeconds?: number): VaultAnswer {
  const headers: Record<string, string> = retryAfterSeconds === undefined ? {} : { "retry-after": `${retryAfterSeconds}` };
  return new VaultAnswer(429, ['request path "transit/": rate limit quota exceeded'], headers);
}
