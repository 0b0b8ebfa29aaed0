import type { RawAnswer } from "../emulator/fault-plan.ts";
import { rangeIn, sliceOf } from "../emulator/stored-bytes.ts";
import { GcsAnswer, invalid, noBucket, noObject, notImplemented } from "./answer.ts";
import { checksumsOf, type ObjectTraits, type StoredObject } from "./bucket.ts";
import { type GcsCall, jsonAnswer, NO_CONTENT } from "./gcs-call.ts";
import { described, etagOf, requireName, statedObject } from "./object-traits.ts";

// The operations on objects that are there.

export function getObject(call: GcsCall): RawAnswer {
  call.require("storage.objects.get");
  return jsonAnswer(described(call.bucketName, call.object(), call.origin));
}

export function getMedia(call: GcsCall): RawAnswer {
  call.require("storage.objects.get");
  const object = call.object();
  const { size, pieces, generation, metageneration, storageClass, crc32c, md5Hash, traits, updatedMs } = object;
  const range = rangeIn(call.header("range"), size);
  if (range === "outside") throw new GcsAnswer(416, "requestedRangeNotSatisfiable", "Request range not satisfiable");
  const { start, end } = range ?? { start: 0, end: size };
  const { contentType = "application/octet-stream", contentEncoding = "identity" } = traits.headers;
  return {
    status: range === undefined ? 200 : 206,
    text: "",
    bytes: sliceOf(pieces, start, end),
    headers: {
      "content-type": contentType,
      "content-length": `${end - start}`,
      ...(range !== undefined && { "content-range": `bytes ${start}-${end - 1}/${size}` }),
      "accept-ranges": "bytes",
      etag: etagOf(object),
      "last-modified": new Date(updatedMs).toUTCString(),
      "x-goog-generation": `${generation}`,
      "x-goog-metageneration": `${metageneration}`,
      "x-goog-storage-class": storageClass,
      "x-goog-stored-content-encoding": contentEncoding,
      "x-goog-stored-content-length": `${size}`,
      "x-goog-hash": md5Hash === undefined ? `crc32c=${crc32c}` : `crc32c=${crc32c},md5=${md5Hash}`,
    },
  };
}

/** @param isWhole whether what is not stated is removed */
export function changeObject(call: GcsCall, isWhole: boolean): RawAnswer {
  call.require("storage.objects.update");
  const before = call.object();
  const base: ObjectTraits | undefined = isWhole ? undefined : before.traits;
  const { traits } = statedObject(call.json(), base);
  const next: StoredObject = { ...before, traits, metageneration: before.metageneration + 1, updatedMs: call.nowMs };
  call.bucket.change(next);
  return jsonAnswer(described(call.bucketName, next, call.origin));
}

export function deleteObject(call: GcsCall): RawAnswer {
  call.require("storage.objects.delete");
  const { name, generation } = call.object();
  if (call.query.has("generation")) call.bucket.deleteGeneration(name, generation);
  else call.bucket.delete(name);
  return NO_CONTENT;
}

export function listObjects(call: GcsCall): RawAnswer {
  call.require("storage.objects.list", "");
  const { query, bucket } = call;
  const most = Math.min(call.count("maxResults") ?? MOST_LISTED, MOST_LISTED);
  const [prefix, delimiter, token] = [query.get("prefix") ?? "", query.get("delimiter") ?? "", query.get("pageToken")];
  const [from, to] = [query.get("startOffset"), query.get("endOffset")];
  const after = token === null ? undefined : Buffer.from(token, "base64url").toString("utf8");
  const items: object[] = [];
  const prefixes = new Set<string>();
  let last = "";
  for (const object of bucket.objects(query.get("versions") === "true")) {
    const { name, generation } = object;
    if (!name.startsWith(prefix) || (from !== null && isBefore(name, from)) || (to !== null && !isBefore(name, to))) continue;
    const end = delimiter === "" ? -1 : name.indexOf(delimiter, prefix.length);
    const group = end === -1 ? undefined : name.slice(0, end + delimiter.length);
    const place = group ?? `${name}\n${`${generation}`.padStart(20, "0")}`;
    if ((after !== undefined && !isBefore(after, place)) || (group !== undefined && prefixes.has(group))) continue;
    if (items.length + prefixes.size >= most) {
      return page(items, prefixes, Buffer.from(last).toString("base64url"));
    }
    if (group === undefined) items.push(described(bucket.name, object, call.origin));
    else prefixes.add(group);
    last = place;
  }
  return page(items, prefixes, undefined);
}

/** Copies an object, on the service's side. @param isRewrite whether the answer is that of `rewriteTo` */
export function copyObject(call: GcsCall, target: { readonly bucket: string; readonly name: string }, isRewrite: boolean): RawAnswer {
  const { state, bucket, query } = call;
  call.require("storage.objects.get");
  const sourceGeneration = query.get("sourceGeneration");
  const source = bucket.object(call.objectName, sourceGeneration === null ? undefined : Number(sourceGeneration));
  if (source === undefined) throw noObject(call.bucketName, call.objectName);
  for (const [name, value] of [
    ["ifSourceGenerationMatch", source.generation],
    ["ifSourceMetagenerationMatch", source.metageneration],
  ] as const) {
    const expected = call.count(name);
    if (expected !== undefined && expected !== value) throw new GcsAnswer(412, "conditionNotMet", "The source is another.");
  }
  const into = state.buckets.get(target.bucket);
  if (into === undefined) throw noBucket();
  const fields = call.json();
  const stated = statedObject(fields);
  call.requireConditions(into.object(target.name));
  // metadata that is stated stands in the place of the source's
  const traits = Object.keys(fields).length === 0 ? source.traits : stated.traits;
  const copy: StoredObject = {
    ...source,
    name: requireName(target.name),
    generation: call.nextGeneration(),
    metageneration: 1,
    traits: { ...traits, temporaryHold: false, eventBasedHold: false },
    storageClass: stated.storageClass ?? source.storageClass,
    createdMs: call.nowMs,
    updatedMs: call.nowMs,
  };
  into.add(copy);
  const resource = described(target.bucket, copy, call.origin);
  if (!isRewrite) return jsonAnswer(resource);
  const bytes = { totalBytesRewritten: `${copy.size}`, objectSize: `${copy.size}` };
  return jsonAnswer({ kind: "storage#rewriteResponse", ...bytes, done: true, resource });
}

/** Makes an object of up to 32 others. */
export function composeObject(call: GcsCall): RawAnswer {
  call.require("storage.objects.create");
  const { sourceObjects, destination = {} } = call.json();
  if (!Array.isArray(sourceObjects) || sourceObjects.length === 0 || sourceObjects.length > 32)
    throw invalid("The number of source components provided must be from 1 to 32.");
  const sources = sourceObjects.map((source: unknown): StoredObject => {
    const name = typeof source === "object" && source !== null ? `${Reflect.get(source, "name")}` : "";
    const found = call.bucket.object(name);
    if (found === undefined) throw noObject(call.bucketName, name);
    return found;
  });
  if (typeof destination !== "object" || destination === null) throw notImplemented("destination of that kind");
  const { traits, storageClass } = statedObject({ ...destination });
  call.requireConditions(call.bucket.object(call.objectName));
  const pieces = sources.flatMap((source) => source.pieces);
  const made: StoredObject = {
    name: requireName(call.objectName),
    generation: call.nextGeneration(),
    metageneration: 1,
    traits,
    storageClass: storageClass ?? "STANDARD",
    pieces,
    size: sources.reduce((sum, { size }) => sum + size, 0),
    crc32c: checksumsOf(pieces).crc32c,
    md5Hash: undefined,
    componentCount: sources.reduce((sum, { componentCount }) => sum + (componentCount ?? 1), 0),
    createdMs: call.nowMs,
    updatedMs: call.nowMs,
  };
  call.bucket.add(made);
  return jsonAnswer(described(call.bucketName, made, call.origin));
}

function page(items: readonly object[], prefixes: ReadonlySet<string>, next: string | undefined): RawAnswer {
  return jsonAnswer({
    kind: "storage#objects",
    ...(next !== undefined && { nextPageToken: next }),
    ...(prefixes.size > 0 && { prefixes: [...prefixes] }),
    ...(items.length > 0 && { items }),
  });
}

function isBefore(one: string, other: string): boolean {
  return Buffer.compare(Buffer.from(one), Buffer.from(other)) < 0;
}

const MOST_LISTED = 1000;
