import { type Command, Option } from "commander";
import { EnvelockError } from "../../core/base/errors.ts";
import { type JobStatus, jobStatus, runPartitions } from "../../jobs/index.ts";
import { addJobOptions } from "../keys/job.ts";
import { wholeNumber } from "../options.ts";
import { lineOn } from "../progress.ts";
import { fleetLine } from "./describe.ts";
import { withJobTable } from "./job-table.ts";
import { withJobs } from "./open-jobs.ts";
import { printStatus } from "./status.ts";
import { addWorkerOptions, type WorkerOptions } from "./worker-options.ts";

interface WorkOptions extends WorkerOptions {
  readonly concurrency?: number;
  readonly lanes?: number;
  readonly retries?: number;
}

export function addJobsWork(group: Command): void {
  const command = group
    .command("work")
    .argument("<id>", "the name of the job")
    .summary("work on a job, as one process of a fleet")
    .description(
      "Takes free partitions and works on them until nothing is left. May be killed, and run in any number of processes at once.",
    );
  addJobOptions(addWorkerOptions(command));
  command
    .addOption(new Option("--lanes <count>", "partitions that this process works on at once, 1 to 64 (default: 1)").argParser(lanesOf))
    .addOption(new Option("--retries <count>", "rounds over what failed, 0 to 100 (default: 3)").argParser(retriesOf));
  command.action(work);
}

async function work(id: string, options: WorkOptions): Promise<void> {
  const { concurrency, lanes, retries } = options;
  const line = lineOn(process.stderr);
  const status = await withJobs(options, async (jobs, call) => {
    requireOpen(await jobStatus({ jobs, id, ...call }));
    return await withJobTable(options, async (planned) => {
      const job = await planned({ id, jobs, ...call });
      const running = runPartitions(job, {
        ...call,
        onProgress: (now) => line.show((width) => fleetLine(now, width)),
        ...(concurrency !== undefined && { concurrency }),
        ...(lanes !== undefined && { lanes }),
        ...(retries !== undefined && { retries }),
      });
      return await running.finally(line.end);
    });
  });
  await printStatus(status, options.json === true);
  if (status.state !== "done") process.exitCode = 1;
}

/** @throws `invalid-argument` for a job that no worker may go on with */
function requireOpen({ id, state }: JobStatus): void {
  if (state === "paused")
    throw new EnvelockError("invalid-argument", `job ${id} is paused`, { hint: `\`envelock jobs resume ${id}\` lets it go on` });
  if (state === "cancelled")
    throw new EnvelockError("invalid-argument", `job ${id} is cancelled`, { hint: "plan another under another id" });
}

function lanesOf(text: string): number {
  return wholeNumber("--lanes", text, { least: 1, most: 64 });
}

function retriesOf(text: string): number {
  return wholeNumber("--retries", text, { least: 0, most: 100 });
}
