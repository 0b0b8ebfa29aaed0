import type { IncomingHttpHeaders } from "node:http";

/** The operations that the emulator has. */
export type GcsOperation =
  | `buckets.${"insert" | "get" | "list" | "patch" | "delete"}`
  | `objects.${"get" | "media" | "list" | "patch" | "update" | "delete" | "insert" | "rewrite" | "copy" | "compose"}`
  | `uploads.${"begin" | "write" | "status" | "cancel"}`;

/** What a request is for. */
export interface GcsTarget {
  readonly operation: GcsOperation;
  /** Empty for the list of buckets. */
  readonly bucket: string;
  /** Empty for a bucket. */
  readonly object: string;
  /** Where a copy goes. */
  readonly destination: { readonly bucket: string; readonly name: string };
  readonly query: URLSearchParams;
}

/**
 * Finds what a request is for.
 *
 * @param target the path and the query as received
 * @param nameOf the object of a session
 * @returns undefined for what the emulator does not have
 */
export function targetOf(
  method: string,
  target: string,
  headers: IncomingHttpHeaders,
  nameOf: (uploadId: string) => string | undefined,
): GcsTarget | undefined {
  const [path, search] = splitOnce(target, "?");
  const query = new URLSearchParams(search);
  const [, kind = "", rest = ""] = /^\/(upload\/|resumable\/upload\/|download\/)?storage\/v1\/b(?:\/(.*))?$/s.exec(path) ?? ["", "none"];
  if (kind === "none") return undefined;
  const segments = decoded(rest.split("/"));
  if (segments === undefined) return undefined;
  const [bucket = "", o, object = "", verb, , toBucket = "", , toName = ""] = segments;
  const found = (operation: GcsOperation | undefined, name = object): GcsTarget | undefined =>
    operation && { operation, bucket, object: name, destination: { bucket: toBucket, name: toName }, query };
  if (kind.endsWith("upload/")) {
    const id = query.get("upload_id");
    if (id !== null) return found(sessionOperation(method, headers), nameOf(id) ?? "");
    if (method !== "POST") return undefined;
    return found(query.get("uploadType") === "resumable" ? "uploads.begin" : "objects.insert", query.get("name") ?? "");
  }
  if (o === undefined) return found(bucket === "" ? ALL_BUCKETS[method] : BUCKET[method]);
  if (o !== "o") return undefined;
  if (segments.length === 2) return method === "GET" ? found("objects.list") : undefined;
  if (verb === "compose" && method === "POST") return found("objects.compose");
  if ((verb === "rewriteTo" || verb === "copyTo") && method === "POST")
    return found(verb === "copyTo" ? "objects.copy" : "objects.rewrite");
  if (verb !== undefined) return undefined;
  const isMedia = query.get("alt") === "media" || kind === "download/";
  return found(method === "GET" && isMedia ? "objects.media" : OBJECT[method]);
}

function sessionOperation(method: string, headers: IncomingHttpHeaders): GcsOperation | undefined {
  if (method === "DELETE") return "uploads.cancel";
  if (method !== "PUT") return undefined;
  return headers["content-range"] === "bytes */*" ? "uploads.status" : "uploads.write";
}

function decoded(segments: readonly string[]): readonly string[] | undefined {
  try {
    return segments.map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

/** Parts a text at its first separator; the second part is empty without one. */
export function splitOnce(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}

const ALL_BUCKETS: Readonly<Record<string, GcsOperation>> = { GET: "buckets.list", POST: "buckets.insert" };
const BUCKET: Readonly<Record<string, GcsOperation>> = { GET: "buckets.get", PATCH: "buckets.patch", DELETE: "buckets.delete" };
const OBJECT: Readonly<Record<string, GcsOperation>> = {
  GET: "objects.get",
  PATCH: "objects.patch",
  PUT: "objects.update",
  DELETE: "objects.delete",
};
