import { type Command, Option } from "commander";
import { jobStatus } from "../../jobs/index.ts";
import { wholeNumber } from "../options.ts";
import { withJobTable } from "./job-table.ts";
import { withJobs } from "./open-jobs.ts";
import { printStatus } from "./status.ts";
import { addWorkerOptions, type WorkerOptions } from "./worker-options.ts";

interface PlanOptions extends WorkerOptions {
  readonly partitions?: number;
}

export function addJobsPlan(group: Command): void {
  const command = group
    .command("plan")
    .argument("<id>", "a name for the job")
    .summary("plan a rewrap of all data keys, or of blobs, over a fleet")
    .description(
      "Cuts the table of data keys, or the names of blobs, into partitions. A plan of this id that is there is taken up. Changes no data key.",
    );
  addWorkerOptions(command)
    .addOption(new Option("--partitions <count>", "1 to 4096 (default: one for 50,000 data keys, at least 16)").argParser(partitionsOf))
    .option("--create", "make the file or the table of the jobs if there is none");
  command.action(plan);
}

async function plan(id: string, options: PlanOptions): Promise<void> {
  const { partitions } = options;
  const status = await withJobs(options, (jobs, call) =>
    withJobTable(options, async (planned) => {
      await planned({ id, jobs, ...call, ...(partitions !== undefined && { partitions }) });
      return await jobStatus({ jobs, id, ...call });
    }),
  );
  await printStatus(status, options.json === true);
}

function partitionsOf(text: string): number {
  return wholeNumber("--partitions", text, { least: 1, most: 4096, hint: "leave it out: the size of the table decides" });
}
