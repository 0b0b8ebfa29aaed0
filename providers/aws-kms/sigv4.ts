import { createHash, createHmac } from "node:crypto";
import type { AwsCredentials } from "./credentials.ts";

export interface RequestToSign {
  readonly method: string;
  /** With the port, where it is not the default one. */
  readonly host: string;
  /** Normal and escaped once, as it is sent. */
  readonly path: string;
  /** Decoded names and values. */
  readonly query?: readonly (readonly [name: string, value: string])[];
  /** All of them are signed. Names in lower case; `host`, the date and the session token are added. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface SigningScope {
  readonly region: string;
  readonly service: string;
  readonly credentials: AwsCredentials;
  /** Unix time in milliseconds, as the service has it. */
  readonly nowMs: number;
}

export interface SignedHeaders extends Record<string, string> {
  readonly authorization: string;
}

/**
 * The headers to send a request with, `host` left out: those that were given, date, session token and authorization.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function signedHeaders(request: RequestToSign, { region, service, credentials, nowMs }: SigningScope): SignedHeaders {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  const time = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d{3}/g, "");
  const date = time.slice(0, 8);
  const headers: Record<string, string> = {
    ...request.headers,
    "x-amz-date": time,
    ...(sessionToken !== undefined && { "x-amz-security-token": sessionToken }),
  };
  const toSign = Object.entries({ ...headers, host: request.host }).sort(([a], [b]) => (a < b ? -1 : 1));
  const names = toSign.map(([name]) => name).join(";");
  const canonical = [
    request.method,
    request.path.split("/").map(escaped).join("/"),
    canonicalQuery(request.query ?? []),
    ...toSign.map(([name, value]) => `${name}:${value.trim().replaceAll(/ +/g, " ")}`),
    "",
    names,
    sha256(request.body, "hex"),
  ].join("\n");
  const scope = `${date}/${region}/${service}/aws4_request`;
  const key = [date, region, service, "aws4_request"].reduce<Buffer>(
    (last, part) => hmac(last, part),
    Buffer.from(`AWS4${secretAccessKey}`),
  );
  const signature = hmac(key, `${ALGORITHM}\n${time}\n${scope}\n${sha256(canonical, "hex")}`).toString("hex");
  return { ...headers, authorization: `${ALGORITHM} Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}` };
}

export function sha256(data: string | Uint8Array, encoding: "hex" | "base64"): string {
  return createHash("sha256").update(data).digest(encoding);
}

function canonicalQuery(query: readonly (readonly [string, string])[]): string {
  return query
    .map(([name, value]) => `${escaped(name)}=${escaped(value)}`)
    .sort()
    .join("&");
}

/** RFC 3986 §2.3: all but the unreserved characters. */
function escaped(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

const ALGORITHM = "AWS4-HMAC-SHA256";
