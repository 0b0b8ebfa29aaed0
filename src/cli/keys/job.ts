import { type Command, Option } from "commander";
import type { DataKeyStore, StoredDataKey } from "../../core/contracts/data-key-store.ts";
import { DataKeys } from "../../fields/data-keys.ts";
import type { KeyRowsReport } from "../../fields/jobs/key-rows.ts";
import type { JobOptions } from "../../fields/jobs/pages.ts";
import { countText } from "../columns.ts";
import { withKeyring } from "../open-key.ts";
import { addStoreOptions, type StoreOptions, withStore } from "../open-store.ts";
import { addDebugOption, addKeyOptions, type KeyOptions, type RecipientOptions, wholeNumber } from "../options.ts";
import { printLines } from "../output.ts";
import { progressOn } from "../progress.ts";
import { terminalJson } from "../terminal-text.ts";
import { tellFailures, withPlainFailures } from "./describe.ts";

export interface KeysOptions extends KeyOptions, RecipientOptions, StoreOptions {
  readonly json?: boolean;
}

export interface KeysJobOptions extends KeysOptions {
  readonly concurrency?: number;
}

/** What every verb has that needs a key. */
export function addKeysOptions(command: Command, meaningOfKey: string): Command {
  addStoreOptions(command);
  addKeyOptions(command, meaningOfKey);
  command.option("--json", "as JSON");
  return addDebugOption(command);
}

/** What a verb has that goes over all data keys. */
export function addJobOptions(command: Command): Command {
  return command.addOption(
    new Option("--concurrency <count>", "keys that are worked on at once, 1 to 256 (default: 8)").argParser(countOf),
  );
}

/**
 * Data keys over the store and the keyring that the arguments name, for as long as `use` takes.
 *
 * @param inputs what the verb reads beside the keys: `-` if it asks a question on standard input
 */
export async function withDataKeys<T>(
  options: KeysOptions,
  use: (dataKeys: DataKeys, store: DataKeyStore) => Promise<T>,
  inputs: readonly string[] = [],
): Promise<T> {
  return await withStore(options, (store) =>
    withKeyring(options, inputs, async (keyring) => {
      const dataKeys = new DataKeys({ keyring, store });
      return await use(dataKeys, store).finally(() => dataKeys.close());
    }),
  );
}

/**
 * Runs a job with a progress bar, and prints what came of it.
 *
 * @param passes how often the job goes over all rows
 */
export async function runJob<R extends KeyRowsReport>(
  options: KeysJobOptions & { readonly debug?: boolean },
  passes: number,
  job: (dataKeys: DataKeys, options: JobOptions) => Promise<R>,
  table: (report: R) => string,
): Promise<void> {
  const report = await withDataKeys(options, async (dataKeys, store) => {
    const total = process.stderr.isTTY ? passes * (await rowsIn(store)) : undefined;
    const { onProgress, end } = progressOn(process.stderr, total, undefined, keyCount);
    const { concurrency } = options;
    const running = job(dataKeys, { onProgress: ({ rows }) => onProgress(rows), ...(concurrency !== undefined && { concurrency }) });
    return await running.finally(end);
  });
  await printLines(options.json === true ? terminalJson(withPlainFailures(report)) : table(report));
  tellFailures(report, options.debug === true);
}

/** Every row of the store, in the order of a scan. */
export async function* everyRow(store: DataKeyStore): AsyncGenerator<StoredDataKey> {
  let after: StoredDataKey | undefined;
  for (;;) {
    const rows = await store.scan({ after, limit: PAGE_ROWS });
    yield* rows;
    after = rows.at(-1);
    if (after === undefined) return;
  }
}

async function rowsIn(store: DataKeyStore): Promise<number> {
  let rows = 0;
  for await (const _row of everyRow(store)) rows++;
  return rows;
}

export function keyCount(keys: number): string {
  return countText(Math.round(keys), "key");
}

function countOf(text: string): number {
  return wholeNumber("--concurrency", text, { least: 1, most: 256, hint: "leave it out for 8" });
}

const PAGE_ROWS = 500;
