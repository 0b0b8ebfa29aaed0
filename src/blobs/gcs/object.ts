import { jsonIn } from "../../core/base/json.ts";
import { unusable } from "../http.ts";
import { isBlobName } from "../name.ts";
import { memberOf } from "./refusals.ts";

/** An object as the service describes it. */
export interface GcsObject {
  readonly name: string;
  /** The version of the bytes, in decimal digits. */
  readonly generation: string;
  /** The version of what is stored beside them. */
  readonly metageneration: string;
  readonly size: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** CRC32C of the bytes in base64, if the service tells it. */
  readonly crc32c: string | undefined;
}

export interface GcsPage {
  readonly objects: readonly GcsObject[];
  /** What the next page is asked for with. Undefined at the end. */
  readonly next: string | undefined;
}

/** Reads the description of an object. @throws `provider-failure` */
export function objectIn(text: string, what: string): GcsObject {
  return objectOf(jsonIn(text), what);
}

/** Reads a page of a list. Objects with names that no blob has are left out. @throws `provider-failure` */
export function pageIn(text: string, what: string): GcsPage {
  const page = jsonIn(text);
  const items = memberOf(page, "items") ?? [];
  const next = memberOf(page, "nextPageToken");
  // a list without objects has no items: what else tells it from an answer that is no list?
  if (memberOf(page, "kind") !== "storage#objects" || !Array.isArray(items)) throw unusable(what);
  const objects = items.filter((item: unknown) => isBlobName(memberOf(item, "name"))).map((item: unknown) => objectOf(item, what));
  return { objects, next: typeof next === "string" && next !== "" ? next : undefined };
}

/** Whether a text is the number of a generation, as the service writes it. */
export function isGeneration(text: unknown): text is string {
  return typeof text === "string" && /^[1-9][0-9]{0,18}$/.test(text);
}

function objectOf(given: unknown, what: string): GcsObject {
  const text = (name: string): string => {
    const value = memberOf(given, name);
    return typeof value === "string" ? value : "";
  };
  const [generation, metageneration, size] = [text("generation"), text("metageneration"), Number(text("size") || Number.NaN)];
  if (!isGeneration(generation) || !Number.isSafeInteger(size) || size < 0) throw unusable(what);
  return { name: text("name"), generation, metageneration, size, metadata: metadataOf(given), crc32c: text("crc32c") || undefined };
}

function metadataOf(given: unknown): Readonly<Record<string, string>> {
  const metadata = memberOf(given, "metadata");
  const entries: readonly [string, unknown][] = typeof metadata === "object" && metadata !== null ? Object.entries(metadata) : [];
  return Object.fromEntries(entries.flatMap(([name, value]) => (typeof value === "string" ? [[name, value]] : [])));
}
