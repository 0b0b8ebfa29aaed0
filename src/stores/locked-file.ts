import { readIfThere, removeLeftovers, writeDurably } from "../core/base/durable-file.ts";
import { invalidArgument } from "../core/base/errors.ts";
import { fileError } from "../core/base/file-error.ts";
import { withFileLock } from "../core/base/file-lock.ts";

export interface FileStoreOptions {
  /** The time that a change waits for a lock of another process, before it throws `unavailable`. Default 10,000. */
  readonly maxLockWaitMs?: number;
}

/** The text of a file that several processes read and change. */
export interface LockedFile {
  /** Reads the text, without a lock. @throws the signal's reason; `access-denied` and the like; what `read` throws */
  read<T>(signal: AbortSignal | undefined, read: (text: string | undefined) => Promise<T>): Promise<T>;
  /**
   * Changes the text under the lock. Changes of this process wait for each other, and then for other processes.
   *
   * @param change returns the new text, or undefined to leave the file as it is
   * @returns whether the file was written
   */
  change(signal: AbortSignal | undefined, change: (text: string | undefined) => Promise<string | undefined>): Promise<boolean>;
}

/** @throws `invalid-argument` for a path or a wait that is none */
export function lockedFile(path: string, { maxLockWaitMs = 10_000 }: FileStoreOptions): LockedFile {
  if (typeof path !== "string" || path === "") throw invalidArgument("path is the name of a file");
  if (typeof maxLockWaitMs !== "number" || !(maxLockWaitMs >= 0)) throw invalidArgument("maxLockWaitMs is a number of at least 0");
  let before: Promise<unknown> = Promise.resolve();
  const changeNow = async (change: (text: string | undefined) => Promise<string | undefined>): Promise<boolean> => {
    const text = await change(await readIfThere(path));
    if (text === undefined) return false;
    await removeLeftovers(path); // they hold wrapped keys that may have been shredded since
    await writeDurably(path, text, { overwrite: true });
    return true;
  };
  return {
    async read(signal, read) {
      signal?.throwIfAborted();
      try {
        return await read(await readIfThere(path));
      } catch (error) {
        throw fileError(path, error);
      }
    },
    async change(signal, change) {
      signal?.throwIfAborted();
      const changed = before.then(() => withFileLock(`${path}.lock`, maxLockWaitMs, () => changeNow(change))); // one after the other: the lock is for others
      before = changed.catch(() => undefined);
      return await changed.catch((error: unknown) => {
        throw fileError(path, error);
      });
    },
  };
}
