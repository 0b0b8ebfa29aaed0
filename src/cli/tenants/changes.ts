import type { Command } from "commander";
import type { TenantRecord, Tenants } from "../../tenants/index.ts";
import { confirm } from "../confirm.ts";
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

interface ChangeVerbOptions extends TenantKeysOptions, ReasonOptions {
  readonly force?: boolean;
}

/** A verb that makes one change of a tenant and prints the state afterwards. */
interface ChangeVerb {
  readonly verb: string;
  readonly summary: string;
  readonly description: string;
  /** Whether the change needs keys: the platform's or the tenant's own. */
  readonly needsKeys: boolean;
  /** What `--force` does. Undefined for a verb without it. */
  readonly force?: string;
  /** What is lost for good, which a person has to confirm with the id. Undefined if nothing is. */
  warning?(record: TenantRecord, isForced: boolean): string | undefined;
  change(tenants: Tenants, id: string, change: ReturnType<typeof changeOf>, isForced: boolean): Promise<TenantRecord>;
}

/** The verbs that take an id and print the state that follows. */
export function addTenantChanges(group: Command): void {
  for (const verb of VERBS) addChange(group, verb);
}

function addChange(group: Command, { verb, summary, description, needsKeys, force, warning, change }: ChangeVerb): void {
  const command = group.command(verb).argument("<id>", "of the tenant").summary(summary).description(description);
  addReasonOption(needsKeys ? addTenantKeysOptions(command) : addTenantsOptions(command));
  if (force !== undefined) command.option("-f, --force", force);
  const open = needsKeys ? withTenantKeys : withTenants;
  command.action(async (id: string, options: ChangeVerbOptions) => {
    const { force: isForced = false } = options;
    const record = await open(options, async (tenants) => {
      const lost = warning?.(await tenants.show(id), isForced);
      if (lost !== undefined) await confirm({ warning: lost, what: "id", expected: id, hint: "run it again, and type the tenant's id" });
      return await change(tenants, id, changeOf(options), isForced);
    });
    await printLines(options.json === true ? terminalJson(record) : stateLine(record));
  });
}

const VERBS: readonly ChangeVerb[] = [
  {
    verb: "unstage",
    summary: "drop the staged key of a tenant",
    description: "Drops the key that waits for its verification, or for a move. The keys in use stay as they are. Calls no key.",
    needsKeys: false,
    change: (tenants, id, change) => tenants.unstage(id, change),
  },
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
  {
    verb: "cancel-move",
    summary: "go back to the old keys of a move",
    description:
      "The old keys of a move wrap alone again, and the new one only opens. Allowed until the old keys are retired. Calls no key.",
    needsKeys: false,
    change: (tenants, id, change) => tenants.cancelMove(id, change),
  },
  {
    verb: "retire",
    summary: "end a move without its proof",
    description:
      "Notes that the old keys of a move may be taken away. `move` does so by itself once it has proved that no data key names them. Calls " +
      "no key.",
    needsKeys: false,
    force: "before the proof: data keys that still name the old keys alone may be lost; asks for the id to be typed again",
    warning: ({ id, move }, isForced) =>
      isForced && move !== null && move.step !== "proved"
        ? `No pass has proved that no data key of ${id} names its old keys alone: what does is lost with them.`
        : undefined,
    change: (tenants, id, change, force) => tenants.retire(id, { ...change, force }),
  },
  {
    verb: "forget",
    summary: "remove the retired keys of a move from the record",
    description:
      "From now on nothing is opened with the retired keys. Asks for the id to be typed again, on standard input: what still names them " +
      "outside of the data keys, such as blobs, opens no more. Calls no key.",
    needsKeys: false,
    warning: ({ id, move }) =>
      move?.step === "retired"
        ? `This removes the retired keys of ${id}: whatever still names them, such as blobs and backups, opens no more.`
        : undefined,
    change: (tenants, id, change) => tenants.forgetKeys(id, change),
  },
  {
    verb: "offboard",
    summary: "end the service for a tenant",
    description:
      "From now on the tenant's data can be read for an export and nothing can be written. There is no way back but `shred` and a new " +
      "invitation, so it asks for the id to be typed again, on standard input. Calls no key.",
    needsKeys: false,
    warning: ({ id, state }) =>
      state === "offboarding" || state === "shredded" ? undefined : `This ends the service for ${id}: it can never write again.`,
    change: (tenants, id, change) => tenants.offboard(id, change),
  },
];
