import type { Command } from "commander";
import type { TenantFinding } from "../../tenants/index.ts";
import { columns } from "../columns.ts";
import { printLines } from "../output.ts";
import { terminalJson, terminalText } from "../terminal-text.ts";
import {
  addReasonOption,
  addTenantKeysOptions,
  changeOf,
  type ReasonOptions,
  type TenantKeysOptions,
  withTenantKeys,
} from "./open-tenants.ts";

export function addTenantVerify(group: Command): void {
  const command = group
    .command("verify")
    .argument("<id>", "of the tenant")
    .summary("check the staged key of a tenant, or the one in use")
    .description(
      "Checks name, identity, rights and state of the key, and a round trip. Exit code 1 if a check failed; warnings do not count.",
    );
  addReasonOption(addTenantKeysOptions(command)).action(verify);
}

async function verify(id: string, options: TenantKeysOptions & ReasonOptions): Promise<void> {
  const { level, findings } = await withTenantKeys(options, (tenants) => tenants.verify(id, changeOf(options)));
  if (level === "failed") process.exitCode = 1;
  await printLines(options.json === true ? terminalJson({ tenant: id, level, findings }) : table(findings));
}

function table(findings: readonly TenantFinding[]): string {
  return columns(
    findings.flatMap(({ level, check, whose, detail, hint }) => {
      const row = [level, check, level === "ok" ? "" : whose, terminalText(detail)];
      return hint === undefined ? [row] : [row, ["", "", "", `-> ${terminalText(hint)}`]];
    }),
  );
}
