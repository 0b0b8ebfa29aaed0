import { mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { invalidArgument } from "../core/base/errors.ts";
import { type BatchFile, ENVELOPE_ENDING } from "./batch.ts";
import { systemError, usageError } from "./failure.ts";
import type { OutputOptions } from "./options.ts";

/** Checks that `--out` of a batch is a folder. @throws `invalid-argument` */
export async function requireFolder({ out }: OutputOptions): Promise<void> {
  if (out === undefined) return;
  const isFolder = (await stat(out).catch(() => undefined))?.isDirectory() === true;
  if (!isFolder)
    throw usageError(
      "of several files, --out names a folder that is there",
      "make it first, or leave --out away: results then stand beside the files",
    );
}

/** The envelope that a file of a batch becomes: beside it, or at the same place below `--out`. */
export async function envelopeOf({ file, place }: BatchFile, { out }: OutputOptions): Promise<string> {
  return out === undefined ? `${file}${ENVELOPE_ENDING}` : await below(out, `${place}${ENVELOPE_ENDING}`);
}

/** The file that an envelope of a batch becomes. @throws `invalid-argument` if its name does not end as those of envelopes do */
export async function plainFileOf({ file, place }: BatchFile, { out }: OutputOptions): Promise<string> {
  if (!file.endsWith(ENVELOPE_ENDING) || place === ENVELOPE_ENDING) {
    throw invalidArgument(`the name ${file} does not end in ${ENVELOPE_ENDING}`, "decrypt it alone, with --out <file>");
  }
  return out === undefined ? file.slice(0, -ENVELOPE_ENDING.length) : await below(out, place.slice(0, -ENVELOPE_ENDING.length));
}

async function below(folder: string, place: string): Promise<string> {
  const target = join(folder, place);
  await mkdir(dirname(target), { recursive: true }).catch((cause: unknown) => {
    throw systemError(`cannot make the folder ${dirname(target)}`, cause);
  });
  return target;
}
