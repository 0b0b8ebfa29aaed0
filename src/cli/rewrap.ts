import { type Command, Option } from "commander";
import { encryptedStore } from "../blobs/index.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { claimedPlaintextBytes } from "../core/crypto/body-sizes.ts";
import type { Keyring } from "../core/keyring/keyring.ts";
import { addRecursiveOption, type BatchOptions, type Done, isBatch, isEnvelope, runBatch } from "./batch.ts";
import { requireFileOut } from "./batch-output.ts";
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
import type { Source, StoredInput, StoreOptions } from "./places/store-kind.ts";
import { addStoreOptions, Stores, shownSource } from "./places/store-place.ts";
import { barOf, type ProgressOf, partOf } from "./progress.ts";
import { terminalText } from "./terminal-text.ts";

interface RewrapOptions extends KeyOptions, RecipientOptions, OutputOptions, BatchOptions, StoreOptions {
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
  addStoreOptions(command);
  addDebugOption(command);
  command.addHelpText(
    "after",
    `
Examples:
  envelock rewrap --key keys.json --check archive/*.envelock
  envelock rewrap --key keys.json archive/*.envelock
  envelock rewrap --key new.json --key old.json report.pdf.envelock --out moved.envelock
  envelock rewrap --key keys.json az://acme/invoices/2026/7.pdf`,
  );
  command.action(rewrap);
}

async function rewrap(files: readonly string[], options: RewrapOptions): Promise<void> {
  const inBatch = isBatch(files, options);
  if (inBatch && options.out !== undefined) throw usageError("--out takes one envelope", "without --out, each is rewrapped in place");
  requireFileOut(options);
  const stores = new Stores(options);
  await withKeyring({ ...options, countsYoungVersions: options.check === true }, files, async (keyring) => {
    if (inBatch)
      return await runBatch(files, stores, options, isEnvelope, ({ source }, onProgress) =>
        rewrapOne(keyring, source, options, partOf(onProgress)),
      );
    const { text } = await rewrapOne(keyring, await stores.source(files[0] ?? STANDARD_STREAM), options, barOf);
    if (text !== undefined) await printLines(text);
  });
}

async function rewrapOne(keyring: Keyring, source: Source, options: RewrapOptions, progress: ProgressOf): Promise<Done> {
  if (options.check === true) return await check(keyring, source);
  if (options.out === undefined && typeof source !== "string") return await rewrapBlob(keyring, source);
  if (options.out === undefined && typeof source === "string" && source !== STANDARD_STREAM)
    return await rewrapInPlace(keyring, source, progress);
  const output = openOutput(options, NEW_FILE_MODE);
  await withInput(source, (input) => writeRewrapped(keyring, input, output, progress));
  return { outcome: "rewrapped" };
}

async function check(keyring: Keyring, source: Source): Promise<Done> {
  const isStale = await withInput(source, async (input) => keyring.needsRewrap((await splitEnvelope(input)).header));
  if (isStale) process.exitCode = 1;
  return { outcome: isStale ? "stale" : "current", text: `${isStale ? "stale  " : "current"}  ${shownSource(source)}` };
}

/** Exchanges the header in the way of the store. The context of the body is not needed. */
async function rewrapBlob(keyring: Keyring, { store, name, text }: StoredInput): Promise<Done> {
  const outcome = await encryptedStore(keyring, store, { context: () => ({}) }).rewrap(name);
  if (outcome === "changed") {
    throw new EnvelockError("unavailable", `${text} was changed by another program, twice`, { hint: "run it again" });
  }
  if (outcome === "not-possible") {
    throw new EnvelockError("provider-failure", `the store cannot exchange the header of ${text}`, {
      hint: "it may be archived, leased or held: see docs/blobs.md",
    });
  }
  return { outcome, text: `${outcome === "current" ? "current  " : outcome}  ${terminalText(text)}` };
}

async function rewrapInPlace(keyring: Keyring, file: string, progress: ProgressOf): Promise<Done> {
  return await withFileInPlace(file, async (input, before) => {
    const isStale = await writeRewrapped(
      keyring,
      input,
      inPlaceOf(file, before),
      progress,
      async (header) => await keyring.needsRewrap(header),
    );
    return { outcome: isStale ? "rewrapped" : "current", text: `${isStale ? "rewrapped" : "current  "}  ${terminalText(file)}` };
  });
}

/** @returns whether `isWanted` said so, and the envelope was written */
async function writeRewrapped(
  keyring: Keyring,
  input: Input,
  output: Output,
  progress: ProgressOf,
  isWanted: (header: Uint8Array) => Promise<boolean> = async () => true,
): Promise<boolean> {
  const { header, body } = await splitEnvelope(input);
  if (!(await isWanted(header))) return false;
  const { onProgress, end } = progress(input.sizeBytes);
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
