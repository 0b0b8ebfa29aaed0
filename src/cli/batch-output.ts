import { mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { checkedName } from "../blobs/name.ts";
import { invalidArgument } from "../core/base/errors.ts";
import { ENVELOPE_ENDING } from "./batch.ts";
import { systemError, usageError } from "./failure.ts";
import type { OutputOptions } from "./options.ts";
import type { BatchFile, Source } from "./places/store-kind.ts";
import { storePlaceOf } from "./places/store-place.ts";

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

/**
 * Checks that `--out` is no place in a store: plaintext goes to none, and an envelope goes there by `encrypt` alone.
 *
 * @throws `invalid-argument`
 */
export function requireFileOut({ out }: OutputOptions): void {
  if (out === undefined || storePlaceOf(out) === undefined) return;
  throw usageError("--out names a file here", "`envelock encrypt` writes to a store; `envelock rewrap` of a blob works in its place");
}

/**
 * The envelope that a file of a batch becomes: beside it, or at the same place below `--out`.
 *
 * @throws `invalid-argument` for a blob without `--out`
 */
export async function envelopeOf({ source, place }: BatchFile, { out }: OutputOptions): Promise<string> {
  if (out !== undefined) return await below(out, `${place}${ENVELOPE_ENDING}`);
  return `${besideFile(source)}${ENVELOPE_ENDING}`;
}

/**
 * The file that an envelope of a batch becomes. The name of a blob may lack the ending of envelopes.
 *
 * @param place in place of the envelope's own
 * @throws `invalid-argument` if the name of a file does not end as those of envelopes do
 */
export async function plainFileOf({ source, place }: BatchFile, { out }: OutputOptions): Promise<string> {
  if (typeof source !== "string") {
    if (out === undefined) besideFile(source);
    const own = place.endsWith(ENVELOPE_ENDING) && place !== ENVELOPE_ENDING ? place.slice(0, -ENVELOPE_ENDING.length) : place;
    return await below(out ?? "", checkedName(own));
  }
  if (!source.endsWith(ENVELOPE_ENDING) || place === ENVELOPE_ENDING) {
    throw invalidArgument(`the name ${source} does not end in ${ENVELOPE_ENDING}`, "decrypt it alone, with --out <file>");
  }
  return out === undefined ? source.slice(0, -ENVELOPE_ENDING.length) : await below(out, place.slice(0, -ENVELOPE_ENDING.length));
}

function besideFile(source: Source): string {
  if (typeof source === "string") return source;
  throw invalidArgument(`nothing can be written beside ${source.text}`, "--out names a folder for the results");
}

async function below(folder: string, place: string): Promise<string> {
  const target = join(folder, place);
  await mkdir(dirname(target), { recursive: true }).catch((cause: unknown) => {
    throw systemError(`cannot make the folder ${dirname(target)}`, cause);
  });
  return target;
}
