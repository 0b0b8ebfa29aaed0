import { type Command, Option } from "commander";
import type { RewrapReport } from "../../fields/jobs/rewrap-all.ts";
import { fileCheckpoint } from "../../stores/file.ts";
import { columns } from "../columns.ts";
import { addRecipientOption } from "../options.ts";
import { terminalText } from "../terminal-text.ts";
import { addJobOptions, addKeysOptions, type KeysJobOptions, keyCount, runJob } from "./job.ts";

interface RewrapOptions extends KeysJobOptions {
  readonly dryRun?: boolean;
  readonly checkpoint?: string;
}

export function addKeysRewrap(group: Command): void {
  const command = group
    .command("rewrap")
    .summary("wrap the data keys anew, after a rotation of the key that wraps them")
    .description(
      "Wraps every data key anew that was wrapped by an older key version, or for others than --key and --recipient. What the data keys " +
        "encrypted stays as it is. May be killed and run again at any point.",
    );
  addKeysOptions(command, "the first wraps, with its primary key; all of them unwrap (repeatable)");
  addRecipientOption(command);
  addJobOptions(command);
  command.option("--dry-run", "change nothing; say what would be done");
  command.addOption(new Option("--checkpoint <file>", "note there how far it has come, and go on from there").conflicts("dryRun"));
  command.action(rewrap);
}

async function rewrap({ dryRun = false, checkpoint, ...options }: RewrapOptions): Promise<void> {
  const kept = checkpoint === undefined ? {} : { checkpoint: fileCheckpoint(checkpoint) };
  await runJob(
    { ...options, countsYoungVersions: dryRun },
    dryRun ? 1 : 2,
    (dataKeys, job) => dataKeys.rewrapAll({ ...job, dryRun, ...kept }),
    (report) => table(report, dryRun),
  );
}

function table({ rows, stale, rewrapped, shredded, foreign, failed, keyVersions, retirable }: RewrapReport, dryRun: boolean): string {
  const counts = [
    ["data keys", keyCount(rows)],
    ["stale", `${stale}`],
    ["rewrapped", dryRun ? "0, as this is a dry run" : `${rewrapped}`],
    ["shredded", `${shredded}`],
    ["foreign", `${foreign}`],
    ["failed", `${failed}`],
  ];
  const versions = keyVersions.map((version) => [
    version.provider,
    terminalText(version.keyId),
    `${version.before}`,
    `${version.after}`,
    retirable.some(({ provider, keyId }) => provider === version.provider && keyId === version.keyId) ? "retirable" : "",
  ]);
  return `${columns(counts)}\n\n${columns([["provider", "key id", "before", "after", ""], ...versions])}`;
}
