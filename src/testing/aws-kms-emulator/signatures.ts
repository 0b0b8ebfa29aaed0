import { createHash, createHmac } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { ServedRequest } from "../emulator/loopback-server.ts";
import { AwsAnswer } from "./answer.ts";
import type { Principal, Principals } from "./principals.ts";

/** The signer of a request, with its region and service. */
export interface Signed {
  readonly principal: Principal;
  readonly region: string;
  readonly service: string;
}

/**
 * Checks version 4 of AWS's signatures, whatever headers the client chose to sign.
 *
 * @throws an `AwsAnswer` as the services give it: for a missing, incomplete, wrong or outdated signature
 */
export function checkSignature(request: ServedRequest, principals: Principals, nowMs: number): Signed {
  const { headers } = request;
  const authorization = headers.authorization ?? "";
  if (authorization === "") throw new AwsAnswer("MissingAuthenticationTokenException", "Missing Authentication Token");
  const [, accessKeyId = "", date = "", region = "", service = "", names = "", signature = ""] = AUTHORIZATION.exec(authorization) ?? [];
  const time = textOf(headers, "x-amz-date");
  if (signature === "" || !time.startsWith(date)) throw incomplete();
  const signed = names.split(";");
  if (!signed.includes("host") || headersToSign(headers).some((name) => !signed.includes(name))) throw incomplete();
  const principal = principals.find(accessKeyId, headers["x-amz-security-token"]?.toString());
  checkTime(time, nowMs);
  const toSign = `AWS4-HMAC-SHA256\n${time}\n${date}/${region}/${service}/aws4_request\n${sha256(canonical(request, signed))}`;
  let key: Buffer = Buffer.from(`AWS4${principal.credentials.secretAccessKey}`);
  for (const part of [date, region, service, "aws4_request"]) key = createHmac("sha256", key).update(part).digest();
  if (createHmac("sha256", key).update(toSign).digest("hex") === signature) return { principal, region, service };
  throw new AwsAnswer("InvalidSignatureException", "The request signature we calculated does not match the signature you provided.");
}

function canonical({ method, url, headers, body }: ServedRequest, names: readonly string[]): string {
  const query = [...url.searchParams].map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  const lines = names.map((name) => `${name}:${textOf(headers, name).trim().replaceAll(/ +/g, " ")}`);
  return [method, url.pathname, query.sort().join("&"), ...lines, "", names.join(";"), sha256(body)].join("\n");
}

function checkTime(time: string, nowMs: number): void {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(time) ?? [];
  const atMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(atMs)) throw incomplete();
  if (atMs < nowMs - MAX_SKEW_MS)
    throw new AwsAnswer("InvalidSignatureException", `Signature expired: ${time} is now earlier than the service's time (- 5 min.)`);
  if (atMs > nowMs + MAX_SKEW_MS)
    throw new AwsAnswer(
      "InvalidSignatureException",
      `Signature not yet current: ${time} is still later than the service's time (+ 5 min.)`,
    );
}

/** Headers that must be signed if they are present. */
function headersToSign(headers: IncomingHttpHeaders): readonly string[] {
  return ["x-amz-date", "x-amz-target", "x-amz-security-token"].filter((name) => headers[name] !== undefined);
}

function textOf(headers: IncomingHttpHeaders, name: string): string {
  return headers[name]?.toString() ?? "";
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function incomplete(): AwsAnswer {
  return new AwsAnswer("IncompleteSignatureException", "Authorization header lacks a part, or the date is not that of the scope");
}

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([A-Z0-9]{16,128})\/(\d{8})\/([a-z0-9-]+)\/([a-z]+)\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/;
const MAX_SKEW_MS = 300_000;
