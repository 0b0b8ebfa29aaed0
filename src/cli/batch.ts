import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Command } from "commander";
import { invalidArgument } from "../core/base/errors.ts";
import { isReaderGone, systemError, tellFailure, usageError } from "./failure.ts";
import { inOrder } from "./in-order.ts";
import { STANDARD_STREAM } from "./input.ts";
import { addParallelOption } from "./options.ts";
import { printLines } from "./output.ts";
import { blobsAt } from "./places/blobs-at.ts";
import type { BatchFile } from "./places/store-kind.ts";
import { namesMany, type Stores, storePlaceOf, textOfSource } from "./places/store-place.ts";
import { type Progress, progressOn } from "./progress.ts";

export interface BatchOptions {
  readonly recursive?: boolean;
  readonly parallel?: number;
  readonly debug?: boolean;
  /** Whether the line at the end is left out. */
  readonly isSilent?: boolean;
}

/** What became of a file, such as `encrypted`: the summary counts them. */
export type Outcome = string;

/** What a verb made of a file. */
export interface Done {
  readonly outcome: Outcome;
  /** What is printed of it, when its turn comes. */
  readonly text?: string;
}

/** How the name of an envelope ends that `encrypt` makes of a file. */
export const ENVELOPE_ENDING = ".envelock";

/** Whether a file that is found in a folder is taken for an envelope. */
export function isEnvelope(name: string): boolean {
  return name.endsWith(ENVELOPE_ENDING);
}

export function addRecursiveOption(command: Command, taken: string): Command {
  return addParallelOption(
    command.option("--recursive", `take ${taken} in the folders that are named, and in those below them; of a store, the blobs below`),
  );
}

/** Whether results are files beside the inputs, or below a folder, with a line for each: so it is for all but a single file. */
export function isBatch(files: readonly string[], { recursive = false }: BatchOptions): boolean {
  if (files.length > 1 && files.includes(STANDARD_STREAM)) throw usageError("standard input is taken alone", "name the files without -");
  return files.length > 1 || recursive || files.some(isMany);
}

/**
 * Does the same with each file, several at once. A file that fails is reported and does not end the batch; the exit code is then 1. Reports
 * come in the order of the files. At the end one line counts what became of them.
 *
 * @param wants whether a file that is found in a folder is taken; what is named itself always is, and so are blobs
 * @param one gets a function that is told how many bytes of the file have been worked on
 */
export async function runBatch(
  files: readonly string[],
  stores: Stores,
  options: BatchOptions,
  wants: (name: string) => boolean,
  one: (file: BatchFile, onProgress: (doneBytes: number) => void) => Promise<Done>,
): Promise<void> {
  const counts = new Map<Outcome, number>();
  let failures = 0;
  const found = await allOf(files, stores, options, wants);
  const bar = batchProgress(found);
  try {
    for await (const settled of inOrder(found, options.parallel ?? 1, (each) => worked(each, one, bar))) {
      bar.end();
      if ("error" in settled) {
        const { error, item } = settled;
        if (isReaderGone(error)) throw error;
        tellFailure(error, options.debug === true, item.text);
        process.exitCode = 1;
        failures++;
        continue;
      }
      const { outcome, text } = settled.result;
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
      if (text !== undefined) await printLines(text);
    }
  } finally {
    bar.end();
  }
  if (failures > 0) counts.set("failed", failures); // last, whenever it was
  const parts = [...counts].map(([outcome, each]) => `${each.toLocaleString("en-US")} ${outcome}`);
  if (options.isSilent !== true) await printLines(parts.length === 0 ? "no files" : parts.join(", "));
}

/** What an argument led to: a file, or why there is none. */
type Found = { readonly text: string; readonly file: BatchFile } | { readonly text: string; readonly error: unknown };

async function worked(
  found: Found,
  one: (file: BatchFile, onProgress: (doneBytes: number) => void) => Promise<Done>,
  bar: Progress,
): Promise<Done> {
  if ("error" in found) throw found.error;
  const { sizeBytes = Number.POSITIVE_INFINITY } = found.file;
  let before = 0;
  const advance = (doneBytes: number): void => {
    const now = Math.min(doneBytes, sizeBytes); // an envelope is larger than its file
    bar.onProgress(now - before);
    before = now;
  };
  try {
    return await one(found.file, advance);
  } finally {
    if (Number.isFinite(sizeBytes)) advance(sizeBytes); // also what needed no reading
  }
}

/** One bar for all files. It is told how much more was done. */
function batchProgress(found: readonly Found[]): Progress {
  const sizes = found.map((each) => ("file" in each ? each.file.sizeBytes : 0));
  const total = sizes.every((size) => size !== undefined) ? sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0) : undefined;
  const { onProgress, end } = progressOn(process.stderr, total);
  let done = 0;
  return {
    onProgress(more) {
      done += more;
      onProgress(done);
    },
    end,
  };
}

async function allOf(
  files: readonly string[],
  stores: Stores,
  options: BatchOptions,
  wants: (name: string) => boolean,
): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const named of files) {
    try {
      for await (const file of filesOf(named, stores, options, wants)) found.push({ text: textOfSource(file.source), file });
    } catch (error) {
      found.push({ text: named, error });
    }
  }
  return found;
}

/** Links are not followed and what is no regular file is left out: neither was named. */
async function* filesOf(
  named: string,
  stores: Stores,
  { recursive = false }: BatchOptions,
  wants: (name: string) => boolean,
): AsyncGenerator<BatchFile> {
  const place = storePlaceOf(named);
  if (place !== undefined) return yield* blobsAt(place, await stores.at(place), recursive);
  const found = await stat(named).catch((cause: unknown) => {
    if (recursive && named !== STANDARD_STREAM) throw systemError(`cannot read ${named}`, cause, named, { folders: true });
  });
  const isFolder = named !== STANDARD_STREAM && found?.isDirectory() === true;
  if (!isFolder) {
    yield { source: named, place: basename(named), ...(found?.isFile() && { sizeBytes: found.size }) };
    return;
  }
  if (!recursive) throw invalidArgument(`${named} is a folder`, "--recursive takes the files in it");
  yield* filesIn(named, "", wants);
}

async function* filesIn(folder: string, place: string, wants: (name: string) => boolean): AsyncGenerator<BatchFile> {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const [file, itsPlace] = [join(folder, entry.name), join(place, entry.name)];
    if (entry.isDirectory()) yield* filesIn(file, itsPlace, wants);
    else if (entry.isFile() && wants(entry.name)) yield { source: file, place: itsPlace, ...(await sizeShown(file)) };
  }
}

/** Sizes are for the progress bar alone. */
async function sizeShown(file: string): Promise<{ readonly sizeBytes?: number }> {
  if (process.stderr.isTTY !== true) return {};
  const found = await stat(file).catch(() => undefined);
  return found === undefined ? {} : { sizeBytes: found.size };
}

function isMany(argument: string): boolean {
  const place = storePlaceOf(argument);
  return place !== undefined && namesMany(place);
}
