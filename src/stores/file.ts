import { rm } from "node:fs/promises";
import { readIfThere, writeDurably } from "../core/base/durable-file.ts";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { fileError } from "../core/base/file-error.ts";
import { jsonIn } from "../core/base/json.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import type { DataKeyStore, StoredDataKey } from "../core/contracts/data-key-store.ts";
import type { Checkpoint } from "../fields/jobs/checkpoint.ts";
import { pageOf, type RowsInMemory, rowsInMemory } from "../fields/stores/memory.ts";
import { type FileStoreOptions, lockedFile } from "./locked-file.ts";
import { flatRow, scannedRow, storedRow, unreadableRow } from "./stored-row.ts";

export { type FileJobStoreOptions, fileJobStore } from "./file-jobs.ts";
export { fileTenantStore } from "./file-tenants.ts";
export type { FileStoreOptions } from "./locked-file.ts";

/**
 * Keeps data keys in one JSON file, for a single machine and some thousand keys at most: each change rewrites the whole file.
 *
 * A change takes a lock (`<path>.lock`), writes a new file beside the old one, syncs it and renames it. So after a crash the file is the
 * old or the new one, whole. Reads take no lock. Only the owner may read the file (mode 600). The keys in it are wrapped.
 *
 * @param path in a folder that exists and is on a file system with hard links; the file is created with the first key
 * @throws calls throw `access-denied`, `key-not-found` if there is no such folder, `unavailable` if another process holds the lock,
 *   `provider-failure` if the file is no store
 * @example
 * ```ts
 * import type { Keyring } from "envelock";
 * import { DataKeys } from "envelock/fields";
 * import { fileStore } from "envelock/stores/file";
 *
 * export const open = (keyring: Keyring) => new DataKeys({ keyring, store: fileStore("data-keys.json") });
 * ```
 */
export function fileStore(path: string, options: FileStoreOptions = {}): DataKeyStore {
  refuseUnknown(options, OPTIONS, "fileStore");
  const file = lockedFile(path, options);
  const reading = <T>(signal: AbortSignal | undefined, read: (content: Content) => Promise<T>): Promise<T> =>
    file.read(signal, (text) => read(contentOf(text, path)));
  const changing = async (
    signal: AbortSignal | undefined,
    scope: string | undefined,
    change: (store: RowsInMemory) => Promise<readonly boolean[]>,
  ): Promise<readonly boolean[]> => {
    let answers: readonly boolean[] = [];
    await file.change(signal, async (text) => {
      const content = contentOf(text, path);
      const store = await storeOf(content, scope);
      answers = await change(store);
      if (!answers.includes(true)) return undefined;
      return textOf(await store.scan({ limit: Number.POSITIVE_INFINITY }), content.unreadable);
    });
    return answers;
  };
  return {
    byKid: (scope, kid, options) => reading(options?.signal, async (content) => (await storeOf(content, scope)).byKid(scope, kid)),
    list: (scope, options) => reading(options?.signal, async (content) => (await storeOf(content, scope)).list(scope)),
    scan: (page, options) =>
      reading(options?.signal, async ({ rows, unreadable }) => pageOf([...rows, ...unreadable.map(scannedRow)], page)),
    async insertIfAbsent(row, options) {
      const [isInserted = false] = await changing(options?.signal, row.scope, async (store) => [await store.insertIfAbsent(row)]);
      return isInserted;
    },
    // another bad row of the scope hinders no change
    async compareAndSwap(row, expectedRevision, options) {
      const [isSwapped = false] = await changing(options?.signal, undefined, (store) =>
        store.compareAndSwapMany([{ row, expectedRevision }]),
      );
      return isSwapped;
    },
    compareAndSwapMany: (changes, options) => changing(options?.signal, undefined, (store) => store.compareAndSwapMany(changes)),
  };
}

/**
 * Keeps the progress of a job in a file of its own.
 *
 * @param path in a folder that exists
 * @throws calls throw `access-denied`, `key-not-found` if there is no such folder, `unavailable` or `provider-failure`
 *
 * @example
 * ```ts
 * import type { DataKeys } from "envelock/fields";
 * import { fileCheckpoint } from "envelock/stores/file";
 *
 * export const resumable = (dataKeys: DataKeys) => dataKeys.rewrapAll({ checkpoint: fileCheckpoint("rewrap.checkpoint") });
 * ```
 */
export function fileCheckpoint(path: string): Checkpoint {
  if (typeof path !== "string" || path === "") throw invalidArgument("path is the name of a file");
  const translated = async <T>(work: Promise<T>): Promise<T> =>
    await work.catch((error: unknown) => {
      throw fileError(path, error);
    });
  return {
    load: () => translated(readIfThere(path)),
    save: (state) => translated(state === undefined ? rm(path, { force: true }) : writeDurably(path, state, { overwrite: true })),
  };
}

interface Content {
  readonly rows: readonly StoredDataKey[];
  /** Rows that cannot be read. They stay in the file as they are. */
  readonly unreadable: readonly unknown[];
}

/** Applies the rules of the memory store and makes their results last. @throws `provider-failure` if a row of the scope cannot be read */
async function storeOf({ rows, unreadable }: Content, scope: string | undefined): Promise<RowsInMemory> {
  for (const given of unreadable) if (unreadableRow(given)?.scope === scope) storedRow(given);
  const store = rowsInMemory();
  for (const row of rows) {
    if (!(await store.insertIfAbsent(row))) throw new EnvelockError("provider-failure", "the file holds a data key twice");
  }
  return store;
}

function contentOf(text: string | undefined, path: string): Content {
  if (text === undefined) return { rows: [], unreadable: [] };
  const content: unknown = jsonIn(text);
  const isStore = typeof content === "object" && content !== null && "format" in content && content.format === FORMAT;
  if (!(isStore && "rows" in content && Array.isArray(content.rows)))
    throw new EnvelockError("provider-failure", `${path} is no file of data keys`);
  const given: readonly unknown[] = content.rows;
  const unreadable = given.filter((row) => scannedRow(row).state === "unreadable");
  return { rows: given.filter((row) => !unreadable.includes(row)).map(storedRow), unreadable };
}

function textOf(rows: readonly StoredDataKey[], unreadable: readonly unknown[]): string {
  return `${JSON.stringify({ format: FORMAT, rows: [...rows.map(flatRow), ...unreadable] }, undefined, 2)}\n`;
}

const OPTIONS: OptionNames<FileStoreOptions> = { maxLockWaitMs: true };
const FORMAT = "envelock-data-keys/1";
