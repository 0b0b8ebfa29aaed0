import { resolve } from "node:path";
import type { Command } from "commander";
import { utf8 } from "../core/base/bytes.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { isFaultName } from "../testing/gcs/faults.ts";
import type { GcsEmulator } from "../testing/gcs/index.ts";
import { addEmulatorCommand, type EmulatorOptions, serveEmulator, startOptions } from "./emulator-command.ts";
import { usageError } from "./failure.ts";
import { NEW_FILE_MODE, openOutput } from "./output.ts";

interface GcsOptions extends EmulatorOptions {
  readonly bucket?: readonly string[];
  readonly https?: boolean;
  readonly tokenOut?: string;
}

export function addGcsEmulator(dev: Command): void {
  const command = addEmulatorCommand(dev, {
    name: NAME,
    summary: "Google Cloud Storage on this machine, for tests",
    service: "Google Cloud Storage",
    keeps: "objects",
    key: ["-b, --bucket <name[:versions]>", "make a bucket, such as invoices or archive:versions (repeatable)"],
    faultsBy: "METHOD /bucket/name and operation",
    faults: [
      ...["cut-up:<bytes>, cut-down:<bytes>", "lost", "truncated:<bytes>", "too-long:<bytes>", "too-short:<bytes>"],
      ...["keep:<bytes>, keep-lost:<bytes>", "wrong-checksum", "wrong-generation"],
      "and errors of the service such as rateLimitExceeded, backendError, conditionNotMet, forbidden, gone",
    ],
    example: "--bucket invoices --token-out token --fault backendError@objects.insert",
  });
  command
    .option("--https", "serve HTTPS, with a certificate of its own")
    .option("--token-out <file>", "write an access token that may do everything, in place of what is there");
  command.action(runGcsEmulator);
}

async function runGcsEmulator({ tokenOut, ...options }: GcsOptions): Promise<void> {
  const { https = false, caOut, bucket = [] } = options;
  if (caOut !== undefined && !https) throw usageError("--ca-out needs --https", "without it there is no certificate");
  await serveEmulator(NAME, options, {
    async start() {
      const { GcsEmulator } = await import("../testing/gcs/index.ts");
      return await GcsEmulator.start({ ...startOptions(options, ({ principal }) => [principal]), https });
    },
    order(emulator, fault, on) {
      if (!isFaultName(fault)) return false;
      emulator.failNext(fault, on);
      return true;
    },
    async prepare(emulator, caFile) {
      const { url, token } = emulator;
      const buckets = bucket.map((spec) => makeBucket(emulator, spec));
      if (tokenOut !== undefined) await openOutput({ out: tokenOut, force: true }, NEW_FILE_MODE)([utf8(`${token}\n`)]);
      return {
        json: { url, buckets, token },
        rows: [["server", url], ...buckets.map((name) => ["bucket", `gs://${name}`] as const), ["token", token]],
        environment: {
          CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE: `${url}/storage/v1/`,
          ...(tokenOut !== undefined && { CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: resolve(tokenOut) }),
          ...(caFile !== undefined && { CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE: caFile }),
        },
      };
    },
  });
}

function makeBucket(emulator: GcsEmulator, argument: string): string {
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

const NAME = "gcs";
