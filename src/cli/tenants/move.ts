import type { Command } from "commander";
import { plainFailure, tellFailures } from "../keys/describe.ts";
import { keyCount } from "../keys/job.ts";
import { printLines } from "../output.ts";
import { progressOn } from "../progress.ts";
import { terminalJson } from "../terminal-text.ts";
import {
  addReasonOption,
  addTenantKeysOptions,
  changeOf,
  type ReasonOptions,
  requireDataKeys,
  type TenantKeysOptions,
  withTenantKeys,
} from "./open-tenants.ts";

interface MoveOptions extends TenantKeysOptions, ReasonOptions {
  readonly wait: boolean;
}

export function addTenantMove(group: Command): void {
  const command = group
    .command("move")
    .argument("<id>", "of the tenant")
    .summary("move a tenant to its staged and verified key")
    .description(
      "Wraps the tenant's data keys under the new key, proves that none names the old one, and retires that. Each step is durable: run it " +
        "again after whatever ended it. Exit code 1 if data keys could not be moved.",
    );
  addReasonOption(addTenantKeysOptions(command)).option("--no-wait", "end where other processes have to learn of the new key first");
  command.action(move);
}

async function move(id: string, options: MoveOptions): Promise<void> {
  requireDataKeys(options);
  const { onProgress, end } = progressOn(process.stderr, undefined, undefined, keyCount);
  const report = await withTenantKeys(options, (tenants) =>
    tenants.move(id, { ...changeOf(options), wait: options.wait, onProgress: ({ rows }) => onProgress(rows) }).finally(end),
  );
  const { step, rewrapped, waitMs } = report;
  const rest = waitMs > 0 ? `; run it again in ${Math.ceil(waitMs / 1000)} s` : step === "retired" ? "; the old key may be taken away" : "";
  await printLines(
    options.json === true
      ? terminalJson({ ...report, failures: report.failures.map(plainFailure) })
      : `${step}: ${keyCount(rewrapped)} wrapped anew${rest}`,
  );
  tellFailures(report, options.debug === true);
}
