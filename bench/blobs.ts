import { Keyring } from "envelock";
import { encryptedStore } from "envelock/blobs";
import { azureBlobs } from "envelock/blobs/azure";
import { localKey } from "envelock/providers/local";
import { type Azurite, startAzurite } from "../test/support/azurite.ts";
import { TRANSFER_BYTES, transferLines, transfers } from "./transfers.ts";

/**
 * A large blob to Azurite and back. Ratios are wall time against `@azure/storage-blob` without encryption in the same round; memory is the
 * peak over that of plain.
 */
export async function blobTable(): Promise<string> {
  const azurite = await startAzurite();
  try {
    const name = await azurite.createContainer();
    const runs = await transfers("blobs-child.ts", WAYS, `${azurite.url}/${name}?${azurite.sas(name)}`, TRANSFER_BYTES);
    return [...transferLines(runs, NAMES, "plain"), "", ...(await rangeLines(azurite, name, TRANSFER_BYTES))].join("\n");
  } finally {
    await azurite.close();
  }
}

/** What a range of 1 MiB from the middle takes: of a blob that was stored before, opened anew. */
async function rangeLines(azurite: Azurite, container: string, bytes: number): Promise<readonly string[]> {
  const counts = { requests: 0, bytes: 0 };
  const counting: typeof fetch = async (input, request) => {
    const answer = await fetch(input, request);
    counts.requests++;
    counts.bytes += Number(answer.headers.get("content-length"));
    return answer;
  };
  const keyring = new Keyring(localKey({ keyId: "bench", key: new Uint8Array(32).fill(7) }));
  const blobs = azureBlobs({ url: `${azurite.url}/${container}`, sas: azurite.sas(container), fetch: counting });
  const blob = await encryptedStore(keyring, blobs, { context: (name) => ({ object: name }) }).get("client");
  const middle = Math.floor(bytes / 2) + 1234;
  const found = await blob.read(middle, middle + RANGE_BYTES);
  blob.close();
  if (found.length !== RANGE_BYTES) throw new Error(`${found.length} bytes came`);
  const over = (counts.bytes - RANGE_BYTES) / 1024;
  return [
    "| 1 MiB from the middle | requests | KiB over what was asked |",
    "| --- | ---: | ---: |",
    `| \`get\` and \`read\` | ${counts.requests} | ${over.toFixed(1)} |`,
  ];
}

const RANGE_BYTES = 2 ** 20;
const WAYS = ["plain", "client", "client-bare", "client-lanes", "fetch", "fetch-bare", "fetch-lanes"] as const;
const NAMES = {
  plain: "`@azure/storage-blob`, not encrypted",
  client: "`azureBlobs(client)`, encrypted",
  "client-bare": 'the same, `blockDigest: "none"`, downloads into memory of the reader',
  "client-lanes": "the same, downloads by `lanes: 2`",
  fetch: "`azureBlobs({ url, sas })`, encrypted",
  "fetch-bare": 'the same, `blockDigest: "none"`, downloads into memory of the reader',
  "fetch-lanes": "the same, downloads by `lanes: 2`",
} as const;
