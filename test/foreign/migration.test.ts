import { describe, expect, test } from "vitest";
import { localKey } from "../../providers/local/index.ts";
import { encryptedStore, memoryBlobs } from "../../src/blobs/index.ts";
import {
  azureStorageEncryption,
  localStorageKeys,
  migratingReader,
  type ObjectToMove,
  type ReencryptOutcome,
  reencryptObjects,
  type StoredSource,
} from "../../src/foreign/azure-storage/index.ts";
import { s3EncryptionClient } from "../../src/foreign/s3-encryption/index.ts";
import { Keyring } from "../../src/index.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { describeVectors, hex, vectors } from "../support/vectors.ts";
import { plaintextOf, sha256 } from "./azure-storage-vectors.ts";

const ENCRYPTION = azureStorageEncryption({ keys: localStorageKeys([{ keyId: "local:old", key: plaintextOf(32) }]) });
const KEYRING = new Keyring({ wrapWith: [localKey({ keyId: "new", key: plaintextOf(32).reverse() })] });
const READER = migratingReader(KEYRING, ENCRYPTION);
const context = (name: string) => ({ object: name });

function sourceOf(body: Uint8Array, metadata: StoredSource["metadata"]): StoredSource {
  return { metadata, size: body.length, etag: '"1"', read: async (start, end) => body.subarray(start, end) };
}

async function collected(outcomes: AsyncIterable<ReencryptOutcome>): Promise<ReencryptOutcome[]> {
  const all: ReencryptOutcome[] = [];
  for await (const outcome of outcomes) all.push(outcome);
  return all;
}

describe("migratingReader", () => {
  test("opens either kind and says which", async () => {
    const plaintext = plaintextOf(1000);
    const { body, metadata } = await ENCRYPTION.encrypt(plaintext, { protocol: "2.1", regionBytes: 64 });
    const old = await READER.open(sourceOf(body, metadata), { expectedBytes: 1000 });
    expect([old.format, await old.size(), await old.read(10, 700)]).toEqual(["azure-storage-2.1", 1000, plaintext.subarray(10, 700)]);
    const envelope = await KEYRING.encrypt(plaintext, { context: context("a") });
    const moved = await READER.open(sourceOf(envelope, { kind: "invoice" }), { context: context("a"), expectedBytes: 1000 });
    expect([moved.format, await moved.size(), await moved.read(10, 700)]).toEqual(["envelope", 1000, plaintext.subarray(10, 700)]);
    expect(new Uint8Array(await new Response(moved.stream()).arrayBuffer())).toEqual(plaintext);
    moved.close();
    expect(await refusalCode(() => moved.read(0, 1))).toBe("closed");
  });

  test("takes no object of Amazon's client for an envelope, in whatever format it is", async () => {
    const reader = migratingReader(KEYRING, s3EncryptionClient({ keys: [{ aesKey: plaintextOf(32) }] }));
    const envelope = await KEYRING.encrypt(plaintextOf(100), { context: context("a") });
    const opened = (given: Partial<StoredSource>) => reader.open({ ...sourceOf(envelope, {}), ...given }, { context: context("a") });
    expect((await opened({})).format).toBe("envelope");
    for (const [given, code] of [
      [{ metadata: { "x-amz-key": "AAAA", "x-amz-iv": "AAAA" } }, "unsupported-version"],
      [{ metadata: { "x-amz-key-v2": "AAAA" } }, "malformed-envelope"],
      [{ metadata: { "x-amz-3": "AAAA" } }, "malformed-envelope"],
      [{ metadata: { "X-Amz-C": "115" } }, "malformed-envelope"],
      [{ instructionFile: "{}" }, "malformed-envelope"],
      [{ instructionFile: "" }, "malformed-envelope"],
    ] as const) {
      expect(await refusalCode(() => opened(given))).toBe(code);
    }
  });

  test("never hands out what is neither, and never falls back from one to the other", async () => {
    const { body, metadata } = await ENCRYPTION.encrypt(plaintextOf(100));
    expect(await refusalCode(() => READER.open(sourceOf(plaintextOf(100), { kind: "plain" })))).toBe("malformed-envelope");
    expect(await refusalCode(() => READER.open(sourceOf(body, {})))).toBe("malformed-envelope");
    const envelope = await KEYRING.encrypt(plaintextOf(100), { context: context("a") });
    const both = await READER.open(sourceOf(envelope, metadata));
    expect(await refusalCode(() => both.read(0, 10))).toBe("authentication-failed");
    for (const encryptiondata of ["{}", "", "[]", "null", "lost"]) {
      const open = () => READER.open(sourceOf(envelope, { encryptiondata }), { context: context("a") });
      expect(await refusalCode(open)).toBe("malformed-envelope");
    }
    const error = await refusal(() => READER.open(sourceOf(envelope, {}), { context: context("a"), expectedBytes: 99 }));
    expect([error.code, error.detail]).toEqual(["malformed-envelope", "other-length"]);
  });
});

describe("reencryptObjects", () => {
  test("moves what is old, leaves what is an envelope, and reports what fails", async () => {
    const store = encryptedStore(KEYRING, memoryBlobs(), { context });
    const plaintext = plaintextOf(5000);
    const { body, metadata } = await ENCRYPTION.encrypt(plaintext, { protocol: "2.1", regionBytes: 512 });
    const broken = body.slice();
    broken[3000] = (broken[3000] ?? 0) ^ 1;
    const objects: ObjectToMove[] = [
      { name: "old", object: sourceOf(body, metadata) },
      { name: "broken", object: sourceOf(broken, metadata) },
      { name: "short", object: sourceOf(body, metadata), expectedBytes: 5001 },
      { name: "plain", object: sourceOf(plaintext, {}) },
      { name: "moved", object: sourceOf(await KEYRING.encrypt(plaintext, { context: context("moved") }), {}) },
    ];
    const put = (name: string, source: ReadableStream<Uint8Array>, { expectedBytes }: { readonly expectedBytes: number }) =>
      store.put(name, source, { expectedBytes });
    const outcomes = await collected(reencryptObjects(READER, objects, { context, put }));
    expect(outcomes.map((outcome) => [outcome.name, outcome.outcome === "failed" ? outcome.error.code : outcome.outcome])).toEqual([
      ["old", "moved"],
      ["broken", "authentication-failed"],
      ["short", "malformed-envelope"],
      ["plain", "malformed-envelope"],
      ["moved", "envelope"],
    ]);
    const blob = await store.get("old");
    expect(await blob.read(0, 5000)).toEqual(plaintext);
    blob.close();
    expect(await refusalCode(() => store.get("broken"))).toBe("invalid-argument");
  });

  test("tells put the version that it reads, and gives a failure of put a code", async () => {
    const { body, metadata } = await ENCRYPTION.encrypt(plaintextOf(10));
    const cause = new Error("disk full");
    const told: unknown[] = [];
    const put = async (_name: string, _source: unknown, about: object): Promise<void> => {
      told.push(about);
      throw cause;
    };
    const [outcome] = await collected(reencryptObjects(READER, [{ name: "a", object: sourceOf(body, metadata) }], { put }));
    expect(told).toEqual([{ format: "azure-storage-2.0", expectedBytes: 10, etag: '"1"' }]);
    expect(outcome).toMatchObject({ outcome: "failed", error: { code: "provider-failure", cause } });
  });

  test("an abort ends it with the signal's reason", async () => {
    const { body, metadata } = await ENCRYPTION.encrypt(plaintextOf(10));
    const stop = new AbortController();
    const put = async (): Promise<void> => stop.abort(new Error("enough"));
    const objects = [1, 2].map((number) => ({ name: `${number}`, object: sourceOf(body, metadata) }));
    await expect(collected(reencryptObjects(READER, objects, { put, signal: stop.signal }))).rejects.toThrow("enough");
    const during = new AbortController();
    const broken = async (): Promise<never> => {
      during.abort(new Error("enough"));
      throw new Error("the put was cut off"); // no failure of the object
    };
    await expect(collected(reencryptObjects(READER, objects.slice(0, 1), { put: broken, signal: during.signal }))).rejects.toThrow(
      "enough",
    );
    expect(await refusalCode(() => reencryptObjects(READER, [], untyped({})))).toBe("invalid-argument");
  });
});

describeVectors("moving objects of Amazon's client", () => {
  test("with keys in metadata and in instruction files", async () => {
    const folder = "foreign-formats/amazon-s3-encryption-client";
    const { aes } = vectors<{ aes: string }>(`${folder}/keys.json`);
    const { rsa } = vectors<{ rsa: { pkcs8: string } }>("azure-storage-cse/keys.json");
    const reader = migratingReader(KEYRING, s3EncryptionClient({ keys: [{ aesKey: hex(aes) }, { rsaPrivateKey: rsa.pkcs8 }] }));
    const objects = vectors<
      { name: string; metadata: Record<string, string>; body: string; plaintextSha256: string; instructionFile?: { body: string } }[]
    >(`${folder}/good.json`);
    const store = encryptedStore(KEYRING, memoryBlobs(), { context });
    const moved = reencryptObjects(
      reader,
      objects.map(({ name, metadata, body, instructionFile }) => ({
        name,
        object: { ...sourceOf(new Uint8Array(Buffer.from(body, "base64")), metadata), instructionFile: instructionFile?.body },
      })),
      { put: (name, source, { expectedBytes }) => store.put(name, source, { expectedBytes }) },
    );
    const outcomes = await collected(moved);
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(objects.map(() => "moved"));
    for (const { name, plaintextSha256 } of objects) {
      const blob = await store.get(name);
      expect(sha256(await blob.read(0, 1000))).toBe(plaintextSha256);
      blob.close();
    }
  });
});
