import { EnvelockError, type ErrorCode } from "../../src/core/base/errors.ts";
import { fieldOf } from "../http/fields.ts";
import type { HttpAnswer } from "../http/http-service.ts";
import { meaning } from "../http/meaning.ts";

/** What was asked of the server. */
export type VaultOperation = "encrypt" | "decrypt" | "read-key" | "random" | "login" | "renew";

/** What the server said, without what it was asked: its texts are matched and, where they are known, shown. */
export class VaultServerError extends Error {
  override readonly name = "VaultServerError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * An answer that is no success, in our codes. The server has no codes: texts decide, and the status where no text is known.
 *
 * @param of the key or login that it was asked of
 * @see docs/providers/vault.md for the table
 */
export function serverFailure(answer: HttpAnswer, operation: VaultOperation, of: string): EnvelockError {
  const { says, code, ...more } = knownMeaning(answer, operation) ?? meaningOf(answer.status, operation);
  const shown = says === undefined ? "" : `: ${says}`;
  return new EnvelockError(code, `vault answered ${answer.status} to ${operation} with ${of}${shown}`, {
    ...more,
    ...(answer.retryAfterMs !== undefined && { retryAfterMs: answer.retryAfterMs }),
    cause: new VaultServerError(answer.status, says ?? `status ${answer.status}`),
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
  /** The text in our words: what the server writes may quote what it was sent. */
  readonly says?: string;
}

/** The meaning of a known text. The first that fits counts. */
function knownMeaning({ status, json }: HttpAnswer, operation: VaultOperation): Meaning | undefined {
  const texts = textsOf(json);
  const isCrypto = operation === "encrypt" || operation === "decrypt";
  if ((isCrypto || operation === "read-key") && (status === 400 || status === 404) && NO_KEY.test(texts)) return KEY_NOT_FOUND;
  const rows = [
    ...(isCrypto && status === 400 ? CRYPTO : []),
    ...(operation === "decrypt" && (status === 400 || status === 500) ? DECRYPT : []),
  ];
  return rows.find(([text]) => text.test(texts))?.[1];
}

function meaningOf(status: number, operation: VaultOperation): Meaning {
  if (status === 400) {
    if (operation === "login") return meaning("access-denied", "login", "check the role and the proof that the login shows");
    return { code: "provider-failure", detail: "bad-request" };
  }
  if (status === 401 || status === 403) return PERMISSION_DENIED;
  if (status === 404) return NO_SUCH_PATH;
  if (status === 412) return { code: "unavailable", detail: "behind-replica" };
  if (status === 429) return { code: "rate-limited", hint: "a rate-limit quota of the server: reuse data keys and cache unwrapped ones" };
  if (status === 503) return meaning("unavailable", "sealed", "the server is sealed or on standby");
  return status >= 500 ? { code: "unavailable" } : { code: "provider-failure" };
}

const PERMISSION_DENIED: Meaning = meaning(
  "access-denied",
  "permission-denied",
  "the token has ended, is of another namespace, or its policy lacks `update` on this path",
);
const NO_SUCH_PATH: Meaning = meaning(
  "key-not-found",
  "no-mount",
  "check mount and namespace; a token without any right there is answered the same",
);
const NO_KEY = /encryption key not found|no existing key named/;
const KEY_NOT_FOUND: Meaning = {
  code: "key-not-found",
  hint: "check the name of the key and its mount",
  says: "encryption key not found",
};
type Row = readonly [text: RegExp, meaning: Meaning];
/** Texts of Vault and OpenBao at both directions, with status 400. facts: openbao builtin/logical/transit and sdk/helper/keysutil */
export const CRYPTO: readonly Row[] = [
  [
    /too old/,
    {
      code: "key-disabled",
      detail: "min-version",
      hint: "lower min_decryption_version of the key to read what this version wrapped",
      says: "the version is below the minimum",
    },
  ],
  [/soft-deleted/, { code: "key-disabled", detail: "soft-deleted", hint: "restore the key", says: "the key is soft-deleted" }],
  [
    /associated_data is only supported/,
    {
      code: "provider-failure",
      detail: "key-type",
      hint: 'the key is an RSA key: give keyType: "rsa"',
      says: "the key takes no associated data",
    },
  ],
];
/** Texts at a decryption, also with status 500: servers of 1.4 to 1.6 answered so, and for RSA all still do. */
export const DECRYPT: readonly Row[] = [
  [
    /version is too new/,
    {
      code: "unwrap-rejected",
      hint: "the key has no such version; a performance replica may be behind",
      says: "the version is too new",
    },
  ],
  [/message authentication failed/, { code: "unwrap-rejected", says: "the ciphertext does not authenticate" }],
  [/failed to RSA decrypt|decryption error/, { code: "unwrap-rejected", says: "RSA decryption failed" }],
  [/invalid ciphertext|could not decode base64|could not decrypt/, { code: "unwrap-rejected", says: "the ciphertext is malformed" }],
];
const MAX_TEXT = 2000;
