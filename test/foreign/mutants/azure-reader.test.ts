import { createDecipheriv, createPrivateKey, privateDecrypt } from "node:crypto";
import { expect, test } from "vitest";
import { describeVectors, hex } from "../../support/vectors.ts";
import { badBlobs, bodyOf, goodBlobs, plaintextOf, sha256, storageKeys } from "../azure-storage-vectors.ts";
import { type AzureSlip, readAzure } from "./azure-reader.ts";

// Readers that each leave out one check. A slip that no fixture notices would also go unnoticed in the library.
const SLIPS: readonly AzureSlip[] = [
  "no order of regions",
  "order by the first region alone",
  "short tags",
  "nonce of any length",
  "key id not compared",
  "version inside the key not compared",
  "content key of any length",
  "algorithm not compared with protocol",
  "region length not checked",
  "least length of a region not checked",
  "no metadata means plaintext",
  "tag not verified",
  "name of metadata in one case",
  "null counts as present",
  "padding not checked",
];

describeVectors("fixtures of Azure Storage find out", () => {
  test("no slip in a reader that has none", () => expect(caughtBy(undefined)).toEqual([]));

  test.each(SLIPS)("%s", (slip) => {
    expect(caughtBy(slip)).not.toEqual([]);
  });
});

/** The fixtures for which a reader does not end as it must. */
function caughtBy(slip: AzureSlip | undefined): readonly string[] {
  const { aes, rsa } = storageKeys();
  const privateKey = createPrivateKey(rsa.pkcs8);
  const keys = [
    {
      keyId: aes.keyId,
      unwrap: (algorithm: string, wrapped: Buffer) => (algorithm === "A256KW" ? unwrapped(hex(aes.key), wrapped) : refuse()),
    },
    {
      keyId: rsa.keyId,
      unwrap: (algorithm: string, wrapped: Buffer) => {
        const oaepHash = { "RSA-OAEP": "sha1", "RSA-OAEP-256": "sha256" }[algorithm] ?? refuse();
        return privateDecrypt({ key: privateKey, oaepHash }, wrapped);
      },
    },
  ];
  const endOf = (metadata: Readonly<Record<string, string>>, body: Uint8Array): string => {
    try {
      return sha256(readAzure(metadata, Buffer.from(body), keys, slip));
    } catch (error) {
      return error instanceof Error ? error.message : "";
    }
  };
  const goods = goodBlobs();
  const bytesOf = new Map(goods.map(({ name, plaintextBytes }) => [name, plaintextBytes]));
  const small = goods.filter(({ body }) => body !== undefined).map((blob) => ({ ...blob, body: bodyOf(blob) }));
  const wrongGood = small.filter(({ metadata, body, plaintextSha256 }) => endOf(metadata, body) !== plaintextSha256);
  const wrongBad = badBlobs().filter(({ base, metadata, body, expect: expected }) => {
    const end = endOf(metadata, Buffer.from(body, "base64"));
    const right = sha256(plaintextOf(bytesOf.get(base) ?? 0));
    if (expected === "opens") return end !== right;
    return expected === "undetected" ? end.length !== 64 || end === right : end !== expected;
  });
  return [...wrongGood, ...wrongBad].map(({ name }) => name);
}

// RFC 3394, by the runtime.
function unwrapped(kek: Uint8Array, wrapped: Buffer): Buffer {
  const cipher = createDecipheriv("id-aes256-wrap", kek, Buffer.alloc(8, 0xa6));
  return Buffer.concat([cipher.update(wrapped), cipher.final()]);
}

function refuse(): never {
  throw new Error("another algorithm");
}
