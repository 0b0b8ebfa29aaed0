import {
  constants,
  createCipheriv,
  createDecipheriv,
  generateKeyPair,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from "node:crypto";
import { promisify } from "node:util";
import { Answer } from "./answer.ts";

export interface KeySpec {
  readonly type: "RSA" | "RSA-HSM" | "oct-HSM" | "EC";
  readonly bits: number;
  readonly operations?: readonly string[];
}

/** One version of a key, with what the service would keep in its vault. Times are Unix time in seconds. */
export interface EmulatedVersion {
  readonly id: string;
  readonly spec: KeySpec;
  readonly material: KeyObject | Buffer;
  readonly created: number;
  enabled: boolean;
  nbf: number | undefined;
  exp: number | undefined;
  /** What a client may see of it: not yet where the region lags behind. */
  isReplicated: boolean;
}

export async function newVersion(spec: KeySpec, created: number): Promise<EmulatedVersion> {
  const id = randomBytes(16).toString("hex");
  return { id, spec, material: await newMaterial(spec), created, enabled: true, nbf: undefined, exp: undefined, isReplicated: true };
}

/** The JWK and attributes of a version, as `GET /keys/{name}/{version}` shows them. */
export function bundleOf(version: EmulatedVersion, kid: string): object {
  const { spec, material } = version;
  const jwk = Buffer.isBuffer(material) || spec.type === "EC" ? {} : publicHalf(material);
  const key_ops = spec.operations ?? (spec.type === "EC" ? ["sign", "verify"] : ["wrapKey", "unwrapKey", "encrypt", "decrypt"]);
  return { key: { kid, kty: spec.type, key_ops, ...jwk }, attributes: attributesOf(version) };
}

export function attributesOf({ enabled, nbf, exp, created }: EmulatedVersion): object {
  return { enabled, nbf, exp, created, updated: created, recoveryLevel: "Recoverable+Purgeable" };
}

/** @throws Answer */
export function wrapUnder(version: EmulatedVersion, alg: unknown, value: Buffer): Buffer {
  const { material } = version;
  const scheme = schemeFor(version, alg);
  if (Buffer.isBuffer(material)) {
    if (value.length < 16 || value.length % 8 !== 0) throw badParameter();
    const cipher = createCipheriv(scheme, material, WRAP_START);
    return Buffer.concat([cipher.update(value), cipher.final()]);
  }
  return publicEncrypt({ key: material, oaepHash: scheme, padding: constants.RSA_PKCS1_OAEP_PADDING }, value);
}

/** @throws Answer */
export function unwrapUnder(version: EmulatedVersion, alg: unknown, value: Buffer): Buffer {
  const { material } = version;
  const scheme = schemeFor(version, alg);
  try {
    if (Buffer.isBuffer(material)) {
      if (value.length < 24) throw badParameter();
      const decipher = createDecipheriv(scheme, material, WRAP_START);
      return Buffer.concat([decipher.update(value), decipher.final()]);
    }
    return privateDecrypt({ key: material, oaepHash: scheme, padding: constants.RSA_PKCS1_OAEP_PADDING }, value);
  } catch {
    throw badParameter();
  }
}

/** What node:crypto calls the algorithm, if it is one for this key. */
function schemeFor({ spec }: EmulatedVersion, alg: unknown): string {
  if (spec.type === "oct-HSM" && alg === `A${spec.bits}KW`) return `id-aes${spec.bits}-wrap`;
  if (spec.type.startsWith("RSA") && alg === "RSA-OAEP-256") return "sha256";
  if (spec.type.startsWith("RSA") && alg === "RSA-OAEP") return "sha1";
  throw badParameter();
}

function badParameter(): Answer {
  return new Answer(400, { code: "BadParameter", message: "The parameter is incorrect." });
}

async function newMaterial({ type, bits }: KeySpec): Promise<KeyObject | Buffer> {
  if (type === "oct-HSM") return randomBytes(bits / 8);
  if (type === "EC") return (await promisify(generateKeyPair)("ec", { namedCurve: "P-256" })).privateKey;
  return (await promisify(generateKeyPair)("rsa", { modulusLength: bits })).privateKey;
}

function publicHalf(key: KeyObject): { readonly n: string | undefined; readonly e: string | undefined } {
  const { n, e } = key.export({ format: "jwk" });
  return { n, e };
}

const WRAP_START = Buffer.from("a6a6a6a6a6a6a6a6", "hex"); // RFC 3394 §2.2.3.1
