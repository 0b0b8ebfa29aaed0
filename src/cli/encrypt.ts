import type { Command } from "commander";
import { encryptedStore } from "../blobs/index.ts";
import type { Keyring } from "../core/keyring/keyring.ts";
import { addRecursiveOption, type BatchOptions, ENVELOPE_ENDING, isBatch, runBatch } from "./batch.ts";
import { envelopeOf, requireFolder } from "./batch-output.ts";
import { usageError } from "./failure.ts";
import { peek, STANDARD_STREAM, withInput } from "./input.ts";
import { interruptible } from "./interruptible.ts";
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
import type { BatchFile, BlobContextOptions, Source, StoreOptions, StorePlace } from "./places/store-kind.ts";
import {
  addNameContextOption,
  addStoreOptions,
  contextOfBlob,
  ownPlaceOf,
  Stores,
  shownSource,
  storePlaceOf,
} from "./places/store-place.ts";
import { requireFree, targetIn } from "./places/store-target.ts";
import { barOf, type ProgressOf, partOf } from "./progress.ts";
import { terminalText } from "./terminal-text.ts";

interface EncryptOptions
  extends KeyOptions,
    RecipientOptions,
    ContextOptions,
    BlobContextOptions,
    OutputOptions,
    LaneOptions,
    BatchOptions,
    StoreOptions {
  readonly hideNames?: boolean;
}

export function addEncrypt(program: Command): void {
  const command = program
    .command("encrypt")
    .summary("make an envelope of a file")
    .description("Encrypts a file, a blob or standard input under a fresh data key, which is wrapped for the given keys.")
    .argument("[files...]", "what to encrypt; - is standard input. Of several, each becomes <file>.envelock", [STANDARD_STREAM]);
  addKeyOptions(command, "wrap for the primary key of this keyset");
  addRecipientOption(command);
  addContextOption(command);
  addNameContextOption(command);
  addOutputOptions(command);
  command.option("--hide-names", "store under random names; the real ones are encrypted, and `envelock ls` shows them");
  addLanesOption(command);
  addRecursiveOption(command, "the files, but no envelopes,");
  addStoreOptions(command);
  addDebugOption(command);
  command.addHelpText(
    "after",
    `
Examples:
  envelock encrypt report.pdf --key keys.json --context object=reports/7 --out report.pdf.envelock
  tar c photos | envelock encrypt --key keys.json --recipient backup.pub.json > photos.envelock
  envelock encrypt --key keys.json --recursive invoices --out backup
  envelock encrypt --key keys.json --recursive invoices --out az://acme/invoices/2026/`,
  );
  command.action(encrypt);
}

async function encrypt(files: readonly string[], options: EncryptOptions): Promise<void> {
  // A second --key would only unwrap, and so do nothing here, while its owner expects to be able to decrypt.
  if (options.key.length > 1) throw usageError("encrypt takes one --key", "--recipient wraps for one more");
  const stores = new Stores(options);
  const outPlace = options.out === undefined ? undefined : storePlaceOf(options.out);
  if (outPlace !== undefined) return await encryptToStore(files, stores, outPlace, options);
  if (options.hideNames === true) throw usageError("--hide-names goes with --out in a store", "a file's name is given with --out");
  if (!isBatch(files, options)) {
    const source = await stores.source(files[0] ?? STANDARD_STREAM);
    const write = openOutput(options, NEW_FILE_MODE);
    return await withKeyring(options, files, (keyring) => encryptTo(keyring, source, write, options, barOf));
  }
  await requireFolder(options);
  await withKeyring(options, files, (keyring) =>
    runBatch(files, stores, options, isPlain, async (found, onProgress) => {
      const out = await envelopeOf(found, options);
      await encryptTo(keyring, found.source, openOutput({ ...options, out }, NEW_FILE_MODE), options, partOf(onProgress));
      return { outcome: "encrypted", text: `encrypted  ${shownSource(found.source)} -> ${terminalText(out)}` };
    }),
  );
}

async function encryptToStore(files: readonly string[], stores: Stores, outPlace: StorePlace, options: EncryptOptions): Promise<void> {
  if (options.lanes !== undefined) throw usageError("--lanes goes with files", "blocks are sent while others are encrypted: leave it out");
  const isMany = isBatch(files, options);
  const target = targetIn(outPlace, isMany, options.hideNames === true);
  const store = await stores.at(outPlace);
  await withKeyring(options, files, (keyring) =>
    interruptible(async (signal) => {
      const encrypted = encryptedStore(keyring, store, { context: (name) => contextOfBlob(options, name) });
      const put = async (file: BatchFile, progress: ProgressOf): Promise<string> => {
        const { name, describe } = target.of(file);
        if (options.force !== true) await requireFree(store, name);
        await withInput(file.source, async (input) => {
          const { chunks } = (await peek(input)).input;
          const { onProgress, end } = progress(input.sizeBytes);
          await encrypted
            .put(name, chunks, {
              signal,
              describe,
              replace: options.force === true,
              ...(input.sizeBytes !== undefined && { expectedBytes: input.sizeBytes }),
              onProgress: ({ bytes }) => onProgress(bytes),
            })
            .finally(end);
        });
        return target.textOf(name);
      };
      if (!isMany) {
        const source = await stores.source(files[0] ?? STANDARD_STREAM);
        const text = await put({ source, place: ownPlaceOf(source) }, barOf);
        return await printLines(`encrypted  ${shownSource(source)} -> ${terminalText(text)}`);
      }
      await runBatch(files, stores, options, isPlain, async (found, onProgress) => {
        const text = await put(found, partOf(onProgress));
        return { outcome: "encrypted", text: `encrypted  ${shownSource(found.source)} -> ${terminalText(text)}` };
      });
    }),
  );
}

/** What is an envelope already, or the temporary file of one, is left out where folders are taken. */
function isPlain(name: string): boolean {
  return !name.endsWith(ENVELOPE_ENDING) && !/^\.envelock-.*\.tmp$/.test(name);
}

async function encryptTo(keyring: Keyring, source: Source, write: Output, options: EncryptOptions, progress: ProgressOf): Promise<void> {
  await withInput(source, async (input) => {
    const { chunks } = (await peek(input)).input; // what cannot be read fails before a header is written
    const { onProgress, end } = progress(input.sizeBytes);
    await write(keyring.encryptPieces(chunks, { ...valueOptions(options), onProgress })).finally(end);
  });
}
