import { spawnSync } from "node:child_process";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AzureKey, azureKey } from "../../providers/azure/index.ts";
import {
  type AzureStorageEncryption,
  azureStorageEncryption,
  type BlobReadClient,
  type BlobUploadClient,
  localStorageKeys,
  type StorageKeyResolver,
  type StorageMetadataClient,
  storedBlob,
  uploadEncrypted,
} from "../../src/foreign/azure-storage/index.ts";
import { AzureEmulator } from "../../src/testing/azure-emulator/index.ts";
import { containerClient, startAzurite } from "../support/azurite.ts";
import { fileOfPackages } from "../support/debian-packages.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { plaintextOf, sha256 } from "./azure-storage-vectors.ts";

// The real @azure/storage-blob against Azurite.
const azurite = await startAzurite();
afterAll(() => azurite.close());
const container = containerClient(azurite, await azurite.createContainer());
const OLD = { keyId: "local:old", key: plaintextOf(32) };
const NEW = { keyId: "local:new", key: plaintextOf(32).reverse() };
const ENCRYPTION = azureStorageEncryption({ keys: localStorageKeys([OLD]) });

type BlobClient = BlobReadClient & BlobUploadClient & StorageMetadataClient & { downloadToBuffer(): Promise<Buffer> };

function client(name: string): BlobClient {
  return container.getBlockBlobClient(name);
}

async function collected(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function* piecesOf(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

describe("Azurite, with the client of Azure", () => {
  test.each([0, 1, 4 * 1024 * 1024, 9_000_001])("%i bytes come back whole, in ranges and under another key", async (bytes) => {
    const [blob, plaintext] = [client(`size-${bytes}`), plaintextOf(bytes)];
    const encrypted = await ENCRYPTION.encryptStream(piecesOf(plaintext, 1_000_000), { expectedBytes: bytes });
    await uploadEncrypted(blob, encrypted, { metadata: { Kind: "invoice" } });
    const source = await storedBlob(blob);
    expect(source.metadata).toMatchObject({ encryptiondata: encrypted.metadata.encryptiondata });
    const opened = await ENCRYPTION.open(source, { expectedBytes: bytes });
    expect(sha256(await collected(opened.stream()))).toBe(sha256(plaintext));
    const middle = Math.floor(bytes / 2);
    expect(sha256(await opened.read(middle, middle + 70_000))).toBe(sha256(plaintext.subarray(middle, middle + 70_000)));
    const moving = azureStorageEncryption({ keys: localStorageKeys([NEW, OLD]) });
    expect(await moving.rewrap(blob)).toBe("rewrapped");
    expect(await moving.rewrap(blob)).toBe("current");
    const moved = await storedBlob(blob);
    expect(
      Object.keys(moved.metadata ?? {})
        .map((name) => name.toLowerCase())
        .sort(),
    ).toEqual(["encryptiondata", "kind"]);
    const alone = azureStorageEncryption({ keys: localStorageKeys([NEW]) });
    expect(sha256(await collected((await alone.open(moved)).stream()))).toBe(sha256(plaintext));
    if (bytes > 0) expect((await refusal(() => opened.read(0, 1))).detail).toBe("source-changed");
  });

  test("a name that is taken is replaced only under a condition, and never by plaintext", async () => {
    const [blob, one] = [client("taken"), await ENCRYPTION.encrypt(plaintextOf(10))];
    const etag = await uploadEncrypted(blob, one);
    const taken = await refusal(() => uploadEncrypted(blob, one));
    expect([taken.code, taken.detail]).toEqual(["invalid-argument", "blob-exists"]);
    const two = await ENCRYPTION.encrypt(plaintextOf(20));
    expect((await refusal(() => uploadEncrypted(blob, two, { ifMatch: '"0x8000000"' }))).detail).toBe("blob-changed");
    if (etag === undefined) return expect.fail("the commit gave no ETag");
    await uploadEncrypted(blob, two, { ifMatch: etag });
    await uploadEncrypted(blob, one, { replace: true });
    expect(await (await ENCRYPTION.open(await storedBlob(blob))).read(0, 100)).toEqual(plaintextOf(10));
    expect(await refusalCode(() => uploadEncrypted(blob, { body: plaintextOf(10), metadata: { encryptiondata: "" } }))).toBe(
      "invalid-argument",
    );
  });

  test("a source that breaks leaves no blob, and metadata that another program set is an error", async () => {
    const blob = client("broken");
    const broken = (async function* () {
      yield plaintextOf(5_000_000);
      throw new Error("source broke");
    })();
    const encrypted = await ENCRYPTION.encryptStream(broken);
    await expect(uploadEncrypted(blob, encrypted)).rejects.toThrow("source broke");
    expect((await refusal(() => storedBlob(blob))).code).toBe("unavailable");
    await uploadEncrypted(blob, await ENCRYPTION.encrypt(plaintextOf(10)));
    await blob.setMetadata({ kind: "wiped" });
    const source = await storedBlob(blob);
    expect((await refusal(() => ENCRYPTION.open(source))).detail).toBe("not-encrypted");
  });
});

describe("a KEK in Key Vault", () => {
  let vault: AzureEmulator;
  let keys: KeyClient;
  beforeAll(async () => {
    vault = await AzureEmulator.start();
    keys = new KeyClient(vault.url, vault.owner, vaultOptions());
  });
  afterAll(() => vault.close());
  const vaultOptions = () => ({ tlsOptions: { ca: vault.ca }, disableChallengeResourceVerification: true });
  const ours = (name: string): AzureKey =>
    azureKey({ ...vault.connection, keyUrl: vault.keyUrl(name), minVersionAgeMs: 0, versionCacheMs: 0 });
  /** A resolver of Microsoft's own clients, one for each version. */
  const theirs = (currentId: string): StorageKeyResolver => {
    const keyOf = (keyId: string) => {
      const cryptography = new CryptographyClient(keyId, vault.owner, vaultOptions());
      return {
        keyId,
        algorithm: "RSA-OAEP-256",
        wrapKey: async (_algorithm: string, key: Uint8Array) => (await cryptography.wrapKey("RSA-OAEP-256", key)).result,
        unwrapKey: async (_algorithm: string, key: Uint8Array) => (await cryptography.unwrapKey("RSA-OAEP-256", key)).result,
      };
    };
    return { resolve: async (keyId) => keyOf(keyId), current: async () => keyOf(currentId) };
  };

  test("wraps, reads and rewraps blobs, as Microsoft's clients see them too", async () => {
    const { id: first = "" } = await keys.createRsaKey("storage");
    const encryption = azureStorageEncryption({ keys: [ours("storage")] });
    const [blob, plaintext] = [client("vault"), plaintextOf(5_000_000)];
    await uploadEncrypted(blob, await encryption.encryptStream(piecesOf(plaintext, 700_000)), { metadata: { kind: "invoice" } });
    const keyOf = async (): Promise<{ readonly KeyId: string; readonly EncryptedKey: string; readonly Algorithm: string }> => {
      const { encryptiondata = "" } = (await storedBlob(blob)).metadata ?? {};
      return JSON.parse(encryptiondata).WrappedContentKey;
    };
    const { KeyId, EncryptedKey, Algorithm } = await keyOf();
    expect([KeyId, Algorithm]).toEqual([first, "RSA-OAEP-256"]); // the exact version
    const wrapped = Buffer.from(EncryptedKey, "base64");
    const { result } = await new CryptographyClient(first, vault.owner, vaultOptions()).unwrapKey("RSA-OAEP-256", wrapped);
    expect([result.length, Buffer.from(result.subarray(0, 8)).toString("latin1")]).toEqual([40, "2.0\0\0\0\0\0"]);
    const whole = async (reader: AzureStorageEncryption): Promise<string> =>
      sha256(await collected((await reader.open(await storedBlob(blob), { expectedBytes: plaintext.length })).stream()));
    expect(await whole(azureStorageEncryption({ keys: theirs(first) }))).toBe(sha256(plaintext));

    const { id: second = "" } = await keys.rotateKey("storage");
    const body = sha256(await blob.downloadToBuffer());
    expect(await encryption.rewrap(blob)).toBe("rewrapped");
    expect(await encryption.rewrap(blob)).toBe("current");
    expect((await keyOf()).KeyId).toBe(second);
    expect(sha256(await blob.downloadToBuffer())).toBe(body);
    expect((await storedBlob(blob)).metadata).toMatchObject({ kind: "invoice" });
    await keys.updateKeyProperties("storage", first.split("/").at(-1) ?? "", { enabled: false });
    for (const reader of [azureStorageEncryption({ keys: [ours("storage")] }), azureStorageEncryption({ keys: theirs(second) })]) {
      expect(await whole(reader)).toBe(sha256(plaintext));
    }
  });

  test("that Microsoft's clients wrapped with is read, and a version that is disabled, or of another key, is refused", async () => {
    const { id = "" } = await keys.createRsaKey("theirs");
    const blob = client("theirs");
    await uploadEncrypted(blob, await azureStorageEncryption({ keys: theirs(id) }).encrypt(plaintextOf(1000), { protocol: "2.1" }));
    const source = await storedBlob(blob);
    expect(await (await azureStorageEncryption({ keys: [ours("theirs")] }).open(source)).read(0, 2000)).toEqual(plaintextOf(1000));
    await keys.createRsaKey("other");
    vault.takeRequests();
    expect(await refusalCode(() => azureStorageEncryption({ keys: [ours("other")] }).open(source))).toBe("no-matching-provider");
    expect(vault.takeRequests()).toEqual([]); // no call for a key that is not configured
    await keys.updateKeyProperties("theirs", id.split("/").at(-1) ?? "", { enabled: false });
    expect(await refusalCode(() => azureStorageEncryption({ keys: [ours("theirs")] }).open(source))).toBe("key-disabled");
    expect(await refusalCode(() => azureStorageEncryption({ keys: [ours("theirs")] }).rewrap(blob))).toBe("key-disabled");
  });
});

describe("Microsoft's Python client", () => {
  const module = "/usr/lib/python3/dist-packages/azure/storage/blob/__init__.py";
  beforeAll(() => void fileOfPackages([module], ["python3-azure-storage"]), 600_000);

  test("reads what is written here", async () => {
    for (const bytes of [0, 17, 4 * 1024 * 1024 + 1]) {
      const name = `python-${bytes}`;
      await uploadEncrypted(client(name), await ENCRYPTION.encrypt(plaintextOf(bytes)));
      const url = `${azurite.url}/${container.containerName}/${name}?${azurite.sas(container.containerName)}`;
      const { stdout, stderr } = spawnSync("/usr/bin/python3", ["-c", PROGRAM, url], { encoding: "utf8" });
      expect({ bytes, sha256: stdout.trim(), stderr }).toMatchObject({ bytes, sha256: sha256(plaintextOf(bytes)) });
    }
  });
});

const PROGRAM = `
import hashlib, sys
from azure.storage.blob import BlobClient
from cryptography.hazmat.primitives.keywrap import aes_key_wrap, aes_key_unwrap
class Kek:
    key = bytes(range(32))
    def get_kid(self): return "local:old"
    def get_key_wrap_algorithm(self): return "A256KW"
    def wrap_key(self, key): return aes_key_wrap(self.key, key)
    def unwrap_key(self, key, algorithm): return aes_key_unwrap(self.key, key)
blob = BlobClient.from_blob_url(sys.argv[1])
blob.require_encryption = True
blob.key_encryption_key = Kek()
print(hashlib.sha256(blob.download_blob().readall()).hexdigest())
`;
