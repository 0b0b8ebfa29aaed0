import { type Command, Option } from "commander";
import { isFaultName } from "../testing/azure-emulator/faults.ts";
import type { AzureEmulator, Flavour, LoggedRequest } from "../testing/azure-emulator/index.ts";
import { isEc, isOct, isRsa } from "../testing/azure-emulator/key-material.ts";
import { addAwsKmsEmulator } from "./dev-aws-kms.ts";
import { addGcpKmsEmulator } from "./dev-gcp-kms.ts";
import { addGcsEmulator } from "./dev-gcs.ts";
import { addS3Emulator } from "./dev-s3.ts";
import { addVaultEmulator } from "./dev-vault.ts";
import { addEmulatorCommand, type EmulatorOptions, type Reach, serveEmulator, startOptions } from "./emulator-command.ts";
import { usageError } from "./failure.ts";
import { collect } from "./options.ts";

interface AzureEmulatorOptions extends EmulatorOptions {
  readonly flavour: Flavour;
  readonly secret?: readonly string[];
  readonly limits?: boolean;
}

export function addDev(program: Command): void {
  const dev = program.command("dev").summary("tools for development").description("Tools for development; none of them is for production.");
  const command = addEmulatorCommand(dev, {
    name: NAME,
    summary: "a key vault or Managed HSM on this machine, for tests",
    service: "Azure Key Vault or Managed HSM",
    key: ["-k, --key <name[:type[:bits]]>", "make a key, such as orders:RSA-HSM:2048 (repeatable)"],
    faultsBy: "METHOD /path",
    faults: [
      ...["claims", "rotation", "throttled[:<seconds>]", "unavailable", "internal-error", "bad-gateway", "timeout", "rbac", "policy"],
      ...["firewall", "private-link", "disabled", "expired", "not-yet-valid", "deleted", "not-replicated"],
    ],
    example: "--key orders:RSA-HSM --ca-out emulator.pem",
  });
  command
    .addOption(new Option("--flavour <flavour>", "what it stands for").choices(FLAVOURS).default("premium"))
    .addOption(new Option("--secret <name=value>", "make a secret (repeatable)").argParser(collect))
    .option("--limits", "hold to the documented limits of a vault");
  command.action(runAzureEmulator);
  addVaultEmulator(dev);
  addAwsKmsEmulator(dev);
  addGcpKmsEmulator(dev);
  addS3Emulator(dev);
  addGcsEmulator(dev);
}

async function runAzureEmulator(options: AzureEmulatorOptions): Promise<void> {
  await serveEmulator(NAME, options, {
    async start() {
      const { AzureEmulator } = await import("../testing/azure-emulator/index.ts");
      const { flavour, limits } = options;
      const told = startOptions<LoggedRequest>(options, ({ operationName, principal }) => [operationName, principal]);
      return await AzureEmulator.start({ ...told, flavour, ...(limits === true && { hasLimits: true }) });
    },
    order(emulator, fault, on) {
      if (!isFaultName(fault)) return false;
      emulator.failNext(fault, on);
      return true;
    },
    async prepare(emulator, caFile) {
      for (const spec of options.key ?? []) await makeKey(emulator, spec);
      for (const spec of options.secret ?? []) makeSecret(emulator, spec);
      return await reachOf(emulator, options, caFile);
    },
  });
}

async function makeKey(emulator: AzureEmulator, spec: string): Promise<void> {
  const [name = "", type = "RSA", bits] = spec.split(":");
  if (!isRsa(type) && !isEc(type) && !isOct(type))
    throw usageError(`"${spec}" is not name:type:bits`, "a type is RSA, EC or oct, or one of them with -HSM");
  await emulator.createKey(name, { type, ...(bits !== undefined && { bits: Number(bits) }) });
}

function makeSecret(emulator: AzureEmulator, spec: string): void {
  const at = spec.indexOf("=");
  if (at < 1) throw usageError("a secret is given as name=value", "such as --secret orders-kek=value");
  emulator.setSecret(spec.slice(0, at), spec.slice(at + 1));
}

async function reachOf(emulator: AzureEmulator, { key = [], secret = [] }: AzureEmulatorOptions, caFile?: string): Promise<Reach> {
  const { url, tokenResource } = emulator;
  const keys = key.map((spec) => emulator.keyUrl(before(spec, ":")));
  const secrets = secret.map((spec) => emulator.secretUrl(before(spec, "=")));
  return {
    json: { url, tokenResource, keys, secrets },
    rows: [
      ["vault", url],
      ["resource", tokenResource],
      ...keys.map((keyUrl) => ["key", keyUrl] as const),
      ...secrets.map((secretUrl) => ["secret", secretUrl] as const),
    ],
    // for another process to reach it through `ManagedIdentityCredential`
    environment: {
      AZURE_POD_IDENTITY_AUTHORITY_HOST: await emulator.serveManagedIdentity(),
      ...(caFile !== undefined && { NODE_EXTRA_CA_CERTS: caFile }),
    },
  };
}

function before(text: string, separator: string): string {
  return text.split(separator)[0] ?? text;
}

const FLAVOURS: readonly Flavour[] = ["standard", "premium", "managed-hsm"];
const NAME = "azure-emulator";
