import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { utf8 } from "../core/base/bytes.ts";
import { isFaultName } from "../testing/azure-emulator/faults.ts";
import type { AzureEmulator, EmulatorOptions, Flavour, LoggedRequest } from "../testing/azure-emulator/index.ts";
import { isEc, isOct, isRsa } from "../testing/azure-emulator/key-material.ts";
import { columns } from "./columns.ts";
import { addAwsKmsEmulator } from "./dev-aws-kms.ts";
import { addVaultEmulator } from "./dev-vault.ts";
import { usageError } from "./failure.ts";
import { addDebugOption, collect, portOf } from "./options.ts";
import { NEW_FILE_MODE, openOutput, printLines } from "./output.ts";
import { terminalText } from "./terminal-text.ts";

interface AzureEmulatorOptions {
  readonly port?: number;
  readonly flavour: Flavour;
  readonly key?: readonly string[];
  readonly secret?: readonly string[];
  readonly limits?: boolean;
  readonly fault?: readonly string[];
  readonly caOut?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

export function addDev(program: Command): void {
  const dev = program.command("dev").summary("tools for development").description("Tools for development; none of them is for production.");
  const command = dev
    .command("azure-emulator")
    .summary("a key vault or Managed HSM on this machine, for tests")
    .description(
      "Runs an emulator of Azure Key Vault or Managed HSM on 127.0.0.1 until it is ended with SIGINT or SIGTERM. It keeps keys in memory " +
        "alone, and serves every process of this machine.",
    )
    .addOption(new Option("-p, --port <port>", "where to listen (default: any port that is free)").argParser(portOf))
    .addOption(new Option("--flavour <flavour>", "what it stands for").choices(FLAVOURS).default("premium"))
    .addOption(new Option("-k, --key <name[:type[:bits]]>", "make a key, such as orders:RSA-HSM:2048 (repeatable)").argParser(collect))
    .addOption(new Option("--secret <name=value>", "make a secret (repeatable)").argParser(collect))
    .option("--limits", "hold to the documented limits of a vault")
    .addOption(
      new Option("--fault <name[@text]>", "fail the next request whose METHOD /path contains the text (repeatable)").argParser(collect),
    )
    .option("--ca-out <file>", "write the authority that signed its certificate, in PEM, in place of what is there")
    .option("--json", "print what is needed to reach it as one line of JSON")
    .option("--verbose", "print each request to standard error");
  addDebugOption(command);
  command.addHelpText(
    "after",
    `
Faults: reset, hang, cut, endless, garbage, claims, rotation, slow:<ms>, throttled[:<seconds>], unavailable, internal-error, bad-gateway,
timeout, rbac, policy, firewall, private-link, disabled, expired, not-yet-valid, deleted, not-replicated.

Example:
  envelock dev azure-emulator --key orders:RSA-HSM --ca-out emulator.pem`,
  );
  command.action(runAzureEmulator);
  addVaultEmulator(dev);
  addAwsKmsEmulator(dev);
}

async function runAzureEmulator({ caOut, json, ...options }: AzureEmulatorOptions): Promise<void> {
  const ended = new Promise<void>((end) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => end());
  });
  const { AzureEmulator } = await import("../testing/azure-emulator/index.ts");
  const emulator = await AzureEmulator.start(emulatorOptions(options));
  try {
    for (const spec of options.key ?? []) await makeKey(emulator, spec);
    for (const spec of options.secret ?? []) makeSecret(emulator, spec);
    for (const spec of options.fault ?? []) orderFault(emulator, spec);
    if (caOut !== undefined) await openOutput({ out: caOut, force: true }, NEW_FILE_MODE)([utf8(emulator.ca)]);
    const described = await description(emulator, options, caOut);
    await printLines(json === true ? JSON.stringify(described) : columns(rowsOf(described)));
    await ended;
  } finally {
    await emulator.close();
  }
}

function emulatorOptions({ port, flavour, limits, verbose }: AzureEmulatorOptions): EmulatorOptions {
  return {
    flavour,
    ...(port !== undefined && { port }),
    ...(limits === true && { hasLimits: true }),
    ...(verbose === true && { onRequest: printRequest }),
  };
}

function printRequest({ path, status, operationName = "-", principal = "-", isAbandoned }: LoggedRequest): void {
  process.stderr.write(`${terminalText(`${path} ${isAbandoned ? "abandoned" : status} ${operationName} ${principal}`)}\n`);
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

function orderFault(emulator: AzureEmulator, spec: string): void {
  const at = spec.indexOf("@");
  const name = at === -1 ? spec : spec.slice(0, at);
  if (!isFaultName(name)) throw usageError(`no fault is called "${name}"`, "envelock dev azure-emulator --help lists them");
  const text = at === -1 ? "" : spec.slice(at + 1);
  emulator.failNext(name, new RegExp(text.replaceAll(/[^\w/ -]/g, "\\$&")));
}

interface Description {
  readonly url: string;
  readonly tokenResource: string;
  readonly keys: readonly string[];
  readonly secrets: readonly string[];
  /** What another process needs to reach it through `ManagedIdentityCredential`. */
  readonly environment: Readonly<Record<string, string>>;
}

async function description(emulator: AzureEmulator, { key = [], secret = [] }: AzureEmulatorOptions, caOut?: string): Promise<Description> {
  return {
    url: emulator.url,
    tokenResource: emulator.tokenResource,
    keys: key.map((spec) => emulator.keyUrl(before(spec, ":"))),
    secrets: secret.map((spec) => emulator.secretUrl(before(spec, "="))),
    environment: {
      AZURE_POD_IDENTITY_AUTHORITY_HOST: await emulator.serveManagedIdentity(),
      ...(caOut !== undefined && { NODE_EXTRA_CA_CERTS: resolve(caOut) }),
    },
  };
}

function rowsOf({ url, tokenResource, keys, secrets, environment }: Description): readonly (readonly string[])[] {
  return [
    ["vault", url],
    ["resource", tokenResource],
    ...keys.map((keyUrl) => ["key", keyUrl]),
    ...secrets.map((secretUrl) => ["secret", secretUrl]),
    ...Object.entries(environment).map(([name, value]) => ["set", `${name}=${terminalText(value)}`]),
  ];
}

function before(text: string, separator: string): string {
  return text.split(separator)[0] ?? text;
}

const FLAVOURS: readonly Flavour[] = ["standard", "premium", "managed-hsm"];
