import { EnvelockError, type ErrorCode } from "../../src/core/base/errors.ts";
import { fieldOf } from "../http/fields.ts";
import type { HttpAnswer } from "../http/http-service.ts";

/** What was asked of the server. */
export type VaultOperation = "encrypt" | "decrypt" | "read-key" | "random" | "login" | "renew";

/** What the server said, without what it was asked: its texts are matched and, where they are known, shown. */
export class VaultServerError extends Error {
  override readonly name = "VaultServerError";
  readonly status: number;
  readonly requestId: string | undefined;

  constructor(status: number, message: string, requestId: string | undefined) {
    super(message);
    this.status = status;
    this.requestId = requestId;
  }
}

/**
 * An answer that is no success, in our codes. The server has no codes: texts decide, and the status where no text is known.
 *
 * @param of the key or login that it was asked of
 * @see docs/providers/vault.md for the table
 */
export function serverFailure(answer: HttpAnswer, operation: VaultOperation, of: string): EnvelockError {
  const texts = textsOf(answer.json);
  const known = KNOWN_TEXTS.find(
    ({ on, text, statuses }) => on.includes(operation) && statuses.includes(answer.status) && text.test(texts),
  );
  const meaning = known ?? meaningOf(answer.status, operation);
  const shown = known === undefined ? "" : `: ${known.says}`;
  return new EnvelockError(meaning.code, `vault answered ${answer.status} to ${operation} with ${of}${shown}`, {
    ...(meaning.detail !== undefined && { detail: meaning.detail }),
    ...(meaning.hint !== undefined && { hint: meaning.hint }),
    ...(answer.retryAfterMs !== undefined && { retryAfterMs: answer.retryAfterMs }),
    cause: new VaultServerError(answer.status, known?.says ?? `status ${answer.status}`, undefined),
  });
}

/** An answer that is not what the server documents. */
export function brokenAnswer(operation: VaultOperation, of: string, what: string): EnvelockError {
  return new EnvelockError("provider-failure", `vault's answer to ${operation} with ${of} ${what}`, { detail: "broken-answer" });
}

export function rejected(): EnvelockError {
  return new EnvelockError("unwrap-rejected", "this transit key did not wrap this data key in this context");
}

/** All texts of an answer as one, for the patterns: batches and plain errors look alike. */
function textsOf(json: unknown): string {
  const errors = fieldOf(json, "errors");
  return Array.isArray(errors)
    ? errors
        .filter((text) => typeof text === "string")
        .join("\n")
        .slice(0, MAX_TEXT)
    : "";
}

interface Meaning {
  readonly code: ErrorCode;
  readonly detail?: string;
  readonly hint?: string;
}

interface KnownText extends Meaning {
  readonly on: readonly VaultOperation[];
  readonly statuses: readonly number[];
  readonly text: RegExp;
  /** The text in our words: what the server writes may quote what it was sent. */
  readonly says: string;
}

function meaningOf(status: number, operation: VaultOperation): Meaning {
  if (status === 400) {
    if (operation === "login") return { code: "access-denied", detail: "login", hint: "check the role and the proof that the login shows" };
    return { code: "provider-failure", detail: "bad-request" };
  }
  if (status === 401 || status === 403) return PERMISSION_DENIED;
  if (status === 404) return NO_SUCH_PATH;
  if (status === 412) return { code: "unavailable", detail: "behind-replica" };
  if (status === 429) return { code: "rate-limited", hint: "a rate-limit quota of the server: reuse data keys and cache unwrapped ones" };
  if (status === 503) return { code: "unavailable", detail: "sealed", hint: "the server is sealed or on standby" };
  return status >= 500 ? { code: "unavailable" } : { code: "provider-failure" };
}

const CRYPTO: readonly VaultOperation[] = ["encrypt", "decrypt"];
const PERMISSION_DENIED: Meaning = {
  code: "access-denied",
  detail: "permission-denied",
  hint: "the token has ended, is of another namespace, or its policy lacks `update` on this path",
};
const NO_SUCH_PATH: Meaning = {
  code: "key-not-found",
  detail: "no-mount",
  hint: "check mount and namespace; a token without any right there is answered the same",
};
const KEY_NOT_FOUND: Omit<KnownText, "text" | "says"> = {
  on: [...CRYPTO, "read-key"],
  statuses: [400, 404],
  code: "key-not-found",
  hint: "check the name of the key and its mount",
};
/** Texts of Vault and OpenBao. The first that fits counts. facts: openbao builtin/logical/transit and sdk/helper/keysutil */
const KNOWN_TEXTS: readonly KnownText[] = [
  { ...KEY_NOT_FOUND, text: /encryption key not found|no existing key named/, says: "encryption key not found" },
  {
    on: CRYPTO,
    statuses: [400],
    text: /too old/,
    says: "the version is below the minimum",
    code: "key-disabled",
    detail: "min-version",
    hint: "lower min_decryption_version of the key to read what this version wrapped",
  },
  {
    on: CRYPTO,
    statuses: [400],
    text: /soft-deleted/,
    says: "the key is soft-deleted",
    code: "key-disabled",
    detail: "soft-deleted",
    hint: "restore the key",
  },
  {
    on: CRYPTO,
    statuses: [400],
    text: /associated_data is only supported/,
    says: "the key takes no associated data",
    code: "provider-failure",
    detail: "key-type",
    hint: 'the key is an RSA key: give keyType: "rsa"',
  },
  {
    on: ["decrypt"],
    statuses: [400],
    text: /version is too new/,
    says: "the version is too new",
    code: "unwrap-rejected",
    hint: "the key has no such version; a performance replica may be behind",
  },
  {
    on: ["decrypt"],
    statuses: [400, 500], // 1.4 to 1.6 answered 500
    text: /message authentication failed/,
    says: "the ciphertext does not authenticate",
    code: "unwrap-rejected",
  },
  {
    on: ["decrypt"],
    statuses: [400, 500],
    text: /failed to RSA decrypt|decryption error/,
    says: "RSA decryption failed",
    code: "unwrap-rejected",
  },
  {
    on: ["decrypt"],
    statuses: [400],
    text: /invalid ciphertext|could not decode base64|could not decrypt/,
    says: "the ciphertext is malformed",
    code: "unwrap-rejected",
  },
];
const MAX_TEXT = 2000;
