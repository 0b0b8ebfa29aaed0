import { EnvelockError, type EnvelockErrorOptions, type ErrorCode } from "../../src/core/base/errors.ts";
import { fieldOf, textFieldOf } from "../http/fields.ts";
import { isCertificateError, isSocketError, isUnreadable, TransportError, wordOf } from "../http/transport-failures.ts";

/** The request that was made of the service. */
export interface Asked {
  readonly operation: "wrap" | "unwrap" | "read" | "read-secret" | "read-policy" | "update" | "random";
  /** The key, key version or service that the request named. */
  readonly of: string;
  readonly isManagedHsm: boolean;
}

/**
 * Translates a failure of the service, the network or the SDK into our codes. The SDK's own error holds the request, and so the data key.
 * The cause is therefore a copy of the parts that may be shown.
 *
 * @param response the last response, if any: the SDK's error loses it if the body is empty
 * @see docs/providers/azure-reference.md for the table
 */
export function serviceFailure(error: unknown, response: unknown, asked: Asked): EnvelockError {
  if (error instanceof EnvelockError) return error;
  const answer = answerOf(response);
  if (answer === undefined || isGood(answer)) return transportFailure(error, answer, asked);
  const meaning = meaningOf(answer, asked);
  return new EnvelockError(meaning.code, `key vault answered ${shown(answer)} to ${asked.operation} with ${asked.of}`, {
    ...(meaning.detail !== undefined && { detail: meaning.detail }),
    ...(meaning.hint !== undefined && { hint: meaning.hint }),
    ...(meaning.retryable !== undefined && { retryable: meaning.retryable }),
    ...(answer.retryAfterMs !== undefined && { retryAfterMs: answer.retryAfterMs }),
    cause: new KeyVaultAnswer(answer),
  });
}

/** Makes the error for a missing token. */
export function credentialFailure(error: unknown): EnvelockError {
  if (error instanceof EnvelockError) return error;
  const socketCode = textFieldOf(error, "code") ?? "";
  const options = { detail: "credential", cause: new Error(`${nameOf(error)}: ${messageOf(error)}`) };
  if (isSocketError(socketCode)) return new EnvelockError("unavailable", "Microsoft Entra ID could not be reached", options);
  return new EnvelockError("access-denied", "the credential gave no token", {
    ...options,
    hint: "check the managed identity, workload identity or sign-in of this process; the cause has what the credential says",
  });
}

/** Makes the error for an answer that differs from the service's documentation. */
export function brokenAnswer(asked: Asked, what: string): EnvelockError {
  return new EnvelockError("provider-failure", `key vault's answer to ${asked.operation} with ${asked.of} ${what}`, {
    detail: "broken-answer",
  });
}

/** The answer of the service, without the request. */
class KeyVaultAnswer extends Error {
  override readonly name = "KeyVaultAnswer";
  readonly status: number;
  readonly code: string | undefined;
  readonly innerCode: string | undefined;
  /** `x-ms-request-id`: the service's name for this request, for its support. */
  readonly requestId: string | undefined;
  /** `x-ms-client-request-id`, chosen by this side: the log's correlation id. */
  readonly clientRequestId: string | undefined;
  /** The address of the caller as the vault saw it. */
  readonly callerAddress: string | undefined;

  constructor({ status, code, innerCode, message, requestId, clientRequestId, callerAddress }: Answer) {
    super(message ?? `status ${status}`);
    this.status = status;
    this.code = code;
    this.innerCode = innerCode;
    this.requestId = requestId;
    this.clientRequestId = clientRequestId;
    this.callerAddress = callerAddress;
  }
}

interface Answer {
  readonly status: number;
  readonly code: string | undefined;
  readonly innerCode: string | undefined;
  readonly message: string | undefined;
  readonly requestId: string | undefined;
  readonly clientRequestId: string | undefined;
  readonly callerAddress: string | undefined;
  readonly retryAfterMs: number | undefined;
}

interface Meaning {
  readonly code: ErrorCode;
  readonly detail?: string;
  readonly hint?: string;
  readonly retryable?: boolean;
}

function answerOf(response: unknown): Answer | undefined {
  const status = fieldOf(response, "status");
  if (typeof status !== "number") return undefined;
  const header = headersOf(response);
  const body = fieldOf(fieldOf(response, "parsedBody"), "error");
  return {
    status,
    code: wordOf(textFieldOf(body, "code")),
    innerCode: wordOf(textFieldOf(fieldOf(body, "innererror"), "code")),
    message: TOLD_STATUSES.has(status) ? textFieldOf(body, "message")?.slice(0, MAX_MESSAGE) : undefined,
    requestId: wordOf(header("x-ms-request-id")),
    clientRequestId: wordOf(textFieldOf(fieldOf(response, "request"), "requestId")),
    callerAddress: ADDRESS.exec(header("x-ms-keyvault-network-info") ?? "")?.[1],
    retryAfterMs: waitOf(header),
  };
}

function isGood({ status }: Answer): boolean {
  return status >= 200 && status < 300;
}

function meaningOf({ status, message = "", innerCode = "", callerAddress }: Answer, asked: Asked): Meaning {
  if (status === 400)
    return asked.operation === "unwrap" ? { code: "unwrap-rejected" } : { code: "provider-failure", detail: "bad-request" };
  if (status === 401) return WRONG_ISSUER.test(message) ? WRONG_TENANT : { code: "access-denied", detail: "token", hint: TOKEN_HINT };
  if (status === 403) return forbidden(innerCode, asked, callerAddress);
  if (status === 404) return { code: "key-not-found", hint: "check the key's name and version; a deleted key can be recovered for a time" };
  if (status === 408) return { code: "timeout" };
  if (status === 409) return innerCode.startsWith("ObjectIsBeing") ? { code: "unavailable", detail: "in-transition" } : CONFLICT;
  if (status === 429) return { code: "rate-limited", hint: "reuse data keys, cache unwrapped ones, or spread keys over vaults" };
  if (status >= 500 && status !== 501 && status !== 505) return { code: "unavailable" };
  return { code: "provider-failure" };
}

function forbidden(innerCode: string, { operation, isManagedHsm }: Asked, callerAddress: string | undefined): Meaning {
  const right = RIGHTS[operation];
  const seenAs = callerAddress === undefined ? "" : `; it saw this caller as ${callerAddress}`;
  switch (innerCode) {
    case "KeyDisabled":
    case "SecretDisabled":
      return { code: "key-disabled", detail: "disabled", hint: "enable the key version if what it wrapped is still to be read" };
    case "KeyExpired":
    case "KeyNotYetValid":
      return { code: "key-disabled", detail: innerCode === "KeyExpired" ? "expired" : "not-yet-valid" };
    case "ForbiddenByFirewall":
      return { code: "access-denied", detail: "firewall", hint: `allow this network in the vault's firewall${seenAs}` };
    case "ForbiddenByConnection":
      return {
        code: "access-denied",
        detail: "private-link",
        hint: `the vault takes private links alone: resolve its name to one${seenAs}`,
      };
    case "ForbiddenByPolicy":
      return { code: "access-denied", detail: "policy", hint: `the vault's access policy lacks the permission ${right.policy}` };
    case "ForbiddenByRbac": {
      if (operation === "random")
        return { code: "access-denied", detail: "rbac", hint: "grant a local role of the HSM that may use its generator" };
      const role = isManagedHsm ? "Managed HSM Crypto Service Encryption User" : right.role;
      const hint = `grant the role ${role} (${right.action}) on the key or its vault; a new assignment takes some minutes to act`;
      return { code: "access-denied", detail: "rbac", hint };
    }
    default:
      return { code: "access-denied", detail: "forbidden" };
  }
}

/**
 * Translates an error of the transport.
 *
 * @param answer a good one, if one came
 */
function transportFailure(error: unknown, answer: Answer | undefined, { operation, of }: Asked): EnvelockError {
  const code = wordOf(textFieldOf(error, "code")) ?? nameOf(error);
  const failed = (errorCode: ErrorCode, message: string, options: EnvelockErrorOptions): EnvelockError =>
    new EnvelockError(errorCode, `${operation} with ${of}: ${message} (${code})`, { ...options, cause: new TransportError(code) });
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return failed("unavailable", "the vault's name did not resolve", {
      detail: "dns",
      hint: "check keyUrl and, for a private link, its DNS zone",
    });
  }
  if (isSocketError(code)) return failed("unavailable", "the connection failed", { detail: "connection" });
  if (isCertificateError(code)) {
    const hint = "if a proxy or vault of your own has its own authority, name that in client.tlsOptions.ca";
    return failed("unavailable", "the vault's certificate is not trusted", { detail: "tls", retryable: false, hint });
  }
  if (isUnreadable(code)) return failed("provider-failure", "the answer cannot be read", { detail: "transport", retryable: true });
  if (code === "PARSE_ERROR" || answer !== undefined) {
    return failed("provider-failure", "the answer broke off or is not what is documented", { detail: "broken-answer", retryable: true });
  }
  return failed("provider-failure", "the client failed", {});
}

function headersOf(response: unknown): (name: string) => string | undefined {
  const headers = fieldOf(response, "headers");
  const get = fieldOf(headers, "get");
  return (name) => {
    const value: unknown = typeof get === "function" ? Reflect.apply(get, headers, [name]) : undefined;
    return typeof value === "string" ? value : undefined;
  };
}

/** Reads seconds, as this service gives them, or milliseconds from the headers that say so. */
function waitOf(header: (name: string) => string | undefined): number | undefined {
  const inMs = header("x-ms-retry-after-ms") ?? header("retry-after-ms");
  if (inMs !== undefined) return waitOfNumber(inMs, 1);
  const seconds = header("retry-after");
  return seconds === undefined ? undefined : waitOfNumber(seconds, 1000);
}

function waitOfNumber(text: string, unitMs: number): number | undefined {
  return /^[0-9]{1,9}$/.test(text) ? Number(text) * unitMs : undefined;
}

function shown({ status, code, innerCode }: Answer): string {
  return [status, code, innerCode].filter((part) => part !== undefined).join(" ");
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, MAX_MESSAGE) : "";
}

/** The statuses whose messages speak of the caller and the key. The message of a 400 may quote the request. */
const TOLD_STATUSES: ReadonlySet<number> = new Set([401, 403, 404, 409, 429]);
const MAX_MESSAGE = 1000;
const ADDRESS = /(?:^|;)\s*addr=([0-9a-f.:]{2,45})(?:;|$)/i;
const TOKEN_HINT = "the vault does not take this credential's token: check its tenant, and the clocks of both sides";
/** The beginning of the service's message for a token whose issuer is not the vault's tenant. The code is the same for every 401. */
const WRONG_ISSUER = /^AKV10032\b/;
const WRONG_TENANT: Meaning = {
  code: "access-denied",
  detail: "tenant",
  hint: "the vault is in another tenant than the credential: name that in the credential's tenantId or additionallyAllowedTenants",
};
const CONFLICT: Meaning = { code: "provider-failure", detail: "conflict" };
const KEY_ROLE = "Key Vault Crypto Service Encryption User";
const RIGHTS: Readonly<Record<Asked["operation"], { readonly policy: string; readonly action: string; readonly role: string }>> = {
  wrap: { policy: "wrapKey of keys", action: "keys/wrap/action", role: KEY_ROLE },
  unwrap: { policy: "unwrapKey of keys", action: "keys/unwrap/action", role: KEY_ROLE },
  read: { policy: "get and list of keys", action: "keys/read", role: KEY_ROLE },
  update: { policy: "update of keys", action: "keys/update/action", role: "Key Vault Crypto Officer" },
  "read-policy": { policy: "getrotationpolicy of keys", action: "keyrotationpolicies/read", role: "Key Vault Crypto Officer" },
  "read-secret": { policy: "get and list of secrets", action: "secrets/getSecret/action", role: "Key Vault Secrets User" },
  random: { policy: "", action: "", role: "" },
};
