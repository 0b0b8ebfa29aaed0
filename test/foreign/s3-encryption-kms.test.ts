import { randomBytes } from "node:crypto";
import { afterAll, describe, expect, test } from "vitest";
import { parseKeyArn } from "../../providers/aws-kms/arn.ts";
import { AwsConnection } from "../../providers/aws-kms/connection.ts";
import { awsKmsDecrypter } from "../../providers/aws-kms/index.ts";
import { textFieldOf } from "../../providers/http/fields.ts";
import { s3EncryptionClient } from "../../src/foreign/s3-encryption/index.ts";
import { AwsKmsEmulator } from "../../src/testing/aws-kms-emulator/index.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
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
  const wrapped = textFieldOf(await connection.call("Encrypt", fields, undefined), "CiphertextBlob");
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
