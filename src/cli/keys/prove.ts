import type { Command } from "commander";
import { columns } from "../columns.ts";
import { addJobOptions, addKeysOptions, type KeysJobOptions, keyCount, runJob } from "./job.ts";

export function addKeysProve(group: Command): void {
  const command = group
    .command("prove")
    .summary("write the proofs that rows of an earlier release lack")
    .description(
      "Writes the proof that ties each version of a data key to the version before, where a row has none. It trusts every row that is there now: run it once, after the upgrade of the table. A proof that is there is checked and never replaced. Exits with 1 if a row fails.",
    );
  addKeysOptions(command, "unwraps (repeatable)");
  addJobOptions(command);
  command.action(prove);
}

async function prove(options: KeysJobOptions): Promise<void> {
  await runJob(
    options,
    1,
    (dataKeys, job) => dataKeys.proveAll(job),
    ({ rows, proven, shredded, foreign, failed }) =>
      columns([
        ["data keys", keyCount(rows)],
        ["proven", `${proven}`],
        ["shredded", `${shredded}`],
        ["foreign", `${foreign}`],
        ["failed", `${failed}`],
      ]),
  );
}
