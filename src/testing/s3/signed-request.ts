import type { IncomingHttpHeaders } from "node:http";
import {
  ALGORITHM,
  canonicalRequest,
  escaped,
  headerText,
  type SignatureScope,
  scopeIn,
  signatureOf,
  statedIn,
  timeIn,
} from "../emulator/aws-signature.ts";
import type { AccessKey, AccessKeys } from "./access-keys.ts";
import { S3Answer } from "./answer.ts";
import type { S3Target } from "./target.ts";

/** The signer of a request, and what its signature says of the body. */
export interface SignedRequest {
  readonly key: AccessKey;
  readonly scope: SignatureScope;
  /** The time of the signature, such as `20261126T044000Z`. */
  readonly time: string;
  readonly signature: string;
  /** SHA-256 of the body in hex, or what stands in its place. */
  readonly payload: string;
  /** The headers, and those that a presigned URL states in its query. */
  readonly headers: IncomingHttpHeaders;
}

/**
 * Checks version 4 of AWS's signatures, in the header or in the query of a presigned URL.
 *
 * @throws an `S3Answer` as the service gives it: for a missing, malformed, wrong or outdated signature
 */
export function checkSigned(
  method: string,
  target: S3Target,
  headers: IncomingHttpHeaders,
  keys: Pick<AccessKeys, "find">,
  nowMs: number,
): SignedRequest {
  const query = new Map(target.query);
  if (query.has("X-Amz-Signature") || query.has("X-Amz-Algorithm")) return checkPresigned(method, target, headers, keys, nowMs);
  if (headers.authorization === undefined) throw new S3Answer("AccessDenied");
  const stated = statedIn(headers.authorization);
  const time = headerText(headers, "x-amz-date");
  const atMs = timeIn(time);
  if (stated === undefined || atMs === undefined || !time.startsWith(stated.date))
    throw new S3Answer("AuthorizationHeaderMalformed", "The authorization header is malformed, or its date is not that of x-amz-date");
  requireSignedHeaders(headers, stated.names);
  const payload = headerText(headers, "x-amz-content-sha256");
  if (payload === "") throw new S3Answer("InvalidRequest", "Missing required header for this request: x-amz-content-sha256");
  const key = keys.find(stated.accessKeyId, headers["x-amz-security-token"]?.toString());
  if (Math.abs(atMs - nowMs) > MAX_SKEW_MS)
    throw new S3Answer("RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", {
      RequestTime: time,
      ServerTime: new Date(nowMs).toISOString(),
    });
  const parts = { method, path: canonicalPath(target.path), headers, names: stated.names, payload };
  requireSignature(canonicalRequest({ ...parts, query: target.query }), time, stated, key);
  return { key, scope: stated, time, signature: stated.signature, payload, headers };
}

function checkPresigned(
  method: string,
  target: S3Target,
  headers: IncomingHttpHeaders,
  keys: Pick<AccessKeys, "find">,
  nowMs: number,
): SignedRequest {
  const stated = (name: string): string => target.query.find(([other]) => other === `X-Amz-${name}`)?.[1] ?? "";
  const scope = scopeIn(stated("Credential"));
  const time = stated("Date");
  const atMs = timeIn(time);
  const seconds = /^[0-9]{1,6}$/.test(stated("Expires")) ? Number(stated("Expires")) : Number.NaN;
  const isWhole = stated("Algorithm") === ALGORITHM && stated("Signature") !== "" && seconds >= 1 && seconds <= MAX_LIFE_SECONDS;
  if (scope === undefined || atMs === undefined || !isWhole)
    throw new S3Answer(
      "AuthorizationQueryParametersError",
      "A presigned URL needs X-Amz-Algorithm, -Credential, -Date, -Expires of up to 604800, -SignedHeaders and -Signature",
    );
  const key = keys.find(scope.accessKeyId, stated("Security-Token") || undefined);
  if (nowMs < atMs - MAX_SKEW_MS || nowMs > atMs + seconds * 1000)
    throw new S3Answer("AccessDenied", "Request has expired", { Expires: new Date(atMs + seconds * 1000).toISOString() });
  const names = stated("SignedHeaders").split(";");
  requireSignedHeaders(headers, names);
  const inQuery = target.query.filter(([name]) => /^x-amz-/i.test(name) && !SIGNATURE_NAMES.has(name));
  const all = { ...headers, ...Object.fromEntries(inQuery.map(([name, value]) => [name.toLowerCase(), value])) };
  const payload = headerText(all, "x-amz-content-sha256") || "UNSIGNED-PAYLOAD";
  const query = target.query.filter(([name]) => name !== "X-Amz-Signature");
  const signature = stated("Signature");
  requireSignature(
    canonicalRequest({ method, path: canonicalPath(target.path), query, headers, names, payload }),
    time,
    { ...scope, signature },
    key,
  );
  return { key, scope, time, signature, payload, headers: all };
}

function requireSignature(canonical: Buffer, time: string, stated: SignatureScope & { readonly signature: string }, key: AccessKey): void {
  if (signatureOf(canonical, time, stated, key.credentials.secretAccessKey) !== stated.signature)
    throw new S3Answer("SignatureDoesNotMatch", undefined, { AWSAccessKeyId: stated.accessKeyId });
}

/** The service wants each of its own headers signed. */
function requireSignedHeaders(headers: IncomingHttpHeaders, names: readonly string[]): void {
  const left = ["host", ...Object.keys(headers).filter((name) => name.startsWith("x-amz-"))].filter((name) => !names.includes(name));
  if (left.length > 0)
    throw new S3Answer("AccessDenied", "There were headers present in the request which were not signed", {
      HeadersNotSigned: left.join(", "),
    });
}

/** Decodes the path and escapes it once, as the service does before it signs. */
function canonicalPath(path: string): string {
  return decodeURIComponent(path).split("/").map(escaped).join("/");
}

const MAX_SKEW_MS = 900_000;
const MAX_LIFE_SECONDS = 604_800;
const SIGNATURE_NAMES: ReadonlySet<string> = new Set(
  ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Security-Token"].map((name) => `X-Amz-${name}`),
);
