import type { Command } from "commander";
import { type JobStatus, type JobSummary, jobStatus, listJobs } from "../../jobs/index.ts";
import { columns } from "../columns.ts";
import { printLines } from "../output.ts";
import { terminalJson, terminalText } from "../terminal-text.ts";
import { statusText } from "./describe.ts";
import { addJobsOptions, type JobsOptions, withJobs } from "./open-jobs.ts";

export function addJobsStatus(group: Command): void {
  const command = group
    .command("status")
    .argument("[id]", "the name of the job; without it all jobs are listed")
    .summary("show where a job stands, without any key")
    .description("Shows state, partitions, counts, rate, time left and failures of a job over its fleet. In a terminal with a plot.");
  addJobsOptions(command).action(status);
}

async function status(id: string | undefined, options: JobsOptions): Promise<void> {
  const isJson = options.json === true;
  if (id !== undefined) return await printStatus(await withJobs(options, (jobs, call) => jobStatus({ jobs, id, ...call })), isJson);
  const found = await withJobs(options, (jobs, call) => listJobs({ jobs, ...call }));
  await printLines(isJson ? terminalJson(found) : table(found));
}

/** Prints the state of a job, with a plot where standard output is a terminal. */
export async function printStatus(found: JobStatus, isJson: boolean): Promise<void> {
  const width = process.stdout.isTTY ? process.stdout.columns : undefined;
  await printLines(isJson ? terminalJson(found) : statusText(found, width));
}

function table(found: readonly JobSummary[]): string {
  const rows = found.map(({ id, state, phase, round, createdAtMs }) => [
    terminalText(id),
    state,
    phase,
    `${round}`,
    new Date(createdAtMs).toISOString(),
  ]);
  return columns([["job", "state", "phase", "round", "planned"], ...rows]);
}
