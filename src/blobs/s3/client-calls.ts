import { md5 } from "#md5";
import { toBase64 } from "../../core/base/base64.ts";
import { utf8 } from "../../core/base/bytes.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { streamPieces } from "../../core/stream/stream-pieces.ts";
import { unanswered } from "../failures.ts";
import { abortable, droppable, escapedName, gatheredBytes, quoted, retryAfterMs, totalOf, withHead } from "../http.ts";
import type { S3Calls, S3Checksums, S3Conditions, S3Content, S3Head, S3Part } from "./calls.ts";
import { isServerSideEncryption, isStorageClass, MOST_ANNOTATION_BYTES } from "./calls.ts";
import type { S3ClientBucket, S3ConditionInput, S3ContentInput, S3ObjectInput } from "./client.ts";
import { PLAIN_TEXTS, unescapedKey } from "./content-headers.ts";
import { pinned, s3Error } from "./refusals.ts";

/** Uses a client of the SDK, by structure. Its own retries stay as they are configured. */
export function clientCalls({ client, commands, bucket }: S3ClientBucket): S3Calls {
  const send = async (what: string, command: object, { signal }: S3Conditions): Promise<Fields> => {
    signal?.throwIfAborted();
    try {
      return new Fields(await client.send(command, abortable(signal)));
    } catch (error) {
      signal?.throwIfAborted();
      throw translated(what, error);
    }
  };
  const at = (Key: string): S3ObjectInput => ({ Bucket: bucket, Key });
  return {
    async get(key, start, end, conditions) {
      const what = "a read";
      const input = { ...at(key), Range: `bytes=${start}-${end - 1}`, ...ifMatchOf(conditions) };
      const output = await send(what, new commands.GetObjectCommand(input), conditions);
      const given = output.value("Body");
      return await withHead(droppable(given), () => {
        const whole = output.text("ContentRange") === undefined ? output.number("ContentLength") : undefined;
        const totalBytes = whole ?? totalOf(output.text("ContentRange"));
        if (totalBytes === undefined || (whole !== undefined && (start > 0 || whole > end))) throw unusable(what);
        const body = piecesOf(what, given, conditions.signal);
        return { etag: pinned(what, output.etag(), conditions), totalBytes, metadata: output.metadata(), body };
      });
    },
    async head(key, conditions) {
      const input = { ...at(key), ...ifMatchOf(conditions) };
      return headOf(await send("a look at an object", new commands.HeadObjectCommand(input), conditions));
    },
    async tags(key, conditions) {
      const output = await send("a look at tags", new commands.GetObjectTaggingCommand(at(key)), conditions);
      return output
        .list("TagSet")
        .map((tag) => `${encodeURIComponent(tag.text("Key") ?? "")}=${encodeURIComponent(tag.text("Value") ?? "")}`)
        .join("&");
    },
    async put(key, bytes, content, conditions) {
      const body = { Body: bytes, ContentMD5: toBase64(md5(bytes)) };
      const input = { ...contentInput(at(key), content), ...body, ...conditionInput(conditions) };
      return (await send("a whole object", new commands.PutObjectCommand(input), conditions)).etag();
    },
    async remove(key, conditions) {
      await send("a delete", new commands.DeleteObjectCommand({ ...at(key), ...ifMatchOf(conditions) }), conditions);
    },
    async list(prefix, after, limit, conditions) {
      const input = {
        Bucket: bucket,
        MaxKeys: limit,
        EncodingType: "url",
        ...(prefix !== "" && { Prefix: prefix }),
        ...(after !== undefined && { StartAfter: after }),
      } as const;
      const output = await send("a list", new commands.ListObjectsV2Command(input), conditions);
      const isEscaped = output.text("EncodingType") === "url";
      const entries = output.list("Contents").map((entry) => ({
        name: isEscaped ? unescapedKey(entry.text("Key") ?? "") : (entry.text("Key") ?? ""),
        size: entry.number("Size") ?? 0,
        etag: entry.etag(),
      }));
      return { entries, isLast: output.value("IsTruncated") !== true };
    },
    async beginUpload(key, content, conditions) {
      const what = "the beginning of an upload";
      const command = new commands.CreateMultipartUploadCommand(contentInput(at(key), content));
      return (await send(what, command, conditions)).text("UploadId") ?? raise(unusable(what));
    },
    async putPart({ key, id }, number, bytes, conditions) {
      const body = { Body: bytes, ContentMD5: toBase64(md5(bytes)) };
      const command = new commands.UploadPartCommand({ ...at(key), UploadId: id, PartNumber: number, ...body });
      return partOf(number, await send("a part", command, conditions));
    },
    async copyPart({ key, id }, number, { start, end }, { ifMatch, signal }) {
      const what = "a copy of a part";
      const source = {
        CopySource: `${bucket}/${escapedName(key)}`,
        CopySourceRange: `bytes=${start}-${end - 1}`,
        ...(ifMatch !== undefined && { CopySourceIfMatch: ifMatch }),
      };
      const command = new commands.UploadPartCopyCommand({ ...at(key), UploadId: id, PartNumber: number, ...source });
      const output = await send(what, command, signal ? { signal } : {});
      return partOf(number, new Fields(output.value("CopyPartResult")));
    },
    async completeUpload({ key, id }, parts, bytes, conditions) {
      const input = {
        ...at(key),
        UploadId: id,
        MultipartUpload: { Parts: parts.map(({ number, etag, checksums }) => ({ PartNumber: number, ETag: etag, ...checksums })) },
        ...(bytes !== undefined && { MpuObjectSize: bytes }),
        ...conditionInput(conditions),
      };
      return (await send("the end of an upload", new commands.CompleteMultipartUploadCommand(input), conditions)).etag();
    },
    async abortUpload({ key, id }, conditions) {
      await send("the abort of an upload", new commands.AbortMultipartUploadCommand({ ...at(key), UploadId: id }), conditions);
    },
    async getAnnotation(key, name, conditions) {
      const what = "a look at an annotation";
      const Command = commands.GetObjectAnnotationCommand ?? raise(withoutAnnotations());
      const output = await send(what, new Command({ ...at(key), AnnotationName: name }), conditions);
      const text = await gatheredBytes(piecesOf(what, output.value("AnnotationPayload"), conditions.signal), MOST_ANNOTATION_BYTES);
      return { text: new TextDecoder().decode(text), etag: output.etag() };
    },
    async putAnnotation(key, name, text, { ifMatch, signal }) {
      const Command = commands.PutObjectAnnotationCommand ?? raise(withoutAnnotations());
      const bytes = utf8(text);
      const payload = { AnnotationName: name, AnnotationPayload: bytes, ContentMD5: toBase64(md5(bytes)) };
      const command = new Command({ ...at(key), ...payload, ...(ifMatch !== undefined && { ObjectIfMatch: ifMatch }) });
      await send("an annotation", command, signal ? { signal } : {});
    },
  };
}

/** Members of what a client gives, which nobody has checked. */
class Fields {
  readonly #given: unknown;

  constructor(given: unknown) {
    this.#given = given;
  }

  value(name: string): unknown {
    return typeof this.#given === "object" && this.#given !== null ? Reflect.get(this.#given, name) : undefined;
  }

  text(name: string): string | undefined {
    const value = this.value(name);
    return typeof value === "string" && value !== "" ? value : undefined;
  }

  number(name: string): number | undefined {
    const value = this.value(name);
    return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  }

  list(name: string): readonly Fields[] {
    const value = this.value(name);
    return Array.isArray(value) ? value.map((item: unknown) => new Fields(item)) : [];
  }

  metadata(): Readonly<Record<string, string>> {
    const value = this.value("Metadata");
    const entries: readonly [string, unknown][] = typeof value === "object" && value !== null ? Object.entries(value) : [];
    return Object.fromEntries(entries.flatMap(([name, text]) => (typeof text === "string" ? [[name.toLowerCase(), text]] : [])));
  }

  etag(): string {
    return quoted(this.text("ETag") ?? raise(unusable("a request: no ETag")));
  }
}

function headOf(output: Fields): S3Head {
  const [storageClass, encryption] = [output.text("StorageClass"), output.text("ServerSideEncryption")];
  const isKnown =
    (storageClass === undefined || isStorageClass(storageClass)) && (encryption === undefined || isServerSideEncryption(encryption));
  const texts = Object.fromEntries(
    PLAIN_TEXTS.flatMap(([name]) => {
      const text = output.text(name);
      return text === undefined ? [] : [[name, text]];
    }),
  );
  const expires = new Date(output.text("ExpiresString") ?? Number.NaN);
  const bucketKey = output.value("BucketKeyEnabled");
  const hold = output.text("ObjectLockLegalHoldStatus");
  const isLocked = output.text("ObjectLockMode") !== undefined || (hold !== undefined && hold !== "OFF");
  return {
    etag: output.etag(),
    bytes: output.number("ContentLength") ?? raise(unusable("a look at an object")),
    metadata: output.metadata(),
    headers: {
      ...texts,
      ...(isStorageClass(storageClass) && { StorageClass: storageClass }),
      ...(isServerSideEncryption(encryption) && { ServerSideEncryption: encryption }),
      ...(!Number.isNaN(expires.getTime()) && { Expires: expires }),
      ...(typeof bucketKey === "boolean" && { BucketKeyEnabled: bucketKey }),
    },
    hasTags: (output.number("TagCount") ?? 0) > 0,
    isHeld: !isKnown || isLocked || output.text("SSECustomerAlgorithm") !== undefined,
  };
}

function partOf(number: number, output: Fields): S3Part {
  const checksums: S3Checksums = {};
  for (const name of CHECKSUMS) {
    const checksum = output.text(name);
    if (checksum !== undefined) checksums[name] = checksum;
  }
  return { number, etag: output.etag(), checksums };
}

function contentInput(at: S3ObjectInput, { metadata, headers, tagging }: S3Content): S3ContentInput {
  return { ...at, ...headers, Metadata: { ...metadata }, ...(tagging !== undefined && { Tagging: tagging }) };
}

function conditionInput({ ifMatch, ifNoneMatch }: S3Conditions): S3ConditionInput {
  return { ...(ifMatch !== undefined && { IfMatch: ifMatch }), ...(ifNoneMatch !== undefined && { IfNoneMatch: ifNoneMatch }) };
}

function ifMatchOf({ ifMatch }: S3Conditions): { IfMatch?: string } {
  return ifMatch === undefined ? {} : { IfMatch: ifMatch };
}

/** Translates what the SDK throws. */
function translated(what: string, error: unknown): unknown {
  if (EnvelockError.is(error)) return error;
  const fields = new Fields(error);
  const status = new Fields(fields.value("$metadata")).number("httpStatusCode");
  if (status === undefined) return unanswered(what, error);
  const headers = new Fields(new Fields(fields.value("$response")).value("headers"));
  const code = fields.text("Code") ?? fields.text("name") ?? "";
  // an answer that began with 200 and told of an error in its text
  return s3Error(what, status < 300 ? 500 : status, code, error, retryAfterMs(headers.text("retry-after")));
}

/** The bytes of a body: a stream of Node, a stream of the web, or a Blob. */
async function* piecesOf(what: string, body: unknown, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    if (typeof body !== "object" || body === null) return;
    if (isIterable(body)) {
      for await (const piece of body) if (piece instanceof Uint8Array) yield piece;
    } else if (body instanceof ReadableStream) {
      yield* streamPieces(body);
    } else if (body instanceof Blob) {
      yield* streamPieces(body.stream());
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw unanswered(what, error);
  }
}

function isIterable(body: object): body is AsyncIterable<unknown> {
  return Symbol.asyncIterator in body;
}

function unusable(what: string): EnvelockError {
  return new EnvelockError("provider-failure", `the client gave no usable answer to ${what}`);
}

function withoutAnnotations(): EnvelockError {
  return invalidArgument("these commands have none for annotations", "give the module @aws-sdk/client-s3, of 2026 or later");
}

function raise(error: EnvelockError): never {
  throw error;
}

const CHECKSUMS = ["ChecksumCRC32", "ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumSHA1", "ChecksumSHA256"] as const;
