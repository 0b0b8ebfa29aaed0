import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Command } from "commander";
import { invalidArgument } from "../core/base/errors.ts";
import { isReaderGone, systemError, tellFailure, usageError } from "./failure.ts";
import { STANDARD_STREAM } from "./input.ts";
import { printLines } from "./output.ts";

export interface BatchOptions {
  readonly recursive?: boolean;
  readonly debug?: boolean;
  /** Whether the line at the end is left out. */
  readonly isSilent?: boolean;
}

/** A file of a batch. */
export interface BatchFile {
  readonly file: string;
  /** Its place below the folder that was named, or its name: where it goes below another folder. */
  readonly place: string;
}

/** What became of a file, such as `encrypted`: the summary counts them. */
export type Outcome = string;

/** How the name of an envelope ends that `encrypt` makes of a file. */
export const ENVELOPE_ENDING = ".envelock";

/** Whether a file that is found in a folder is taken for an envelope. */
export function isEnvelope(name: string): boolean {
  return name.endsWith(ENVELOPE_ENDING);
}

export function addRecursiveOption(command: Command, taken: string): Command {
  return command.option("--recursive", `take ${taken} in the folders that are named, and in those below them`);
}

/** Whether results are files beside the inputs, or below a folder, with a line for each: so it is for all but a single file. */
export function isBatch(files: readonly string[], { recursive = false }: BatchOptions): boolean {
  if (files.length > 1 && files.includes(STANDARD_STREAM)) throw usageError("standard input is taken alone", "name the files without -");
  return files.length > 1 || recursive;
}

/**
 * Does the same with each file, one after the other. A file that fails is reported and does not end the batch; the exit code is then
 * 1. At the end one line counts what became of the files.
 *
 * @param wants whether a file that is found in a folder is taken; what is named itself always is
 */
export async function runBatch(
  files: readonly string[],
  options: BatchOptions,
  wants: (name: string) => boolean,
  one: (file: BatchFile) => Promise<Outcome>,
): Promise<void> {
  const counts = new Map<Outcome, number>();
  const count = (outcome: Outcome): void => void counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  let failures = 0;
  const failed = (error: unknown, file: string): void => {
    if (isReaderGone(error)) throw error;
    tellFailure(error, options.debug === true, file);
    process.exitCode = 1;
    failures++;
  };
  for (const named of files) {
    try {
      for await (const found of filesOf(named, options, wants)) await one(found).then(count, (error: unknown) => failed(error, found.file));
    } catch (error) {
      failed(error, named);
    }
  }
  if (failures > 0) counts.set("failed", failures); // last, whenever it was
  const parts = [...counts].map(([outcome, each]) => `${each.toLocaleString("en-US")} ${outcome}`);
  if (options.isSilent !== true) await printLines(parts.length === 0 ? "no files" : parts.join(", "));
}

/** Links are not followed and what is no regular file is left out: neither was named. */
async function* filesOf(named: string, { recursive }: BatchOptions, wants: (name: string) => boolean): AsyncGenerator<BatchFile> {
  const found = await stat(named).catch((cause: unknown) => {
    if (recursive === true && named !== STANDARD_STREAM) throw systemError(`cannot read ${named}`, cause, named, { folders: true });
  });
  const isFolder = named !== STANDARD_STREAM && found?.isDirectory() === true;
  if (!isFolder) {
    yield { file: named, place: basename(named) };
    return;
  }
  if (recursive !== true) throw invalidArgument(`${named} is a folder`, "--recursive takes the files in it");
  yield* filesIn(named, "", wants);
}

async function* filesIn(folder: string, place: string, wants: (name: string) => boolean): AsyncGenerator<BatchFile> {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const [file, itsPlace] = [join(folder, entry.name), join(place, entry.name)];
    if (entry.isDirectory()) yield* filesIn(file, itsPlace, wants);
    else if (entry.isFile() && wants(entry.name)) yield { file, place: itsPlace };
  }
}
