import { type Command, Option } from "commander";
import type { TenantRecord, UnreadableTenant } from "../../tenants/index.ts";
import { TENANT_STATES } from "../../tenants/record/document.ts";
import { columns } from "../columns.ts";
import { printLines } from "../output.ts";
import { terminalJson, terminalText } from "../terminal-text.ts";
import { plainTenant, tellUnreadable, timeText } from "./describe.ts";
import { addTenantsOptions, type TenantsOptions, withTenants } from "./open-tenants.ts";

interface ListOptions extends TenantsOptions {
  readonly state?: string;
}

export function addTenantsList(group: Command): void {
  const command = group
    .command("list")
    .summary("show the tenants, without any key")
    .description("Shows each tenant: its state and since when, its generation of keys, and the step of a move. Calls no key.");
  addTenantsOptions(command).addOption(new Option("--state <state>", "only tenants in this state").choices(TENANT_STATES));
  command.action(list);
}

async function list({ state, json = false, debug = false, ...options }: ListOptions): Promise<void> {
  const found: (TenantRecord | UnreadableTenant)[] = [];
  await withTenants(options, async (tenants) => {
    for await (const tenant of tenants.list()) if (state === undefined || "error" in tenant || tenant.state === state) found.push(tenant);
  });
  await printLines(json ? terminalJson(found.map(plainTenant)) : table(found));
  tellUnreadable(found, debug);
}

function table(found: readonly (TenantRecord | UnreadableTenant)[]): string {
  const rows = found.map((tenant) => {
    if ("error" in tenant) return [terminalText(tenant.id), "unreadable"];
    const { id, state, sinceMs, generation, keys, move, health } = tenant;
    const kinds = keys.map(({ kind }) => kind).join(", ");
    return [terminalText(id), state, timeText(sinceMs).slice(0, 10), `${generation}`, kinds, move?.step ?? "-", health?.outcome ?? "-"];
  });
  return columns([["tenant", "state", "since", "generation", "keys", "move", "health"], ...rows]);
}
