import { type FileHandle, link, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { platform } from "node:process";
import { systemCodeOf } from "./file-error.ts";

/**
 * Writes a file that its owner alone may read. After a crash it is either as before or whole, and once this resolves it survives a
 * power cut.
 *
 * @param options.overwrite whether an existing file is replaced; else this rejects with `EEXIST`
 * @throws what the file system throws
 */
export async function writeDurably(path: string, text: string, { overwrite }: { readonly overwrite: boolean }): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await closing(await open(temporary, "wx", 0o600), async (file) => {
      await file.writeFile(text, "utf8");
      await file.sync();
    });
    // a link never replaces what is there, a rename always does; both happen at once or not at all
    if (overwrite) await rename(temporary, path);
    else await link(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
  if (platform !== "win32") await closing(await open(dirname(path), "r"), (folder) => folder.sync());
}

/** The text of a file, or undefined if there is none. @throws what the file system throws */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function closing(handle: FileHandle, use: (handle: FileHandle) => Promise<void>): Promise<void> {
  try {
    await use(handle);
  } finally {
    await handle.close();
  }
}
