import { Argument, type Command } from "commander";
import type { Context } from "../../core/base/context.ts";
import { columns } from "../columns.ts";
import { collectPair } from "../options.ts";
import { printLines } from "../output.ts";
import { terminalJson } from "../terminal-text.ts";
import { policyRows } from "./describe.ts";
import {
  addReasonOption,
  addTenantKeysOptions,
  changeOf,
  type ReasonOptions,
  type TenantKeysOptions,
  withTenantKeys,
} from "./open-tenants.ts";
import { policyOfPairs } from "./policy-pairs.ts";

export function addTenantSetPolicy(group: Command): void {
  const command = group
    .command("set-policy")
    .argument("<id>", "of the tenant")
    .addArgument(new Argument("<name=value...>", "such as cacheMaxAgeMs=60000 regions=eu-central-1,eu-west-1").argParser(collectPair))
    .summary("replace parts of the policy of a tenant")
    .description(
      "Sets how long data keys are kept, how many calls the tenant's keys get, where they may lie, and whether a canary restores the tenant. " +
        "`default` stands for your own bound. It takes effect in every process within its refresh interval. Regions are checked against the " +
        "keys that the tenant has, which needs --openers. Calls no key.",
    );
  addReasonOption(addTenantKeysOptions(command)).action(setPolicy);
}

async function setPolicy(id: string, pairs: Context, options: TenantKeysOptions & ReasonOptions): Promise<void> {
  const given = policyOfPairs(pairs);
  const record = await withTenantKeys(options, (tenants) => tenants.setPolicy(id, given, changeOf(options)));
  await printLines(options.json === true ? terminalJson(record) : columns(policyRows(record.policy)));
}
