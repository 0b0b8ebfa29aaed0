import type { Command } from "commander";
import { ascii, textOf } from "../core/base/bytes.ts";
import { ENVELOPE_HEAD } from "../core/format/envelope.ts";
import { KEY_RECORD_HEAD } from "../core/format/key-record.ts";
import { DETERMINISTIC_TOKEN_HEAD, TOKEN_HEAD } from "../core/format/token.ts";
import { type Inspection, inspect, inspectEnvelope } from "../core/keyring/inspect.ts";
import { notWhatItReads } from "./appearance.ts";
import { addRecursiveOption, type BatchOptions, isBatch, isEnvelope, runBatch } from "./batch.ts";
import { type Input, peek, readWhole, STANDARD_STREAM, splitEnvelope, withInput } from "./input.ts";
import { inspectTable } from "./inspect-table.ts";
import { addCredentialOption, addDebugOption, addJsonOption, type JsonOptions } from "./options.ts";
import { printLines } from "./output.ts";
import type { StoreOptions } from "./places/store-kind.ts";
import { addStoreOptions, Stores, shownSource, textOfSource } from "./places/store-place.ts";
import { terminalJson } from "./terminal-text.ts";

interface InspectOptions extends JsonOptions, BatchOptions, StoreOptions {}

export function addInspect(program: Command): void {
  const command = program
    .command("inspect")
    .summary("show what can be read without a key")
    .description(
      "Shows what stands in clear in an envelope, a detached header, a key record or a field token (bytes or text). " +
        "Nothing of it is verified: a writer of the bytes can choose every field. Of an envelope only the header is read.",
    )
    .argument("[files...]", "what to look at; - is standard input", [STANDARD_STREAM]);
  addJsonOption(command);
  addRecursiveOption(command, "the envelopes (*.envelock)");
  addStoreOptions(addCredentialOption(command));
  addDebugOption(command);
  command.addHelpText(
    "after",
    `
Examples:
  envelock inspect report.pdf.envelock
  envelock inspect --json report.pdf.envelock | jq -r '.recipients[].keyId'`,
  );
  command.action(inspectFiles);
}

async function inspectFiles(files: readonly string[], options: InspectOptions): Promise<void> {
  const { json = false } = options;
  const stores = new Stores(options);
  if (!isBatch(files, options)) {
    const inspection = await withInput(await stores.source(files[0] ?? STANDARD_STREAM), inspectInput);
    return await printLines(json ? terminalJson(inspection) : inspectTable(inspection));
  }
  const inspected: unknown[] = [];
  await runBatch(files, stores, { ...options, isSilent: json }, isEnvelope, async ({ source }) => {
    const at = inspected.push(undefined) - 1; // begun in the order of the files
    const inspection = await withInput(source, inspectInput);
    inspected[at] = { file: textOfSource(source), ...inspection };
    return { outcome: inspection.kind, ...(!json && { text: `${shownSource(source)}\n${inspectTable(inspection)}\n` }) };
  });
  if (json) await printLines(terminalJson(inspected.filter((each) => each !== undefined)));
}

async function inspectInput(input: Input): Promise<Inspection> {
  const { start, input: whole } = await peek(input);
  const [first = 0] = start;
  if (first === ENVELOPE_HEAD) return await inspectHeader(whole);
  if (!FIRST_BYTES.has(first)) throw notInspectable(input, start);
  const bytes = await readWhole(whole, MAX_TOKEN_BYTES, "16 MiB: no key record is, and no token should be");
  if (first >= 0x80) return inspect(bytes);
  try {
    return inspect(textOf(bytes)?.trimEnd() ?? "");
  } catch {
    throw notInspectable(input, bytes); // text that begins with n or v by chance
  }
}

function notInspectable({ name }: Input, start: Uint8Array): Error {
  return notWhatItReads(name, start.subarray(0, 512), "an envelope, header, key record or token");
}

async function inspectHeader(input: Input): Promise<Inspection> {
  const { header, body } = await splitEnvelope(input);
  if (input.sizeBytes !== undefined) return inspectEnvelope(header, input.sizeBytes);
  let bytes = header.length;
  for await (const chunk of body) bytes += chunk.length;
  return inspectEnvelope(header, bytes);
}

const MAX_TOKEN_BYTES = 2 ** 24;
// "n" and "v" begin the base64url of 9C and BC
const FIRST_BYTES: ReadonlySet<number> = new Set([KEY_RECORD_HEAD, TOKEN_HEAD, DETERMINISTIC_TOKEN_HEAD, ...ascii("nv")]);
