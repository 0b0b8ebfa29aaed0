import type { Command } from "commander";
import { isKeyAlgorithm } from "../testing/gcp-kms-emulator/enums.ts";
import { isFaultName } from "../testing/gcp-kms-emulator/faults.ts";
import type { GcpKmsEmulator } from "../testing/gcp-kms-emulator/index.ts";
import { addTokenOption, type TokenOptions, writtenToken } from "./emulated-google.ts";
import { addEmulatorCommand, type EmulatorOptions, serveEmulator, startOptions } from "./emulator-command.ts";
import { usageError } from "./failure.ts";

export function addGcpKmsEmulator(dev: Command): void {
  const command = addEmulatorCommand(dev, {
    name: NAME,
    summary: "Google Cloud KMS on this machine, for tests",
    service: "Google Cloud KMS",
    key: ["-k, --key <name[:algorithm]>", "make a key, such as orders:RSA_DECRYPT_OAEP_2048_SHA256 (repeatable)"],
    faultsBy: "METHOD /path",
    faults: [
      ...["permission-denied", "unauthenticated", "not-found", "disabled", "destroyed", "destroy-scheduled", "pending-generation"],
      ...["external-denied", "external-unavailable", "checksum", "wrong-checksum", "not-verified", "other-key", "ciphertext-invalid"],
      ...["ciphertext-refused", "quota", "deadline", "unavailable", "internal-error"],
    ],
    example: "--key orders --ca-out emulator.pem --token-out token",
  });
  addTokenOption(command).action(runGcpKmsEmulator);
}

async function runGcpKmsEmulator(options: EmulatorOptions & TokenOptions): Promise<void> {
  await serveEmulator(NAME, options, {
    async start() {
      const { GcpKmsEmulator } = await import("../testing/gcp-kms-emulator/index.ts");
      return await GcpKmsEmulator.start(startOptions(options, ({ operation, principal }) => [operation, principal]));
    },
    order(emulator, fault, on) {
      if (!isFaultName(fault)) return false;
      emulator.failNext(fault, on);
      return true;
    },
    async prepare(emulator, caFile) {
      const { url, token } = emulator;
      const keys = (options.key ?? []).map((spec) => makeKey(emulator, spec));
      const found = await writtenToken(options, token, caFile);
      return {
        json: { url, keys, token },
        rows: [["server", url], ...keys.map((name) => ["key", `gcp-kms:${name}`] as const), ["token", token]],
        environment: { CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS: `${url}/`, ...found },
      };
    },
  });
}

/** @returns its whole name */
function makeKey(emulator: GcpKmsEmulator, spec: string): string {
  const [name = "", algorithm = "GOOGLE_SYMMETRIC_ENCRYPTION"] = spec.split(":");
  if (!isKeyAlgorithm(algorithm) || !/^[\w-]{1,63}$/.test(name))
    throw usageError(`"${spec}" is not name:algorithm`, "an algorithm is GOOGLE_SYMMETRIC_ENCRYPTION or RSA_DECRYPT_OAEP_3072_SHA256");
  return emulator.createKey(name, { algorithm });
}

const NAME = "gcp-kms-emulator";
