import type { Command } from "commander";
import { columns } from "../columns.ts";
import { addJobOptions, addKeysOptions, type KeysJobOptions, keyCount, runJob } from "./job.ts";

export function addKeysVerify(group: Command): void {
  const command = group
    .command("verify")
    .summary("unwrap every data key once, as a check")
    .description(
      "Unwraps every data key of the store and compares it with its commitment. Changes nothing. Exits with 1 if one does not open.",
    );
  addKeysOptions(command, "unwraps (repeatable)");
  addJobOptions(command);
  command.action(verify);
}

async function verify(options: KeysJobOptions): Promise<void> {
  await runJob(
    options,
    1,
    (dataKeys, job) => dataKeys.verifyAll(job),
    ({ rows, opened, shredded, foreign, failed }) =>
      columns([
        ["data keys", keyCount(rows)],
        ["opened", `${opened}`],
        ["shredded", `${shredded}`],
        ["foreign", `${foreign}`],
        ["failed", `${failed}`],
      ]),
  );
}
