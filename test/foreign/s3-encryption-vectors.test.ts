import { expect, test } from "vitest";
import { type S3EncryptionClient, s3EncryptionClient } from "../../src/foreign/s3-encryption/index.ts";
import { refusalCode } from "../support/refusal.ts";
import { describeVectors, hex, vectors } from "../support/vectors.ts";
import { sha256, storageKeys } from "./azure-storage-vectors.ts";

interface StoredObject {
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly body: string;
  readonly plaintextBytes: number;
  readonly plaintextSha256: string;
  readonly instructionFile?: { readonly body: string };
}

const FOLDER = "foreign-formats/amazon-s3-encryption-client";

function reader(): S3EncryptionClient {
  const { aes } = vectors<{ aes: string }>(`${FOLDER}/keys.json`);
  return s3EncryptionClient({ keys: [{ aesKey: hex(aes) }, { rsaPrivateKey: storageKeys().rsa.pkcs8 }] });
}

describeVectors("Amazon S3 Encryption Client: fixtures", () => {
  test("every object that AWS's client wrote opens", async () => {
    const objects = vectors<StoredObject[]>(`${FOLDER}/good.json`);
    expect(objects).toHaveLength(18);
    for (const { name, metadata, body, instructionFile, plaintextBytes, plaintextSha256 } of objects) {
      const bytes = new Uint8Array(Buffer.from(body, "base64"));
      for (const given of [bytes, new Blob([bytes]).stream()]) {
        const plaintext = await reader().decrypt(
          { metadata, body: given, instructionFile: instructionFile?.body },
          { expectedBytes: plaintextBytes },
        );
        expect({ name, sha256: sha256(plaintext) }).toEqual({ name, sha256: plaintextSha256 });
      }
    }
  });

  test("every broken object ends in its class", async () => {
    const objects = vectors<(StoredObject & { readonly expect: string })[]>(`${FOLDER}/bad.json`);
    expect(objects).toHaveLength(22);
    for (const { name, metadata, body, instructionFile, expect: expected } of objects) {
      const object = { metadata, body: new Uint8Array(Buffer.from(body, "base64")), instructionFile: instructionFile?.body };
      expect({ name, code: await refusalCode(() => reader().decrypt(object)) }).toEqual({ name, code: expected });
    }
  });
});
