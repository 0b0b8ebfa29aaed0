import { createHash, createHmac } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

// Version 4 of AWS's signatures, as the services check it.

/** The key and the scope that a signature names. */
export interface SignatureScope {
  readonly accessKeyId: string;
  /** The day, such as `20261126`. */
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

/** A signature as it stands in a request. */
export interface StatedSignature extends SignatureScope {
  /** The names of the signed headers, in lower case. */
  readonly names: readonly string[];
  readonly signature: string;
}

/** Reads an `Authorization` header. Returns undefined if it has another form. */
export function statedIn(authorization: string): StatedSignature | undefined {
  const [, credential = "", names = "", signature = ""] = AUTHORIZATION.exec(authorization) ?? [];
  const scope = scopeIn(credential);
  return scope === undefined || signature === "" ? undefined : { ...scope, names: names.split(";"), signature };
}

/** Reads `key/date/region/service/aws4_request`. Returns undefined if it has another form. */
export function scopeIn(credential: string): SignatureScope | undefined {
  const [, accessKeyId, date, region, service] = CREDENTIAL.exec(credential) ?? [];
  if (accessKeyId === undefined || date === undefined || region === undefined || service === undefined) return undefined;
  return { accessKeyId, date, region, service };
}

export interface CanonicalParts {
  readonly method: string;
  /** The path as it is signed. */
  readonly path: string;
  /** Decoded names and values. */
  readonly query: readonly (readonly [name: string, value: string])[];
  readonly headers: IncomingHttpHeaders;
  /** The names of the signed headers. */
  readonly names: readonly string[];
  /** SHA-256 of the body in hex, or what stands in its place. */
  readonly payload: string;
}

/** Writes the request in the form that is signed. Header values count as the bytes that were sent. */
export function canonicalRequest({ method, path, query, headers, names, payload }: CanonicalParts): Buffer {
  const pairs = query.map(([name, value]) => `${escaped(name)}=${escaped(value)}`).sort();
  const lines = names.map((name) => `${name}:${headerText(headers, name).trim().replaceAll(/ +/g, " ")}`);
  return Buffer.from([method, path, pairs.join("&"), ...lines, "", names.join(";"), payload].join("\n"), "latin1");
}

/** Derives the key for a scope from the secret. */
export function signingKey(secret: string, { date, region, service }: SignatureScope): Buffer {
  return [date, region, service, "aws4_request"].reduce<Buffer>((key, part) => hmac(key, part), Buffer.from(`AWS4${secret}`));
}

/** Signs a canonical request. @param time such as `20261126T044000Z` @returns hex */
export function signatureOf(canonical: Buffer, time: string, scope: SignatureScope, secret: string): string {
  const toSign = `${ALGORITHM}\n${time}\n${scopeText(scope)}\n${sha256(canonical)}`;
  return hmac(signingKey(secret, scope), toSign).toString("hex");
}

export function scopeText({ date, region, service }: SignatureScope): string {
  return `${date}/${region}/${service}/aws4_request`;
}

/** @returns Unix time in milliseconds; undefined if the text is no time such as `20261126T044000Z` */
export function timeIn(text: string): number | undefined {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text) ?? [];
  const atMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(atMs) ? undefined : atMs;
}

/** RFC 3986 §2.3: escapes all but the unreserved characters. */
export function escaped(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

export function headerText(headers: IncomingHttpHeaders, name: string): string {
  return headers[name]?.toString() ?? "";
}

export function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

/** @returns hex */
export function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

export const ALGORITHM = "AWS4-HMAC-SHA256";
const CREDENTIAL = /^([A-Z0-9]{16,128})\/(\d{8})\/([a-z0-9-]+)\/([a-z0-9-]+)\/aws4_request$/;
const AUTHORIZATION = /^AWS4-HMAC-SHA256 Credential=([A-Za-z0-9/_-]{1,300}), ?SignedHeaders=([a-z0-9;_-]+), ?Signature=([0-9a-f]{64})$/;
