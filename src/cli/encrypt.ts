import type { Command } from "commander";
import type { Keyring } from "../core/keyring/keyring.ts";
import { addRecursiveOption, type BatchOptions, ENVELOPE_ENDING, isBatch, runBatch } from "./batch.ts";
import { envelopeOf, requireFolder } from "./batch-output.ts";
import { usageError } from "./failure.ts";
import { peek, STANDARD_STREAM, withInput } from "./input.ts";
import { withKeyring } from "./open-key.ts";
import {
  addContextOption,
  addDebugOption,
  addKeyOptions,
  addLanesOption,
  addOutputOptions,
  addRecipientOption,
  type ContextOptions,
  type KeyOptions,
  type LaneOptions,
  type OutputOptions,
  type RecipientOptions,
  valueOptions,
} from "./options.ts";
import { NEW_FILE_MODE, type Output, openOutput, printLines } from "./output.ts";
import { progressOn } from "./progress.ts";
import { terminalText } from "./terminal-text.ts";

interface EncryptOptions extends KeyOptions, RecipientOptions, ContextOptions, OutputOptions, LaneOptions, BatchOptions {}

export function addEncrypt(program: Command): void {
  const command = program
    .command("encrypt")
    .summary("make an envelope of a file")
    .description("Encrypts a file or standard input under a fresh data key, which is wrapped for the given keys.")
    .argument("[files...]", "what to encrypt; - is standard input. Of several, each becomes <file>.envelock", [STANDARD_STREAM]);
  addKeyOptions(command, "wrap for the primary key of this keyset");
  addRecipientOption(command);
  addContextOption(command);
  addOutputOptions(command);
  addLanesOption(command);
  addRecursiveOption(command, "the files, but no envelopes,");
  addDebugOption(command);
  command.addHelpText(
    "after",
    `
Examples:
  envelock encrypt report.pdf --key keys.json --context object=reports/7 --out report.pdf.envelock
  tar c photos | envelock encrypt --key keys.json --recipient backup.pub.json > photos.envelock
  envelock encrypt --key keys.json --recursive invoices --out backup`,
  );
  command.action(encrypt);
}

async function encrypt(files: readonly string[], options: EncryptOptions): Promise<void> {
  // A second --key would only unwrap, and so do nothing here, while its owner expects to be able to decrypt.
  if (options.key.length > 1) throw usageError("encrypt takes one --key", "--recipient wraps for one more");
  if (!isBatch(files, options)) {
    const [file = STANDARD_STREAM] = files;
    const write = openOutput(options, NEW_FILE_MODE);
    return await withKeyring(options, files, (keyring) => encryptTo(keyring, file, write, options));
  }
  await requireFolder(options);
  await withKeyring(options, files, (keyring) =>
    runBatch(files, options, isPlain, async (found) => {
      const out = await envelopeOf(found, options);
      await encryptTo(keyring, found.file, openOutput({ ...options, out }, NEW_FILE_MODE), options);
      await printLines(`encrypted  ${terminalText(found.file)} -> ${terminalText(out)}`);
      return "encrypted";
    }),
  );
}

/** What is an envelope already, or the temporary file of one, is left out where folders are taken. */
function isPlain(name: string): boolean {
  return !name.endsWith(ENVELOPE_ENDING) && !/^\.envelock-.*\.tmp$/.test(name);
}

async function encryptTo(keyring: Keyring, file: string, write: Output, options: EncryptOptions): Promise<void> {
  await withInput(file, async (input) => {
    const { chunks } = (await peek(input)).input; // what cannot be read fails before a header is written
    const { onProgress, end } = progressOn(process.stderr, input.sizeBytes);
    await write(keyring.encryptPieces(chunks, { ...valueOptions(options), onProgress })).finally(end);
  });
}
