import type { IncomingHttpHeaders } from "node:http";
import type { Clock } from "../../core/base/clock.ts";
import { headerText } from "../emulator/aws-signature.ts";
import type { RawAnswer } from "../emulator/fault-plan.ts";
import type { Capacity } from "../emulator/stored-bytes.ts";
import type { AccessKeys } from "./access-keys.ts";
import { invalidArgument, S3Answer } from "./answer.ts";
import type { Bucket, MultipartUpload, StoredObject } from "./bucket.ts";
import type { Payload } from "./payload.ts";
import type { ServiceTraits } from "./services.ts";
import { type XmlFields, xmlDocument } from "./xml-text.ts";

/** The state of the emulator. */
export interface S3State {
  readonly clock: Clock;
  readonly traits: ServiceTraits;
  readonly region: string;
  readonly buckets: Map<string, Bucket>;
  readonly keys: AccessKeys;
  readonly capacity: Capacity;
  readonly scheme: "http" | "https";
  /** The lead of the service's clock over the emulator's. */
  skewMs: number;
  /** Counts requests and deletions, in the order of their coming. */
  tick: number;
}

/** A request that was signed and decoded, with the state that it works on. */
export class S3Call {
  readonly state: S3State;
  readonly bucketName: string;
  readonly key: string;
  readonly headers: IncomingHttpHeaders;
  readonly payload: Payload;
  /** The arrival of the request, in the order of all. */
  readonly tick: number;
  /** Whether the caller may list the bucket, and so may learn that a key is not there. */
  readonly mayList: boolean;
  readonly url: string;
  readonly #query: ReadonlyMap<string, string>;

  constructor(given: CallParts) {
    this.state = given.state;
    this.bucketName = given.bucket ?? "";
    this.key = given.key ?? "";
    this.headers = given.headers;
    this.payload = given.payload;
    this.tick = given.tick;
    this.mayList = given.mayList;
    this.url = given.url;
    this.#query = new Map(given.query);
  }

  get nowMs(): number {
    return this.state.clock.unixMs() + this.state.skewMs;
  }

  /** @throws `NoSuchBucket` */
  get bucket(): Bucket {
    return bucketIn(this.state, this.bucketName);
  }

  /** @returns undefined if the request has no such header, or an empty one */
  header(name: string): string | undefined {
    return headerText(this.headers, name) || undefined;
  }

  /** @returns undefined if the query has no such name */
  query(name: string): string | undefined {
    return this.#query.get(name);
  }

  /** Reads a whole number of the query, or of a header whose name begins with `x-amz-`. */
  count(name: string, most: number, otherwise: number): number {
    const text = (name.startsWith("x-amz-") ? this.header(name) : this.query(name)) || `${otherwise}`;
    if (!/^[0-9]{1,10}$/.test(text) || Number(text) > MOST_COUNT)
      throw invalidArgument(name, text, `Argument ${name} must be an integer between 0 and ${MOST_COUNT}`);
    return Math.min(Number(text), most);
  }

  /** The object that a caller reads. @throws `NoSuchKey`, `NoSuchVersion`, `AccessDenied` for a caller that may not list */
  object(bucket: Bucket = this.bucket, key: string = this.key, versionId: string | undefined = this.query("versionId")): StoredObject {
    const found = versionId === undefined ? bucket.current(key) : bucket.versionsOf(key).find((version) => version.versionId === versionId);
    if (found === undefined) throw this.missing(key, versionId);
    if (found.isMarker) throw new S3Answer("MethodNotAllowed", undefined, { Method: "GET" });
    return found;
  }

  missing(key: string, versionId?: string): S3Answer {
    if (!this.mayList) return new S3Answer("AccessDenied");
    return versionId === undefined
      ? new S3Answer("NoSuchKey", undefined, { Key: key })
      : new S3Answer("NoSuchVersion", undefined, { Key: key, VersionId: versionId });
  }

  /** @throws `NoSuchUpload` */
  upload(): MultipartUpload {
    const id = this.query("uploadId") ?? "";
    const upload = this.bucket.uploads.get(id);
    if (upload?.key !== this.key) throw new S3Answer("NoSuchUpload", undefined, { UploadId: id });
    return upload;
  }
}

export interface CallParts {
  readonly state: S3State;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly query: readonly (readonly [name: string, value: string])[];
  readonly payload: Payload;
  readonly tick: number;
  readonly mayList: boolean;
  readonly url: string;
}

/** @throws `NoSuchBucket` */
export function bucketIn({ buckets }: S3State, name: string): Bucket {
  const bucket = buckets.get(name);
  if (bucket === undefined) throw new S3Answer("NoSuchBucket", undefined, { BucketName: name });
  return bucket;
}

/** An answer without a body. Headers that are undefined are left out. */
export function bare(status: number, headers: AnswerHeaders = {}): RawAnswer {
  return { status, text: "", headers: present(headers) };
}

/** @param text the content of the root, where it is no element */
export function xmlAnswer(root: string, fields: XmlFields, headers: AnswerHeaders = {}, text = ""): RawAnswer {
  return { status: 200, text: xmlDocument(root, fields, text), headers: { "content-type": "application/xml", ...present(headers) } };
}

export type AnswerHeaders = Readonly<Record<string, string | undefined>>;

export function present(headers: AnswerHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

/** The header `x-amz-version-id`, in a bucket with versions. */
export function versionHeader(bucket: Bucket, versionId: string): AnswerHeaders {
  return { "x-amz-version-id": bucket.versioning === undefined ? undefined : versionId };
}

const MOST_COUNT = 2 ** 31 - 1;
