import type { IncomingHttpHeaders } from "node:http";
import { canonicalRequest, headerText, sha256, signatureOf, statedIn, timeIn } from "../emulator/aws-signature.ts";
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
  const { method, url, headers, body } = request;
  const authorization = headers.authorization ?? "";
  if (authorization === "") throw new AwsAnswer("MissingAuthenticationTokenException", "Missing Authentication Token");
  const stated = statedIn(authorization);
  const time = headerText(headers, "x-amz-date");
  if (stated === undefined || !time.startsWith(stated.date)) throw incomplete();
  const { names, region, service } = stated;
  if (!names.includes("host") || headersToSign(headers).some((name) => !names.includes(name))) throw incomplete();
  const principal = principals.find(stated.accessKeyId, headers["x-amz-security-token"]?.toString());
  checkTime(time, nowMs);
  const canonical = canonicalRequest({ method, path: url.pathname, query: [...url.searchParams], headers, names, payload: sha256(body) });
  if (signatureOf(canonical, time, stated, principal.credentials.secretAccessKey) === stated.signature)
    return { principal, region, service };
  throw new AwsAnswer("InvalidSignatureException", "The request signature we calculated does not match the signature you provided.");
}

function checkTime(time: string, nowMs: number): void {
  const atMs = timeIn(time);
  if (atMs === undefined) throw incomplete();
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

function incomplete(): AwsAnswer {
  return new AwsAnswer("IncompleteSignatureException", "Authorization header lacks a part, or the date is not that of the scope");
}

const MAX_SKEW_MS = 300_000;
