import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { allows } from "../emulator/aws-credentials.ts";
import { uploadCutOf } from "../emulator/body-faults.ts";
import type { RawAnswer } from "../emulator/fault-plan.ts";
import type { EmulatedService, LogEntry, ServedRequest } from "../emulator/loopback-server.ts";
import { requireAllowed } from "./access-keys.ts";
import { notImplemented, S3Answer } from "./answer.ts";
import { errorOf, type OwnFault, spoiled } from "./faults.ts";
import { OPERATIONS, type Operation } from "./operations.ts";
import { payloadOf } from "./payload.ts";
import { S3Call, type S3State } from "./s3-call.ts";
import { checkSigned, type SignedRequest } from "./signed-request.ts";
import { operationOf, type S3Target, targetOf } from "./target.ts";

/** One request, as an access log records it. */
export interface LoggedRequest extends LogEntry {
  readonly requestId: string;
  /** The operation, such as `PutObject`; undefined if there is none. Faults match it: the path is `PUT /bucket/key PutObject`, with the number of a part behind it. */
  readonly operation: string | undefined;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
  /** The arrival of the request, in the order of all requests and deletions. */
  readonly tick: number;
  /** The id of the access key, if the signature was good. */
  accessKeyId: string | undefined;
  /** The length of the body as received. */
  receivedBytes: number;
}

/** The service behind one port. */
export class S3Service implements EmulatedService<LoggedRequest, OwnFault> {
  readonly name = "s3 emulator";
  readonly mostBodyBytes: number;
  readonly #state: S3State;
  readonly #targets: WeakMap<LoggedRequest, S3Target> = new WeakMap();

  constructor(state: S3State, mostBodyBytes: number) {
    this.#state = state;
    this.mostBodyBytes = mostBodyBytes;
  }

  entryOf({ method, target, headers }: ServedRequest, base: LogEntry): LoggedRequest {
    const found = targetOf(target, headers);
    const operation = found === undefined ? undefined : this.#operation(method, found, headers);
    const resource =
      found === undefined ? base.path : `${method} /${[found.bucket, found.key].filter((part) => part !== undefined).join("/")}`;
    const part = found?.query.find(([name]) => name === "partNumber")?.[1];
    const entry: LoggedRequest = {
      ...base,
      path: [resource, operation, part].filter((word) => word !== undefined).join(" "),
      requestId: randomBytes(8).toString("hex").toUpperCase(),
      operation,
      bucket: found?.bucket,
      key: found?.key,
      tick: ++this.#state.tick,
      accessKeyId: undefined,
      receivedBytes: 0,
    };
    if (found !== undefined) this.#targets.set(entry, found);
    return entry;
  }

  headersOf({ requestId }: LoggedRequest): Readonly<Record<string, string>> {
    return { "x-amz-request-id": requestId, date: new Date(this.#nowMs()).toUTCString(), server: "AmazonS3" };
  }

  uploadCut(fault: OwnFault): number | undefined {
    return uploadCutOf(fault);
  }

  async meet(fault: OwnFault, request: ServedRequest, entry: LoggedRequest): Promise<RawAnswer> {
    const error = errorOf(fault);
    if (error !== undefined) return this.#refusal(error, request, entry);
    if (fault === "late-error") {
      const text = new S3Answer("InternalError").xml(entry.requestId, resourceOf(entry));
      return { status: 200, text, headers: { "content-type": "application/xml" } };
    }
    return spoiled(fault, await this.answer(request, entry));
  }

  async answer(request: ServedRequest, entry: LoggedRequest): Promise<RawAnswer> {
    entry.receivedBytes = request.bytes.length;
    try {
      return this.#run(request, entry);
    } catch (error) {
      return this.#refusal(error instanceof S3Answer ? error : new S3Answer("InternalError", `${error}`), request, entry);
    }
  }

  #run({ method, headers, bytes }: ServedRequest, entry: LoggedRequest): RawAnswer {
    const found = this.#targets.get(entry);
    if (found === undefined) throw new S3Answer("InvalidURI", "Couldn't parse the specified URI.");
    if (bytes.length > this.mostBodyBytes)
      throw new S3Answer("EntityTooLarge", undefined, {
        MaxSizeAllowed: `${this.mostBodyBytes}`,
        ProposedSize: headers["content-length"] ?? "",
      });
    const signed = checkSigned(method, found, headers, this.#state.keys, this.#nowMs());
    entry.accessKeyId = signed.scope.accessKeyId;
    this.#requireScope(signed, found.bucket);
    const operation = this.#known(entry.operation, found);
    requireKnownHeaders(signed.headers);
    requireLength(method, headers);
    requireAllowed(signed.key, operation.action);
    const payload = payloadOf(bytes, signed);
    const { tick } = entry;
    const mayList = allows(signed.key.allow, "s3:ListBucket");
    const url = `${this.#state.scheme}://${headers.host}${found.path}`;
    return operation.run(
      new S3Call({
        state: this.#state,
        bucket: found.bucket,
        key: found.key,
        headers: signed.headers,
        query: found.query,
        payload,
        tick,
        mayList,
        url,
      }),
    );
  }

  /** A service that has no annotations does not know their names in the query, and takes their requests for those of the object. */
  #operation(method: string, { query, ...rest }: S3Target, headers: IncomingHttpHeaders): string | undefined {
    const known = this.#state.traits.hasAnnotations ? query : query.filter(([name]) => !name.startsWith("annotation"));
    return operationOf(method, { ...rest, query: known }, headers);
  }

  #known(name: string | undefined, { query }: S3Target): Operation {
    const operation = name === undefined || !Object.hasOwn(OPERATIONS, name) ? undefined : OPERATIONS[name];
    if (operation === undefined) throw new S3Answer("MethodNotAllowed");
    const { hasAnnotations, hasTags } = this.#state.traits;
    if (!hasTags && name?.endsWith("Tagging") === true) throw notImplemented("tagging");
    for (const [given] of query) {
      const isKnown = operation.query?.includes(given) === true || given === "x-id" || /^x-amz-/i.test(given);
      if (!isKnown && (hasAnnotations || !given.startsWith("annotation"))) throw notImplemented(given);
    }
    return operation;
  }

  #requireScope({ scope }: SignedRequest, bucketName: string | undefined): void {
    const { traits, buckets, region } = this.#state;
    const own = (bucketName === undefined ? undefined : buckets.get(bucketName)?.region) ?? region;
    const isKnown = traits.regions === undefined ? scope.region === own : traits.regions.includes(scope.region);
    if (scope.service !== "s3")
      throw new S3Answer(
        "AuthorizationHeaderMalformed",
        "The authorization header is malformed; incorrect service. This endpoint belongs to s3",
      );
    if (!isKnown)
      throw new S3Answer(
        "AuthorizationHeaderMalformed",
        `The authorization header is malformed; the region '${scope.region}' is wrong; expecting '${own}'`,
        { Region: own },
      );
  }

  #refusal(error: S3Answer, { method }: ServedRequest, entry: LoggedRequest): RawAnswer {
    return error.answer(entry.requestId, resourceOf(entry), method === "HEAD");
  }

  #nowMs(): number {
    return this.#state.clock.unixMs() + this.#state.skewMs;
  }
}

function resourceOf({ bucket, key }: LoggedRequest): string {
  return `/${[bucket, key].filter((part) => part !== undefined).join("/")}`;
}

/** @throws `NotImplemented` for a header of the service that the emulator does not know */
function requireKnownHeaders(headers: IncomingHttpHeaders): void {
  for (const name of Object.keys(headers))
    if (name.startsWith("x-amz-") && !name.startsWith("x-amz-meta-") && !KNOWN_HEADERS.has(name)) throw notImplemented(name);
}

/** The service takes no body whose length it is not told. */
function requireLength(method: string, headers: IncomingHttpHeaders): void {
  const isChunked = headers["transfer-encoding"] !== undefined;
  if (isChunked && headers["x-amz-decoded-content-length"] === undefined) throw notImplemented("Transfer-Encoding");
  if (method === "PUT" && !isChunked && headers["content-length"] === undefined) throw new S3Answer("MissingContentLength");
}

const KNOWN_HEADERS: ReadonlySet<string> = new Set(
  [
    ...["date", "content-sha256", "security-token", "user-agent", "sdk-checksum-algorithm", "decoded-content-length", "trailer", "te"],
    ...["checksum-algorithm", "checksum-type", "checksum-mode", "checksum-crc32", "checksum-crc32c", "checksum-crc64nvme"],
    ...["checksum-sha1", "checksum-sha256", "metadata-directive", "tagging", "tagging-directive", "storage-class"],
    ...["copy-source", "copy-source-range", "copy-source-if-match", "copy-source-if-none-match", "copy-source-if-modified-since"],
    ...["copy-source-if-unmodified-since", "mp-object-size", "object-attributes", "max-parts", "part-number-marker"],
    ...["object-annotation-directive", "object-if-match", "request-payer", "bucket-region"],
  ].map((name) => `x-amz-${name}`),
);
