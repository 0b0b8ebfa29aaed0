import { constants, type Stats } from "node:fs";
import { type FileHandle, open, readFile, realpath } from "node:fs/promises";
import { platform } from "node:process";
import { setTimeout as after } from "node:timers/promises";
import { concatBytes } from "../../src/core/base/bytes.ts";
import { writeDurably } from "../../src/core/base/durable-file.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { fileError, systemCodeOf } from "../../src/core/base/file-error.ts";
import { withFileLock } from "../../src/core/base/file-lock.ts";
import { refuseUnknown } from "../../src/core/base/options.ts";
import { formatKeyset, type Keyset, parseKeyset } from "./keyset.ts";

/**
 * Reads a keyset from a file or a pipe, such as `/dev/fd/63` of a shell's `<(…)`.
 *
 * A file that group or others may write is refused, and so is one that holds a secret and that all users of the machine may read. The
 * second is allowed on a read-only mount, where orchestrators put the secrets of a container. Windows has no such modes, so there
 * nothing is checked.
 *
 * @throws `key-not-found` if there is no such file; `access-denied` if it may not be read, or too many may; `invalid-argument` if it
 *   is no keyset; `timeout` if nothing comes out of a pipe; `provider-failure` for other failures of the file system
 * @example
 * ```ts
 * import { Keyring } from "envelock";
 * import { readKeysetFile } from "envelock/keyset-file";
 * import { keysetProviders } from "envelock/providers/local";
 *
 * const [primary, ...others] = keysetProviders(await readKeysetFile("/run/secrets/keys.json"));
 * const keyring = new Keyring({ wrapWith: [primary], unwrapWith: others });
 * ```
 */
export async function readKeysetFile(path: string): Promise<Keyset> {
  try {
    // without O_NONBLOCK a pipe that nothing writes to would block here for ever
    const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      // of the open file, not of the path: between two looks at a path another file can be put there
      const status = await handle.stat();
      if (status.isFIFO()) return parseKeyset(await readPipe(handle, path));
      if (!status.isFile()) throw invalidArgument(`${path} is neither a file nor a pipe`, "name the file that holds the keyset");
      if (status.size > MAX_BYTES) throw tooLarge(path);
      const keyset = parseKeyset(await handle.readFile());
      await requirePrivate(path, handle, status, keyset);
      return keyset;
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(path, error);
  }
}

export interface WriteKeysetOptions {
  /** Whether an existing file is replaced. Default false: it is refused. */
  readonly overwrite?: boolean;
}

/**
 * Writes a keyset file that its owner alone may read. After a crash the file is either the old one or the new one, whole. To change a
 * keyset that other processes may change too, use `updateKeysetFile`.
 *
 * @throws `invalid-argument` if the file exists or the keyset is bad; `access-denied`; `provider-failure` for other failures of the
 *   file system
 * @example
 * ```ts
 * import { writeKeysetFile } from "envelock/keyset-file";
 * import { generateKeysetKey } from "envelock/providers/local";
 *
 * const key = await generateKeysetKey({ type: "aes-256", keyId: "orders-2026-11", created: new Date().toISOString() });
 * await writeKeysetFile("keys.json", { primary: key.keyId, keys: [key] });
 * ```
 */
export async function writeKeysetFile(path: string, keyset: Keyset, options: WriteKeysetOptions = {}): Promise<void> {
  refuseUnknown(options, { overwrite: true }, "writeKeysetFile");
  const overwrite = options.overwrite === true;
  const json = formatKeyset(keyset);
  try {
    await writeDurably(path, json, { overwrite });
  } catch (error) {
    throw fileError(path, error);
  }
}

/**
 * Changes a keyset file: reads it, calls `change` and writes what it returns. A lock (`<path>.lock`) lets one process at a time do so,
 * so that two that add a key at once both keep theirs. Where `path` is a link, the file that it names is changed.
 *
 * @param change gets the keyset as it stands in the file; what it throws leaves the file as it was
 * @returns the keyset that was written
 * @throws as `readKeysetFile` and `writeKeysetFile`; `unavailable` if another process holds the lock for ten seconds
 * @example
 * ```ts
 * import { updateKeysetFile } from "envelock/keyset-file";
 * import { generateKeysetKey } from "envelock/providers/local";
 *
 * const key = await generateKeysetKey({ type: "aes-256", keyId: "orders-2026-12", created: new Date().toISOString() });
 * await updateKeysetFile("keys.json", ({ primary, keys }) => ({ primary, keys: [...keys, key] }));
 * ```
 */
export async function updateKeysetFile(path: string, change: (keyset: Keyset) => Keyset | Promise<Keyset>): Promise<Keyset> {
  try {
    const file = await realpath(path);
    return await withFileLock(`${file}.lock`, MAX_LOCK_WAIT_MS, async () => {
      const changed = await change(await readKeysetFile(file));
      await writeKeysetFile(file, changed, { overwrite: true });
      return changed;
    });
  } catch (error) {
    throw fileError(path, error);
  }
}

/** Reads until every writer has closed the pipe. A pipe without a writer looks like its end until something came out of it. */
async function readPipe(handle: FileHandle, path: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (let waitedMs = 0; ; ) {
    const part = await readNow(handle);
    if (part === undefined || (part.length === 0 && length === 0)) {
      if (waitedMs >= (part === undefined ? MAX_WRITER_MS : MAX_PIPE_WAIT_MS)) throw nothingCame(path);
      await after(PIPE_POLL_MS);
      waitedMs += PIPE_POLL_MS;
      continue;
    }
    if (part.length === 0) return concatBytes(...parts);
    length += part.length;
    if (length > MAX_BYTES) throw tooLarge(path);
    parts.push(part);
  }
}

/** @returns undefined if there is a writer that has written nothing yet */
async function readNow(handle: FileHandle): Promise<Uint8Array | undefined> {
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(MAX_BYTES), 0, MAX_BYTES, null);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if (systemCodeOf(error) === "EAGAIN") return undefined;
    throw error;
  }
}

async function requirePrivate(path: string, handle: FileHandle, { mode }: Stats, { keys }: Keyset): Promise<void> {
  if (platform === "win32") return;
  const holdsSecret = keys.some(({ secret }) => secret !== undefined);
  if ((mode & 0o022) !== 0)
    throw tooOpen(path, mode, "others than its owner may change it", `chmod ${holdsSecret ? "600" : "go-w"} ${path}`);
  if (!holdsSecret || (mode & 0o004) === 0 || (await isOnReadOnlyMount(handle))) return;
  throw tooOpen(
    path,
    mode,
    "every user of this machine may read its secrets",
    `chmod 600 ${path}, or mount it read-only if it is a container's secret`,
  );
}

/** proc(5): the mount that an open file is on, and the options of that mount. False where the system does not say. */
async function isOnReadOnlyMount({ fd }: FileHandle): Promise<boolean> {
  try {
    const [, mount] = /^mnt_id:\s*(\d+)$/m.exec(await readFile(`/proc/self/fdinfo/${fd}`, "utf8")) ?? [];
    const lines = (await readFile("/proc/self/mountinfo", "utf8")).split("\n").map((line) => line.split(" "));
    const [, , , , , options = ""] = lines.find(([id]) => id === mount) ?? [];
    return mount !== undefined && options.split(",").includes("ro");
  } catch {
    return false;
  }
}

function tooOpen(path: string, mode: number, why: string, hint: string): EnvelockError {
  return new EnvelockError("access-denied", `${path} has mode ${(mode & 0o777).toString(8)}: ${why}`, { hint });
}

function tooLarge(path: string): EnvelockError {
  return invalidArgument(`${path} is larger than 1 MiB: no keyset is`, "name the file that holds the keyset");
}

function nothingCame(path: string): EnvelockError {
  return new EnvelockError("timeout", `nothing came out of the pipe ${path}`, { hint: "let a program write the keyset to it meanwhile" });
}

const MAX_BYTES = 2 ** 20;
const MAX_LOCK_WAIT_MS = 10_000;
const PIPE_POLL_MS = 10;
const MAX_PIPE_WAIT_MS = 5_000;
const MAX_WRITER_MS = 60_000; // a program that has the pipe open may have to ask for a password first
