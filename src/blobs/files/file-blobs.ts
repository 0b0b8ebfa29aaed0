import type { Stats } from "node:fs";
import { mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { concatBytes } from "../../core/base/bytes.ts";
import { CALL_OPTIONS, type CallOptions, callSignal } from "../../core/base/call-options.ts";
import { beginDurably, type DurableFile, readIfThere, writeDurably } from "../../core/base/durable-file.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { fileError, systemCodeOf } from "../../core/base/file-error.ts";
import { withFileLock } from "../../core/base/file-lock.ts";
import { jsonIn } from "../../core/base/json.ts";
import { type OptionNames, refuseUnknown, shownValue } from "../../core/base/options.ts";
import type { BlobCondition, BlobContent, BlobEntry, BlobPage, BlobStore, BlobUpload, StoredBlob } from "../blob-store.ts";
import { sourceChanged } from "../failures.ts";
import { checkedName } from "../name.ts";

export interface FileBlobsOptions {
  /** The mode of new files, less the umask. Defaults to 0o600, so that their owner alone can read them. */
  readonly mode?: number;
  /** Roughly how long a commit waits for another that is at work on the same blob. Defaults to 10,000 ms. */
  readonly maxLockWaitMs?: number;
}

/**
 * Keeps each blob as a file of an envelope in a folder, and its metadata in a small file beside it. A blob appears in one step and survives
 * a power cut. A crash between the two files loses the metadata, which is the description, never the blob. Conditions hold between the
 * processes of one machine.
 *
 * @param folder made when it is missing. Nobody else should write to it
 * @throws `invalid-argument` for bad options
 * @example
 * ```ts
 * import { Keyring } from "envelock";
 * import { encryptedStore } from "envelock/blobs";
 * import { fileBlobs } from "envelock/blobs/files";
 *
 * export const invoicesOf = (keyring: Keyring) =>
 *   encryptedStore(keyring, fileBlobs("/var/lib/invoices"), { context: (name) => ({ object: name }) });
 * ```
 */
export function fileBlobs(folder: string, options: FileBlobsOptions = {}): BlobStore {
  refuseUnknown(options, OPTIONS, "fileBlobs");
  const { mode = 0o600, maxLockWaitMs = 10_000 } = options;
  if (typeof folder !== "string" || folder === "") throw invalidArgument("fileBlobs takes the path of a folder");
  const place: Place = { folder: resolve(folder), mode, maxLockWaitMs };
  return {
    header: "copy",
    blocks: {
      isHeaderApart: true,
      bytes: BLOCK_BYTES,
      leastBytes: 1,
      mostBytes: BLOCK_BYTES,
      mostBlocks: 2 ** 31,
      areEqual: true,
      inFlight: 1,
    },
    async create(name, content, call = {}) {
      callSignal(call, CALL_OPTIONS, "create")?.throwIfAborted();
      return await translated(name, () => begun(place, name, content));
    },
    async open(name, firstBytes, call = {}) {
      callSignal(call, CALL_OPTIONS, "open")?.throwIfAborted();
      return await translated(name, () => opened(place, name, firstBytes));
    },
    async delete(name, call = {}) {
      callSignal(call, DELETE_OPTIONS, "delete")?.throwIfAborted();
      const { ifMatch } = call;
      return await translated(name, () => locked(place, name, () => removed(place, name, ifMatch)));
    },
    async list(page, call = {}) {
      callSignal(call, CALL_OPTIONS, "list")?.throwIfAborted();
      return await translated(page.prefix ?? "", () => pageOf(place, page));
    },
  };
}

interface Place {
  readonly folder: string;
  readonly mode: number;
  readonly maxLockWaitMs: number;
}

async function begun(place: Place, name: string, { metadata }: BlobContent): Promise<BlobUpload> {
  const path = pathOf(place, name);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await beginDurably(path, place.mode);
  let next = 0;
  let isOver = false;
  let isBroken = false;
  const discard = async (): Promise<void> => {
    if (isOver) return;
    isOver = true;
    await file.discard();
  };
  return {
    async put(index, bytes, call = {}) {
      callSignal(call, CALL_OPTIONS, "put")?.throwIfAborted();
      if (index === next - 1) return; // written already: its answer was lost
      if (index !== next) throw invalidArgument(`block ${index} came, and files take ${next} next`);
      if (isBroken) throw new EnvelockError("unavailable", `blob ${name} was written in part`, { retryable: false, hint: "put it again" });
      isBroken = true; // a part of the block may be in the file
      await translated(name, () => file.write([bytes]));
      isBroken = false;
      next++;
    },
    async commit(condition, call = {}) {
      callSignal(call, CALL_OPTIONS, "commit")?.throwIfAborted();
      const result = await translated(name, () => locked(place, name, () => committed(place, name, file, condition, metadata)));
      if (result !== "changed") await discard();
      return result;
    },
    abort: () => discard().catch(() => undefined),
  };
}

async function committed(
  place: Place,
  name: string,
  file: DurableFile,
  condition: BlobCondition,
  metadata: BlobContent["metadata"],
): Promise<{ readonly etag: string } | "changed"> {
  const path = pathOf(place, name);
  const now = await statIfThere(path);
  if ("ifMatch" in condition && (now === undefined || etagOf(now) !== condition.ifMatch)) return "changed";
  if ("ifNone" in condition && now !== undefined) return "changed";
  let placed: Stats;
  try {
    placed = await file.place({ overwrite: !("ifNone" in condition) });
  } catch (error) {
    if (systemCodeOf(error) === "EEXIST") return "changed";
    throw error;
  }
  await writeDurably(`${path}${METADATA_END}`, JSON.stringify(metadata), { overwrite: true, mode: place.mode });
  return { etag: etagOf(placed) };
}

async function opened(place: Place, name: string, firstBytes: number): Promise<StoredBlob | undefined> {
  const path = pathOf(place, name);
  const now = await statIfThere(path);
  if (now === undefined) return undefined;
  const etag = etagOf(now);
  const first = await readPart(path, name, etag, 0, Math.min(firstBytes, now.size));
  return {
    size: now.size,
    etag,
    metadata: metadataIn(await readIfThere(`${path}${METADATA_END}`)),
    first,
    async *read(start, end, { ifMatch, signal }) {
      for (let at = start; at < end; at += READ_BYTES) {
        signal?.throwIfAborted();
        yield await translated(name, () => readPart(path, name, ifMatch, at, Math.min(at + READ_BYTES, end)));
      }
    },
    async replaceHeader({ ownHeaderBytes, header }, call = {}) {
      callSignal(call, CALL_OPTIONS, "replaceHeader")?.throwIfAborted();
      return await translated(name, () => locked(place, name, () => rewritten(place, name, { etag, header, ownHeaderBytes })));
    },
  };
}

async function rewritten(
  place: Place,
  name: string,
  { etag, header, ownHeaderBytes }: { readonly etag: string; readonly header: Uint8Array; readonly ownHeaderBytes: number },
): Promise<"replaced" | "changed"> {
  const path = pathOf(place, name);
  const now = await statIfThere(path);
  if (now === undefined || etagOf(now) !== etag) return "changed";
  async function* content(): AsyncGenerator<Uint8Array, void, undefined> {
    yield concatBytes(header);
    for (let at = ownHeaderBytes; now !== undefined && at < now.size; at += READ_BYTES) {
      yield await readPart(path, name, etag, at, Math.min(at + READ_BYTES, now.size));
    }
  }
  await writeDurably(path, content(), { overwrite: true, instead: now });
  return "replaced";
}

async function removed(place: Place, name: string, ifMatch: string | undefined): Promise<boolean> {
  const path = pathOf(place, name);
  const now = await statIfThere(path);
  if (now === undefined || (ifMatch !== undefined && etagOf(now) !== ifMatch)) return false;
  await rm(path);
  await rm(`${path}${METADATA_END}`, { force: true });
  return true;
}

async function pageOf(place: Place, { prefix = "", after, limit }: BlobPage): Promise<readonly BlobEntry[]> {
  const names = await namesUnder(place.folder, "", prefix);
  const wanted = names.filter((name) => name.startsWith(prefix) && (after === undefined || name > after)).sort();
  const entries: BlobEntry[] = [];
  for (const name of wanted) {
    if (entries.length === limit) break;
    const now = await statIfThere(pathOf(place, name));
    if (now !== undefined) entries.push({ name, size: now.size, etag: etagOf(now) });
  }
  return entries;
}

async function namesUnder(folder: string, before: string, prefix: string): Promise<readonly string[]> {
  const found = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (systemCodeOf(error) === "ENOENT") return [];
    throw error;
  });
  const names: string[] = [];
  for (const entry of found) {
    const name = `${before}${entry.name}`;
    const isNear = name.startsWith(prefix) || prefix.startsWith(`${name}/`);
    if (entry.isDirectory() && isNear) names.push(...(await namesUnder(join(folder, entry.name), `${name}/`, prefix)));
    if (entry.isFile() && !isOurs(entry.name)) names.push(name);
  }
  return names;
}

/** The names of this store's own files, which no blob can have. */
function isOurs(fileName: string): boolean {
  return fileName.endsWith(METADATA_END) || fileName.includes(LOCK_END) || (fileName.startsWith(".envelock-") && fileName.endsWith(".tmp"));
}

/** Reads part of one version of a file. @throws `malformed-envelope` with `detail` `source-changed` */
async function readPart(path: string, name: string, etag: string, start: number, end: number): Promise<Uint8Array> {
  const file = await open(path, "r").catch((error: unknown) => {
    throw systemCodeOf(error) === "ENOENT" ? sourceChanged(name) : error;
  });
  try {
    if (etagOf(await file.stat()) !== etag) throw sourceChanged(name);
    const bytes = new Uint8Array(end - start);
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, start + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  } finally {
    await file.close();
  }
}

async function locked<T>(place: Place, name: string, work: () => Promise<T>): Promise<T> {
  const path = pathOf(place, name);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  return await withFileLock(`${path}${LOCK_END}`, place.maxLockWaitMs, work);
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    const now = await stat(path);
    return now.isFile() ? now : undefined;
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT" || systemCodeOf(error) === "ENOTDIR") return undefined;
    throw error;
  }
}

/** A version of a file: files are replaced, never changed, so that inode, length and time tell one from another. */
function etagOf({ ino, size, mtimeMs }: Stats): string {
  return `"${ino.toString(36)}-${size.toString(36)}-${Math.round(mtimeMs * 1000).toString(36)}"`;
}

function pathOf({ folder }: Place, name: string): string {
  const own = checkedName(name); // also for names from an index or a ledger
  const last = own.slice(own.lastIndexOf("/") + 1);
  if (isOurs(last)) throw invalidArgument("this name is one of the store's own files");
  return join(folder, ...own.split("/"));
}

function metadataIn(text: string | undefined): Readonly<Record<string, string>> {
  const given: unknown = text === undefined ? undefined : jsonIn(text);
  if (typeof given !== "object" || given === null) return {};
  const known: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) if (typeof value === "string" && name.startsWith("envelock")) known[name] = value;
  return known;
}

async function translated<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileError(`the file of blob ${shownValue(name)}`, error);
  }
}

const DELETE_OPTIONS: OptionNames<CallOptions & { readonly ifMatch?: string }> = { ...CALL_OPTIONS, ifMatch: true };
const OPTIONS: OptionNames<FileBlobsOptions> = { mode: true, maxLockWaitMs: true };
const METADATA_END = ".envelock-meta";
const LOCK_END = ".envelock-lock";
const BLOCK_BYTES = 4 * 1024 * 1024;
const READ_BYTES = 1024 * 1024;
