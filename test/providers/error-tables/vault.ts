import { type Fault, VaultAnswer } from "../../../src/testing/vault-emulator/index.ts";
import { type ErrorCase, transportCases } from "./error-case.ts";

type Case = ErrorCase<Fault>;

const REJECTED = "400 message authentication failed";

export const VAULT_CASES: readonly Case[] = [
  { row: REJECTED, what: "400", fault: "authentication-failed", code: "unwrap-rejected" },
  { row: REJECTED, what: "500 of 1.4 to 1.6", fault: "authentication-failed-500", code: "unwrap-rejected" },
  { row: REJECTED, what: "500 for RSA", fault: "rsa-failed", code: "unwrap-rejected" },
  ...[
    "invalid ciphertext: no prefix QUOTED",
    "invalid ciphertext length",
    "invalid ciphertext: could not decode base64",
    "could not decrypt QUOTED",
  ].map((text) => ({ row: REJECTED, what: text, fault: new VaultAnswer(400, [text]), code: "unwrap-rejected" as const })),
  { row: "400 version is too new", what: "400", fault: "too-new", code: "unwrap-rejected", hint: /replica/ },
  { row: "400 too old", what: "400", fault: "too-old", code: "key-disabled", detail: "min-version", hint: /min_decryption_version/ },
  { row: "400 soft-deleted", what: "400", fault: "soft-deleted", code: "key-disabled", detail: "soft-deleted", hint: /restore/ },
  { row: "400 encryption key not found", what: "400", fault: "key-not-found", code: "key-not-found", hint: /name of the key/ },
  {
    row: "400 encryption key not found",
    what: "no existing key",
    fault: new VaultAnswer(400, ["no existing key named QUOTED could be found"]),
    code: "key-not-found",
    hint: /name of the key/,
  },
  { row: "404", what: "no mount", fault: "no-mount", code: "key-not-found", detail: "no-mount", hint: /mount and namespace/ },
  { row: "403", what: "denied", fault: "permission-denied", times: 2, code: "access-denied", detail: "permission-denied", hint: /policy/ },
  {
    row: "400 associated_data",
    what: "400",
    fault: new VaultAnswer(400, ["associated_data is only supported for AEAD ciphers QUOTED"]),
    code: "provider-failure",
    detail: "key-type",
    hint: /keyType: "rsa"/,
  },
  {
    row: "400 of another text",
    what: "400",
    fault: new VaultAnswer(400, ["something new QUOTED"]),
    code: "provider-failure",
    detail: "bad-request",
  },
  {
    row: "400 of another text",
    what: "a text of unwraps in answer to a wrap",
    fault: new VaultAnswer(400, ["invalid ciphertext: no prefix"]),
    isToWrap: true,
    code: "provider-failure",
    detail: "bad-request",
  },
  { row: "412", what: "412", fault: "behind-replica", code: "unavailable", detail: "behind-replica" },
  { row: "429", what: "without a time", fault: "quota", code: "rate-limited", hint: /reuse data keys/ },
  { row: "429", what: "with a time", fault: "quota:7", code: "rate-limited", hint: /reuse data keys/, retryAfterMs: 7000 },
  { row: "503", what: "sealed", fault: "sealed", code: "unavailable", detail: "sealed", hint: /standby/ },
  { row: "any other 5xx", what: "500", fault: "internal-error", code: "unavailable" },
  { row: "any other 5xx", what: "502", fault: "bad-gateway", code: "unavailable" },
  ...[472, 473].map((status) => ({
    row: "any other answer",
    what: `${status}`,
    fault: new VaultAnswer(status, ["QUOTED"]),
    code: "provider-failure" as const,
  })),
  {
    row: "a redirect",
    what: "of a standby",
    fault: "standby",
    code: "provider-failure",
    detail: "redirect",
    hint: /name the host that answers/,
  },
  ...transportCases(),
];
