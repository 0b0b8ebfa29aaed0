import { distorted, isBodyFault, uploadCutOf } from "../emulator/body-faults.ts";
import type { RawAnswer } from "../emulator/fault-plan.ts";
import { GcpAnswer } from "../emulator/google-answer.ts";
import type { IdentityServices } from "../emulator/google-identity.ts";
import type { EmulatedService, LogEntry, ServedRequest } from "../emulator/loopback-server.ts";
import { authError, GcsAnswer, invalid, notImplemented } from "./answer.ts";
import { createBucket, deleteBucket, getBucket, listBuckets, patchBucket } from "./bucket-requests.ts";
import { errorOf, isWrong, keptBytesOf, type OwnFault } from "./faults.ts";
import { GcsCall, type GcsState } from "./gcs-call.ts";
import { changeObject, composeObject, copyObject, deleteObject, getMedia, getObject, listObjects } from "./object-requests.ts";
import { type GcsOperation, type GcsTarget, targetOf } from "./target.ts";
import { beginUpload, cancelUpload, insertMedia, insertMultipart, writeUpload } from "./upload-requests.ts";

/** One request, as an access log records it. */
export interface LoggedRequest extends LogEntry {
  /** The operation, such as `objects.get`; undefined if there is none. Faults match it: the path is `GET /bucket/name objects.get`. */
  readonly operation: string | undefined;
  readonly bucket: string | undefined;
  readonly object: string | undefined;
  /** The query as received. */
  readonly query: string;
  /** The email address of the principal, if its token was valid. */
  principal: string | undefined;
  /** The length of the body as received. */
  receivedBytes: number;
}

/** The service behind one port. */
export class GcsService implements EmulatedService<LoggedRequest, OwnFault> {
  readonly name = "gcs emulator";
  readonly mostBodyBytes: number;
  readonly #state: GcsState;
  readonly #identity: IdentityServices;
  readonly #targets: WeakMap<LoggedRequest, GcsTarget> = new WeakMap();

  constructor(state: GcsState, identity: IdentityServices, mostBodyBytes: number) {
    this.#state = state;
    this.#identity = identity;
    this.mostBodyBytes = mostBodyBytes;
  }

  entryOf({ method, target, url, headers }: ServedRequest, base: LogEntry): LoggedRequest {
    const found = targetOf(method, target, headers, (id) => this.#state.sessions.get(id)?.name);
    const resource = found === undefined ? undefined : `/${[found.bucket, found.object].filter((part) => part !== "").join("/")}`;
    const path = resource === undefined ? base.path : `${method} ${resource} ${found?.operation}`;
    const entry: LoggedRequest = {
      ...base,
      path,
      operation: found?.operation,
      bucket: found?.bucket || undefined,
      object: found?.object || undefined,
      query: url.search,
      principal: undefined,
      receivedBytes: 0,
    };
    if (found !== undefined) this.#targets.set(entry, found);
    return entry;
  }

  headersOf(): Readonly<Record<string, string>> {
    return { server: "UploadServer", "cache-control": "no-cache, no-store, max-age=0, must-revalidate" };
  }

  uploadCut(fault: OwnFault): number | undefined {
    return uploadCutOf(fault);
  }

  async meet(fault: OwnFault, request: ServedRequest, entry: LoggedRequest): Promise<RawAnswer> {
    const error = errorOf(fault);
    if (error !== undefined) return error.raw;
    const kept = keptBytesOf(fault);
    const answer = this.#answer(request, entry, kept?.bytes);
    if (kept !== undefined) return kept.isLost ? { ...answer, cutAfterBytes: -1 } : answer;
    if (isBodyFault(fault)) return distorted(fault, answer);
    return isWrong(fault) ? wrong(fault, answer) : answer;
  }

  async answer(request: ServedRequest, entry: LoggedRequest): Promise<RawAnswer> {
    return this.#answer(request, entry, undefined);
  }

  #answer(request: ServedRequest, entry: LoggedRequest, keptBytes: number | undefined): RawAnswer {
    entry.receivedBytes = request.bytes.length;
    try {
      return this.#identity.answer({ ...request, body: request.bytes.toString("utf8") }) ?? this.#run(request, entry, keptBytes);
    } catch (error) {
      if (error instanceof GcsAnswer || error instanceof GcpAnswer) return error.raw;
      return new GcsAnswer(500, "internalError", `${error}`).raw;
    }
  }

  #run({ method, headers, bytes }: ServedRequest, entry: LoggedRequest, keptBytes: number | undefined): RawAnswer {
    const target = this.#targets.get(entry);
    if (target === undefined) throw notImplemented("such request");
    if (bytes.length > this.mostBodyBytes) throw invalid(`The emulator takes ${this.mostBodyBytes} bytes a request.`);
    const principal = this.#state.principals.holder(headers.authorization);
    const isSession = target.operation.startsWith("uploads.") && target.operation !== "uploads.begin"; // its URL is proof enough
    if (principal === undefined && !(isSession && headers.authorization === undefined)) throw authError();
    entry.principal = principal?.email;
    const { bucket, object, query } = target;
    const origin = `${this.#state.scheme}://${headers.host}`;
    const call = new GcsCall({ state: this.#state, method, bucket, object, query, headers, bytes, origin, principal });
    return keptBytes !== undefined && target.operation === "uploads.write"
      ? writeUpload(call, keptBytes)
      : RUN[target.operation](call, target);
  }
}

const RUN: Readonly<Record<GcsOperation, (call: GcsCall, target: GcsTarget) => RawAnswer>> = {
  "buckets.insert": createBucket,
  "buckets.get": getBucket,
  "buckets.list": listBuckets,
  "buckets.patch": patchBucket,
  "buckets.delete": deleteBucket,
  "objects.get": getObject,
  "objects.media": getMedia,
  "objects.list": listObjects,
  "objects.patch": (call) => changeObject(call, false),
  "objects.update": (call) => changeObject(call, true),
  "objects.delete": deleteObject,
  "objects.insert": (call) => (call.query.get("uploadType") === "multipart" ? insertMultipart(call) : insertMedia(call)),
  "objects.rewrite": (call, { destination }) => copyObject(call, destination, true),
  "objects.copy": (call, { destination }) => copyObject(call, destination, false),
  "objects.compose": composeObject,
  "uploads.begin": beginUpload,
  "uploads.write": (call) => writeUpload(call),
  "uploads.status": (call) => writeUpload(call),
  "uploads.cancel": cancelUpload,
};

/** Makes an answer tell of other bytes, or of another version, than there is. */
function wrong(fault: "wrong-checksum" | "wrong-generation", answer: RawAnswer): RawAnswer {
  const [field, header, value] =
    fault === "wrong-checksum" ? ["crc32c", "x-goog-hash", "AAAAAA=="] : ["generation", "x-goog-generation", "7"];
  const headers: Record<string, string> = { ...answer.headers };
  if (headers[header] !== undefined) headers[header] = field === "crc32c" ? `crc32c=${value}` : value;
  return { ...answer, headers, text: answer.text.replace(new RegExp(`"${field}":"[^"]*"`), `"${field}":"${value}"`) };
}
