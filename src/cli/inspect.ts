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
import { addDebugOption, addJsonOption, type JsonOptions } from "./options.ts";
import { printLines } from "./output.ts";
import { terminalJson, terminalText } from "./terminal-text.ts";

interface InspectOptions extends JsonOptions, BatchOptions {}

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
  if (!isBatch(files, options)) {
    const inspection = await withInput(files[0] ?? STANDARD_STREAM, inspectInput);
    return await printLines(json ? terminalJson(inspection) : inspectTable(inspection));
  }
  const inspected: unknown[] = [];
  await runBatch(files, { ...options, isSilent: json }, isEnvelope, async ({ file }) => {
    const inspection = await withInput(file, inspectInput);
    if (json) inspected.push({ file, ...inspection });
    else await printLines(`${terminalText(file)}\n${inspectTable(inspection)}\n`);
    return inspection.kind;
  });
  if (json) await printLines(terminalJson(inspected));
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
