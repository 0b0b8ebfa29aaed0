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

export function addTenantRestore(group: Command): void {
  const command = group
    .command("restore")
    .argument("<id>", "of the tenant")
    .summary("let a suspended or revoked tenant in again")
    .description("Asks the tenant's own keys first: one that does not answer leaves the tenant as it is.");
  addReasonOption(addTenantKeysOptions(command)).action(restore);
}

async function restore(id: string, options: TenantKeysOptions & ReasonOptions): Promise<void> {
  const record = await withTenantKeys(options, (tenants) => tenants.restore(id, changeOf(options)));
  await printLines(options.json === true ? terminalJson(record) : stateLine(record));
}
