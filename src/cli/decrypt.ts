import { type Command, Option } from "commander";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import type { Keyring } from "../core/keyring/keyring.ts";
import { parseRange } from "../core/stream/http-range.ts";
import { addRecursiveOption, type BatchOptions, isBatch, isEnvelope, runBatch } from "./batch.ts";
import { plainFileOf, requireFolder } from "./batch-output.ts";
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
import { type Output, OWNER_ALONE, openOutput, printLines } from "./output.ts";
import { progressOn } from "./progress.ts";
import { terminalText } from "./terminal-text.ts";

interface DecryptOptions extends KeyOptions, ContextOptions, OutputOptions, LaneOptions, BatchOptions {
  readonly range?: string;
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
  addOutputOptions(command);
  command.addOption(
    new Option("--range <a-b>", "only bytes a to b, both included, of a file; a- is from a on, -n are the last n").argParser(rangeText),
  );
  addLanesOption(command);
  addRecursiveOption(command, "the envelopes (*.envelock)");
  addDebugOption(command);
  command.addHelpText(
    "after",
    `
Examples:
  envelock decrypt report.pdf.envelock --key keys.json --context object=reports/7 --out report.pdf
  envelock decrypt --key keys.json < photos.envelock | tar t
  envelock decrypt --key keys.json --recursive backup --out restored`,
  );
  command.action(decrypt);
}

async function decrypt(files: readonly string[], options: DecryptOptions): Promise<void> {
  if (!isBatch(files, options)) {
    const [file = STANDARD_STREAM] = files;
    const write = openOutput(options, OWNER_ALONE);
    return await withKeyring(options, files, (keyring) => decryptTo(keyring, file, write, options));
  }
  if (options.range !== undefined) throw usageError("--range goes with one file", "name one envelope, without --recursive");
  await requireFolder(options);
  await withKeyring(options, files, (keyring) =>
    runBatch(files, options, isEnvelope, async (found) => {
      const out = await plainFileOf(found, options);
      await decryptTo(keyring, found.file, openOutput({ ...options, out }, OWNER_ALONE), { ...options, out });
      await printLines(`decrypted  ${terminalText(found.file)} -> ${terminalText(out)}`);
      return "decrypted";
    }),
  );
}

async function decryptTo(keyring: Keyring, file: string, write: Output, options: DecryptOptions): Promise<void> {
  const isStandardOutput = options.out === undefined || options.out === STANDARD_STREAM;
  let written = 0;
  const counted = async function* (batches: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const batch of batches) {
      written += batch.length;
      yield batch;
    }
  };
  try {
    await withInput(file, async (input) => {
      const { onProgress, end } = progressOn(process.stderr, input.sizeBytes);
      const { range } = options;
      const batches =
        range === undefined
          ? keyring.decryptPieces((await envelopeIn(input)).chunks, { ...valueOptions(options), onProgress })
          : rangeOf(keyring, input, range, options, onProgress);
      await write(counted(batches)).finally(end);
    });
  } catch (error) {
    throw isStandardOutput && written > 0 && !isReaderGone(error) ? afterBeginning(error) : error;
  }
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
    const size = await blob.size();
    const ranges = parseRange(`bytes=${range}`, size, 1);
    const [{ start, end } = { start: 0, end: size }] = typeof ranges === "string" ? [] : ranges;
    if (ranges === "unsatisfiable")
      throw invalidArgument(`the file has ${size} bytes: nothing of it is in ${range}`, "ask for a range below that");
    for (let at = start; at < end; at += WINDOW_BYTES) {
      const batch = await blob.read(at, Math.min(end, at + WINDOW_BYTES));
      onProgress(at + batch.length - start);
      yield batch;
    }
  } finally {
    blob.close();
  }
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
