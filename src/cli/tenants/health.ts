import type { Command } from "commander";
import type { TenantReport } from "../../tenants/index.ts";
import { columns } from "../columns.ts";
import { printLines } from "../output.ts";
import { terminalJson, terminalText } from "../terminal-text.ts";
import { timeText } from "./describe.ts";
import { addTenantKeysOptions, type TenantKeysOptions, withTenantKeys } from "./open-tenants.ts";

interface HealthOptions extends TenantKeysOptions {
  readonly check?: boolean;
}

export function addTenantHealth(group: Command): void {
  const command = group
    .command("health")
    .argument("[id]", "of one tenant; all of them without it")
    .summary("show who is in trouble, and how fast a revocation closes")
    .description(
      "Shows state and last change of health of each tenant, the party that can end a trouble, and the time within which a key that is " +
        "taken away closes its data. Exit code 1 if a check failed.",
    );
  addTenantKeysOptions(command).option("--check", "ask the tenant's keys now: needs an id");
  command.action(health);
}

async function health(id: string | undefined, options: HealthOptions): Promise<void> {
  const reports: TenantReport[] = [];
  await withTenantKeys(options, async (tenants) => {
    if (id !== undefined && options.check === true) {
      for (const { error } of await tenants.checkHealth(id)) if (error !== undefined) process.exitCode = 1;
    }
    if (id !== undefined) reports.push(await tenants.healthOf(id));
    else for await (const report of tenants.health()) reports.push(report);
  });
  await printLines(options.json === true ? terminalJson(reports) : table(reports));
}

function table(reports: readonly TenantReport[]): string {
  const rows = reports.map(({ tenant, state, sinceMs, outcome, whose, revocationBoundMs, keys }) => [
    terminalText(tenant),
    state,
    timeText(sinceMs).slice(0, 19),
    outcome ?? "-",
    whose ?? "-",
    `${Math.ceil(revocationBoundMs / 1000)} s`,
    keys.map(({ number, kind }) => `${number} ${kind}`).join(", "),
  ]);
  return columns([["tenant", "state", "since", "health", "whose", "closes within", "keys"], ...rows]);
}
