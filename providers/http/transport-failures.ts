import { EnvelockError } from "../../src/core/base/errors.ts";
import { fieldOf, textFieldOf } from "./fields.ts";

/** A fault below HTTP, as a `detail`. `transport` is an answer that cannot be read. */
export type TransportFault = "dns" | "tls" | "connection" | "transport" | "client";

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
  const [message, hint] = FAULTS[fault];
  const isOfAnswer = fault === "client" || fault === "transport";
  return new EnvelockError(isOfAnswer ? "provider-failure" : "unavailable", `${what}: ${message} (${code})`, {
    detail: fault,
    retryable: fault === "connection" || fault === "dns" || fault === "transport",
    hint,
    cause: new TransportError(code),
  });
}

export function transportFaultOf(code: string): TransportFault {
  if (/^(?:ENOTFOUND|EAI_AGAIN)$/.test(code)) return "dns";
  if (isCertificateError(code)) return "tls";
  if (isUnreadable(code)) return "transport";
  return isSocketError(code) || code.startsWith("UND_ERR_") ? "connection" : "client";
}

/** Whether a code says that an answer is no HTTP, has too many headers or does not unpack: of Node's client, of the global `fetch`, of zlib. */
export function isUnreadable(code: string): boolean {
  return /^(?:HPE_|Z_|UND_ERR_(?:HEADERS_OVERFLOW|RES_))/.test(code);
}

export function isCertificateError(code: string): boolean {
  return /CERT|SELF_SIGNED|LEAF_SIGNATURE|ERR_TLS/.test(code);
}

/** Whether a code is one of a socket or of a name service. */
export function isSocketError(code: string): boolean {
  return /^(?:ECONN(?:RESET|REFUSED|ABORTED)|E(?:HOST|NET)UNREACH|ENOTFOUND|EAI_AGAIN|EPIPE|EPROTO|E(?:SOCKET)?TIMEDOUT|REQUEST_SEND_ERROR)$/.test(
    code,
  );
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

const FAULTS: Readonly<Record<TransportFault, readonly [message: string, hint: string]>> = {
  dns: ["the name of the host did not resolve", "check the configured host, and the network's name service"],
  tls: [
    "the certificate of the host is not trusted",
    "give a `fetch` that trusts the authority of that certificate, such as httpsFetch({ ca }) of envelock/node",
  ],
  connection: ["the connection failed", "check host and port, that the service runs there, and firewalls and proxies on the way"],
  transport: ["the answer cannot be read", "look for a proxy or gateway that changes what the service answers"],
  client: ["the client failed", "look at the code in brackets: the request was not sent, or its answer could not be read"],
};
const MAX_DEPTH = 4;
