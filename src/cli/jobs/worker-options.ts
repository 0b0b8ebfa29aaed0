import { type Command, Option } from "commander";
import type { RewrapWorkOptions } from "../../jobs/index.ts";
import { addStoreOptions } from "../open-store.ts";
import { addKeyOptions, wholeNumber } from "../options.ts";
import { addJobsOptions } from "./open-jobs.ts";

export interface WorkerOptions {
  readonly callsPerSecond?: number;
  readonly unwrap?: boolean;
}

/** What the verbs have that need the data keys and a key beside the jobs. */
export function addWorkerOptions(command: Command): Command {
  addStoreOptions(command);
  addKeyOptions(command, "the first wraps, with its primary key; all of them unwrap (repeatable)");
  command
    .addOption(
      new Option("--calls-per-second <count>", "calls of the key service that the whole fleet may make (default: no limit)").argParser(
        callsOf,
      ),
    )
    .option("--unwrap", "unwrap every data key in the verification; the same for plan and work");
  return addJobsOptions(command);
}

/** The budget and the verification of a job, as `planRewrap` takes them. */
export function termsOf({ callsPerSecond, unwrap = false }: WorkerOptions): Pick<RewrapWorkOptions, "budgets" | "verification"> {
  return {
    verification: unwrap ? "unwrap" : "names",
    ...(callsPerSecond !== undefined && { budgets: [{ perSecond: callsPerSecond, share: 1 }] }),
  };
}

function callsOf(text: string): number {
  return wholeNumber("--calls-per-second", text, { least: 1, most: 1_000_000, hint: "leave it out for no limit" });
}
