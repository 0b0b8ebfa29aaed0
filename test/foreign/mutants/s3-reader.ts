import { createDecipheriv, hkdfSync, type KeyObject, privateDecrypt } from "node:crypto";

/** What a careless reader leaves out or does otherwise. */
export type S3Slip =
  | "no commitment"
  | "c, d and i from the instruction file"
  | "lengths not checked"
  | "algorithm not bound to the wrapped key"
  | "legacy wrappings taken"
  | "content algorithm not compared"
  | "tag not verified"
  | "short tags"
  | "no metadata means plaintext"
  | "no instruction file"
  | "length before the RSA-wrapped key not compared";

export interface S3Keys {
  readonly aes: Buffer;
  readonly rsa: KeyObject;
}

type Texts = Readonly<Record<string, string | undefined>>;

/** Reads by the documented layout, and shares nothing with the library. Returns the plaintext; throws a code as its message. */
export function readS3(own: Texts, file: string | undefined, body: Buffer, keys: S3Keys, slip?: S3Slip): Buffer {
  const instruction: Texts = file === undefined || slip === "no instruction file" ? {} : JSON.parse(file);
  const isThree = ["x-amz-c", "x-amz-d", "x-amz-i", "x-amz-3"].some((name) => own[name] ?? (name === "x-amz-3" && instruction[name]));
  const content = slip === "c, d and i from the instruction file" ? { ...instruction, ...own } : own;
  const wrapped: Texts = (own["x-amz-3"] ?? own["x-amz-key-v2"]) ? own : instruction;
  const need = (texts: Texts, name: string, bytes?: number): Buffer => {
    const decoded = Buffer.from(texts[name] ?? "", "base64");
    const isWrong = decoded.length === 0 || (bytes !== undefined && decoded.length !== bytes && slip !== "lengths not checked");
    if (isWrong) throw new Error("malformed-envelope");
    return decoded;
  };
  const algorithm = (isThree ? content["x-amz-c"] : wrapped["x-amz-cek-alg"]) ?? "";
  if (algorithm === "") {
    if (slip === "no metadata means plaintext") return body;
    throw new Error("malformed-envelope");
  }
  const isKnown = algorithm === (isThree ? "115" : "AES/GCM/NoPadding") || slip === "content algorithm not compared";
  if (!isKnown) throw new Error("unsupported-version");
  const wrapping = wrapped[isThree ? "x-amz-w" : "x-amz-wrap-alg"] ?? "";
  const isRsa = wrapping === (isThree ? "22" : "RSA-OAEP-SHA1");
  const isAes = wrapping === (isThree ? "02" : "AES/GCM") || (slip === "legacy wrappings taken" && !isRsa);
  if (!isRsa && !isAes) throw new Error("unsupported-version");
  const wrappedKey = need(wrapped, isThree ? "x-amz-3" : "x-amz-key-v2");
  const [id, commitment] = isThree
    ? [need(content, "x-amz-i", 28), need(content, "x-amz-d", 28)]
    : [need(wrapped, "x-amz-iv", 12), undefined];
  if (body.length < 16 && slip !== "lengths not checked") throw new Error("malformed-envelope");
  return refused(() => {
    const key = isRsa ? rsaKey(keys.rsa, wrappedKey, algorithm, slip) : aesKey(keys.aes, wrappedKey, algorithm, slip);
    if (commitment === undefined) return openedGcm(key, id, Buffer.alloc(0), body, slip);
    const suite = Buffer.from([0, 115]);
    const derived = (label: string, bytes: number): Buffer =>
      Buffer.from(hkdfSync("sha512", key, id, Buffer.concat([suite, Buffer.from(label)]), bytes));
    const isCommitted = derived("COMMITKEY", 28).equals(commitment) || slip === "no commitment";
    if (!isCommitted) throw new Error("authentication-failed");
    return openedGcm(derived("DERIVEKEY", 32), Buffer.alloc(12, 1), suite, body, slip);
  });
}

function aesKey(kek: Buffer, wrapped: Buffer, algorithm: string, slip: S3Slip | undefined): Buffer {
  const aad = slip === "algorithm not bound to the wrapped key" ? undefined : Buffer.from(algorithm);
  return openedGcm(kek, wrapped.subarray(0, 12), aad, wrapped.subarray(12), aad === undefined ? "tag not verified" : undefined);
}

function rsaKey(rsa: KeyObject, wrapped: Buffer, algorithm: string, slip: S3Slip | undefined): Buffer {
  const block = privateDecrypt({ key: rsa, oaepHash: "sha1" }, wrapped);
  const isBound = block.subarray(33).toString() === algorithm || slip === "algorithm not bound to the wrapped key";
  const isLong = block[0] === 32 || slip === "length before the RSA-wrapped key not compared";
  if (!isBound || !isLong) throw new Error("authentication-failed");
  return block.subarray(1, 33);
}

function openedGcm(key: Buffer, nonce: Buffer, aad: Buffer | undefined, sealed: Buffer, slip: S3Slip | undefined): Buffer {
  const tagBytes = slip === "short tags" ? 4 : 16;
  const cipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: tagBytes });
  if (aad !== undefined) cipher.setAAD(aad);
  const end = Math.max(0, sealed.length - 16);
  if (slip === "tag not verified") return cipher.update(sealed.subarray(0, end));
  cipher.setAuthTag(sealed.subarray(end, end + tagBytes));
  return Buffer.concat([cipher.update(sealed.subarray(0, end)), cipher.final()]);
}

function refused(work: () => Buffer): Buffer {
  try {
    return work();
  } catch {
    throw new Error("authentication-failed");
  }
}
