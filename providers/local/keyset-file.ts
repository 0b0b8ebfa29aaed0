import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { fileError } from "../../src/core/base/file-error.ts";
import { formatKeyset, type Keyset, parseKeyset } from "./keyset.ts";

/**
 * Reads a keyset file. Refuses one that group or others may read while it holds a secret, or that they may change at all; Windows
 * has no such modes, so there nothing is checked. Node only.
 *
 * @throws `key-not-found` if there is no such file; `access-denied` if it may not be read, or too many may; `invalid-argument` if it
 *   is no keyset; `provider-failure` for other failures of the file system
 */
export async function readKeysetFile(path: string): Promise<Keyset> {
  const { fs, isWindows } = await fileSystem();
  try {
    const handle = await fs.open(path, "r");
    try {
      // of the open file, not of the path: between two looks at a path somebody can put another file there
      const status = await handle.stat();
      if (!status.isFile()) throw invalidArgument(`${path} is not a file`);
      const keyset = parseKeyset(await handle.readFile("utf8"));
      const forbidden = isWindows ? 0 : keyset.keys.some(({ secret }) => secret !== undefined) ? 0o077 : 0o022;
      if ((status.mode & forbidden) !== 0) throw tooOpen(path, status.mode);
      return keyset;
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(path, error);
  }
}

/**
 * Writes a keyset file that its owner alone may read. Atomic: after a crash the file is either the old one or the new one, whole.
 * Node only.
 *
 * @param options.overwrite whether an existing file is replaced; else it is refused
 * @throws `invalid-argument` if the file exists or the keyset is bad; `access-denied`; `provider-failure` for other failures of the
 *   file system
 */
export async function writeKeysetFile(path: string, keyset: Keyset, options: { readonly overwrite?: boolean } = {}): Promise<void> {
  const json = formatKeyset(keyset);
  const { writeDurably } = await import("../../src/core/base/durable-file.ts"); // as the file system below
  try {
    await writeDurably(path, json, { overwrite: options.overwrite === true });
  } catch (error) {
    throw fileError(path, error);
  }
}

/** Loaded when asked for, so that this entry point can be imported where there are no files. */
async function fileSystem(): Promise<{
  readonly fs: typeof import("node:fs/promises");
  readonly isWindows: boolean;
}> {
  const [fs, { platform }] = await Promise.all([import("node:fs/promises"), import("node:process")]);
  return { fs, isWindows: platform === "win32" };
}

function tooOpen(path: string, mode: number): EnvelockError {
  return new EnvelockError("access-denied", `${path} has mode ${(mode & 0o777).toString(8)}: others than its owner may use it`, {
    hint: `chmod 600 ${path}`,
  });
}
