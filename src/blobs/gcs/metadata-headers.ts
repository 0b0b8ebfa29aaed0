import { fromBase64Url, toBase64Url } from "../../core/base/bytes.ts";
import { crc32c } from "../../core/base/crc32c.ts";
import { EnvelockError, malformed } from "../../core/base/errors.ts";
import { MAX_HEADER_BYTES } from "../../core/format/envelope.ts";
import type { HeaderChange, StoredOverlay } from "../blob-store.ts";
import { gatheredBytes } from "../http.ts";
import { SIDECAR_END } from "../name.ts";
import type { GcsCallOptions, GcsCalls } from "./calls.ts";
import { checksumText } from "./calls.ts";
import { type GcsObject, isGeneration } from "./object.ts";
import { settled } from "./refusals.ts";

// A header beside a blob stands in the metadata of its object. One that is too long for that stands in an object of its own, and the
// metadata names it: so both come into force with one change of metadata, under a condition.

/** Reads the header beside a blob. @throws `malformed-envelope` for metadata that is none */
export async function overlayOf(calls: GcsCalls, object: GcsObject, options: GcsCallOptions): Promise<StoredOverlay | "moved" | undefined> {
  const { [HEADER]: inline, [HEADER_AT]: pointer, [HEADER_OF]: blobEtag } = object.metadata;
  const of = blobEtag === undefined ? {} : { blobEtag };
  if (inline !== undefined) {
    const header = fromBase64Url(inline);
    if (header === undefined) throw malformed("the metadata of the blob holds no header");
    return { header, ...of };
  }
  if (pointer === undefined) return undefined;
  const sidecar = sidecarAt(object.name, pointer);
  const header = await settled({ missing: () => undefined, changed: () => undefined }, async () => {
    const conditions = { ifGenerationMatch: sidecar.generation };
    const { totalBytes, body } = await calls.media(sidecar.name, 0, MAX_HEADER_BYTES, conditions, options);
    const bytes = await gatheredBytes(body, MAX_HEADER_BYTES);
    if (totalBytes > MAX_HEADER_BYTES) throw malformed("the object beside the blob is too long for a header");
    if (bytes.length !== totalBytes)
      throw new EnvelockError("unavailable", "the store ended a header before its end", { whose: "service" });
    return bytes;
  });
  return header === undefined ? "moved" : { header, ...of };
}

/**
 * Puts a new header beside a blob.
 *
 * @returns `changed` if the object or its metadata is no longer what was opened, `not-possible` if other metadata leaves no room
 */
export async function writtenBeside(
  calls: GcsCalls,
  object: GcsObject,
  { header, keys }: Pick<HeaderChange, "header" | "keys">,
  options: GcsCallOptions,
): Promise<"replaced" | "changed" | "not-possible"> {
  const about = { [KEYS]: keys.join("."), [HEADER_OF]: object.generation };
  const inline = { ...about, [HEADER]: toBase64Url(header), [HEADER_AT]: null };
  if (fitsMetadata({ ...object.metadata, ...inline })) return await patched(calls, object, inline, options);
  const longest = { ...about, [HEADER]: null, [HEADER_AT]: "x".repeat(LONGEST_POINTER) };
  if (!fitsMetadata({ ...object.metadata, ...longest })) return "not-possible";
  const sidecar = await placed(calls, object.name, header, options);
  const outcome = await patched(calls, object, { ...about, [HEADER]: null, [HEADER_AT]: pointerTo(sidecar) }, options);
  if (outcome === "changed") await dropped(calls, sidecar, options);
  return outcome;
}

/** Removes the header that stands in an object of its own beside a blob that is gone, or whose metadata names another. */
export async function removedBeside(
  calls: GcsCalls,
  { name, metadata }: Pick<GcsObject, "name" | "metadata">,
  options: GcsCallOptions,
): Promise<void> {
  const { [HEADER_AT]: pointer } = metadata;
  if (pointer !== undefined && POINTER.test(pointer)) await dropped(calls, sidecarAt(name, pointer), options);
}

/** The metadata of a blob, without what is about a header beside it. */
export function ownMetadata(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const { [HEADER]: _header, [HEADER_AT]: _at, [HEADER_OF]: _of, ...own } = metadata;
  return own;
}

/** Whether the service keeps so much: 8 KiB of names and values in all, 1 KiB for a name and 4 KiB for a value. */
export function fitsMetadata(metadata: Readonly<Record<string, string | null>>): boolean {
  let all = 0;
  for (const [name, value] of Object.entries(metadata)) {
    const [nameBytes, valueBytes] = [bytesOf(name), bytesOf(value ?? "")];
    if (nameBytes > MOST_NAME_BYTES || valueBytes > MOST_VALUE_BYTES) return false;
    if (value !== null) all += nameBytes + valueBytes;
  }
  return all <= MOST_METADATA_BYTES;
}

/** An object with a header in it. */
interface Sidecar {
  readonly name: string;
  readonly generation: string;
}

async function patched(
  calls: GcsCalls,
  object: GcsObject,
  metadata: Readonly<Record<string, string | null>>,
  options: GcsCallOptions,
): Promise<"replaced" | "changed"> {
  const { name, generation, metageneration } = object;
  const outcome = await settled({ changed: () => undefined, missing: () => undefined }, () =>
    calls.patch(name, metadata, { ifGenerationMatch: generation, ifMetagenerationMatch: metageneration }, options),
  );
  if (outcome === undefined) return "changed";
  await removedBeside(calls, object, options);
  return "replaced";
}

/** Writes an object under a name that no other has. */
async function placed(calls: GcsCalls, blob: string, header: Uint8Array, options: GcsCallOptions): Promise<Sidecar> {
  for (let attempt = 1; ; attempt++) {
    const name = sidecarName(blob, newMark());
    const content = { metadata: {} };
    const made = await settled({ changed: () => undefined }, () =>
      calls.insert(name, header, checksumText(crc32c(header)), content, { ifGenerationMatch: "0" }, options),
    );
    if (made !== undefined) return { name, generation: made.generation };
    if (attempt >= MOST_NAMES) throw new EnvelockError("unavailable", "no name for a header was free", { whose: "service" });
  }
}

/** One that is left behind does no harm: nothing names it. */
async function dropped(calls: GcsCalls, { name, generation }: Sidecar, options: GcsCallOptions): Promise<void> {
  await calls.remove(name, { ifGenerationMatch: generation }, options).catch(() => options.signal?.throwIfAborted());
}

function pointerTo({ name, generation }: Sidecar): string {
  return `${name.slice(0, -SIDECAR_END.length).slice(-MARK_LENGTH)}.${generation}`;
}

/** The metadata tells no name, but what a name of this blob's own is made of. */
function sidecarAt(blob: string, pointer: string): Sidecar {
  const [, mark, generation] = POINTER.exec(pointer) ?? [];
  if (mark === undefined || !isGeneration(generation)) throw malformed("the metadata of the blob names no header");
  return { name: sidecarName(blob, mark), generation };
}

function sidecarName(blob: string, mark: string): string {
  return `${blob}.${mark}${SIDECAR_END}`;
}

function newMark(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(MARK_LENGTH)), (byte) => MARK_LETTERS[byte % MARK_LETTERS.length]).join("");
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

const KEYS = "envelock_keys";
const HEADER = "envelock_header";
const HEADER_AT = "envelock_header_at";
const HEADER_OF = "envelock_header_of";
/** With it and `SIDECAR_END` behind it, the longest name of a blob still is a name of an object: 1,024 bytes. */
const MARK_LENGTH = 7;
const MARK_LETTERS = "abcdefghijklmnopqrstuvwxyz234567";
const POINTER = /^([a-z2-7]{7})\.([1-9][0-9]{0,18})$/;
const LONGEST_POINTER: number = MARK_LENGTH + 20;
const MOST_NAMES = 5;
const MOST_NAME_BYTES = 1024;
const MOST_VALUE_BYTES = 4096;
const MOST_METADATA_BYTES = 8192;
