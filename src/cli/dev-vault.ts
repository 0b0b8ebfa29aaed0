import type { Command } from "commander";
import { isFaultName } from "../testing/vault-emulator/faults.ts";
import type { VaultEmulator } from "../testing/vault-emulator/index.ts";
import { isTransitKeyType } from "../testing/vault-emulator/transit-key.ts";
import { addEmulatorCommand, type EmulatorOptions, serveEmulator, startOptions } from "./emulator-command.ts";
import { usageError } from "./failure.ts";

export function addVaultEmulator(dev: Command): void {
  const command = addEmulatorCommand(dev, {
    name: NAME,
    summary: "a Vault or OpenBao server on this machine, for tests",
    service: "the transit engine of Vault or OpenBao",
    key: ["-k, --key <name[:type]>", "make a key, such as orders:aes256-gcm96 (repeatable)"],
    faultsBy: "METHOD /path",
    faults: [
      ...["sealed", "quota[:<seconds>]", "permission-denied", "key-not-found", "no-mount", "too-old", "too-new", "soft-deleted"],
      ...["standby", "behind-replica", "internal-error", "bad-gateway"],
    ],
    example: "--key orders --ca-out emulator.pem",
  });
  command.action(runVaultEmulator);
}

async function runVaultEmulator(options: EmulatorOptions): Promise<void> {
  await serveEmulator(NAME, options, {
    async start() {
      const { VaultEmulator } = await import("../testing/vault-emulator/index.ts");
      return await VaultEmulator.start(startOptions(options, ({ operation }) => [operation]));
    },
    order(emulator, fault, on) {
      if (!isFaultName(fault)) return false;
      emulator.failNext(fault, on);
      return true;
    },
    prepare(emulator, caFile) {
      const { url, token } = emulator;
      const keys = (options.key ?? []).map((spec) => makeKey(emulator, spec));
      return {
        json: { url, keys },
        rows: [["server", url], ...keys.map((name) => ["key", `vault:${url}/transit/${name}`] as const)],
        environment: { VAULT_ADDR: url, VAULT_TOKEN: token, ...(caFile !== undefined && { VAULT_CACERT: caFile }) },
      };
    },
  });
}

function makeKey(emulator: VaultEmulator, spec: string): string {
  const [name = "", type = "aes256-gcm96"] = spec.split(":");
  if (!isTransitKeyType(type))
    throw usageError(`"${spec}" is not name:type`, "a type is aes256-gcm96, chacha20-poly1305, rsa-2048 or another of the transit engine");
  emulator.createKey(name, type);
  return name;
}

const NAME = "vault-emulator";
