import { createCipheriv, createHash } from "node:crypto";
import { azureStorageEncryption, localStorageKeys } from "../../src/foreign/azure-storage/index.ts";
import { hex, vectors } from "../support/vectors.ts";

/** A blob that Microsoft's client or a derived writer made. */
export interface GoodBlob {
  readonly name: string;
  readonly protocol: "1.0" | "2.0" | "2.1";
  readonly contentKey: string;
  readonly regionBytes?: number;
  readonly nonces?: "python" | "java" | "dotnet";
  readonly metadata: { readonly encryptiondata: string };
  readonly plaintextBytes: number;
  readonly plaintextSha256: string;
  readonly bodyBytes: number;
  readonly bodySha256: string;
  readonly body?: string;
  readonly bodyStart?: string;
  readonly bodyEnd?: string;
}

export interface BadBlob {
  readonly name: string;
  readonly base: string;
  readonly expect: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface BlobRange {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly fetchFirst: number;
  readonly fetchLast: number;
  readonly sha256: string;
  readonly microsoftGives: string;
}

export const goodBlobs = (): GoodBlob[] => vectors("azure-storage-cse/good.json");
export const badBlobs = (): BadBlob[] => vectors("azure-storage-cse/bad.json");
export const blobRanges = (): BlobRange[] => vectors("azure-storage-cse/ranges.json");

interface Keys {
  readonly aes: { readonly keyId: string; readonly key: string };
  readonly rsa: { readonly keyId: string; readonly pkcs8: string };
}

export const storageKeys = (): Keys => vectors("azure-storage-cse/keys.json");

/** Reads everything that the fixtures hold, 1.0 included. */
export function vectorEncryption(dangerReadV1 = true): ReturnType<typeof azureStorageEncryption> {
  const { aes, rsa } = storageKeys();
  const keys = localStorageKeys([
    { keyId: aes.keyId, key: hex(aes.key) },
    { keyId: rsa.keyId, privateKey: rsa.pkcs8 },
  ]);
  return azureStorageEncryption({ keys, dangerReadV1 });
}

/** Byte i is i mod 251, as in every fixture. */
export function plaintextOf(bytes: number): Uint8Array<ArrayBuffer> {
  const plaintext = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at++) plaintext[at] = at % 251;
  return plaintext;
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The body of a good blob: as it stands there, or made from its content key by a writer that shares nothing with the library. */
export function bodyOf(blob: GoodBlob): Uint8Array<ArrayBuffer> {
  if (blob.body !== undefined) return new Uint8Array(Buffer.from(blob.body, "base64"));
  const [key, plaintext] = [Buffer.from(blob.contentKey, "hex"), plaintextOf(blob.plaintextBytes)];
  if (blob.protocol === "1.0") {
    const { ContentEncryptionIV } = JSON.parse(blob.metadata.encryptiondata);
    const cipher = createCipheriv("aes-256-cbc", key, Buffer.from(ContentEncryptionIV, "base64"));
    return new Uint8Array(Buffer.concat([cipher.update(plaintext), cipher.final()]));
  }
  const regionBytes = blob.regionBytes ?? 0;
  const parts: Uint8Array[] = [];
  for (let at = 0, index = 0; at < plaintext.length; at += regionBytes, index++) {
    parts.push(sealedRegion(key, countedNonce(blob.nonces ?? "python", index), plaintext.subarray(at, at + regionBytes)));
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** The nonce of a region as each of Microsoft's libraries counts it. */
export function countedNonce(layout: "python" | "java" | "dotnet", index: number): Buffer {
  const nonce = Buffer.alloc(12);
  if (layout === "python") nonce.writeBigUInt64BE(BigInt(index), 4);
  else if (layout === "java") nonce.writeBigUInt64BE(BigInt(index), 0);
  else nonce.writeBigUInt64LE(BigInt(index + 1), 4);
  return nonce;
}

export function sealedRegion(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}
