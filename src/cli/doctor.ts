import { type Command, Option } from "commander";
import { diagnoseAwsKmsKey } from "../../providers/aws-kms/index.ts";
import { diagnoseAzureKey } from "../../providers/azure/index.ts";
import { diagnoseGcpKey } from "../../providers/gcp-kms/index.ts";
import { diagnoseVaultKey } from "../../providers/vault/index.ts";
import type { Finding } from "../core/contracts/finding.ts";
import { awsKeyOptions } from "./aws-connection.ts";
import { azureConnection } from "./azure-connection.ts";
import { columns } from "./columns.ts";
import { engineFinding } from "./engine.ts";
import { usageError } from "./failure.ts";
import { gcpKeyOptions } from "./gcp-connection.ts";
import { type AzureOptions, addAzureOptions, addDebugOption } from "./options.ts";
import { printLines } from "./output.ts";
import { terminalJson, terminalText } from "./terminal-text.ts";
import { vaultKeyOptions } from "./vault-connection.ts";

interface DoctorOptions extends AzureOptions {
  readonly azure?: string;
  readonly vault?: string;
  readonly aws?: string;
  readonly gcp?: string;
  readonly engine?: boolean;
  readonly json?: boolean;
}

export function addDoctor(program: Command): void {
  const command = program
    .command("doctor")
    .summary("look for what keeps a key service from working")
    .description(
      "Looks at a key of a service: name, connection, token, rights, state of the key, and a round trip with 32 random bytes. Says what to do " +
        "about what it finds, and changes nothing. Tells too what does the cryptography here. Exit code 1 if a check failed; warnings do not count.",
    )
    .addOption(new Option("--azure <keyUrl>", "a key in Azure to look at").conflicts(["vault", "aws", "gcp", "engine"]))
    .addOption(
      new Option("--vault <url>", "a transit key to look at: https://<host>:8200/<mount>/<key>").conflicts(["aws", "gcp", "engine"]),
    )
    .addOption(new Option("--aws <arn>", "a key in AWS KMS to look at").conflicts(["gcp", "engine"]))
    .addOption(new Option("--gcp <name>", "a key in Google Cloud KMS to look at: projects/…/cryptoKeys/<key>").conflicts("engine"))
    .option("--engine", "no key: tell only what does the cryptography here");
  addAzureOptions(command).option("--json", "as JSON");
  addDebugOption(command);
  command.addHelpText(
    "after",
    `
Examples:
  envelock doctor --azure https://acme.vault.azure.net/keys/orders
  envelock doctor --azure https://acme.vault.azure.net/keys/orders --credential managed-identity --json
  envelock doctor --vault https://vault.example:8200/transit/orders
  envelock doctor --aws arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab
  envelock doctor --gcp projects/acme/locations/europe-west3/keyRings/main/cryptoKeys/orders
  envelock doctor --engine`,
  );
  command.action(examine);
}

async function examine(options: DoctorOptions): Promise<void> {
  const [keyUrl, ofKey] = options.engine === true ? [undefined, []] : await found(options);
  const findings = [...ofKey, engineFinding()];
  const isHealthy = findings.every(({ status }) => status !== "failed");
  if (!isHealthy) process.exitCode = 1;
  await printLines(options.json === true ? terminalJson({ keyUrl, isHealthy, findings }) : table(findings));
}

async function found(options: DoctorOptions): Promise<readonly [keyUrl: string, findings: readonly Finding[]]> {
  const { azure, vault, aws, gcp } = options;
  if (azure !== undefined) return [azure, await diagnoseAzureKey({ ...azureConnection(options), keyUrl: azure })];
  if (vault !== undefined) return [vault, await diagnoseVaultKey(await vaultKeyOptions(vault))];
  if (aws !== undefined) return [aws, await diagnoseAwsKmsKey(await awsKeyOptions(aws))];
  if (gcp !== undefined) return [gcp, await diagnoseGcpKey(await gcpKeyOptions(gcp))];
  throw usageError("doctor needs a key to look at", "name it with --azure, --vault, --aws or --gcp; --engine looks at none");
}

function table(findings: readonly Finding[]): string {
  return columns(
    findings.flatMap(({ check, status, message, advice }) => {
      const row = [status, check, terminalText(message)];
      return advice === undefined ? [row] : [row, ["", "", `-> ${terminalText(advice)}`]];
    }),
  );
}
