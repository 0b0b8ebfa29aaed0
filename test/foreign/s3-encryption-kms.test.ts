import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseKeyArn } from "../../providers/aws-kms/arn.ts";
import { AwsConnection } from "../../providers/aws-kms/connection.ts";
import { awsKmsDecrypter } from "../../providers/aws-kms/index.ts";
import { textFieldOf } from "../../providers/http/fields.ts";
import { encryptedStore } from "../../src/blobs/index.ts";
import { s3Blobs } from "../../src/blobs/s3/index.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import {
  migratingReader,
  type ReencryptOutcome,
  reencryptObjects,
  type StoredSource,
  s3EncryptionClient,
} from "../../src/foreign/s3-encryption/index.ts";
import { AwsKmsEmulator } from "../../src/testing/aws-kms-emulator/index.ts";
import { S3Emulator } from "../../src/testing/s3/index.ts";
import { kek } from "../support/keks.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { s3Sdk } from "../support/s3.ts";
import { plaintextOf } from "./azure-storage-vectors.ts";
import { committed, sealedGcm } from "./s3-writer.ts";

const emulator = await AwsKmsEmulator.start();
afterAll(() => emulator.close());
const KEY_ARN = emulator.createKey();
const OTHER_ARN = emulator.createKey();
const KMS_DECRYPT = awsKmsDecrypter({ ...emulator.connection, keyArn: KEY_ARN });
const READER = s3EncryptionClient({ keys: [{ kmsDecrypt: KMS_DECRYPT }] });
const PLAINTEXT = plaintextOf(100);

/** An object as the S3 Encryption Client writes it, its key wrapped by the key service. */
async function written(format: 2 | 3, { keyArn = KEY_ARN, algorithm = format === 2 ? "AES/GCM/NoPadding" : "115" } = {}) {
  const key = randomBytes(32);
  const context = { app: "envelock", "aws:x-amz-cek-alg": algorithm };
  const connection = new AwsConnection(parseKeyArn("keyArn", keyArn), emulator.connection);
  const fields = { Plaintext: key.toString("base64"), EncryptionContext: context, EncryptionAlgorithm: "SYMMETRIC_DEFAULT" };
  const wrapped = textFieldOf(await connection.call("Encrypt", fields, undefined), "CiphertextBlob") ?? "";
  const text = JSON.stringify(context);
  if (format === 2) {
    const start = randomBytes(12);
    const metadata = {
      "x-amz-key-v2": wrapped,
      "x-amz-wrap-alg": "kms+context",
      "x-amz-cek-alg": "AES/GCM/NoPadding",
      "x-amz-tag-len": "128",
    };
    return {
      metadata: { ...metadata, "x-amz-iv": start.toString("base64"), "x-amz-matdesc": text },
      body: sealedGcm(key, start, Buffer.alloc(0), PLAINTEXT),
    };
  }
  const { ids, contentKey } = committed(key);
  return {
    metadata: { "x-amz-3": wrapped, "x-amz-w": "12", "x-amz-t": text, ...ids },
    body: sealedGcm(contentKey, Buffer.alloc(12, 1), Buffer.from([0, 115]), PLAINTEXT),
  };
}

describe("objects whose key AWS KMS wrapped", () => {
  test.each([2, 3] as const)("format %i opens", async (format) => {
    expect(await READER.decrypt(await written(format))).toEqual(PLAINTEXT);
  });

  test.each([2, 3] as const)("format %i under a changed context is refused by the service", async (format) => {
    const { metadata, body } = await written(format);
    const name = format === 2 ? "x-amz-matdesc" : "x-amz-t";
    const changed = {
      ...metadata,
      [name]: JSON.stringify({ app: "other", "aws:x-amz-cek-alg": format === 2 ? "AES/GCM/NoPadding" : "115" }),
    };
    expect(await refusalCode(() => READER.decrypt({ metadata: changed, body }))).toBe("authentication-failed");
  });

  test.each([2, 3] as const)("format %i with a context that does not bind its algorithm asks nobody", async (format) => {
    const object = await written(format, { algorithm: "AES/CTR/NoPadding" });
    emulator.takeRequests();
    expect(await refusalCode(() => READER.decrypt(object))).toBe("authentication-failed");
    expect(emulator.takeRequests()).toEqual([]);
  });

  test("an object of another key is never asked of that key", async () => {
    const object = await written(3, { keyArn: OTHER_ARN });
    emulator.takeRequests();
    expect(await refusalCode(() => READER.decrypt(object))).toBe("authentication-failed");
    expect(emulator.takeRequests().map(({ body }) => JSON.parse(body).KeyId)).toEqual([KEY_ARN]);
  });

  test("without a context beside it the object is malformed", async () => {
    const { metadata, body } = await written(2);
    expect(await refusalCode(() => READER.decrypt({ metadata: { ...metadata, "x-amz-matdesc": undefined }, body }))).toBe(
      "malformed-envelope",
    );
  });

  test("a failure that is no error of the library's becomes one, with its cause", async () => {
    const cause = new Error("boom");
    const reader = s3EncryptionClient({ keys: [{ kmsDecrypt: async () => Promise.reject(cause) }] });
    const error = await refusal(async () => reader.decrypt(await written(2)));
    expect([error.code, error.cause]).toEqual(["provider-failure", cause]);
  });
});

describe("in a bucket, with AWS's own client", () => {
  const { s3: sdk } = s3Sdk();
  let bucket: S3Emulator;
  let client: ReturnType<NodeJS.Require>;
  beforeAll(async () => {
    bucket = await S3Emulator.start();
    bucket.createBucket("old");
    client = new sdk.S3Client({ ...bucket.connection, maxAttempts: 1 });
  });
  afterAll(async () => {
    client.destroy();
    await bucket.close();
  });
  const put = async (name: string, body: Uint8Array | string, metadata: Readonly<Record<string, string>> = {}): Promise<void> =>
    await client.send(new sdk.PutObjectCommand({ Bucket: "old", Key: name, Body: body, Metadata: metadata }));
  const bodyOf = async (name: string, more: object = {}): Promise<Uint8Array> =>
    await (await client.send(new sdk.GetObjectCommand({ Bucket: "old", Key: name, ...more }))).Body.transformToByteArray();

  /** An object as an application finds it: its metadata, and the instruction file if there is one. */
  async function found(name: string): Promise<StoredSource> {
    const {
      Metadata: metadata,
      ContentLength: size,
      ETag: etag,
    } = await client.send(new sdk.HeadObjectCommand({ Bucket: "old", Key: name }));
    const instruction = await bodyOf(`${name}.instruction`).catch((error: unknown) => {
      if (Reflect.get(Object(error), "name") === "NoSuchKey") return undefined;
      throw error;
    });
    return {
      metadata,
      size,
      etag,
      read: async (start, end) => await bodyOf(name, { Range: `bytes=${start}-${end - 1}`, IfMatch: etag }),
      ...(instruction !== undefined && { instructionFile: Buffer.from(instruction).toString() }),
    };
  }

  /** Puts an object with its key in the metadata, or in an instruction file. */
  async function kept(name: string, format: 2 | 3, place: "metadata" | "file"): Promise<void> {
    const { metadata, body } = await written(format);
    if (place === "metadata") return await put(name, body, metadata);
    const isOwn = ([member]: readonly [string, string]): boolean => format === 3 && /^x-amz-[cdi]$/.test(member);
    const members = Object.entries(metadata);
    await put(name, body, Object.fromEntries(members.filter(isOwn)));
    const instruction = JSON.stringify(Object.fromEntries(members.filter((member) => !isOwn(member))));
    await put(`${name}.instruction`, instruction, { "x-amz-crypto-instr-file": "" });
  }

  test.each([
    [2, "metadata"],
    [2, "file"],
    [3, "metadata"],
    [3, "file"],
  ] as const)("format %i with its key in the %s is read, and moves to an envelope", async (format, place) => {
    const name = `${format}/${place}.pdf`;
    await kept(name, format, place);
    const keyring = new Keyring(kek("new"));
    const reader = migratingReader(keyring, READER);
    const blob = await reader.open(await found(name));
    expect([blob.format, await blob.read(10, 20), await blob.size()]).toEqual([
      `s3-encryption-client-${format}`,
      PLAINTEXT.subarray(10, 20),
      PLAINTEXT.length,
    ]);
    const { url, connection, credentials } = bucket;
    const store = encryptedStore(keyring, s3Blobs({ url: `${url}/old`, region: connection.region, credentials }, { mode: "aws" }), {
      context: (object) => ({ object }),
    });
    const move = async (): Promise<readonly ReencryptOutcome[]> => {
      const outcomes: ReencryptOutcome[] = [];
      const run = reencryptObjects(reader, [{ name, object: await found(name) }], {
        context: (object) => ({ object }),
        put: (object, plaintext, { expectedBytes, etag }) =>
          store.put(object, plaintext, { expectedBytes, ...(etag && { ifMatch: etag }) }),
      });
      for await (const outcome of run) outcomes.push(outcome);
      return outcomes;
    };
    expect(await move()).toEqual([{ name, outcome: "moved", format: `s3-encryption-client-${format}`, bytes: PLAINTEXT.length }]);
    if (place === "file") {
      // The file still says that the object is encrypted with the client's format: an envelope is no body of it.
      expect(await move()).toMatchObject([{ outcome: "failed", error: { code: expect.stringMatching(/malformed|authentication/) } }]);
      await client.send(new sdk.DeleteObjectCommand({ Bucket: "old", Key: `${name}.instruction` }));
    }
    expect(await move()).toEqual([{ name, outcome: "envelope" }]);
    const moved = await store.get(name);
    expect(await moved.read(0, 1000)).toEqual(PLAINTEXT);
    moved.close();
  });

  test("objects that were changed, exchanged or described by the wrong file end in their class", async () => {
    await kept("a", 3, "file");
    await kept("b", 3, "file");
    await kept("c", 2, "metadata");
    const [a, b, c] = [await found("a"), await found("b"), await found("c")];
    const ends = async (object: StoredSource): Promise<string> => await refusalCode(() => READER.open(object));
    expect(await ends({ ...a, instructionFile: b.instructionFile })).toBe("authentication-failed"); // the commitment is the object's own
    expect(await ends({ ...a, metadata: b.metadata })).toBe("authentication-failed");
    expect(await ends({ ...a, instructionFile: undefined })).toBe("malformed-envelope");
    expect(await ends({ ...a, read: b.read })).toBe("authentication-failed");
    expect(await ends({ ...c, read: a.read, size: a.size })).toBe("authentication-failed");
  });
});
