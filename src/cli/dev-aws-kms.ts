import type { Command } from "commander";
import { isFaultName } from "../testing/aws-kms-emulator/faults.ts";
import type { AwsKmsEmulator } from "../testing/aws-kms-emulator/index.ts";
import { isKmsKeySpec } from "../testing/aws-kms-emulator/kms-key.ts";
import { addEmulatorCommand, type EmulatorOptions, serveEmulator, startOptions } from "./emulator-command.ts";
import { usageError } from "./failure.ts";

export function addAwsKmsEmulator(dev: Command): void {
  const command = addEmulatorCommand(dev, {
    name: NAME,
    summary: "AWS KMS on this machine, for tests",
    service: "AWS KMS and its security token service",
    key: ["-k, --key <alias[:spec]>", "make a key with an alias, such as orders:RSA_2048 (repeatable)"],
    faultsBy: "METHOD /operation",
    faults: [
      "and errors of the service such as ThrottlingException",
      ...["DisabledException", "AccessDeniedException", "KMSInternalException", "ExpiredTokenException"],
    ],
    example: "--key orders --ca-out emulator.pem",
  });
  command.action(runAwsKmsEmulator);
}

async function runAwsKmsEmulator(options: EmulatorOptions): Promise<void> {
  await serveEmulator(NAME, options, {
    async start() {
      const { AwsKmsEmulator } = await import("../testing/aws-kms-emulator/index.ts");
      return await AwsKmsEmulator.start(startOptions(options, ({ principal }) => [principal]));
    },
    order(emulator, fault, on) {
      if (!isFaultName(fault)) return false;
      emulator.failNext(fault, on);
      return true;
    },
    prepare(emulator, caFile) {
      const { url, credentials } = emulator;
      const keys = (options.key ?? []).map((spec) => makeKey(emulator, spec));
      return {
        json: { url, keys },
        rows: [["server", url], ...keys.map((arn) => ["key", `aws-kms:${arn}`] as const)],
        environment: {
          AWS_ENDPOINT_URL: url,
          AWS_ACCESS_KEY_ID: credentials.accessKeyId,
          AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
          ...(caFile !== undefined && { AWS_CA_BUNDLE: caFile }),
        },
      };
    },
  });
}

/** @returns its ARN */
function makeKey(emulator: AwsKmsEmulator, argument: string): string {
  const [name = "", spec = "SYMMETRIC_DEFAULT"] = argument.split(":");
  if (!isKmsKeySpec(spec) || !/^[\w/-]{1,200}$/.test(name))
    throw usageError(`"${argument}" is not alias:spec`, "a spec is SYMMETRIC_DEFAULT, RSA_2048, RSA_3072 or RSA_4096");
  const arn = emulator.createKey({ spec });
  emulator.setAlias(`alias/${name}`, arn);
  return arn;
}

const NAME = "aws-kms-emulator";
