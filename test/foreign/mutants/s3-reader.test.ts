import { constants, createPrivateKey, publicEncrypt, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { s3EncryptionClient } from "../../../src/foreign/s3-encryption/index.ts";
import { refusalCode } from "../../support/refusal.ts";
import { describeVectors, vectors } from "../../support/vectors.ts";
import { sha256, storageKeys } from "../azure-storage-vectors.ts";
import { sealedGcm } from "../s3-writer.ts";
import { readS3, type S3Slip } from "./s3-reader.ts";

// Readers that each leave out one check. A slip that no fixture notices would also go unnoticed in the library.
const SLIPS: readonly S3Slip[] = [
  "no commitment",
  "c, d and i from the instruction file",
  "lengths not checked",
  "algorithm not bound to the wrapped key",
  "legacy wrappings taken",
  "content algorithm not compared",
  "tag not verified",
  "short tags",
  "no metadata means plaintext",
  "no instruction file",
  "length before the RSA-wrapped key not compared",
];

interface Entry {
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly body: string;
  readonly plaintextSha256: string;
  readonly instructionFile?: { readonly body: string };
  readonly expect?: string;
}

const FOLDER = "foreign-formats/amazon-s3-encryption-client";

describeVectors("fixtures of Amazon's client find out", () => {
  const entries = (): readonly Entry[] => [...vectors<Entry[]>(`${FOLDER}/good.json`), ...vectors<Entry[]>(`${FOLDER}/bad.json`), ...own()];

  test("no slip in a reader that has none", () => expect(caughtBy(entries(), undefined)).toEqual([]));

  test.each(SLIPS)("%s", (slip) => {
    expect(caughtBy(entries(), slip)).not.toEqual([]);
  });

  test("and the library ends as it must for what is not in them", async () => {
    const { rsa } = storageKeys();
    const reader = s3EncryptionClient({ keys: [{ rsaPrivateKey: rsa.pkcs8 }, { aesKey: masterKey() }] });
    for (const { metadata, body } of own()) {
      expect(await refusalCode(() => reader.decrypt({ metadata, body: Buffer.from(body, "base64") }))).toBe("authentication-failed");
    }
  });
});

/**
 * Broken objects that the fixtures lack: a wrong length before an RSA-wrapped key, keys that were wrapped for another content algorithm, and
 * a body whose tag fits in its first four bytes.
 */
function own(): readonly Entry[] {
  const { rsa } = storageKeys();
  const [key, nonce] = [randomBytes(32), randomBytes(12)];
  const names = { "x-amz-cek-alg": "AES/GCM/NoPadding", "x-amz-matdesc": "{}", "x-amz-iv": nonce.toString("base64") };
  const sealed = sealedGcm(key, nonce, Buffer.alloc(0), Buffer.from("plaintext"));
  const block = Buffer.concat([Buffer.from([31]), key, Buffer.from("AES/GCM/NoPadding")]);
  const padding = { oaepHash: "sha1", padding: constants.RSA_PKCS1_OAEP_PADDING };
  const byRsa = publicEncrypt({ key: createPrivateKey(rsa.pkcs8), ...padding }, block).toString("base64");
  const byAes = Buffer.concat([nonce, sealedGcm(masterKey(), nonce, Buffer.from("AES/GCM/NoPadding"), key)]).toString("base64");
  const cbc = Buffer.from("AES/CBC/PKCS5Padding");
  const cbcByRsa = publicEncrypt({ key: createPrivateKey(rsa.pkcs8), ...padding }, Buffer.concat([Buffer.from([32]), key, cbc])).toString(
    "base64",
  );
  const cbcByAes = Buffer.concat([nonce, sealedGcm(masterKey(), nonce, cbc, key)]).toString("base64");
  const short = Buffer.from(sealed);
  short[short.length - 1] = (short.at(-1) ?? 0) ^ 1;
  const made = (name: string, metadata: Readonly<Record<string, string>>, body: Uint8Array): Entry => ({
    name,
    metadata: { ...names, ...metadata },
    body: Buffer.from(body).toString("base64"),
    plaintextSha256: "",
    expect: "authentication-failed",
  });
  return [
    made("rsa-length-31", { "x-amz-key-v2": byRsa, "x-amz-wrap-alg": "RSA-OAEP-SHA1" }, sealed),
    made("rsa-wrapped-for-cbc", { "x-amz-key-v2": cbcByRsa, "x-amz-wrap-alg": "RSA-OAEP-SHA1" }, sealed),
    made("aes-wrapped-for-cbc", { "x-amz-key-v2": cbcByAes, "x-amz-wrap-alg": "AES/GCM" }, sealed),
    made("last-byte-of-the-tag", { "x-amz-key-v2": byAes, "x-amz-wrap-alg": "AES/GCM" }, short),
  ];
}

function masterKey(): Buffer {
  return Buffer.from(vectors<{ aes: string }>(`${FOLDER}/keys.json`).aes, "hex");
}

/** The entries for which a reader does not end as it must. */
function caughtBy(entries: readonly Entry[], slip: S3Slip | undefined): readonly string[] {
  const keys = { aes: masterKey(), rsa: createPrivateKey(storageKeys().rsa.pkcs8) };
  return entries
    .filter(({ metadata, instructionFile, body, plaintextSha256, expect: expected }) => {
      try {
        return sha256(readS3(metadata, instructionFile?.body, Buffer.from(body, "base64"), keys, slip)) !== (expected ?? plaintextSha256);
      } catch (error) {
        return (error instanceof Error ? error.message : "") !== expected;
      }
    })
    .map(({ name }) => name);
}
