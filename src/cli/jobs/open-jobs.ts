import { type Command, Option } from "commander";
import type { CallOptions } from "../../core/base/call-options.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import { interruptible } from "../interruptible.ts";
import { type OpenJobStore, withJobStore } from "../open-store.ts";
import { addDebugOption } from "../options.ts";

export interface JobsOptions {
  readonly jobs: string;
  readonly jobsTable?: string;
  readonly create?: boolean;
  readonly json?: boolean;
  readonly debug?: boolean;
}

/** What every verb of jobs has. */
export function addJobsOptions(command: Command): Command {
  command
    .addOption(
      new Option(
        "--jobs <store>",
        "where jobs are kept: postgres://user@host/database, sqlite:<file> or file:<file>",
      ).makeOptionMandatory(),
    )
    .addOption(new Option("--jobs-table <name>", "of the jobs in a database (default: envelock_jobs)"))
    .option("--json", "as JSON");
  return addDebugOption(command);
}

/** The store of jobs that the arguments name, for as long as `use` takes. A signal that ends the process aborts `use` first. */
export async function withJobs<T>(options: JobsOptions, use: (jobs: OpenJobStore, call: Required<CallOptions>) => Promise<T>): Promise<T> {
  const { jobs: store, jobsTable: table, create = false } = options;
  return await interruptible((signal) =>
    withJobStore({ store, create, ...(table !== undefined && { table }) }, async (jobs) => {
      if (create) await jobs.migrate?.();
      return await withHint(use(jobs, { signal }));
    }),
  );
}

async function withHint<T>(working: Promise<T>): Promise<T> {
  try {
    return await working;
  } catch (error) {
    if (!(error instanceof EnvelockError) || error.code !== "key-not-found" || !NO_JOB.test(error.message)) throw error;
    throw new EnvelockError(error.code, error.message, {
      cause: error,
      hint: "`envelock jobs status` without an id lists the jobs; `envelock jobs plan` makes one",
    });
  }
}

const NO_JOB = /\bjob\b/;
