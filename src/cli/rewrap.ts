import { type Command, Option } from "commander";
import { claimedPlaintextBytes } from "../core/crypto/body-sizes.ts";
import type { Keyring } from "../core/keyring/keyring.ts";
import { addRecursiveOption, type BatchOptions, isBatch, isEnvelope, type Outcome, runBatch } from "./batch.ts";
import { usageError } from "./failure.ts";
import { type Input, STANDARD_STREAM, splitEnvelope, withFileInPlace, withInput } from "./input.ts";
import { withKeyring } from "./open-key.ts";
import {
  addDebugOption,
  addKeyOptions,
  addOutputOptions,
  addRecipientOption,
  type KeyOptions,
  type OutputOptions,
  type RecipientOptions,
} from "./options.ts";
import { inPlaceOf, NEW_FILE_MODE, type Output, openOutput, printLines } from "./output.ts";
import { progressOn } from "./progress.ts";
import { terminalText } from "./terminal-text.ts";

interface RewrapOptions extends KeyOptions, RecipientOptions, OutputOptions, BatchOptions {
  readonly check?: boolean;
}

export function addRewrap(program: Command): void {
  const command = program
    .command("rewrap")
    .summary("wrap the data keys of envelopes anew")
    .description(
      "Replaces the recipients of envelopes, in place; the body stays as it is. Current envelopes are left alone. " +
        "Rewrap is not revocation: a reader that had the data key can still open the body.",
    )
    .argument("<files...>", "envelopes; - is from standard input to standard output");
  addKeyOptions(command, "the first wraps, with its primary key; all of them unwrap (repeatable)");
  addRecipientOption(command);
  command.addOption(
    new Option("--check", "change nothing; say which envelopes are stale, and exit with 1 if one is").conflicts(["out", "force"]),
  );
  addOutputOptions(command);
  addRecursiveOption(command, "the envelopes (*.envelock)");
  addDebugOption(command);
  command.addHelpText(
    "after",
    `
Examples:
  envelock rewrap --key keys.json --check archive/*.envelock
  envelock rewrap --key keys.json archive/*.envelock
  envelock rewrap --key new.json --key old.json report.pdf.envelock --out moved.envelock`,
  );
  command.action(rewrap);
}

async function rewrap(files: readonly string[], options: RewrapOptions): Promise<void> {
  const inBatch = isBatch(files, options);
  if (inBatch && options.out !== undefined) throw usageError("--out takes one envelope", "without --out, each is rewrapped in place");
  await withKeyring(options, files, async (keyring) => {
    if (inBatch) return await runBatch(files, options, isEnvelope, ({ file }) => rewrapOne(keyring, file, options));
    const [file = STANDARD_STREAM] = files;
    await rewrapOne(keyring, file, options);
  });
}

async function rewrapOne(keyring: Keyring, file: string, options: RewrapOptions): Promise<Outcome> {
  if (options.check === true) return await check(keyring, file);
  if (options.out === undefined && file !== STANDARD_STREAM) return await rewrapInPlace(keyring, file);
  const output = openOutput(options, NEW_FILE_MODE);
  await withInput(file, (input) => writeRewrapped(keyring, input, output));
  return "rewrapped";
}

async function check(keyring: Keyring, file: string): Promise<Outcome> {
  const isStale = await withInput(file, async (input) => keyring.needsRewrap((await splitEnvelope(input)).header));
  if (isStale) process.exitCode = 1;
  await printLines(`${isStale ? "stale  " : "current"}  ${terminalText(file)}`);
  return isStale ? "stale" : "current";
}

async function rewrapInPlace(keyring: Keyring, file: string): Promise<Outcome> {
  return await withFileInPlace(file, async (input, before) => {
    const isStale = await writeRewrapped(keyring, input, inPlaceOf(file, before), async (header) => await keyring.needsRewrap(header));
    await printLines(`${isStale ? "rewrapped" : "current  "}  ${terminalText(file)}`);
    return isStale ? "rewrapped" : "current";
  });
}

/** @returns whether `isWanted` said so, and the envelope was written */
async function writeRewrapped(
  keyring: Keyring,
  input: Input,
  output: Output,
  isWanted: (header: Uint8Array) => Promise<boolean> = async () => true,
): Promise<boolean> {
  const { header, body } = await splitEnvelope(input);
  if (!(await isWanted(header))) return false;
  const { onProgress, end } = progressOn(process.stderr, input.sizeBytes);
  await output(joined(await keyring.rewrapHeader(header), body, onProgress)).finally(end);
  return true;
}

/** Throws after the last chunk if no body has this length, so that an envelope that was cut short never replaces anything. */
async function* joined(
  header: Uint8Array,
  body: AsyncIterable<Uint8Array>,
  onProgress: (doneBytes: number) => void,
): AsyncGenerator<Uint8Array> {
  yield header;
  let bodyBytes = 0;
  for await (const chunk of body) {
    bodyBytes += chunk.length;
    onProgress(header.length + bodyBytes);
    yield chunk;
  }
  if (bodyBytes > 0) claimedPlaintextBytes(bodyBytes); // none at all: a detached header
}
