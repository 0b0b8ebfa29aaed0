import { S3Emulator } from "envelock/testing/s3";
import { TRANSFER_BYTES, transferLines, transfers } from "./transfers.ts";

/**
 * A large object to the S3 emulator, which this process serves, and back. Ratios are wall time against `@aws-sdk/lib-storage` without
 * encryption in the same round; memory is the peak over that of plain.
 */
export async function s3BlobTable(): Promise<string> {
  const emulator = await S3Emulator.start({ mostStoredBytes: 4 * WAYS.length * TRANSFER_BYTES });
  try {
    const bucket = emulator.createBucket("bench");
    const place = JSON.stringify({ bucket, connection: emulator.connection });
    return transferLines(await transfers("blobs-s3-child.ts", WAYS, place, TRANSFER_BYTES), NAMES, "plain").join("\n");
  } finally {
    await emulator.close();
  }
}

const WAYS = ["plain", "client", "fetch", "aws-crypto"] as const;
const NAMES = {
  plain: "`@aws-sdk/lib-storage`, not encrypted",
  client: "`s3Blobs({ client })`, encrypted",
  fetch: "`s3Blobs({ url, credentials })`, encrypted",
  "aws-crypto": "`@aws-crypto/client-node` into `lib-storage`",
} as const;
