import type { Command } from "commander";
import type { TenantRecord } from "../../tenants/index.ts";
import { columns } from "../columns.ts";
import { printLines } from "../output.ts";
import { terminalJson, terminalText } from "../terminal-text.ts";
import { keyLine, policyRows, timeText } from "./describe.ts";
import { addTenantsOptions, type TenantsOptions, withTenants } from "./open-tenants.ts";

export function addTenantShow(group: Command): void {
  const command = group
    .command("show")
    .argument("<id>", "of the tenant")
    .summary("show one tenant")
    .description("Shows what is stored about one tenant. Calls no key.");
  addTenantsOptions(command).action(show);
}

async function show(id: string, { json = false, ...options }: TenantsOptions): Promise<void> {
  const record = await withTenants(options, (tenants) => tenants.show(id));
  await printLines(json ? terminalJson(record) : columns(rowsOf(record)));
}

function rowsOf(record: TenantRecord): readonly (readonly string[])[] {
  const { id, state, sinceMs, epoch, generation, externalId, identity, keys, staged, move, policy, verification, health } = record;
  const pairs = Object.entries(identity).map(([name, value]) => terminalText(`${name}=${value}`));
  const verified = verification && `${verification.level} at ${timeText(verification.atMs)}, key ${verification.key}`;
  return [
    ["tenant", terminalText(id)],
    ["state", `${state} since ${timeText(sinceMs)}`],
    ["epoch", `${epoch}`],
    ["generation", `${generation}`],
    ["external id", externalId],
    ...pairs.map((pair, at) => [at === 0 ? "identity" : "", pair]),
    ...keys.map((key, at) => [at === 0 ? "keys" : "", keyLine(key)]),
    ...(staged === null ? [] : [["staged", keyLine(staged)]]),
    ...(move === null ? [] : [["move", `${move.from.join(", ")} -> ${move.to}: ${move.step} since ${timeText(move.sinceMs)}`]]),
    ...policyRows(policy)
      .filter(([, value]) => value !== "default")
      .map(([name, value], at) => [at === 0 ? "policy" : "", `${name}=${value}`]),
    ...(verified === null ? [] : [["verified", verified]]),
    ...(health === null ? [] : [["health", `${health.outcome} at ${timeText(health.atMs)}`]]),
  ];
}
