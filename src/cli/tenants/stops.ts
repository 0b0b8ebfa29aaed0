import type { Command } from "commander";
import type { Tenants } from "../../tenants/index.ts";
import { printLines } from "../output.ts";
import { terminalJson } from "../terminal-text.ts";
import { stateLine } from "./describe.ts";
import { addReasonOption, addTenantsOptions, changeOf, type ReasonOptions, type TenantsOptions, withTenants } from "./open-tenants.ts";

/** `suspend` and `revoke`, which stop a tenant without a call of its key. */
export function addTenantStops(group: Command): void {
  addStop(
    group,
    "suspend",
    "stop a tenant; nothing is lost",
    "Stops a tenant in every process within its refresh interval.",
    (tenants, id, change) => tenants.suspend(id, change),
  );
  addStop(
    group,
    "revoke",
    "close a tenant as if its key had refused",
    "Closes a tenant that asks for it: every process wipes its keys within its refresh interval. Nothing stored is lost.",
    (tenants, id, change) => tenants.revoke(id, change),
  );
}

type Stop = (tenants: Tenants, id: string, change: ReturnType<typeof changeOf>) => ReturnType<Tenants["suspend"]>;

function addStop(group: Command, verb: string, summary: string, description: string, stop: Stop): void {
  const command = group.command(verb).argument("<id>", "of the tenant").summary(summary).description(`${description} Calls no key.`);
  addReasonOption(addTenantsOptions(command)).action(async (id: string, options: TenantsOptions & ReasonOptions) => {
    const record = await withTenants(options, (tenants) => stop(tenants, id, changeOf(options)));
    await printLines(options.json === true ? terminalJson(record) : stateLine(record));
  });
}
