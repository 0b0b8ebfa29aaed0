import { localKey } from "../../providers/local/index.ts";
import { azureBlobs } from "../../src/blobs/azure/index.ts";
import { gcsBlobs } from "../../src/blobs/gcs/index.ts";
import { type BlobStore, encryptedStore, rewrapStale } from "../../src/blobs/index.ts";
import { s3Blobs } from "../../src/blobs/s3/index.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { noise } from "../support/arbitraries.ts";

// Rewraps everything in a container or a bucket, in a process that a test kills. Says the name of each blob that it has done.

const [, , kind = "", place = "", prefix = ""] = process.argv;
const keys = ["new", "old"].map((keyId) => localKey({ keyId, key: noise(32, keyId) }));
const keyring = new Keyring({ wrapWith: keys.slice(0, 1), unwrapWith: keys.slice(1), context: { tenant: "acme" } });
const store = encryptedStore(keyring, opened(), { context: (name) => ({ object: name }) });
for await (const { name, outcome } of rewrapStale(store, { prefix })) console.log(`${name} ${outcome}`);

function opened(): BlobStore {
  const { rewrap, ...bucket } = JSON.parse(place);
  if (kind === "azure") return azureBlobs(bucket);
  return kind === "gcs" ? gcsBlobs(bucket) : s3Blobs(bucket, { mode: "aws", rewrap });
}
