import type { Command } from "commander";
import type { BlobEntry } from "../../blobs/index.ts";
import { byteCount, columns } from "../columns.ts";
import { printLines } from "../output.ts";
import { listBlobs } from "../places/blobs-at.ts";
import { terminalJson, terminalText } from "../terminal-text.ts";
import { addKeylessOptions, type BlobPlaceOptions, openPlace } from "./blob-place.ts";

interface ListOptions extends BlobPlaceOptions {
  readonly json?: boolean;
}

export function addBlobsList(group: Command): void {
  const command = group
    .command("list")
    .summary("show the blobs of a store, without any key")
    .description("Shows each blob of the store with the length of its envelope. Nothing is read of the blobs, and nothing is verified.");
  addKeylessOptions(command);
  command.option("--json", "as JSON");
  command.action(list);
}

async function list(argument: string, { json = false, ...options }: ListOptions): Promise<void> {
  const { store, page } = await openPlace(argument, options);
  const entries: BlobEntry[] = [];
  for await (const entry of listBlobs(store, page)) entries.push(entry);
  await printLines(json ? terminalJson(entries) : columns([["name", "stored"], ...entries.map(rowOf)]));
}

function rowOf({ name, size }: BlobEntry): readonly string[] {
  return [terminalText(name), byteCount(size)];
}
