import { type Command, Option } from "commander";
import { type EncryptedStore, type RewrappedBlob, rewrapStale } from "../../blobs/index.ts";
import { columns } from "../columns.ts";
import { tellFailure } from "../failure.ts";
import { addJsonOption, addRecipientOption } from "../options.ts";
import { printLines } from "../output.ts";
import { terminalJson, terminalText } from "../terminal-text.ts";
import { addBlobKeyOptions, type BlobOptions, blobCounter, type OpenPlace, withBlobs } from "./blob-place.ts";

interface RewrapOptions extends BlobOptions {
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export function addBlobsRewrap(group: Command): void {
  const command = group
    .command("rewrap")
    .summary("wrap the data keys of blobs anew, after a rotation of the key that wraps them")
    .description(
      "Wraps the data key of every blob anew that was wrapped by an older key version, or for others than --key and --recipient. Bodies " +
        "are neither read nor copied in Azure. May be killed and run again at any point.",
    );
  addBlobKeyOptions(command, "the first wraps, with its primary key; all of them unwrap (repeatable)");
  addRecipientOption(command);
  command.addOption(new Option("--dry-run", "change nothing; print the names of what is stale"));
  addJsonOption(command);
  command.action(rewrap);
}

async function rewrap(argument: string, { dryRun = false, json = false, ...options }: RewrapOptions): Promise<void> {
  await withBlobs(argument, { ...options, countsYoungVersions: dryRun }, async (store, page) => {
    if (dryRun) return await printStale(store, page, json);
    const counts = new Map<RewrappedBlob["outcome"], number>(OUTCOMES.map((outcome) => [outcome, 0]));
    const { onProgress, end } = blobCounter();
    let done = 0;
    try {
      for await (const { name, outcome, error } of rewrapStale(store, page)) {
        counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
        onProgress(++done);
        if (outcome === "changed" || outcome === "not-possible" || outcome === "failed") process.exitCode = 1;
        if (error !== undefined) tellFailure(error, options.debug === true, terminalText(name));
        else if (outcome !== "rewrapped") process.stderr.write(`${terminalText(name)}: ${outcome}\n`);
      }
    } finally {
      end();
    }
    if (json) return await printLines(terminalJson(Object.fromEntries(counts)));
    await printLines(columns([...counts].map(([outcome, count]) => [outcome, `${count}`])));
  });
}

async function printStale(store: EncryptedStore, page: OpenPlace["page"], json: boolean): Promise<void> {
  const names: string[] = [];
  for await (const name of store.findStale(page)) {
    if (json) names.push(name);
    else await printLines(terminalText(name));
  }
  if (json) await printLines(terminalJson(names));
}

const OUTCOMES = ["rewrapped", "current", "changed", "not-possible", "gone", "failed"] as const;
