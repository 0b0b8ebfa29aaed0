import { invalid } from "./answer.ts";
import type { ObjectTraits, StoredObject } from "./bucket.ts";

/** What a request states of an object. */
export interface StatedObject {
  readonly name: string | undefined;
  readonly storageClass: string | undefined;
  /** Checksums that the bytes must have, in base64. */
  readonly crc32c: string | undefined;
  readonly md5Hash: string | undefined;
  readonly traits: ObjectTraits;
}

/** Reads the resource of an object in a request. @throws `GcsAnswer` 400 for what the service refuses, or the emulator does not have */
export function statedObject(fields: Readonly<Record<string, unknown>>, before: ObjectTraits = NO_TRAITS): StatedObject {
  const text = (name: string): string | undefined => {
    const value = fields[name] ?? undefined;
    if (value === undefined || typeof value === "string") return value;
    throw invalid(`Invalid value for: ${name}`);
  };
  const flag = (name: "temporaryHold" | "eventBasedHold"): boolean => {
    const value = fields[name];
    if (value === undefined) return before[name];
    if (value === null || typeof value === "boolean") return value === true;
    throw invalid(`Invalid value for: ${name}`);
  };
  for (const name of Object.keys(fields)) if (!KNOWN.has(name)) throw invalid(`The emulator does not know the field ${name} of an object.`);
  const storageClass = text("storageClass");
  if (storageClass !== undefined && !STORAGE_CLASSES.has(storageClass)) throw invalid(`Invalid storage class: ${storageClass}`);
  const headers: Record<string, string> = { ...before.headers };
  for (const name of HEADER_FIELDS) {
    if (!(name in fields)) continue;
    const value = text(name);
    if (value === undefined) delete headers[name];
    else headers[name] = value;
  }
  const { metadata: given } = fields;
  const metadata = patchedMetadata(before.metadata, given);
  const traits = { headers, metadata, temporaryHold: flag("temporaryHold"), eventBasedHold: flag("eventBasedHold") };
  return { name: text("name"), storageClass, crc32c: text("crc32c"), md5Hash: text("md5Hash"), traits };
}

/** Describes an object as the service does: int64 as decimal texts, times by RFC 3339. */
export function described(bucket: string, object: StoredObject, origin: string): object {
  const { name, generation, metageneration, traits, storageClass, size, md5Hash, crc32c, componentCount, createdMs, updatedMs } = object;
  const path = `${origin}/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}`;
  return {
    kind: "storage#object",
    id: `${bucket}/${name}/${generation}`,
    selfLink: path,
    mediaLink: `${origin}/download/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}?generation=${generation}&alt=media`,
    name,
    bucket,
    generation: `${generation}`,
    metageneration: `${metageneration}`,
    ...traits.headers,
    storageClass,
    size: `${size}`,
    ...(md5Hash !== undefined && { md5Hash }),
    crc32c,
    ...(componentCount !== undefined && { componentCount }),
    etag: etagOf(object),
    ...(traits.temporaryHold && { temporaryHold: true }),
    ...(traits.eventBasedHold && { eventBasedHold: true }),
    ...(Object.keys(traits.metadata).length > 0 && { metadata: traits.metadata }),
    timeCreated: new Date(createdMs).toISOString(),
    updated: new Date(updatedMs).toISOString(),
    timeStorageClassUpdated: new Date(createdMs).toISOString(),
  };
}

export function etagOf({ generation, metageneration }: StoredObject): string {
  return Buffer.from(`${generation}/${metageneration}`).toString("base64");
}

/** @throws `GcsAnswer` 400 */
export function requireName(name: string | undefined): string {
  const bytes = Buffer.byteLength(name ?? "");
  if (name === undefined || bytes === 0) throw invalid("Required");
  if (bytes > 1024 || name === "." || name === ".." || /[\r\n]/.test(name)) throw invalid("The specified object name is not valid.");
  return name;
}

/** Null removes an entry, and null in the place of all removes all. */
function patchedMetadata(before: Readonly<Record<string, string>>, given: unknown): Readonly<Record<string, string>> {
  if (given === undefined) return before;
  if (given === null) return {};
  if (typeof given !== "object" || Array.isArray(given)) throw invalid("Invalid value for: metadata");
  const metadata = new Map(Object.entries(before));
  for (const [name, value] of Object.entries(given)) {
    if (value === null) metadata.delete(name);
    else if (typeof value === "string") metadata.set(name, value);
    else throw invalid("Invalid value for: metadata");
  }
  let all = 0;
  for (const [name, value] of metadata) {
    const [nameBytes, valueBytes] = [Buffer.byteLength(name), Buffer.byteLength(value)];
    if (nameBytes > 1024 || valueBytes > 4096) throw invalid(`The custom metadata ${name.slice(0, 50)} is too long.`);
    all += nameBytes + valueBytes;
  }
  if (all > 8192) throw invalid("The custom metadata of an object takes 8 KiB at most.");
  return Object.fromEntries(metadata);
}

const NO_TRAITS: ObjectTraits = { headers: {}, metadata: {}, temporaryHold: false, eventBasedHold: false };
const HEADER_FIELDS = ["contentType", "cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "customTime"] as const;
export const STORAGE_CLASSES: ReadonlySet<string> = new Set(["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"]);
/** What describes an object and cannot be stated is overlooked, as the service does. */
const KNOWN: ReadonlySet<string> = new Set([
  ...HEADER_FIELDS,
  ...["name", "bucket", "metadata", "storageClass", "crc32c", "md5Hash", "temporaryHold", "eventBasedHold"],
  ...["kind", "id", "selfLink", "mediaLink", "generation", "metageneration", "size", "etag", "timeCreated", "updated"],
  ...["timeStorageClassUpdated", "componentCount"],
]);
