import { constants, createPrivateKey, privateDecrypt } from "node:crypto";
import { aeskw, aeskwp } from "@noble/ciphers/aes.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { expand, extract } from "@noble/hashes/hkdf.js";
import { sha1 } from "@noble/hashes/legacy.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { sha3_256, shake256 } from "@noble/hashes/sha3.js";
import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import type { RsaKey } from "../format/rsa-keys.ts";
import { type CompositeKek, unwrapParts } from "./composites.ts";
import { numberIn, same, unauthentic } from "./failure.ts";
import { openGcm, openXaes } from "./primitives.ts";
import type { ReadRecipient } from "./record.ts";
import type { Slip } from "./slips.ts";

/** A configured key version: its bytes, or its seed, or an RSA key. */
export interface KekVersion {
  readonly provider: string;
  readonly keyId: string;
  readonly alg: number;
  readonly secret: Uint8Array;
  readonly rsa?: RsaKey;
  /** The keys of an algorithm of parts. */
  readonly composite?: CompositeKek<KekVersion>;
}

/** docs/format.md §3.1. Throws if the recipient is refused. */
export function unwrap(kek: KekVersion, recipient: ReadRecipient, keyCtx: Uint8Array, slip: Slip | undefined): Uint8Array {
  const { alg } = recipient;
  if (alg !== kek.alg && slip !== "alg-unbound") throw unauthentic();
  if (kek.composite !== undefined) {
    const unwrapPart = (inner: KekVersion, part: ReadRecipient, aadKeyId: string): Uint8Array => {
      const named = (keyId: string): Uint8Array => unwrapUnder(inner, part, wrapAad({ ...recipient, keyId }, keyCtx, slip), slip);
      return slip === "parts-plain-aad"
        ? eitherOf(
            () => named(aadKeyId),
            () => named(part.keyId),
          )
        : named(aadKeyId);
    };
    return unwrapParts(kek.composite, recipient, unwrapPart, slip);
  }
  return unwrapUnder(kek, recipient, wrapAad(recipient, keyCtx, slip), slip);
}

function unwrapUnder(kek: KekVersion, recipient: ReadRecipient, aad: Uint8Array, slip: Slip | undefined): Uint8Array {
  const { alg, wrapped } = recipient;
  if (alg !== kek.alg && slip !== "alg-unbound") throw unauthentic();
  const due = kek.rsa === undefined ? WRAPPED_BYTES[alg] : 256;
  if (wrapped.length !== due && slip !== "wrap-length") throw unauthentic();
  const dataKey = unwrapped(kek, recipient, aad, slip);
  if (dataKey.length !== 32 && slip !== "unwrapped-length" && slip !== "wrap-length") throw unauthentic();
  return dataKey;
}

const WRAPPED_BYTES: Readonly<Record<number, number>> = { 1: 72, 2: 60, 4: 80, 5: 1168, 6: 40, 7: 40 };

function wrapAad({ provider, keyId }: ReadRecipient, keyCtx: Uint8Array, slip: Slip | undefined): Uint8Array {
  const name = utf8ToBytes(provider);
  const id = utf8ToBytes(slip === "aad-normalised" ? keyId.normalize("NFC") : keyId);
  const lengths = { name: Uint8Array.of(name.length), id: Uint8Array.of(id.length >> 8, id.length & 0xff) };
  return concatBytes(utf8ToBytes("envelock/v1/wrap"), Uint8Array.of(0, 1), lengths.name, name, lengths.id, id, keyCtx);
}

function unwrapped({ secret, rsa }: KekVersion, { alg, wrapped }: ReadRecipient, aad: Uint8Array, slip: Slip | undefined): Uint8Array {
  const tried = (work: () => Uint8Array): Uint8Array => {
    try {
      return work();
    } catch {
      throw unauthentic();
    }
  };
  const openAesGcm = (data: Uint8Array): Uint8Array => openGcm(secret, wrapped.subarray(0, 12), data, wrapped.subarray(12));
  if (alg === 1) return openXaes(secret, aad, wrapped);
  if (alg === 2)
    return slip === "gcm-without-aad"
      ? eitherOf(
          () => openAesGcm(aad),
          () => openAesGcm(new Uint8Array(0)),
        )
      : openAesGcm(aad);
  if (alg === 4)
    return openHpke(
      0x0020,
      wrapped.subarray(32),
      aad,
      tried(() => x25519Secret(secret, wrapped.subarray(0, 32), slip)),
    );
  if (alg === 5)
    return openHpke(
      0x647a,
      wrapped.subarray(1120),
      aad,
      tried(() => hybridSecret(secret, wrapped.subarray(0, 1120), slip)),
    );
  if (alg === 6) return tried(() => aeskw(secret).decrypt(wrapped));
  if (alg === 7) return tried(() => aeskwp(secret).decrypt(wrapped));
  if (rsa === undefined || (alg !== 3 && alg !== 8)) throw unauthentic();
  if (slip === "oaep-mask-sha1" || slip === "oaep-label") return oaep(rsa, wrapped, alg === 3 ? sha256 : sha1, slip);
  const key = createPrivateKey({ key: { ...rsa }, format: "jwk" });
  const options = { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: alg === 3 ? "sha256" : "sha1" };
  return tried(() => Uint8Array.from(privateDecrypt(options, wrapped)));
}

function eitherOf(first: () => Uint8Array, second: () => Uint8Array): Uint8Array {
  try {
    return first();
  } catch {
    return second();
  }
}

/** RFC 9180 §4.1, §7.1.4 */
function x25519Secret(secret: Uint8Array, enc: Uint8Array, slip: Slip | undefined): Uint8Array {
  const suite = concatBytes(utf8ToBytes("KEM"), Uint8Array.of(0, 0x20));
  const prk = labeledExtract(suite, new Uint8Array(0), "eae_prk", agreed(secret, enc, slip));
  return labeledExpand(suite, prk, "shared_secret", concatBytes(enc, x25519.getPublicKey(secret)), 32);
}

/** docs/format.md §10.6 */
function hybridSecret(seed: Uint8Array, enc: Uint8Array, slip: Slip | undefined): Uint8Array {
  const expanded = shake256(seed, { dkLen: 96 });
  const { secretKey } = ml_kem768.keygen(expanded.subarray(0, 64));
  const own = expanded.subarray(64);
  const [ctM, ctX] = [enc.subarray(0, 1088), enc.subarray(1088)];
  const ssM = ml_kem768.decapsulate(ctM, secretKey);
  return sha3_256(
    concatBytes(ssM, agreed(own, ctX, slip), ctX, x25519.getPublicKey(own), Uint8Array.of(0x5c, 0x2e, 0x2f, 0x2f, 0x5e, 0x5c)),
  );
}

/** noble refuses a secret of zeros by itself. docs/format.md [M-70] */
function agreed(secret: Uint8Array, point: Uint8Array, slip: Slip | undefined): Uint8Array {
  try {
    return x25519.getSharedSecret(secret, point);
  } catch (error) {
    if (slip === "zero-secret") return new Uint8Array(32);
    throw error;
  }
}

/** RFC 9180 §5.1 and §6.1, base mode */
function openHpke(kem: number, sealed: Uint8Array, info: Uint8Array, sharedSecret: Uint8Array): Uint8Array {
  const none = new Uint8Array(0);
  const suite = concatBytes(utf8ToBytes("HPKE"), Uint8Array.of(kem >> 8, kem & 0xff, 0, 1, 0, 2));
  const context = concatBytes(
    Uint8Array.of(0),
    labeledExtract(suite, none, "psk_id_hash", none),
    labeledExtract(suite, none, "info_hash", info),
  );
  const secret = labeledExtract(suite, sharedSecret, "secret", none);
  const key = labeledExpand(suite, secret, "key", context, 32);
  return openGcm(key, labeledExpand(suite, secret, "base_nonce", context, 12), none, sealed);
}

function labeledExtract(suite: Uint8Array, salt: Uint8Array, label: string, material: Uint8Array): Uint8Array {
  return extract(sha256, concatBytes(utf8ToBytes("HPKE-v1"), suite, utf8ToBytes(label), material), salt);
}

function labeledExpand(suite: Uint8Array, prk: Uint8Array, label: string, info: Uint8Array, bytes: number): Uint8Array {
  return expand(sha256, prk, concatBytes(Uint8Array.of(0, bytes), utf8ToBytes("HPKE-v1"), suite, utf8ToBytes(label), info), bytes);
}

/** RFC 8017 §7.1.2 with a slip. */
function oaep(rsa: RsaKey, wrapped: Uint8Array, hash: typeof sha256 | typeof sha1, slip: Slip): Uint8Array {
  const key = createPrivateKey({ key: { ...rsa }, format: "jwk" });
  const block = Uint8Array.from(privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, wrapped));
  const hashBytes = hash(new Uint8Array(0)).length;
  for (const mask of slip === "oaep-mask-sha1" ? [hash, sha1] : [hash]) {
    const seed = xored(block.subarray(1, 1 + hashBytes), mgf1(mask, block.subarray(1 + hashBytes), hashBytes));
    const data = xored(block.subarray(1 + hashBytes), mgf1(mask, seed, block.length - 1 - hashBytes));
    const rest = data.subarray(hashBytes);
    const start = rest.findIndex((byte) => byte !== 0);
    const isLabelled = same(data.subarray(0, hashBytes), hash(new Uint8Array(0)));
    if (numberIn(block.subarray(0, 1)) === 0 && rest[start] === 1 && (isLabelled || slip === "oaep-label")) return rest.slice(start + 1);
  }
  throw unauthentic();
}

function mgf1(hash: typeof sha256 | typeof sha1, seed: Uint8Array, bytes: number): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (let counter = 0; counter * 20 < bytes; counter++) blocks.push(hash(concatBytes(seed, Uint8Array.of(0, 0, 0, counter))));
  return concatBytes(...blocks).subarray(0, bytes);
}

function xored(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, at) => byte ^ (b[at] ?? 0));
}
