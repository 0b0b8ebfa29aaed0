import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { utf8 } from "../core/base/bytes.ts";
import { isFaultName } from "../testing/vault-emulator/faults.ts";
import type { LoggedRequest, VaultEmulator } from "../testing/vault-emulator/index.ts";
import { isTransitKeyType } from "../testing/vault-emulator/transit-key.ts";
import { columns } from "./columns.ts";
import { usageError } from "./failure.ts";
import { addDebugOption, collect, portOf } from "./options.ts";
import { NEW_FILE_MODE, openOutput, printLines } from "./output.ts";
import { terminalText } from "./terminal-text.ts";

interface VaultEmulatorOptions {
  readonly port?: number;
  readonly key?: readonly string[];
  readonly fault?: readonly string[];
  readonly caOut?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

export function addVaultEmulator(dev: Command): void {
  const command = dev
    .command("vault-emulator")
    .summary("a Vault or OpenBao server on this machine, for tests")
    .description(
      "Runs an emulator of the transit engine of Vault or OpenBao on 127.0.0.1 until it is ended with SIGINT or SIGTERM. It keeps keys in " +
        "memory alone, and serves every program on this machine that can reach its port.",
    )
    .addOption(new Option("-p, --port <port>", "where to listen (default: any port that is free)").argParser(portOf))
    .addOption(new Option("-k, --key <name[:type]>", "make a key, such as orders:aes256-gcm96 (repeatable)").argParser(collect))
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
Faults: reset, hang, cut, endless, garbage, slow:<ms>, sealed, quota[:<seconds>], permission-denied, key-not-found, no-mount, too-old,
too-new, soft-deleted, standby, behind-replica, internal-error, bad-gateway.

Example:
  envelock dev vault-emulator --key orders --ca-out emulator.pem`,
  );
  command.action(runVaultEmulator);
}

async function runVaultEmulator({ caOut, json, port, verbose, key = [], fault = [] }: VaultEmulatorOptions): Promise<void> {
  const ended = new Promise<void>((end) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => end());
  });
  const { VaultEmulator } = await import("../testing/vault-emulator/index.ts");
  const emulator = await VaultEmulator.start({ ...(port !== undefined && { port }), ...(verbose === true && { onRequest: printRequest }) });
  try {
    const keys = key.map((spec) => makeKey(emulator, spec));
    for (const spec of fault) orderFault(emulator, spec);
    if (caOut !== undefined) await openOutput({ out: caOut, force: true }, NEW_FILE_MODE)([utf8(emulator.ca)]);
    const environment = {
      VAULT_ADDR: emulator.url,
      VAULT_TOKEN: emulator.token,
      ...(caOut !== undefined && { VAULT_CACERT: resolve(caOut) }),
    };
    const rows = [
      ["server", emulator.url],
      ...keys.map((name) => ["key", `vault:${emulator.url}/transit/${name}`]),
      ...Object.entries(environment).map(([name, value]) => ["set", `${name}=${terminalText(value)}`]),
    ];
    await printLines(json === true ? JSON.stringify({ url: emulator.url, keys, environment }) : columns(rows));
    await ended;
  } finally {
    await emulator.close();
  }
}

function makeKey(emulator: VaultEmulator, spec: string): string {
  const [name = "", type = "aes256-gcm96"] = spec.split(":");
  if (!isTransitKeyType(type))
    throw usageError(`"${spec}" is not name:type`, "a type is aes256-gcm96, chacha20-poly1305, rsa-2048 or another of the transit engine");
  emulator.createKey(name, type);
  return name;
}

function orderFault(emulator: VaultEmulator, spec: string): void {
  const at = spec.indexOf("@");
  const name = at === -1 ? spec : spec.slice(0, at);
  if (!isFaultName(name)) throw usageError(`no fault is called "${name}"`, "envelock dev vault-emulator --help lists them");
  const text = at === -1 ? "" : spec.slice(at + 1);
  emulator.failNext(name, new RegExp(text.replaceAll(/[^\w/ -]/g, "\\$&")));
}

function printRequest({ path, status, operation = "-", isAbandoned }: LoggedRequest): void {
  process.stderr.write(`${terminalText(`${path} ${isAbandoned ? "abandoned" : status} ${operation}`)}\n`);
}
