import type { Command } from "commander";
import { confirm } from "../confirm.ts";
import { printLines } from "../output.ts";
import { terminalJson } from "../terminal-text.ts";
import { stateLine } from "./describe.ts";
import { addReasonOption, addTenantsOptions, changeOf, type ReasonOptions, type TenantsOptions, withTenants } from "./open-tenants.ts";

export function addTenantOffboard(group: Command): void {
  const command = group
    .command("offboard")
    .argument("<id>", "of the tenant")
    .summary("end the service for a tenant")
    .description(
      "From now on the tenant's data can be read for an export and nothing can be written. There is no way back but `shred` and a new " +
        "invitation, so it asks for the id to be typed again, on standard input. Calls no key.",
    );
  addReasonOption(addTenantsOptions(command)).action(offboard);
}

async function offboard(id: string, options: TenantsOptions & ReasonOptions): Promise<void> {
  const record = await withTenants(options, async (tenants) => {
    const before = await tenants.show(id);
    const warning = `This ends the service for ${id}: it can never write again.`;
    if (before.state !== "offboarding")
      await confirm({ warning, what: "id", expected: id, hint: "run it again, and type the tenant's id" });
    return await tenants.offboard(id, changeOf(options));
  });
  await printLines(options.json === true ? terminalJson(record) : stateLine(record));
}
