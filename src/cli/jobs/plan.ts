import { type Command, Option } from "commander";
import { jobStatus, planRewrap } from "../../jobs/index.ts";
import { withDataKeys } from "../keys/job.ts";
import type { StoreOptions } from "../open-store.ts";
import { addRecipientOption, type KeyOptions, type RecipientOptions, wholeNumber } from "../options.ts";
import { type JobsOptions, withJobs } from "./open-jobs.ts";
import { printStatus } from "./status.ts";
import { addWorkerOptions, termsOf, type WorkerOptions } from "./worker-options.ts";

interface PlanOptions extends JobsOptions, WorkerOptions, KeyOptions, RecipientOptions, Omit<StoreOptions, "create"> {
  readonly partitions?: number;
}

export function addJobsPlan(group: Command): void {
  const command = group
    .command("plan")
    .argument("<id>", "a name for the job")
    .summary("plan a rewrap of all data keys over a fleet")
    .description("Cuts the table of data keys into partitions. A plan of this id that is there is taken up. Changes no data key.");
  addWorkerOptions(command);
  addRecipientOption(command);
  command
    .addOption(new Option("--partitions <count>", "1 to 4096 (default: one for 50,000 data keys, at least 16)").argParser(partitionsOf))
    .option("--create", "make the file or the table of the jobs if there is none");
  command.action(plan);
}

async function plan(id: string, options: PlanOptions): Promise<void> {
  const { partitions, create: _create, ...keys } = options;
  const status = await withJobs(options, (jobs, call) =>
    withDataKeys(keys, async (dataKeys) => {
      await planRewrap({ id, dataKeys, jobs, ...call, ...termsOf(options), ...(partitions !== undefined && { partitions }) });
      return await jobStatus({ jobs, id, ...call });
    }),
  );
  await printStatus(status, options.json === true);
}

function partitionsOf(text: string): number {
  return wholeNumber("--partitions", text, { least: 1, most: 4096, hint: "leave it out: the size of the table decides" });
}
