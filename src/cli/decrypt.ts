import { type Command, Option } from "commander";
import { type EncryptedBlob, encryptedStore } from "../blobs/index.ts";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import type { Keyring } from "../core/keyring/keyring.ts";
import { parseRange } from "../core/stream/http-range.ts";
import { streamPieces } from "../core/stream/stream-pieces.ts";
import { addRecursiveOption, type BatchOptions, isBatch, isEnvelope, runBatch } from "./batch.ts";
import { plainFileOf, requireFileOut, requireFolder } from "./batch-output.ts";
import { isReaderGone, usageError } from "./failure.ts";
import { envelopeIn, type Input, STANDARD_STREAM, withInput } from "./input.ts";
import { withKeyring } from "./open-key.ts";
import {
  addContextOption,
  addDebugOption,
  addKeyOptions,
  addLanesOption,
  addOutputOptions,
  type ContextOptions,
  type KeyOptions,
  type LaneOptions,
  type OutputOptions,
  valueOptions,
} from "./options.ts";
import { type Output, OWNER_ALONE, openOutput, writeStandardOutput } from "./output.ts";
import type { BlobContextOptions, Source, StoredInput, StoreOptions } from "./places/store-kind.ts";
import { addNameContextOption, addStoreOptions, contextOfBlob, Stores, shownSource } from "./places/store-place.ts";
import { barOf, type ProgressOf, partOf } from "./progress.ts";
import { terminalText } from "./terminal-text.ts";

interface DecryptOptions extends KeyOptions, ContextOptions, BlobContextOptions, OutputOptions, LaneOptions, BatchOptions, StoreOptions {
  readonly range?: string;
  readonly realNames?: boolean;
}

export function addDecrypt(program: Command): void {
  const command = program
    .command("decrypt")
    .summary("open an envelope")
    .description(
      "Decrypts an envelope. A file is written only if all of it is authentic, and a new one is readable by its owner alone. " +
        "Standard output gets what has been verified so far: if the end fails, so does the command, and what came before is not the whole.",
    )
    .argument("[files...]", "envelopes; - is standard input. Of several, each <file>.envelock becomes <file>", [STANDARD_STREAM]);
  addKeyOptions(command, "a keyset that can unwrap (repeatable)");
  addContextOption(command);
  addNameContextOption(command);
  addOutputOptions(command);
  command.addOption(
    new Option("--range <a-b>", "only bytes a to b, both included, of a file; a- is from a on, -n are the last n").argParser(rangeText),
  );
  command.option("--real-names", "give the files of several blobs the names that stand encrypted beside the blobs");
  addLanesOption(command);
  addRecursiveOption(command, "the envelopes (*.envelock)");
  addStoreOptions(command);
  addDebugOption(command);
  command.addHelpText(
    "after",
    `
Examples:
  envelock decrypt report.pdf.envelock --key keys.json --context object=reports/7 --out report.pdf
  envelock decrypt --key keys.json < photos.envelock | tar t
  envelock decrypt --key keys.json --recursive backup --out restored
  envelock decrypt --key keys.json az://acme/invoices/2026/7.pdf --range 0-1023 --out beginning
  envelock decrypt --key keys.json 'az://acme/invoices/2026/*.pdf' --out restored`,
  );
  command.action(decrypt);
}

async function decrypt(files: readonly string[], options: DecryptOptions): Promise<void> {
  requireFileOut(options);
  const stores = new Stores(options);
  if (!isBatch(files, options)) {
    if (options.realNames === true) throw usageError("--real-names goes with several blobs", "--out names the file of one");
    const source = await stores.source(files[0] ?? STANDARD_STREAM);
    const write = openOutput(options, OWNER_ALONE);
    return await withKeyring(options, files, (keyring) => decryptTo(keyring, source, write, options, barOf));
  }
  if (options.range !== undefined) throw usageError("--range goes with one file", "name one envelope, without --recursive");
  await requireFolder(options);
  await withKeyring(options, files, (keyring) =>
    runBatch(files, stores, options, isEnvelope, async (found, onProgress) => {
      let out = "";
      const outputAt = async (place: string): Promise<Output> => {
        out = await plainFileOf({ ...found, place }, options);
        return openOutput({ ...options, out }, OWNER_ALONE);
      };
      const { source, place } = found;
      if (typeof source === "string") await decryptTo(keyring, source, await outputAt(place), options, partOf(onProgress));
      else await decryptBlob(keyring, source, (blob) => outputAt(placeOf(blob, place, options)), options, partOf(onProgress));
      return { outcome: "decrypted", text: `decrypted  ${shownSource(found.source)} -> ${terminalText(out)}` };
    }),
  );
}

async function decryptTo(keyring: Keyring, source: Source, write: Output, options: DecryptOptions, progress: ProgressOf): Promise<void> {
  let written = 0;
  const counted: Output = (batches) => write(count(batches));
  const count = async function* (batches: Parameters<Output>[0]): AsyncGenerator<Uint8Array> {
    for await (const batch of batches) {
      written += batch.length;
      yield batch;
    }
  };
  try {
    if (typeof source !== "string") return await decryptBlob(keyring, source, () => counted, options, progress);
    await withInput(source, async (input) => {
      const { onProgress, end } = progress(input.sizeBytes);
      const { range } = options;
      const batches =
        range === undefined
          ? keyring.decryptPieces((await envelopeIn(input)).chunks, { ...valueOptions(options), onProgress })
          : rangeOf(keyring, input, range, options, onProgress);
      await counted(batches).finally(end);
    });
  } catch (error) {
    throw write === writeStandardOutput && written > 0 && !isReaderGone(error) ? afterBeginning(error) : error;
  }
}

/** Reads a blob, all of one version: goes on after a break, and where the blob is rewrapped meanwhile. */
async function decryptBlob(
  keyring: Keyring,
  { store, name }: StoredInput,
  outputOf: (blob: EncryptedBlob) => Output | Promise<Output>,
  options: DecryptOptions,
  progress: ProgressOf,
): Promise<void> {
  const blob = await encryptedStore(keyring, store, { context: (own) => contextOfBlob(options, own) }).get(name);
  try {
    const { range } = options;
    const { start, end } = range === undefined ? WHOLE : boundsOf(range, await blob.size());
    const write = await outputOf(blob);
    const bar = progress(range === undefined ? blob.storedBytes : end - start);
    const stream = blob.stream(start, end, { ...laneOptions(options), onProgress: ({ bytes }) => bar.onProgress(bytes) });
    await write(streamPieces(stream)).finally(bar.end);
  } finally {
    blob.close();
  }
}

function laneOptions({ lanes }: LaneOptions): LaneOptions {
  return lanes === undefined ? {} : { lanes };
}

/** Where the file of a blob goes below `--out`. */
function placeOf({ name, description }: EncryptedBlob, place: string, { realNames = false }: DecryptOptions): string {
  if (!realNames) return place;
  if (description?.name !== undefined) return description.name;
  throw invalidArgument(`no name stands beside ${name}`, "without --real-names its file gets the name of the blob");
}

/** The verified bytes of a range, fetched as they are written. */
async function* rangeOf(
  keyring: Keyring,
  { part, sizeBytes }: Input,
  range: string,
  options: DecryptOptions,
  onProgress: (doneBytes: number) => void,
): AsyncGenerator<Uint8Array> {
  if (part === undefined || sizeBytes === undefined)
    throw usageError("--range needs a file, not a pipe", "name the envelope in place of standard input");
  const blob = await keyring.openSeekable(
    { size: sizeBytes, read: part },
    valueOptions({ ...(options.context && { context: options.context }) }),
  );
  try {
    const { start, end } = boundsOf(range, await blob.size());
    for (let at = start; at < end; at += WINDOW_BYTES) {
      const batch = await blob.read(at, Math.min(end, at + WINDOW_BYTES));
      onProgress(at + batch.length - start);
      yield batch;
    }
  } finally {
    blob.close();
  }
}

function boundsOf(range: string, size: number): { readonly start: number; readonly end: number } {
  const ranges = parseRange(`bytes=${range}`, size, 1);
  if (ranges === "unsatisfiable")
    throw invalidArgument(`the file has ${size} bytes: nothing of it is in ${range}`, "ask for a range below that");
  const [first = { start: 0, end: size }] = typeof ranges === "string" ? [] : ranges;
  return first;
}

function rangeText(text: string): string {
  const [, first = "", last = ""] = /^(\d*)-(\d*)$/.exec(text) ?? [];
  const isBackward = first !== "" && last !== "" && Number(last) < Number(first);
  if (isBackward || (first === "" && last === ""))
    throw usageError(`--range ${text} is no range`, "give first and last byte as 0-99, from a byte on as 100-, or the last bytes as -100");
  return text;
}

/** Says that what came out before is true, and not all. */
function afterBeginning(error: unknown): unknown {
  if (!(error instanceof EnvelockError)) return error;
  const { code, message, retryable, hint } = error;
  return new EnvelockError(code, `${message}; what was written is a verified beginning, not the whole`, {
    cause: error,
    retryable,
    ...(hint !== undefined && { hint }),
  });
}

const WINDOW_BYTES = 2 ** 20;
const WHOLE = { start: 0, end: Number.MAX_SAFE_INTEGER } as const;
