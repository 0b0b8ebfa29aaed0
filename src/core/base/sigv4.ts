import { sha2 } from "#sha2";
import { type OwnedBytes, toHex, utf8 } from "./bytes.ts";
import { percentEncoded } from "./percent-encoded.ts";

/** Credentials that sign requests to AWS and to services that speak its protocol. */
export interface SigningCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** The token of temporary credentials. */
  readonly sessionToken?: string | undefined;
}

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
  /** The body, or what stands for its digest: `UNSIGNED-PAYLOAD` where a service takes that. */
  readonly body: string | Uint8Array | { readonly digest: string };
}

export interface SigningScope {
  readonly region: string;
  readonly service: string;
  readonly credentials: SigningCredentials;
  /** Unix time in milliseconds, as the service has it. */
  readonly nowMs: number;
}

export interface SignedHeaders extends Record<string, string> {
  readonly authorization: string;
}

/**
 * Signs a request with Signature Version 4.
 *
 * @returns the headers to send, `host` left out: those that were given, date, session token and authorization
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function signedHeaders(request: RequestToSign, scope: SigningScope): SignedHeaders {
  const { accessKeyId, sessionToken } = scope.credentials;
  const time = timeOf(scope.nowMs);
  const headers: Record<string, string> = {
    ...request.headers,
    "x-amz-date": time,
    ...(sessionToken !== undefined && { "x-amz-security-token": sessionToken }),
  };
  const form = formOf(headers, request.host, scope, time);
  const signature = signatureOf(request, scope, form);
  const credential = `${accessKeyId}/${form.scopeName}`;
  return { ...headers, authorization: `${ALGORITHM} Credential=${credential}, SignedHeaders=${form.names}, Signature=${signature}` };
}

/**
 * Signs a request in its query: a URL that whoever has it can use until it expires, with exactly these headers.
 *
 * @returns all parameters, escaped: what follows the question mark of the URL
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
 */
export function signedQuery(request: RequestToSign, scope: SigningScope, expiresSeconds: number): string {
  const { accessKeyId, sessionToken } = scope.credentials;
  const time = timeOf(scope.nowMs);
  const form = formOf(request.headers, request.host, scope, time);
  const query: readonly (readonly [string, string])[] = [
    ...(request.query ?? []),
    ["X-Amz-Algorithm", ALGORITHM],
    ["X-Amz-Credential", `${accessKeyId}/${form.scopeName}`],
    ["X-Amz-Date", time],
    ["X-Amz-Expires", `${expiresSeconds}`],
    ["X-Amz-SignedHeaders", form.names],
    ...(sessionToken === undefined ? [] : [["X-Amz-Security-Token", sessionToken] as const]),
  ];
  const signature = signatureOf({ ...request, query }, scope, form);
  return `${canonicalQuery(query)}&X-Amz-Signature=${signature}`;
}

/** The parts that the signed text shares with what is sent beside the signature. */
interface SignedForm {
  readonly time: string;
  /** Sorted by name, with `host`. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly names: string;
  readonly scopeName: string;
}

function formOf(headers: Readonly<Record<string, string>>, host: string, { region, service }: SigningScope, time: string): SignedForm {
  const all: (readonly [string, string])[] = Object.entries(headers);
  all.push(["host", host]);
  const sorted = all.sort(byName);
  const names = sorted.map(([name]) => name).join(";");
  return { time, headers: sorted, names, scopeName: `${time.slice(0, 8)}/${region}/${service}/aws4_request` };
}

function signatureOf(
  { method, path, query, body }: RequestToSign,
  scope: SigningScope,
  { time, headers, names, scopeName }: SignedForm,
): string {
  const canonical = [
    method,
    scope.service === "s3" ? path : path.split("/").map(percentEncoded).join("/"), // every service but S3 escapes twice
    canonicalQuery(query ?? []),
    ...headers.map(([name, value]) => `${name}:${collapsed(value)}`),
    "",
    names,
    typeof body === "object" && "digest" in body ? body.digest : sha2.sha256(body, "hex"),
  ].join("\n");
  const text = `${ALGORITHM}\n${time}\n${scopeName}\n${sha2.sha256(canonical, "hex")}`;
  return toHex(sha2.hmacSha256(signingKey(scope.credentials, scopeName), text));
}

/** Derives the key of a day, a region and a service: once, as long as the same credentials object signs for the same scope. */
function signingKey(credentials: SigningCredentials, name: string): OwnedBytes {
  const secret = credentials.secretAccessKey;
  const kept = signingKeys.get(credentials);
  if (kept?.name === name && kept.secret === secret) return kept.key;
  let key = utf8(`AWS4${secret}`);
  for (const part of name.split("/")) key = sha2.hmacSha256(key, part);
  signingKeys.set(credentials, { name, secret, key });
  return key;
}

/** Writes a time as `20150830T123600Z`. */
function timeOf(nowMs: number): string {
  const time = new Date(nowMs).toISOString();
  return `${time.slice(0, 4)}${time.slice(5, 7)}${time.slice(8, 13)}${time.slice(14, 16)}${time.slice(17, 19)}Z`;
}

function collapsed(value: string): string {
  return value.includes("  ") ? value.trim().replaceAll(/ +/g, " ") : value.trim();
}

function canonicalQuery(query: readonly (readonly [string, string])[]): string {
  return query
    .map(([name, value]) => `${percentEncoded(name)}=${percentEncoded(value)}`)
    .sort()
    .join("&");
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1;
}

interface SigningKey {
  readonly name: string;
  readonly secret: string;
  readonly key: OwnedBytes;
}

/** The last signing key of each credentials object: it costs four of five HMACs, and ends with the credentials. */
const signingKeys = new WeakMap<SigningCredentials, SigningKey>();

const ALGORITHM = "AWS4-HMAC-SHA256";
