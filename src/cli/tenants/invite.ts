import { type Command, Option } from "commander";
import type { Context } from "../../core/base/context.ts";
import { collectPair } from "../options.ts";
import { printLines } from "../output.ts";
import { terminalJson } from "../terminal-text.ts";
import { stateLine } from "./describe.ts";
import { addReasonOption, addTenantsOptions, changeOf, type ReasonOptions, type TenantsOptions, withTenants } from "./open-tenants.ts";
import { policyOfPairs } from "./policy-pairs.ts";

interface InviteOptions extends TenantsOptions, ReasonOptions {
  readonly identity?: Context;
  readonly policy?: Context;
}

export function addTenantInvite(group: Command): void {
  const command = group
    .command("invite")
    .argument("<id>", "of the tenant")
    .summary("make the record of a tenant")
    .description("Makes the record of a tenant, and an external id that the tenant names in the trust of its role. Calls no key.");
  addReasonOption(addTenantsOptions(command))
    .addOption(
      new Option("--identity <name=value>", "what you sign in to its key service with, never a secret (repeatable)").argParser(collectPair),
    )
    .addOption(new Option("--policy <name=value>", "a part of its policy, as for set-policy (repeatable)").argParser(collectPair))
    .option("--create", "make the file of a store that is not there");
  command.action(invite);
}

async function invite(id: string, { identity = {}, policy: pairs = {}, json = false, ...options }: InviteOptions): Promise<void> {
  const policy = policyOfPairs(pairs);
  const record = await withTenants(options, (tenants) => tenants.invite(id, { identity, policy, ...changeOf(options) }));
  await printLines(json ? terminalJson(record) : `${stateLine(record)}\nexternal id: ${record.externalId}`);
}
