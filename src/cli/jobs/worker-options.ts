import type { Command } from "commander";
import { addStoreOptions } from "../open-store.ts";
import { addKeyOptions } from "../options.ts";
import { addJobsOptions } from "./open-jobs.ts";

/** What the verbs have that need the data keys and a key beside the jobs. */
export function addWorkerOptions(command: Command): Command {
  addStoreOptions(command);
  addKeyOptions(command, "the first wraps, with its primary key; all of them unwrap (repeatable)");
  return addJobsOptions(command);
}
