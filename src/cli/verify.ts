import type { Command } from "commander";
import { type BlobProgress, encryptedStore } from "../blobs/index.ts";
import type { Keyring } from "../core/keyring/keyring.ts";
import { addRecursiveOption, type BatchOptions, isBatch, isEnvelope, runBatch } from "./batch.ts";
import { byteCount } from "./columns.ts";
import { envelopeIn, STANDARD_STREAM, withInput } from "./input.ts";
import { withKeyring } from "./open-key.ts";
import {
  addContextOption,
  addDebugOption,
  addJsonOption,
  addKeyOptions,
  type ContextOptions,
  type JsonOptions,
  type KeyOptions,
  valueOptions,
} from "./options.ts";
import { printLines } from "./output.ts";
import type { BlobContextOptions, Source, StoreOptions } from "./places/store-kind.ts";
import { addNameContextOption, addStoreOptions, contextOfBlob, Stores, shownSource, textOfSource } from "./places/store-place.ts";
import { barOf, type Progress, type ProgressOf, partOf } from "./progress.ts";
import { terminalJson } from "./terminal-text.ts";

interface VerifyOptions extends KeyOptions, ContextOptions, BlobContextOptions, JsonOptions, BatchOptions, StoreOptions {
  readonly all?: boolean;
}

export function addVerify(program: Command): void {
  const command = program
    .command("verify")
    .summary("open the ends of an envelope, or all of it")
    .description(
      "Opens the header, the first and the last chunk of an envelope, or everything with --all, and writes nothing of it. Finds what was cut, " +
        "put under another key, or belongs to another context. Standard input is read whole.",
    )
    .argument("[files...]", "envelopes; - is standard input", [STANDARD_STREAM]);
  addKeyOptions(command, "a keyset that can unwrap (repeatable)");
  addContextOption(command);
  addNameContextOption(command);
  command.option("--all", "read and open every byte");
  addJsonOption(command);
  addRecursiveOption(command, "the envelopes (*.envelock)");
  addStoreOptions(command);
  addDebugOption(command);
  command.addHelpText(
    "after",
    `
Examples:
  envelock verify --key keys.json --context object=reports/7 report.pdf.envelock
  envelock verify --key keys.json --all 'az://acme/invoices/2026/*.pdf'`,
  );
  command.action(verify);
}

async function verify(files: readonly string[], options: VerifyOptions): Promise<void> {
  const { json = false } = options;
  const stores = new Stores(options);
  await withKeyring(options, files, async (keyring) => {
    if (!isBatch(files, options)) {
      const source = await stores.source(files[0] ?? STANDARD_STREAM);
      const plaintextBytes = await verified(keyring, source, options, barOf);
      return await printLines(json ? terminalJson({ file: textOfSource(source), plaintextBytes }) : lineOf(source, plaintextBytes));
    }
    const opened: unknown[] = [];
    await runBatch(files, stores, { ...options, isSilent: json }, isEnvelope, async ({ source }, onProgress) => {
      const at = opened.push(undefined) - 1; // begun in the order of the files
      const plaintextBytes = await verified(keyring, source, options, partOf(onProgress));
      opened[at] = { file: textOfSource(source), plaintextBytes };
      return { outcome: "verified", ...(!json && { text: lineOf(source, plaintextBytes) }) };
    });
    if (json) await printLines(terminalJson(opened.filter((each) => each !== undefined)));
  });
}

/** @returns the length of the plaintext, which the last chunk has shown */
async function verified(keyring: Keyring, source: Source, options: VerifyOptions, progress: ProgressOf): Promise<number> {
  const { all = false } = options;
  if (typeof source !== "string") {
    const store = encryptedStore(keyring, source.store, { context: (name) => contextOfBlob(options, name) });
    let bar: Progress | undefined;
    const onProgress = ({ bytes, totalBytes }: BlobProgress): void => {
      bar ??= progress(totalBytes);
      bar.onProgress(bytes);
    };
    const verifying = store.verify(source.name, all ? "all" : "ends", { onProgress });
    return (await verifying.finally(() => bar?.end())).plaintextBytes;
  }
  const context = valueOptions({ ...(options.context && { context: options.context }) });
  return await withInput(source, async (input) => {
    const { part, sizeBytes } = input;
    const { chunks } = await envelopeIn(input);
    if (all || part === undefined || sizeBytes === undefined) {
      let bytes = 0;
      const { onProgress, end } = progress(sizeBytes);
      try {
        for await (const piece of keyring.decryptPieces(chunks, { ...context, onProgress })) bytes += piece.length;
      } finally {
        end();
      }
      return bytes;
    }
    const blob = await keyring.openSeekable({ size: sizeBytes, read: part }, context);
    try {
      await blob.read(0, 1);
      return await blob.size();
    } finally {
      blob.close();
    }
  });
}

function lineOf(source: Source, plaintextBytes: number): string {
  return `verified  ${shownSource(source)}  ${byteCount(plaintextBytes)}`;
}
