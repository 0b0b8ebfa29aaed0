import { type Command, Option } from "commander";
import { EnvelockError } from "../core/base/errors.ts";
import { isFaultName } from "../testing/s3/faults.ts";
import type { S3Emulator, S3Service } from "../testing/s3/index.ts";
import { SERVICE_NAMES } from "../testing/s3/services.ts";
import { addEmulatorCommand, type EmulatorOptions, serveEmulator, startOptions } from "./emulator-command.ts";
import { usageError } from "./failure.ts";

interface S3Options extends EmulatorOptions {
  readonly bucket?: readonly string[];
  readonly service: S3Service;
  readonly https?: boolean;
}

export function addS3Emulator(dev: Command): void {
  const command = addEmulatorCommand(dev, {
    name: NAME,
    summary: "S3 on this machine, for tests",
    service: "S3, Cloudflare R2 or MinIO",
    keeps: "objects",
    key: ["-b, --bucket <name[:versions]>", "make a bucket, such as invoices or archive:versions (repeatable)"],
    faultsBy: "METHOD /bucket/key and operation",
    faults: [
      ...[
        "cut-up:<bytes>, cut-down:<bytes>",
        "lost",
        "truncated:<bytes>",
        "too-long:<bytes>",
        "too-short:<bytes>",
        "wrong-etag",
        "late-error",
      ],
      "and errors of the service such as SlowDown, InternalError, ConditionalRequestConflict, AccessDenied",
    ],
    example: "--bucket invoices --fault SlowDown@UploadPart",
  });
  command
    .addOption(new Option("--service <service>", "the rules that it follows").choices(SERVICE_NAMES).default("aws"))
    .option("--https", "serve HTTPS, with a certificate of its own");
  command.action(runS3Emulator);
}

async function runS3Emulator(options: S3Options): Promise<void> {
  const { service, https = false, caOut, bucket = [] } = options;
  if (caOut !== undefined && !https) throw usageError("--ca-out needs --https", "without it there is no certificate");
  await serveEmulator(NAME, options, {
    async start() {
      const { S3Emulator } = await import("../testing/s3/index.ts");
      return await S3Emulator.start({ ...startOptions(options, ({ accessKeyId }) => [accessKeyId]), service, https });
    },
    order(emulator, fault, on) {
      if (!isFaultName(fault)) return false;
      emulator.failNext(fault, on);
      return true;
    },
    prepare(emulator, caFile) {
      const { endpoint, region, credentials } = emulator.connection;
      const buckets = bucket.map((spec) => makeBucket(emulator, spec));
      return {
        json: { url: endpoint, region, buckets },
        rows: [["server", endpoint], ...buckets.map((name) => ["bucket", name] as const)],
        environment: {
          AWS_ENDPOINT_URL_S3: endpoint,
          AWS_REGION: region,
          AWS_ACCESS_KEY_ID: credentials.accessKeyId,
          AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
          ...(caFile !== undefined && { AWS_CA_BUNDLE: caFile }),
        },
      };
    },
  });
}

function makeBucket(emulator: S3Emulator, argument: string): string {
  const [name = "", versions] = argument.split(":");
  if (versions !== undefined && versions !== "versions")
    throw usageError(`"${argument}" is not name or name:versions`, "such as --bucket archive:versions");
  try {
    return emulator.createBucket(name, { versioning: versions !== undefined });
  } catch (error) {
    if (!EnvelockError.is(error)) throw error;
    throw usageError(error.message, "such as --bucket invoices");
  }
}

const NAME = "s3";
