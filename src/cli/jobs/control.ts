import type { Command } from "commander";
import { cancelJob, type JobRef, type JobState, pauseJob, resumeJob, retryJob } from "../../jobs/index.ts";
import { printLines } from "../output.ts";
import { terminalJson, terminalText } from "../terminal-text.ts";
import { addJobsOptions, type JobsOptions, withJobs } from "./open-jobs.ts";

/** The verbs that change the state of a job: none of them needs a key. */
export function addJobsControl(group: Command): void {
  for (const { name, summary, description, change } of VERBS) {
    const command = group.command(name).argument("<id>", "the name of the job").summary(summary).description(description);
    addJobsOptions(command).action(async (id: string, options: JobsOptions) => {
      const state = await withJobs(options, (jobs, call) => change({ jobs, id, ...call }));
      await printLines(options.json === true ? terminalJson({ id, state }) : `job ${terminalText(id)} is ${state}`);
    });
  }
}

interface ControlVerb {
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  change(ref: JobRef): Promise<JobState>;
}

const VERBS: readonly ControlVerb[] = [
  {
    name: "pause",
    summary: "stop all workers of a job at their next page",
    description: "Pauses a job. Its workers give their partitions back at their next page, and end.",
    change: pauseJob,
  },
  {
    name: "resume",
    summary: "let a paused job go on, once a worker runs",
    description: "Lets a paused job go on, once a worker runs.",
    change: resumeJob,
  },
  {
    name: "cancel",
    summary: "end a job for good",
    description: "Ends a job for good. What was done stays done.",
    change: cancelJob,
  },
  {
    name: "retry",
    summary: "begin another round over what failed, at once",
    description: "Begins another round over the partitions with rows that failed, without waiting. A worker does it.",
    change: retryJob,
  },
];
