import { randomBytes } from "node:crypto";
import type { RawAnswer } from "../emulator/fault-plan.ts";
import { sliceOf } from "../emulator/stored-bytes.ts";
import { GcsAnswer, invalid } from "./answer.ts";
import { checksumsOf, type StoredObject } from "./bucket.ts";
import { type GcsCall, jsonAnswer, jsonObject } from "./gcs-call.ts";
import { described, requireName, type StatedObject, statedObject } from "./object-traits.ts";
import { splitOnce } from "./target.ts";
import type { UploadSession } from "./upload-session.ts";

// The three ways in which objects come: bytes alone, bytes with their description, and a session that takes them one after the other.

export function insertMedia(call: GcsCall): RawAnswer {
  const contentType = call.header("content-type");
  const stated = statedObject(contentType === undefined ? {} : { contentType });
  return inserted(call, call.query.get("name") ?? undefined, stated, call.bytes);
}

export function insertMultipart(call: GcsCall): RawAnswer {
  const [, quoted, plain] = /boundary=(?:"([^"]{1,70})"|([^\s;]{1,70}))/.exec(call.header("content-type") ?? "") ?? [];
  const boundary = quoted ?? plain;
  const parts = boundary === undefined ? [] : partsOf(call.bytes, boundary);
  const [description, media] = parts;
  if (description === undefined || media === undefined || parts.length !== 2)
    throw new GcsAnswer(400, "badContent", "Malformed multipart body.");
  const fields = jsonObject(description.body.toString("utf8"));
  const stated = statedObject({ ...(media.type !== undefined && { contentType: media.type }), ...fields });
  return inserted(call, stated.name ?? call.query.get("name") ?? undefined, stated, media.body);
}

/** @returns the URL of the session in the header Location */
export function beginUpload(call: GcsCall): RawAnswer {
  call.require("storage.objects.create", call.query.get("name") ?? "");
  const contentType = call.header("x-upload-content-type");
  const stated = statedObject({ ...(contentType !== undefined && { contentType }), ...call.json() });
  const name = requireName(stated.name ?? call.query.get("name") ?? undefined);
  const length = call.header("x-upload-content-length");
  call.requireConditions(call.bucket.object(name));
  const session: UploadSession = {
    id: randomBytes(64).toString("base64url"),
    bucket: call.bucket.name,
    name,
    stated,
    make: (said, pieces) => made(call, name, said, pieces),
    statedBytes: length === undefined ? undefined : Number(length),
    startedMs: call.nowMs,
    pieces: [],
    kept: 0,
    object: undefined,
    isCancelled: false,
  };
  call.state.sessions.set(session.id, session);
  const query = new URLSearchParams({ uploadType: "resumable", name, upload_id: session.id });
  const location = `${call.origin}/upload/storage/v1/b/${session.bucket}/o?${query}`;
  return { status: 200, text: "", headers: { location, "x-guploader-uploadid": session.id } };
}

/** Takes bytes of a session, or tells how far it is. @param most the bytes that are kept of this request: a fault may make them fewer */
export function writeUpload(call: GcsCall, most: number = Number.POSITIVE_INFINITY): RawAnswer {
  const session = sessionOf(call);
  if (session.object !== undefined) return jsonAnswer(described(session.bucket, session.object, call.origin));
  const range = contentRangeOf(call);
  if (range.total !== undefined && session.statedBytes !== undefined && range.total !== session.statedBytes)
    throw invalid(`The upload was begun for ${session.statedBytes} bytes.`);
  if (range.start !== undefined) keep(session, call, range.start, range.total, most);
  const total = range.total ?? session.statedBytes;
  if (total === undefined || session.kept < total) return incomplete(call, session);
  if (session.kept > total) throw invalid("The upload has more bytes than its Content-Range says.");
  session.object = finished(call, session);
  session.pieces.length = 0;
  return jsonAnswer(described(session.bucket, session.object, call.origin));
}

export function cancelUpload(call: GcsCall): RawAnswer {
  const session = sessionOf(call);
  if (session.object !== undefined) throw invalid("The upload is over.");
  session.isCancelled = true;
  drop(call, session);
  return { status: 499, text: "" };
}

/** Forgets the bytes of a session. */
function drop({ state }: GcsCall, session: UploadSession): void {
  state.capacity.release(session.kept);
  session.pieces.length = 0;
  session.kept = 0;
}

/** @throws `GcsAnswer` 404, 410, 499 */
function sessionOf(call: GcsCall): UploadSession {
  const session = call.state.sessions.get(call.query.get("upload_id") ?? "");
  if (session === undefined || session.bucket !== call.bucketName) throw new GcsAnswer(404, "notFound", "There is no such upload.");
  if (session.isCancelled) throw new GcsAnswer(499, "clientClosedRequest", "The upload was cancelled.");
  if (call.nowMs - session.startedMs < WEEK_MS) return session;
  drop(call, session);
  throw new GcsAnswer(410, "gone", "The upload is older than a week.");
}

interface StatedRange {
  /** Where the bytes of the request begin; undefined for a request without bytes. */
  readonly start: number | undefined;
  /** The length of the object, if the request tells it. */
  readonly total: number | undefined;
}

/** @throws `GcsAnswer` 400 */
function contentRangeOf(call: GcsCall): StatedRange {
  const text = call.header("content-range");
  const { length } = call.bytes;
  if (text === undefined) return { start: 0, total: length };
  const [, first, last, whole] = /^bytes (?:([0-9]{1,15})-([0-9]{1,15}|\*)|\*)\/([0-9]{1,15}|\*)$/.exec(text) ?? [];
  if (whole === undefined) throw invalid(`Failed to parse Content-Range header: ${text}`);
  if (first === undefined) {
    if (length > 0) throw invalid("A look at an upload has no body.");
    return { start: undefined, total: whole === "*" ? undefined : Number(whole) };
  }
  if (last !== "*" && Number(last) - Number(first) + 1 !== length)
    throw invalid("The Content-Range header is of another length than the body.");
  const isToTheEnd = last === "*" && whole === "*"; // the body ends where the object does
  return { start: Number(first), total: isToTheEnd ? Number(first) + length : whole === "*" ? undefined : Number(whole) };
}

/** Keeps bytes: all of the last ones, of others whole multiples of 256 KiB. What it has already it overlooks. */
function keep(session: UploadSession, call: GcsCall, start: number, total: number | undefined, most: number): void {
  const { bytes, state } = call;
  if (start > session.kept) {
    const message = `According to the Content-Range header, the upload offset is ${start} byte(s), which exceeds already uploaded size of ${session.kept} byte(s).`;
    throw new GcsAnswer(503, "backendError", `Invalid request. ${message}`);
  }
  const end = start + bytes.length;
  const isLast = total !== undefined && end === total;
  if (!isLast && bytes.length < STEP_BYTES)
    throw invalid(`The number of bytes uploaded is required to be equal or greater than ${STEP_BYTES}, except for the final request.`);
  const upTo = Math.min(end, start + most);
  const stored = isLast && upTo === end ? end : Math.floor(upTo / STEP_BYTES) * STEP_BYTES;
  if (stored <= session.kept) return;
  state.capacity.hold(stored - session.kept);
  session.pieces.push(...sliceOf([bytes], session.kept - start, stored - start));
  session.kept = stored;
}

/** @throws `GcsAnswer` 400 for a checksum that does not fit, 412; the session is over then */
function finished(call: GcsCall, session: UploadSession): StoredObject {
  const { state } = call;
  state.capacity.release(session.kept); // the object counts for itself
  try {
    const { crc32c: stated, md5 } = Object.fromEntries(
      (call.header("x-goog-hash") ?? "").split(",").map((pair) => splitOnce(pair.trim(), "=")),
    );
    const { crc32c = stated, md5Hash = md5 } = session.stated;
    return session.make({ ...session.stated, crc32c, md5Hash }, session.pieces);
  } catch (error) {
    state.sessions.delete(session.id);
    throw error;
  }
}

function incomplete(call: GcsCall, { kept }: UploadSession): RawAnswer {
  const range = kept === 0 ? {} : { range: `bytes=0-${kept - 1}` };
  const isAsked = call.header("x-guploader-no-308") === "yes";
  return { status: isAsked ? 200 : 308, text: "", headers: { ...range, ...(isAsked && { "x-http-status-code-override": "308" }) } };
}

function inserted(call: GcsCall, name: string | undefined, stated: StatedObject, bytes: Buffer): RawAnswer {
  const object = made(call, requireName(name), stated, [bytes]);
  return jsonAnswer(described(call.bucketName, object, call.origin));
}

/** Makes the object. Its conditions hold at this moment. @throws `GcsAnswer` */
function made(call: GcsCall, name: string, stated: StatedObject, given: readonly Buffer[]): StoredObject {
  const { bucket } = call;
  call.require("storage.objects.create", name);
  const before = bucket.object(name);
  if (before !== undefined) call.require("storage.objects.delete", name);
  call.requireConditions(before);
  const pieces = [...given];
  const checksums = checksumsOf(pieces);
  for (const [what, expected, found] of [
    ["CRC32C", stated.crc32c, checksums.crc32c],
    ["MD5 hash", stated.md5Hash, checksums.md5Hash],
  ] as const) {
    if (expected !== undefined && expected !== found)
      throw invalid(`Provided ${what} "${expected}" doesn't match calculated ${what} "${found}".`);
  }
  const object: StoredObject = {
    name,
    generation: call.nextGeneration(),
    metageneration: 1,
    traits: stated.traits,
    storageClass: stated.storageClass ?? "STANDARD",
    pieces,
    size: pieces.reduce((sum, piece) => sum + piece.length, 0),
    ...checksums,
    componentCount: undefined,
    createdMs: call.nowMs,
    updatedMs: call.nowMs,
  };
  bucket.add(object);
  return object;
}

interface BodyPart {
  readonly type: string | undefined;
  readonly body: Buffer;
}

/** Takes a body of `multipart/related` apart. RFC 2046 §5.1.1 */
function partsOf(bytes: Buffer, boundary: string): readonly BodyPart[] {
  const parts: BodyPart[] = [];
  const delimiter = Buffer.from(`--${boundary}`);
  let at = bytes.indexOf(delimiter);
  while (at !== -1) {
    const start = at + delimiter.length;
    const end = bytes.indexOf(delimiter, start);
    if (end === -1) break;
    const split = bytes.indexOf("\r\n\r\n", start);
    if (split === -1 || split > end) break;
    const type = /^content-type:\s*(.+?)\s*$/im.exec(bytes.toString("latin1", start, split))?.[1];
    parts.push({ type, body: bytes.subarray(split + 4, end - 2) });
    at = end;
  }
  return parts;
}

const STEP_BYTES = 262_144;
const WEEK_MS = 7 * 86_400_000;
