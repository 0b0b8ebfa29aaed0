import type { Command } from "commander";
import { readWhole, STANDARD_STREAM, withInput } from "./input.ts";
import { MAX_ENVELOPE_BYTES } from "./limits.ts";
import { withKeyring } from "./open-key.ts";
import {
  addContextOption,
  addDebugOption,
  addKeyOptions,
  addOutputOptions,
  type ContextOptions,
  type KeyOptions,
  type OutputOptions,
} from "./options.ts";
import { OWNER_ALONE, openOutput } from "./output.ts";

interface DecryptOptions extends KeyOptions, ContextOptions, OutputOptions {}

export function addDecrypt(program: Command): void {
  const command = program
    .command("decrypt")
    .summary("open an envelope")
    .description("Decrypts an envelope. Nothing is written unless all of it is authentic. A new file is readable by its owner alone.")
    .argument("[file]", "the envelope; - is standard input", STANDARD_STREAM);
  addKeyOptions(command, "a keyset that can unwrap (repeatable)");
  addContextOption(command);
  addOutputOptions(command);
  addDebugOption(command);
  command.addHelpText(
    "after",
    `
Examples:
  envelock decrypt report.pdf.envelock --key keys.json --context object=reports/7 --out report.pdf
  envelock decrypt --key keys.json < photos.envelock | tar t`,
  );
  command.action(decrypt);
}

async function decrypt(file: string, options: DecryptOptions): Promise<void> {
  const write = openOutput(options, OWNER_ALONE);
  const plaintext = await withKeyring(options, async (keyring) => {
    const envelope = await withInput(file, (input) =>
      readWhole(input, MAX_ENVELOPE_BYTES, "an envelope of 1 GiB, the limit of this command"),
    );
    return await keyring.decrypt(envelope, options);
  });
  await write([plaintext]);
}
