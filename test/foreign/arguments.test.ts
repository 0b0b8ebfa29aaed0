import { describe, expect, test } from "vitest";
import {
  azureStorageEncryption,
  type BlobUploadClient,
  localStorageKeys,
  migratingReader,
  reencryptObjects,
  uploadEncrypted,
} from "../../src/foreign/azure-storage/index.ts";
import { keyringOf } from "../blobs/set-up.ts";
import { noise } from "../support/arbitraries.ts";
import { refusalCode } from "../support/refusal.ts";
import { revoked, untyped } from "../support/untyped.ts";

const NO_OBJECT: readonly unknown[] = [null, 5, Symbol("x"), {}];
const client: BlobUploadClient = { stageBlock: async () => ({}), commitBlockList: async () => ({ etag: "1" }) };

describe("readers of other formats refuse what a caller without types gives", () => {
  const encryption = azureStorageEncryption({ keys: localStorageKeys([{ keyId: "k", key: noise(32) }]) });
  const reader = migratingReader(keyringOf("old"), encryption);

  const refused = async (values: readonly unknown[], work: (value: never) => unknown): Promise<void> => {
    for (const value of values) expect(await refusalCode(() => work(untyped(value))), typeof value).toBe("invalid-argument");
  };

  test("as keys", async () => {
    await refused([...NO_OBJECT, revoked()], (keys) => azureStorageEncryption({ keys }));
    await refused([[null], [5]], (keys) => localStorageKeys(keys));
  });

  test("as metadata and as a size", async () => {
    const encrypted = await encryption.encrypt(noise(50));
    await refused([5, [], new Map(), new Headers(), revoked()], (metadata) => encryption.decrypt({ metadata, body: encrypted.body }));
    const read = async (): Promise<Uint8Array> => encrypted.body;
    await refused([Symbol("x"), 10n, "5", undefined, revoked()], (size) => encryption.open({ metadata: encrypted.metadata, size, read }));
  });

  test("as an upload", async () => {
    const encrypted = await encryption.encrypt(noise(50));
    await refused(NO_OBJECT, (given) => uploadEncrypted(client, given));
    await refused([null, "no", 1], (replace) => uploadEncrypted(client, encrypted, { replace }));
    await refused([null, "", 1], (ifMatch) => uploadEncrypted(client, encrypted, { ifMatch }));
  });

  test("as what is to be moved", async () => {
    const put = async (): Promise<void> => undefined;
    await refused(NO_OBJECT, (given) => reencryptObjects(given, [], { put }));
    await refused(NO_OBJECT, (objects) => reencryptObjects(reader, objects, { put }));
    await refused([null, 5, {}, revoked()], (signal) => reencryptObjects(reader, [], { put, signal }));
  });
});
