import type { Command } from "commander";
import { confirm } from "../confirm.ts";
import { STANDARD_STREAM } from "../input.ts";
import { plainFailure, tellFailures } from "../keys/describe.ts";
import { keyCount } from "../keys/job.ts";
import { printLines } from "../output.ts";
import { terminalJson } from "../terminal-text.ts";
import { stateLine } from "./describe.ts";
import {
  addReasonOption,
  addTenantKeysOptions,
  changeOf,
  type ReasonOptions,
  requireDataKeys,
  type TenantKeysOptions,
  withTenantKeys,
} from "./open-tenants.ts";

export function addTenantShred(group: Command): void {
  const command = group
    .command("shred")
    .argument("<id>", "of the tenant")
    .summary("destroy the data keys of a tenant that was offboarded")
    .description(
      "Destroys the data keys of a tenant, and with them its data, for good. Asks for the id to be typed again, on standard input. A key in " +
        "its service is destroyed only if you created it. Backups have to be destroyed too.",
    );
  addReasonOption(addTenantKeysOptions(command)).action(shred);
}

async function shred(id: string, options: TenantKeysOptions & ReasonOptions): Promise<void> {
  requireDataKeys(options);
  const report = await withTenantKeys(
    options,
    async (tenants) => {
      const { state } = await tenants.show(id);
      const warning = `This destroys the data keys of ${id} and all that they encrypted, for good.`;
      if (state === "offboarding") await confirm({ warning, what: "id", expected: id, hint: "run it again, and type the tenant's id" });
      return await tenants.shred(id, changeOf(options));
    },
    [STANDARD_STREAM],
  );
  const { record, shredded, unreadable, failed, failures, keysLeft } = report;
  const left = keysLeft.length === 0 ? "" : `; left in their service: key ${keysLeft.join(", ")} of ${record.id}`;
  await printLines(
    options.json === true
      ? terminalJson({ ...report, failures: failures.map(plainFailure) })
      : `${stateLine(record)}; ${keyCount(shredded)} destroyed${left}`,
  );
  tellFailures({ failed: failed + unreadable, failures }, options.debug === true);
}
