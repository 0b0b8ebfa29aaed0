import type { Command } from "commander";
import type { TenantRecord, Tenants } from "../../tenants/index.ts";
import { printLines } from "../output.ts";
import { terminalJson } from "../terminal-text.ts";
import { stateLine } from "./describe.ts";
import {
  addReasonOption,
  addTenantKeysOptions,
  addTenantsOptions,
  changeOf,
  type ReasonOptions,
  type TenantKeysOptions,
  withTenantKeys,
  withTenants,
} from "./open-tenants.ts";

/** A verb that makes one change of a tenant and prints the state afterwards. */
interface ChangeVerb {
  readonly verb: string;
  readonly summary: string;
  readonly description: string;
  /** Whether the change needs keys: the platform's or the tenant's own. */
  readonly needsKeys: boolean;
  change(tenants: Tenants, id: string, change: ReturnType<typeof changeOf>): Promise<TenantRecord>;
}

/** `activate`, `suspend`, `revoke` and `restore`. */
export function addTenantChanges(group: Command): void {
  for (const verb of VERBS) addChange(group, verb);
}

function addChange(group: Command, { verb, summary, description, needsKeys, change }: ChangeVerb): void {
  const command = group.command(verb).argument("<id>", "of the tenant").summary(summary).description(description);
  addReasonOption(needsKeys ? addTenantKeysOptions(command) : addTenantsOptions(command));
  const open = needsKeys ? withTenantKeys : withTenants;
  command.action(async (id: string, options: TenantKeysOptions & ReasonOptions) => {
    const record = await open(options, (tenants) => change(tenants, id, changeOf(options)));
    await printLines(options.json === true ? terminalJson(record) : stateLine(record));
  });
}

const VERBS: readonly ChangeVerb[] = [
  {
    verb: "activate",
    summary: "let a tenant in",
    description: "Lets a tenant in under its verified key, or under the key of --platform if none is staged.",
    needsKeys: true,
    change: (tenants, id, change) => tenants.activate(id, change),
  },
  {
    verb: "suspend",
    summary: "stop a tenant; nothing is lost",
    description: "Stops a tenant in every process within its refresh interval. Calls no key.",
    needsKeys: false,
    change: (tenants, id, change) => tenants.suspend(id, change),
  },
  {
    verb: "revoke",
    summary: "close a tenant as if its key had refused",
    description:
      "Closes a tenant that asks for it: every process wipes its keys within its refresh interval. Nothing stored is lost. Calls no key.",
    needsKeys: false,
    change: (tenants, id, change) => tenants.revoke(id, change),
  },
  {
    verb: "restore",
    summary: "let a suspended or revoked tenant in again",
    description: "Asks the tenant's own keys first: one that does not answer leaves the tenant as it is.",
    needsKeys: true,
    change: (tenants, id, change) => tenants.restore(id, change),
  },
];
