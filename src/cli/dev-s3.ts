import { type Command, Option } from "commander";
import { isFaultName } from "../testing/s3/faults.ts";
import type { S3Service } from "../testing/s3/index.ts";
import { SERVICE_NAMES } from "../testing/s3/services.ts";
import { addHttpsOption, BODY_FAULTS, BUCKET_OPTION, type BucketOptions, madeBuckets, requireHttps } from "./emulated-buckets.ts";
import { addEmulatorCommand, serveEmulator, startOptions } from "./emulator-command.ts";

interface S3Options extends BucketOptions {
  readonly service: S3Service;
}

export function addS3Emulator(dev: Command): void {
  const command = addEmulatorCommand(dev, {
    name: NAME,
    summary: "S3 on this machine, for tests",
    service: "S3, Cloudflare R2 or MinIO",
    keeps: "objects",
    key: BUCKET_OPTION,
    faultsBy: "METHOD /bucket/key and operation",
    faults: [
      ...BODY_FAULTS,
      ...["wrong-etag", "late-error"],
      "and errors of the service such as SlowDown, InternalError, ConditionalRequestConflict, AccessDenied",
    ],
    example: "--bucket invoices --fault SlowDown@UploadPart",
  });
  addHttpsOption(command.addOption(new Option("--service <service>", "the rules that it follows").choices(SERVICE_NAMES).default("aws")));
  command.action(runS3Emulator);
}

async function runS3Emulator(options: S3Options): Promise<void> {
  const { service, https = false } = options;
  requireHttps(options);
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
      const buckets = madeBuckets(emulator, options);
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

const NAME = "s3";
