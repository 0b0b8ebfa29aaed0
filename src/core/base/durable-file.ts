import { constants, type Stats } from "node:fs";
import { type FileHandle, link, lstat, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { EnvelockError, invalidArgument } from "./errors.ts";
import { systemCodeOf } from "./file-error.ts";
import { removeIfEnded } from "./temporary-file.ts";
import { withoutMark } from "./text-mark.ts";

/** The content of a file: text, or batches of bytes. Each batch is written before the next is asked for. */
export type FileContent = string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export interface DurableOptions {
  /** Whether an existing file is replaced; else the call rejects with `EEXIST`. */
  readonly overwrite: boolean;
  /** The mode of the new file, less the umask. Defaults to 0o600, so that its owner alone can read it. */
  readonly mode?: number;
  /** The status of the file at the path when its content was read. Only that file is replaced, and the new one has its mode and owner. */
  readonly instead?: Stats;
}

/**
 * Writes a file in one step. After a crash it is as before or whole, and once this resolves it survives a power cut. A temporary file
 * stands beside it meanwhile; a failure removes it, and so does a signal that ends the process.
 *
 * The folder is opened once and no other path is followed from then on (on Linux; elsewhere the path is all there is). Mode and owner
 * are set on the open file. So another user of the folder can neither redirect the write nor get the mode of another file changed.
 *
 * @throws what the file system and `content` throw; `unavailable` if the file at the path is no longer `instead`, or if the temporary
 *   file was exchanged
 */
export async function writeDurably(path: string, content: FileContent, options: DurableOptions): Promise<void> {
  const file = await beginDurably(path, options.instead === undefined ? options.mode : undefined);
  try {
    await file.write(content);
    await file.place(options);
  } finally {
    await file.discard();
  }
}

/** A file in the making, under a temporary name beside its final one. */
export interface DurableFile {
  /** Appends. @throws what the file system and `content` throw */
  write(content: FileContent): Promise<void>;
  /** Syncs the file and gives it its name. Returns what the file then is. @throws as `writeDurably` */
  place(options: DurableOptions): Promise<Stats>;
  /** Removes the temporary file if it was not placed, and lets go of everything. Called once, at the end, in any case. */
  discard(): Promise<void>;
}

/**
 * Begins a file like `writeDurably`, for content that comes in several calls.
 *
 * @param mode the mode of the new file, less the umask. Defaults to 0o600
 */
export async function beginDurably(path: string, mode: number = OWNER_ALONE): Promise<DurableFile> {
  const folder = await openFolder(dirname(path));
  const target = folder.at(basename(path));
  const temporary = folder.at(temporaryName(basename(path)));
  const forget = removeIfEnded(temporary);
  const discard = async (): Promise<void> => {
    await rm(temporary, { force: true });
    forget();
    await folder.close();
  };
  let file: FileHandle;
  try {
    file = await open(temporary, "wx", mode);
  } catch (error) {
    await discard();
    throw error;
  }
  return {
    write: (content) => writeContent(file, content),
    async place({ overwrite, instead }) {
      if (instead !== undefined) await keepModeAndOwner(file, instead);
      await file.sync();
      const placed = await file.stat();
      await requireSame(temporary, placed, `the temporary file of ${path}`);
      if (instead !== undefined) await requireUnchanged(target, instead, path);
      await (overwrite || instead !== undefined ? rename(temporary, target) : placeNew(temporary, target));
      await folder.sync();
      return placed;
    },
    async discard() {
      await file.close();
      await discard();
    },
  };
}

/**
 * Reads the text of a file, without a byte order mark. Returns undefined if there is no file.
 *
 * @throws what the file system throws; `invalid-argument` for a pipe or a device, which would be waited for
 */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await closing(await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)), async (file) => {
      const status = await file.stat();
      if (!status.isFile() && !status.isDirectory())
        throw invalidArgument(`${path} is no regular file`, "name a file, not a pipe or a device");
      return withoutMark(await file.readFile("utf8"));
    });
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Removes the temporary files that killed processes left beside a path. Call it only while no other process writes that path. */
export async function removeLeftovers(path: string): Promise<void> {
  const end = temporaryEnd(basename(path));
  for (const name of await readdir(dirname(path))) {
    const isLeftover = name.endsWith(end) && LEFTOVER_START.test(name.slice(0, -end.length));
    if (isLeftover) await rm(join(dirname(path), name), { force: true });
  }
}

/** Makes a name that is short enough for every file system, however long `name` is. */
function temporaryName(name: string): string {
  return `.envelock-${crypto.randomUUID()}${temporaryEnd(name)}`;
}

function temporaryEnd(name: string): string {
  return `-${name.slice(0, 48)}.tmp`;
}

async function keepModeAndOwner(file: FileHandle, { uid, gid, mode }: Stats): Promise<void> {
  const own = await file.stat();
  if (own.uid !== uid || own.gid !== gid) await file.chown(uid, gid);
  await file.chmod(mode & PERMISSIONS);
}

async function requireUnchanged(target: string, before: Stats, path: string): Promise<void> {
  const now = await requireSame(target, before, path);
  if (now.size !== before.size || now.mtimeMs !== before.mtimeMs) throw changed(path);
}

/** @throws `unavailable` if the path names another file, or a link */
async function requireSame(target: string, file: Stats, path: string): Promise<Stats> {
  const now = await lstat(target).catch((error: unknown) => {
    throw systemCodeOf(error) === "ENOENT" ? changed(path) : error;
  });
  if (now.dev !== file.dev || now.ino !== file.ino || !now.isFile()) throw changed(path);
  return now;
}

function changed(path: string): EnvelockError {
  return new EnvelockError("unavailable", `${path} was changed by another process meanwhile`, { hint: "run it again" });
}

/** Places a file and never replaces one: a hard link fails where a rename would not. Without hard links, an empty file claims the name. */
async function placeNew(temporary: string, target: string): Promise<void> {
  try {
    await link(temporary, target);
  } catch (error) {
    if (!LINKS_MISSING.has(systemCodeOf(error) ?? "")) throw error;
    await closing(await open(target, "wx", OWNER_ALONE), async () => undefined);
    await rename(temporary, target);
  }
}

async function writeContent(file: FileHandle, content: FileContent): Promise<void> {
  if (typeof content === "string") return await file.writeFile(content, "utf8");
  let writing: Promise<void> = Promise.resolve();
  try {
    for await (const batch of content) {
      await writing;
      writing = writeBatch(file, batch);
      writing.catch(() => undefined); // awaited at the next turn
    }
    await writing;
  } finally {
    await writing.catch(() => undefined); // the file is closed after this
  }
}

async function writeBatch(file: FileHandle, batch: Uint8Array): Promise<void> {
  for (let written = 0; written < batch.length; ) {
    const { bytesWritten } = await file.write(batch, written, batch.length - written, null);
    written += bytesWritten;
  }
}

interface Folder {
  /** The path of a name in it. */
  at(name: string): string;
  /** Makes new names survive a power cut, where the system allows a folder to be synced. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a folder. One that cannot be opened, as on Windows or without the right to list it, is known by its path alone, and so is one whose
 * handle Node's permission model does not let through.
 */
async function openFolder(path: string): Promise<Folder> {
  const handle = await open(path, constants.O_RDONLY | (constants.O_DIRECTORY ?? 0)).catch(() => undefined);
  if (handle === undefined) return { at: (name) => join(path, name), sync: async () => undefined, close: async () => undefined };
  const own = `/proc/self/fd/${handle.fd}`;
  const [opened, linked] = await Promise.all([handle.stat(), stat(own).catch(() => undefined)]);
  const isAllowed = process.permission?.has("fs.write", own) ?? true;
  const isReachable = isAllowed && linked?.dev === opened.dev && linked.ino === opened.ino;
  return { at: (name) => join(isReachable ? own : path, name), sync: () => synced(handle), close: () => handle.close() };
}

async function synced(folder: FileHandle): Promise<void> {
  try {
    await folder.sync();
  } catch (error) {
    if (!SYNC_MISSING.has(systemCodeOf(error) ?? "")) throw error;
  }
}

async function closing<T>(handle: FileHandle, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}

const OWNER_ALONE = 0o600;
const PERMISSIONS = 0o777;
const LINKS_MISSING: ReadonlySet<string> = new Set(["EPERM", "EACCES", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"]);
const SYNC_MISSING: ReadonlySet<string> = new Set(["EINVAL", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EPERM", "EACCES"]);
const LEFTOVER_START = /^\.envelock-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
