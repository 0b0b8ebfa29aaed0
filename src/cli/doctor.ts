import { type Command, Option } from "commander";
import { type AzureFinding, diagnoseAzureKey } from "../../providers/azure/index.ts";
import { azureConnection } from "./azure-connection.ts";
import { columns } from "./columns.ts";
import { type AzureOptions, addAzureOptions, addDebugOption } from "./options.ts";
import { printLines } from "./output.ts";
import { terminalJson, terminalText } from "./terminal-text.ts";

interface DoctorOptions extends AzureOptions {
  readonly azure: string;
  readonly json?: boolean;
}

export function addDoctor(program: Command): void {
  const command = program
    .command("doctor")
    .summary("look for what keeps a key service from working")
    .description(
      "Looks at a key in Azure: name, connection, token, rights, state of the key, and a round trip with 32 random bytes. Says what to do " +
        "about what it finds, and changes nothing. Exit code 1 if a check failed; warnings do not count.",
    )
    .addOption(new Option("--azure <keyUrl>", "the key to look at").makeOptionMandatory());
  addAzureOptions(command).option("--json", "as JSON");
  addDebugOption(command);
  command.addHelpText(
    "after",
    `
Examples:
  envelock doctor --azure https://acme.vault.azure.net/keys/orders
  envelock doctor --azure https://acme.vault.azure.net/keys/orders --credential managed-identity --json`,
  );
  command.action(examine);
}

async function examine(options: DoctorOptions): Promise<void> {
  const findings = await diagnoseAzureKey({ ...azureConnection(options), keyUrl: options.azure });
  const isHealthy = findings.every(({ status }) => status !== "failed");
  if (!isHealthy) process.exitCode = 1;
  await printLines(options.json === true ? terminalJson({ keyUrl: options.azure, isHealthy, findings }) : table(findings));
}

function table(findings: readonly AzureFinding[]): string {
  return columns(
    findings.flatMap(({ check, status, message, advice }) => {
      const row = [status, check, terminalText(message)];
      return advice === undefined ? [row] : [row, ["", "", `-> ${terminalText(advice)}`]];
    }),
  );
}
