import type { Command } from "commander";
import { addJobsControl } from "./control.ts";
import { addJobsPlan } from "./plan.ts";
import { addJobsStatus } from "./status.ts";
import { addJobsWork } from "./work.ts";

export function addJobs(program: Command): void {
  const group = program
    .command("jobs")
    .summary("rewrap data keys or blobs with many processes")
    .description("Plans a rewrap of all data keys, or of the blobs of a container, works on it in any number of processes, and steers it.");
  for (const addVerb of [addJobsPlan, addJobsWork, addJobsStatus, addJobsControl]) addVerb(group);
  group.addHelpText(
    "after",
    `
Examples:
  envelock jobs plan rewrap-2026-11 --jobs sqlite:app.db --store sqlite:app.db --key keys.json --create
  envelock jobs work rewrap-2026-11 --jobs sqlite:app.db --store sqlite:app.db --key keys.json
  envelock jobs plan tenants-2026-11 --jobs sqlite:app.db --store sqlite:app.db --tenants sqlite:app.db --platform platform.json
  envelock jobs plan blobs-2026-11 --jobs file:jobs.json --blobs az://acme/invoices --key keys.json --create
  envelock jobs status rewrap-2026-11 --jobs sqlite:app.db
  envelock jobs pause rewrap-2026-11 --jobs sqlite:app.db`,
  );
}
