import type { Command } from "commander";
import { isFaultName } from "../testing/gcs/faults.ts";
import { addHttpsOption, BODY_FAULTS, BUCKET_OPTION, type BucketOptions, madeBuckets, requireHttps } from "./emulated-buckets.ts";
import { addTokenOption, type TokenOptions, writtenToken } from "./emulated-google.ts";
import { addEmulatorCommand, serveEmulator, startOptions } from "./emulator-command.ts";

export function addGcsEmulator(dev: Command): void {
  const command = addEmulatorCommand(dev, {
    name: NAME,
    summary: "Google Cloud Storage on this machine, for tests",
    service: "Google Cloud Storage",
    keeps: "objects",
    key: BUCKET_OPTION,
    faultsBy: "METHOD /bucket/name and operation",
    faults: [
      ...BODY_FAULTS,
      ...["keep:<bytes>, keep-lost:<bytes>", "wrong-checksum", "wrong-generation"],
      "and errors of the service such as rateLimitExceeded, backendError, conditionNotMet, forbidden, gone",
    ],
    example: "--bucket invoices --token-out token --fault backendError@objects.insert",
  });
  addTokenOption(addHttpsOption(command));
  command.action(runGcsEmulator);
}

async function runGcsEmulator(options: BucketOptions & TokenOptions): Promise<void> {
  const { https = false } = options;
  requireHttps(options);
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
      const buckets = madeBuckets(emulator, options);
      const found = await writtenToken(options, token, caFile);
      return {
        json: { url, buckets, token },
        rows: [["server", url], ...buckets.map((name) => ["bucket", `gs://${name}`] as const), ["token", token]],
        environment: { CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE: `${url}/storage/v1/`, ...found },
      };
    },
  });
}

const NAME = "gcs";
