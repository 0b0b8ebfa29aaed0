import { EnvelockError } from "../../src/core/base/errors.ts";
import { fieldOf, textFieldOf } from "./fields.ts";

/** A fault below HTTP, as a `detail`. */
export type TransportFault = "dns" | "tls" | "connection" | "client";

/** Copies the parts of a client's error that may be shown: its code, without the request that it may hold. */
export class TransportError extends Error {
  override readonly name = "TransportError";
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/**
 * Translates an error of a client that got no answer into our codes. Clients nest the socket's error, so its code is looked for in the
 * causes.
 *
 * @param what the requested thing, as the subject of a sentence
 */
export function transportFailure(error: unknown, what: string): EnvelockError {
  if (error instanceof EnvelockError) return error;
  const code = socketCodeOf(error);
  const fault = transportFaultOf(code);
  return new EnvelockError(fault === "client" ? "provider-failure" : "unavailable", `${what}: ${MESSAGES[fault]} (${code})`, {
    detail: fault,
    retryable: fault === "connection" || fault === "dns",
    hint: HINTS[fault],
    cause: new TransportError(code),
  });
}

export function transportFaultOf(code: string): TransportFault {
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "dns";
  if (isCertificateError(code)) return "tls";
  return SOCKET_CODES.has(code) || code.startsWith("UND_ERR_") ? "connection" : "client";
}

export function isCertificateError(code: string): boolean {
  return TLS_CODES.test(code);
}

export function isSocketError(code: string): boolean {
  return SOCKET_CODES.has(code);
}

/** Finds the first code that is a word, from the outer error inwards; else the outer error's name. */
function socketCodeOf(error: unknown): string {
  let inner: unknown = error;
  for (let depth = 0; depth < MAX_DEPTH && inner !== undefined; depth++) {
    const code = wordOf(textFieldOf(inner, "code"));
    if (code !== undefined) return code;
    inner = fieldOf(inner, "cause");
  }
  return error instanceof Error ? error.name : typeof error;
}

/** Matches codes and ids alone: longer text, or text with other characters, might hold anything. */
export function wordOf(text: string | undefined): string | undefined {
  return text !== undefined && /^[\w.:-]{1,64}$/.test(text) ? text : undefined;
}

const MESSAGES: Readonly<Record<TransportFault, string>> = {
  dns: "the name of the host did not resolve",
  tls: "the certificate of the host is not trusted",
  connection: "the connection failed",
  client: "the client failed",
};
const HINTS: Readonly<Record<TransportFault, string>> = {
  dns: "check the configured host, and the network's name service",
  connection: "check host and port, that the service runs there, and firewalls and proxies on the way",
  client: "look at the code in brackets: the request was not sent, or its answer could not be read",
  tls: "give a `fetch` that trusts the authority of that certificate, such as httpsFetch({ ca }) of envelock/node",
};
const MAX_DEPTH = 4;
const SOCKET_CODES: ReadonlySet<string> = new Set([
  "ECONNRESET",
  "ECONNREFUSED",
  "ECONNABORTED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EPIPE",
  "EPROTO",
  "ETIMEDOUT",
  "ESOCKETTIMEDOUT",
  "REQUEST_SEND_ERROR",
]);
const TLS_CODES = /CERT|SELF_SIGNED|LEAF_SIGNATURE|ERR_TLS/;
