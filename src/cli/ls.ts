import type { Command } from "commander";
import { addBlobKeyOptions, type BlobOptions, withBlobs } from "./blobs/blob-place.ts";
import { byteCount, columns } from "./columns.ts";
import { tellFailure } from "./failure.ts";
import { inOrder } from "./in-order.ts";
import { addJsonOption, addParallelOption } from "./options.ts";
import { printLines } from "./output.ts";
import { terminalJson, terminalText } from "./terminal-text.ts";

interface LsOptions extends BlobOptions {
  readonly json?: boolean;
  readonly parallel?: number;
}

interface Described {
  readonly name: string;
  readonly storedBytes: number;
  readonly description?: { readonly name?: string; readonly type?: string; readonly compressed?: string };
}

export function addLs(program: Command): void {
  const command = program
    .command("ls")
    .summary("show the blobs of a store by the names that stand encrypted beside them")
    .description(
      "Shows each blob of a store with the name and type that stand encrypted beside it. The header of each is read and unwrapped; bodies are " +
        "not verified. `envelock blobs list` needs no key, and shows the names that the store has.",
    );
  addBlobKeyOptions(command, "a keyset that can unwrap (repeatable)");
  addParallelOption(command);
  addJsonOption(command);
  command.addHelpText(
    "after",
    `
Examples:
  envelock ls az://acme/invoices/2026/ --key keys.json
  envelock ls dir:blobs --key keys.json --json`,
  );
  command.action(ls);
}

async function ls(argument: string, { json = false, parallel = 4, ...options }: LsOptions): Promise<void> {
  await withBlobs(argument, options, async (store, page) => {
    const found: Described[] = [];
    const described = async (name: string): Promise<Described["description"]> => {
      const blob = await store.get(name);
      try {
        return blob.description;
      } finally {
        blob.close();
      }
    };
    for await (const settled of inOrder(store.list(page), parallel, ({ name }) => described(name))) {
      const { name, size } = settled.item;
      if ("error" in settled) {
        process.exitCode = 1;
        tellFailure(settled.error, options.debug === true, terminalText(name));
        continue;
      }
      found.push({ name, storedBytes: size, ...(settled.result && { description: settled.result }) });
    }
    const rows = found.map(({ name, storedBytes, description = {} }) => [
      terminalText(description.name ?? "-"),
      terminalText(description.type ?? "-"),
      byteCount(storedBytes),
      terminalText(name),
    ]);
    await printLines(json ? terminalJson(found) : columns([["name", "type", "stored", "blob"], ...rows]));
  });
}
