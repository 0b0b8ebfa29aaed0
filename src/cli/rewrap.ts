import { type Command, Option } from "commander";
import { claimedPlaintextBytes } from "../core/crypto/body-sizes.ts";
import type { Keyring } from "../core/keyring/keyring.ts";
import { exitCodeOf, tellFailure, usageError } from "./failure.ts";
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
import { terminalText } from "./terminal-text.ts";

interface RewrapOptions extends KeyOptions, RecipientOptions, OutputOptions {
  readonly check?: boolean;
}

export function addRewrap(program: Command): void {
  const command = program
    .command("rewrap")
    .summary("wrap the data keys of envelopes anew")
    .description(
      "Replaces the recipients of envelopes, in place; the body stays as it is. Current envelopes are left alone. " +
        "Rewrap is not revocation: whoever had the data key can still open the body.",
    )
    .argument("<files...>", "envelopes; - is from standard input to standard output");
  addKeyOptions(command, "the first wraps, with its primary key; all of them unwrap (repeatable)");
  addRecipientOption(command);
  command.addOption(
    new Option("--check", "change nothing; say which envelopes are stale, and exit with 1 if one is").conflicts(["out", "force"]),
  );
  addOutputOptions(command);
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
  checkFiles(files, options);
  await withKeyring(options, files, async (keyring) => {
    for (const file of files) {
      try {
        await rewrapOne(keyring, file, options);
      } catch (error) {
        // the others are still worth doing
        tellFailure(error, options.debug === true, file);
        process.exitCode = exitCodeOf(error);
      }
    }
  });
}

function checkFiles(files: readonly string[], { out, check }: RewrapOptions): void {
  if (files.length < 2) return;
  if (out !== undefined) throw usageError("--out takes one envelope", "without --out, each is rewrapped in place");
  // its envelope and what is said of the others would meet on standard output
  if (check !== true && files.includes(STANDARD_STREAM)) throw usageError("standard input is rewrapped alone");
}

async function rewrapOne(keyring: Keyring, file: string, options: RewrapOptions): Promise<void> {
  if (options.check === true) return await check(keyring, file);
  if (options.out === undefined && file !== STANDARD_STREAM) return await rewrapInPlace(keyring, file);
  const output = openOutput(options, NEW_FILE_MODE);
  await withInput(file, (input) => writeRewrapped(keyring, input, output));
}

async function check(keyring: Keyring, file: string): Promise<void> {
  const isStale = await withInput(file, async (input) => keyring.needsRewrap((await splitEnvelope(input)).header));
  if (isStale) process.exitCode = 1;
  await printLines(`${isStale ? "stale  " : "current"}  ${terminalText(file)}`);
}

async function rewrapInPlace(keyring: Keyring, file: string): Promise<void> {
  await withFileInPlace(file, async (input, before) => {
    const { header, body } = await splitEnvelope(input);
    const isStale = await keyring.needsRewrap(header);
    if (isStale) await inPlaceOf(file, before)(joined(await keyring.rewrapHeader(header), body));
    await printLines(`${isStale ? "rewrapped" : "current  "}  ${terminalText(file)}`);
  });
}

async function writeRewrapped(keyring: Keyring, input: Input, output: Output): Promise<void> {
  const { header, body } = await splitEnvelope(input);
  await output(joined(await keyring.rewrapHeader(header), body));
}

/** Throws after the last chunk if no body has this length, so that an envelope that was cut short never replaces anything. */
async function* joined(header: Uint8Array, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield header;
  let bodyBytes = 0;
  for await (const chunk of body) {
    bodyBytes += chunk.length;
    yield chunk;
  }
  if (bodyBytes > 0) claimedPlaintextBytes(bodyBytes); // none at all: a detached header
}
