import { localKey } from "../../providers/local/index.ts";
import { azureBlobs } from "../../src/blobs/azure/index.ts";
import { type BlobStore, encryptedStore } from "../../src/blobs/index.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { planRewrapBlobs, runPartitions } from "../../src/jobs/index.ts";
import { fileJobStore } from "../../src/stores/file.ts";
import { noise } from "../support/arbitraries.ts";

// A member of a fleet over the blobs of a container, which a test kills. Says the name of each blob whose header it has replaced.

const [, , place = "", jobs = "", prefix = ""] = process.argv;
const keys = ["new", "old"].map((keyId) => localKey({ keyId, key: noise(32, keyId) }));
const keyring = new Keyring({ wrapWith: keys.slice(0, 1), unwrapWith: keys.slice(1), context: { tenant: "acme" } });
const blobs = encryptedStore(keyring, saying(azureBlobs(JSON.parse(place))), { context: (name) => ({ object: name }) });
const job = await planRewrapBlobs({ id: "killed", container: "many", blobs, prefix, jobs: fileJobStore(jobs), partitions: 4 });
const { state, report } = await runPartitions(job, { leaseMs: 2000, concurrency: 2 });
console.log(JSON.stringify({ state, report }));

function saying(inner: BlobStore): BlobStore {
  return {
    ...inner,
    async open(name, ...options) {
      const blob = await inner.open(name, ...options);
      const replaceHeader = blob?.replaceHeader;
      if (blob === undefined || replaceHeader === undefined) return blob;
      return {
        ...blob,
        read: blob.read.bind(blob),
        async replaceHeader(...change) {
          const outcome = await replaceHeader.call(blob, ...change);
          console.log(`${name} ${outcome}`);
          return outcome;
        },
      };
    },
  };
}
