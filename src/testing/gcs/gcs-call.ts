import type { IncomingHttpHeaders } from "node:http";
import type { Clock } from "../../core/base/clock.ts";
import { jsonIn } from "../../core/base/json.ts";
import type { RawAnswer } from "../emulator/fault-plan.ts";
import { isGranted, type Principal, type Principals } from "../emulator/google-principals.ts";
import type { Capacity } from "../emulator/stored-bytes.ts";
import { authError, conditionNotMet, forbidden, GcsAnswer, invalid, noBucket, noObject, notModified } from "./answer.ts";
import type { Bucket, StoredObject } from "./bucket.ts";
import type { UploadSession } from "./upload-session.ts";

/** The state of the emulator. */
export interface GcsState {
  readonly clock: Clock;
  readonly principals: Principals;
  readonly buckets: Map<string, Bucket>;
  readonly sessions: Map<string, UploadSession>;
  readonly capacity: Capacity;
  readonly scheme: "http" | "https";
  /** The last generation that was given: they rise. */
  lastGeneration: number;
}

/** A request to the JSON API, with the state that it works on. */
export class GcsCall {
  readonly state: GcsState;
  readonly method: string;
  readonly bucketName: string;
  readonly objectName: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  /** The origin that the caller reached. */
  readonly origin: string;
  readonly #principal: Principal | undefined;

  constructor(given: CallParts) {
    this.state = given.state;
    this.method = given.method;
    this.bucketName = given.bucket;
    this.objectName = given.object;
    this.query = given.query;
    this.headers = given.headers;
    this.bytes = given.bytes;
    this.origin = given.origin;
    this.#principal = given.principal;
  }

  get nowMs(): number {
    return this.state.clock.unixMs();
  }

  /** @throws `GcsAnswer` 404 */
  get bucket(): Bucket {
    const bucket = this.state.buckets.get(this.bucketName);
    if (bucket === undefined) throw noBucket();
    return bucket;
  }

  /** The body as a JSON object. @throws `GcsAnswer` 400 */
  json(): Readonly<Record<string, unknown>> {
    return jsonObject(this.bytes.toString("utf8"));
  }

  header(name: string): string | undefined {
    return this.headers[name]?.toString();
  }

  /** A whole number of the query. @throws `GcsAnswer` 400 */
  count(name: string): number | undefined {
    const text = this.query.get(name);
    if (text === null) return undefined;
    if (!/^[0-9]{1,16}$/.test(text)) throw invalid(`Invalid value for: ${text} is not a valid value of ${name}`);
    return Number(text);
  }

  /** @throws `GcsAnswer` 401, 403 */
  require(permission: string, object: string = this.objectName): void {
    if (this.#principal === undefined) throw authError();
    const resource = `projects/_/buckets/${this.bucketName}${object === "" ? "" : `/objects/${object}`}`;
    if (!isGranted(this.#principal, permission, resource)) throw forbidden(this.#principal.email, permission);
  }

  /** The object that the caller names, if it has what the conditions ask. @throws `GcsAnswer` 304, 404, 412 */
  object(name: string = this.objectName): StoredObject {
    const found = this.bucket.object(name, this.count("generation"));
    if (found === undefined) throw noObject(this.bucketName, name);
    this.requireConditions(found);
    return found;
  }

  /** Checks the conditions at the moment of the change. @throws `GcsAnswer` 304, 412 */
  requireConditions(now: StoredObject | undefined): void {
    const isRead = this.method === "GET";
    for (const [name, value] of [
      ["Generation", now?.generation ?? 0],
      ["Metageneration", now?.metageneration ?? 0],
    ] as const) {
      const [match, notMatch] = [this.count(`if${name}Match`), this.count(`if${name}NotMatch`)];
      if (match !== undefined && match !== value) throw conditionNotMet();
      if (notMatch !== undefined && notMatch === value) throw isRead ? notModified() : conditionNotMet();
    }
  }

  nextGeneration(): number {
    this.state.lastGeneration = Math.max(this.state.lastGeneration + 1, this.nowMs * 1000);
    return this.state.lastGeneration;
  }
}

export interface CallParts {
  readonly state: GcsState;
  readonly method: string;
  readonly bucket: string;
  readonly object: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly origin: string;
  readonly principal: Principal | undefined;
}

/** @throws `GcsAnswer` 400 */
export function jsonObject(text: string): Readonly<Record<string, unknown>> {
  const value = jsonIn(text === "" ? "{}" : text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new GcsAnswer(400, "parseError", "Parse Error");
  return { ...value };
}

export function jsonAnswer(value: object, headers: Readonly<Record<string, string>> = {}): RawAnswer {
  return { status: 200, text: JSON.stringify(value), headers: { "content-type": "application/json; charset=UTF-8", ...headers } };
}

export const NO_CONTENT: RawAnswer = { status: 204, text: "" };
