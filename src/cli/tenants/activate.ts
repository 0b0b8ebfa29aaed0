import type { Command } from "commander";
import { printLines } from "../output.ts";
import { terminalJson } from "../terminal-text.ts";
import { stateLine } from "./describe.ts";
import {
  addReasonOption,
  addTenantKeysOptions,
  changeOf,
  type ReasonOptions,
  type TenantKeysOptions,
  withTenantKeys,
} from "./open-tenants.ts";

export function addTenantActivate(group: Command): void {
  const command = group
    .command("activate")
    .argument("<id>", "of the tenant")
    .summary("let a tenant in")
    .description("Lets a tenant in under its verified key, or under the key of --platform if none is staged.");
  addReasonOption(addTenantKeysOptions(command)).action(activate);
}

async function activate(id: string, options: TenantKeysOptions & ReasonOptions): Promise<void> {
  const record = await withTenantKeys(options, (tenants) => tenants.activate(id, changeOf(options)));
  await printLines(options.json === true ? terminalJson(record) : stateLine(record));
}
