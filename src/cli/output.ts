import { lstatSync, type Stats } from "node:fs";
import { pipeline } from "node:stream/promises";
import { utf8 } from "../core/base/bytes.ts";
import { writeDurably } from "../core/base/durable-file.ts";
import { type EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { systemCodeOf } from "../core/base/file-error.ts";
import { readerGone, systemError, usageError } from "./failure.ts";
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
  return async (chunks) => {
    try {
      await writeDurably(out, chunks, { overwrite: force, mode });
    } catch (cause) {
      throw systemCodeOf(cause) === "EEXIST" ? exists(out) : systemError(`cannot write ${out}`, cause);
    }
  };
}

/**
 * Replaces a file that was read before, keeping its mode and owner.
 *
 * @param path with no symbolic link in its last part
 * @param before what the open file was when it was read
 * @throws `unavailable` if the path names another file by now, or the file has changed
 */
export function inPlaceOf(path: string, before: Stats): Output {
  return async (chunks) => {
    try {
      await writeDurably(path, chunks, { overwrite: true, instead: before });
    } catch (cause) {
      throw systemError(`cannot write ${path}`, cause);
    }
  };
}

export async function printLines(text: string): Promise<void> {
  await writeStandardOutput([utf8(`${text}\n`)]);
}

/** Writes what has been made so far, and leaves it there when the rest fails. */
export async function writeStandardOutput(chunks: Chunks): Promise<void> {
  try {
    await pipeline(chunks, process.stdout, { end: false });
  } catch (cause) {
    throw GONE.has(systemCodeOf(cause) ?? "") ? readerGone(cause) : systemError("cannot write standard output", cause);
  }
}

function checkTarget(target: string, force: boolean): void {
  const stats = lstatSync(target, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (stats.isDirectory()) throw invalidArgument(`${target} is a folder`, "name a file in it with --out");
  if (!stats.isFile() && !stats.isSymbolicLink()) throw invalidArgument(`${target} is not a regular file`, "--out - is standard output");
  if (!force) throw exists(target);
}

function exists(target: string): EnvelockError {
  return invalidArgument(`${target} exists`, "--force replaces it");
}

/** Ciphertext: as open as the umask lets any other file be. */
export const NEW_FILE_MODE = 0o666;
/** Plaintext and secret keys. */
export const OWNER_ALONE = 0o600;

// what a stream says whose other end was closed
const GONE: ReadonlySet<string> = new Set(["EPIPE", "ECONNRESET", "ERR_STREAM_PREMATURE_CLOSE"]);
