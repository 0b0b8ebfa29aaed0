import type { Command } from "commander";
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
} from "./options.ts";
import { NEW_FILE_MODE, openOutput } from "./output.ts";
import { progressOn } from "./progress.ts";

interface EncryptOptions extends KeyOptions, RecipientOptions, ContextOptions, OutputOptions, LaneOptions {}

export function addEncrypt(program: Command): void {
  const command = program
    .command("encrypt")
    .summary("make an envelope of a file")
    .description("Encrypts a file or standard input under a fresh data key, which is wrapped for the given keys.")
    .argument("[file]", "what to encrypt; - is standard input", STANDARD_STREAM);
  addKeyOptions(command, "wrap for the primary key of this keyset");
  addRecipientOption(command);
  addContextOption(command);
  addOutputOptions(command);
  addLanesOption(command);
  addDebugOption(command);
  command.addHelpText(
    "after",
    `
Examples:
  envelock encrypt report.pdf --key keys.json --context object=reports/7 --out report.pdf.envelock
  tar c photos | envelock encrypt --key keys.json --recipient backup.pub.json > photos.envelock`,
  );
  command.action(encrypt);
}

async function encrypt(file: string, options: EncryptOptions): Promise<void> {
  // A second --key would only unwrap, and so do nothing here, while its owner expects to be able to decrypt.
  if (options.key.length > 1) throw usageError("encrypt takes one --key", "--recipient wraps for one more");
  const write = openOutput(options, NEW_FILE_MODE);
  await withKeyring(options, [file], (keyring) =>
    withInput(file, async (input) => {
      const { chunks } = (await peek(input)).input; // what cannot be read fails before a header is written
      const { onProgress, end } = progressOn(process.stderr, input.sizeBytes);
      await write(keyring.encryptPieces(chunks, { ...options, onProgress })).finally(end);
    }),
  );
}
