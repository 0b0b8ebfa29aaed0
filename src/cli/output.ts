import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  closeSync,
  createWriteStream,
  existsSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
  type Stats,
} from "node:fs";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { toHex, utf8 } from "../core/base/bytes.ts";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { systemError, systemErrorOf, usageError } from "./failure.ts";
import { STANDARD_STREAM } from "./input.ts";
import type { OutputOptions } from "./options.ts";

/** Where a result goes. A file stands there once all of `chunks` has been written; if they throw, it stays as it was. */
export type Output = (chunks: Chunks) => Promise<void>;

type Chunks = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/**
 * Checks where a result is to go, before any work is done for it. Without `out` that is standard output.
 *
 * @param mode of a new file, less the umask
 * @throws `invalid-argument` if the file exists and `force` is not given, or cannot be replaced, or if bytes would go to a terminal
 */
export function openOutput({ out, force = false }: OutputOptions, mode: number): Output {
  if (out === undefined && process.stdout.isTTY) {
    throw usageError("the result would go to the terminal", "name a file with --out, or insist with --out -");
  }
  if (out === undefined || out === STANDARD_STREAM) return writeStandardOutput;
  checkTarget(out, force);
  return (chunks) => writeFile(out, chunks, mode, force ? renameSync : placeNew);
}

/**
 * Replaces a file that was read before, keeping its mode and owner.
 *
 * @param path with no symbolic link in its last part
 * @param before what the file was when it was read
 * @throws `unavailable` if the file has changed since
 */
export function inPlaceOf(path: string, before: Stats): Output {
  const place = (temporary: string): void => {
    const now = lstatSync(path);
    if (now.ino !== before.ino || now.size !== before.size || now.mtimeMs !== before.mtimeMs) {
      throw new EnvelockError("unavailable", `${path} was changed by somebody else meanwhile`, { hint: "run it again" });
    }
    const own = lstatSync(temporary);
    if (own.uid !== before.uid || own.gid !== before.gid) chownSync(temporary, before.uid, before.gid);
    chmodSync(temporary, before.mode & PERMISSIONS);
    renameSync(temporary, path);
  };
  return (chunks) => writeFile(path, chunks, before.mode & PERMISSIONS, place);
}

export async function printLines(text: string): Promise<void> {
  await writeStandardOutput([utf8(`${text}\n`)]);
}

async function writeStandardOutput(chunks: Chunks): Promise<void> {
  try {
    await pipeline(chunks, process.stdout, { end: false });
  } catch (cause) {
    throw systemError("cannot write standard output", cause);
  }
}

// A temporary file in the same folder, so that the last step is one rename.
async function writeFile(target: string, chunks: Chunks, mode: number, place: (temporary: string, target: string) => void): Promise<void> {
  const folder = dirname(target);
  const temporary = join(folder, `.envelock-${toHex(randomBytes(8))}.tmp`);
  const forget = removeOnSignal(temporary);
  try {
    const fd = openSync(temporary, "wx", mode);
    await pipeline(chunks, createWriteStream(temporary, { fd, flush: true }));
    place(temporary, target);
    syncFolder(folder);
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw systemError(`cannot write ${target}`, cause);
  } finally {
    forget();
  }
}

function checkTarget(target: string, force: boolean): void {
  const stats = lstatSync(target, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isFile() && !stats.isSymbolicLink()) throw invalidArgument(`${target} is not a regular file`, "- is standard output");
  if (!force) throw exists(target);
}

/** Never replaces: a hard link fails if somebody made the target meanwhile, where a rename would not. */
function placeNew(temporary: string, target: string): void {
  try {
    linkSync(temporary, target);
  } catch (error) {
    const [name] = systemErrorOf(error);
    if (existsSync(target)) throw exists(target);
    if (!LINKS_MISSING.has(name)) throw error;
    renameSync(temporary, target);
    return;
  }
  rmSync(temporary);
}

function exists(target: string): EnvelockError {
  return invalidArgument(`${target} exists`, "--force replaces it");
}

/** Removes the file when a signal ends the process; the signal then does what it would have done. */
function removeOnSignal(path: string): () => void {
  const forget = (): void => {
    for (const signal of ENDING_SIGNALS) process.off(signal, remove);
  };
  const remove = (signal: NodeJS.Signals): void => {
    rmSync(path, { force: true });
    forget();
    process.kill(process.pid, signal);
  };
  for (const signal of ENDING_SIGNALS) process.on(signal, remove);
  return forget;
}

/** Makes the new name last through a power cut. Best effort: not every system lets a folder be synced. */
function syncFolder(folder: string): void {
  try {
    const fd = openSync(folder, "r");
    fsyncSync(fd);
    closeSync(fd);
  } catch {}
}

/** Ciphertext: as open as the umask lets any other file be. */
export const NEW_FILE_MODE = 0o666;
/** Plaintext and secret keys. */
export const OWNER_ALONE = 0o600;

const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const LINKS_MISSING: ReadonlySet<string> = new Set(["EPERM", "EACCES", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"]);
const PERMISSIONS = 0o777;
