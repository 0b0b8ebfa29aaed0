import type { Clock } from "../../core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown, shownValue } from "../../core/base/options.ts";
import { count } from "../../core/resilience/checks.ts";
import { checkedName, SIDECAR_END } from "../name.ts";
import { operationOf, type S3Operation, type S3Request } from "./requests.ts";
import { type S3Credentials, S3Place } from "./signing.ts";

export interface S3PresignerOptions {
  /** The same as in `S3SignedBucket`. */
  readonly url: string;
  readonly region: string;
  readonly credentials: S3Credentials | (() => S3Credentials | Promise<S3Credentials>);
  /**
   * Decides which requests get a URL. What stands beside a blob goes by the name of the blob.
   *
   * @param name the name of the blob; for `list` the prefix, empty for the whole bucket
   */
  readonly allow: (operation: S3Operation, name: string) => boolean | Promise<boolean>;
  /** How long a URL can be used, from 1 to 604,800 seconds. Defaults to 900. */
  readonly expiresSeconds?: number;
  readonly clock?: Clock;
}

/**
 * Makes a function that signs the requests of a store elsewhere, such as in a browser: the server side of `s3Blobs({ presign })`. A request
 * may come from anywhere: it is checked against the closed set that a store makes, and then against `allow`.
 *
 * @returns a function that gives a URL. It throws `invalid-argument` for a request that no store makes, `access-denied` for one that is not
 *   allowed
 * @throws `invalid-argument` for bad options
 * @example
 * ```ts
 * import { s3Presigner } from "envelock/blobs/s3";
 *
 * declare const credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
 * const presign = s3Presigner({
 *   url: "https://acme-invoices.s3.eu-central-1.amazonaws.com",
 *   region: "eu-central-1",
 *   credentials,
 *   allow: (operation, name) => operation === "write" && name.startsWith("incoming/"),
 * });
 *
 * export async function route(request: Request): Promise<Response> {
 *   return Response.json({ url: await presign(await request.json()) });
 * }
 * ```
 */
export function s3Presigner(options: S3PresignerOptions): (request: S3Request) => Promise<string> {
  refuseUnknown(options, OPTIONS, "s3Presigner");
  const { allow, expiresSeconds = 900, ...rest } = options;
  if (typeof allow !== "function") throw invalidArgument("s3Presigner needs a function `allow` that decides which requests get a URL");
  count(expiresSeconds, "expiresSeconds", MOST_SECONDS);
  const place = new S3Place(rest);
  return async (request) => {
    const checked = checkedRequest(request);
    const operation = operationOf(checked);
    if (operation === undefined) throw invalidArgument("this is no request that a store of blobs makes");
    const { prefix = "" } = checked.query;
    const name = checked.name === undefined ? prefix : blobOf(checked.name);
    if ((await allow(operation, name)) === true) return await place.presigned(checked, expiresSeconds);
    throw new EnvelockError("access-denied", `the request to ${operation} ${shownValue(name)} is not allowed`, { whose: "caller" });
  };
}

/** Checks the shape of a request that came from elsewhere, and copies it. @throws `invalid-argument` */
function checkedRequest(request: S3Request): S3Request {
  refuseUnknown(request, REQUEST, "a request to presign");
  const { method, name, query, headers } = request;
  if (!METHODS.has(method) || !isTexts(query) || !isTexts(headers)) {
    throw invalidArgument("a request to presign is { method, name?, query, headers }, with texts for values");
  }
  return { method, query: { ...query }, headers: { ...headers }, ...(name !== undefined && { name: keyOf(name) }) };
}

function keyOf(name: string): string {
  if (typeof name === "string" && name.endsWith(SIDECAR_END)) return `${blobOf(name)}${SIDECAR_END}`;
  return checkedName(name);
}

function blobOf(key: string): string {
  return checkedName(key.endsWith(SIDECAR_END) ? key.slice(0, -SIDECAR_END.length) : key);
}

function isTexts(given: Readonly<Record<string, string>>): boolean {
  const object: unknown = given;
  return typeof object === "object" && object !== null && Object.values(object).every((value) => typeof value === "string");
}

const OPTIONS: OptionNames<S3PresignerOptions> = {
  url: true,
  region: true,
  credentials: true,
  allow: true,
  expiresSeconds: true,
  clock: true,
};
const REQUEST: OptionNames<S3Request> = { method: true, name: true, query: true, headers: true };
const METHODS: ReadonlySet<string> = new Set<S3Request["method"]>(["GET", "HEAD", "PUT", "POST", "DELETE"]);
/** A week: the most that the protocol has. */
const MOST_SECONDS = 604_800;
