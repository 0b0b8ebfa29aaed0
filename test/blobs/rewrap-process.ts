import { localKey } from "../../providers/local/index.ts";
import { azureBlobs } from "../../src/blobs/azure/index.ts";
import { encryptedStore, rewrapStale } from "../../src/blobs/index.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { noise } from "../support/arbitraries.ts";

// Rewraps everything in a container, in a process that a test kills. Says the name of each blob that it has done.

const [, , url = "", sas = "", prefix = ""] = process.argv;
const keys = ["new", "old"].map((keyId) => localKey({ keyId, key: noise(32, keyId) }));
const keyring = new Keyring({ wrapWith: keys.slice(0, 1), unwrapWith: keys.slice(1), context: { tenant: "acme" } });
const store = encryptedStore(keyring, azureBlobs({ url, sas }), { context: (name) => ({ object: name }) });
for await (const { name, outcome } of rewrapStale(store, { prefix })) console.log(`${name} ${outcome}`);
