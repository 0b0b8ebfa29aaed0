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
export async function signedHeaders(request: RequestToSign, scope: SigningScope): Promise<SignedHeaders> {
  const { accessKeyId, sessionToken } = scope.credentials;
  const time = timeOf(scope.nowMs);
  const headers: Record<string, string> = {
    ...request.headers,
    "x-amz-date": time,
    ...(sessionToken !== undefined && { "x-amz-security-token": sessionToken }),
  };
  const form = formOf(headers, request.host, scope, time);
  const signature = await signatureOf(request, scope, form);
  const credential = `${accessKeyId}/${form.scopeName}`;
  return { ...headers, authorization: `${ALGORITHM} Credential=${credential}, SignedHeaders=${form.names}, Signature=${signature}` };
}

/**
 * Signs a request in its query: a URL that whoever has it can use until it expires, with exactly these headers.
 *
 * @returns all parameters, escaped: what follows the question mark of the URL
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
 */
export async function signedQuery(request: RequestToSign, scope: SigningScope, expiresSeconds: number): Promise<string> {
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
  const signature = await signatureOf({ ...request, query }, scope, form);
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
  const sorted = Object.entries({ ...headers, host }).sort(byName);
  const names = sorted.map(([name]) => name).join(";");
  return { time, headers: sorted, names, scopeName: `${time.slice(0, 8)}/${region}/${service}/aws4_request` };
}

async function signatureOf(
  { method, path, query, body }: RequestToSign,
  scope: SigningScope,
  { time, headers, names, scopeName }: SignedForm,
): Promise<string> {
  const canonical = [
    method,
    scope.service === "s3" ? path : path.split("/").map(percentEncoded).join("/"), // every service but S3 escapes twice
    canonicalQuery(query ?? []),
    ...headers.map(([name, value]) => `${name}:${value.trim().replaceAll(/ +/g, " ")}`),
    "",
    names,
    typeof body === "object" && "digest" in body ? body.digest : toHex(await sha256(body)),
  ].join("\n");
  const text = `${ALGORITHM}\n${time}\n${scopeName}\n${toHex(await sha256(canonical))}`;
  return toHex(await hmac(await signingKey(scope.credentials, scopeName), text));
}

/** Derives the key of a day, a region and a service: once, as long as the same credentials object signs for the same scope. */
function signingKey(credentials: SigningCredentials, name: string): Promise<CryptoKey> {
  const secret = credentials.secretAccessKey;
  const kept = signingKeys.get(credentials);
  if (kept?.name === name && kept.secret === secret) return kept.key;
  const key = derivedKey(secret, name);
  signingKeys.set(credentials, { name, secret, key });
  return key;
}

async function derivedKey(secret: string, scope: string): Promise<CryptoKey> {
  let key = await hmacKey(utf8(`AWS4${secret}`));
  for (const part of scope.split("/")) key = await hmacKey(await hmac(key, part));
  return key;
}

/** Computes SHA-256. */
async function sha256(data: string | Uint8Array): Promise<OwnedBytes> {
  const bytes = typeof data === "string" ? utf8(data) : data;
  const owned = bytes.buffer instanceof ArrayBuffer ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) : bytes.slice();
  return new Uint8Array(await crypto.subtle.digest("SHA-256", owned));
}

function timeOf(nowMs: number): string {
  return new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d{3}/g, "");
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

function hmacKey(key: OwnedBytes): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
}

async function hmac(key: CryptoKey, text: string): Promise<OwnedBytes> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, utf8(text)));
}

interface SigningKey {
  readonly name: string;
  readonly secret: string;
  readonly key: Promise<CryptoKey>;
}

/** The last signing key of each credentials object: it costs nine of twelve asynchronous calls, and ends with the credentials. */
const signingKeys = new WeakMap<SigningCredentials, SigningKey>();

const ALGORITHM = "AWS4-HMAC-SHA256";
