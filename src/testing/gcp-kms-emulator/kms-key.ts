import { constants, createCipheriv, createDecipheriv, generateKeyPairSync, type KeyObject, privateDecrypt, randomBytes } from "node:crypto";
import { ciphertextInvalid, ciphertextRefused, invalid, notEnabled, notFound } from "./answer.ts";
import type { KeyAlgorithm, KeyPurpose, ProtectionLevel, VersionState } from "./enums.ts";

export interface KeyTraits {
  /** Default `GOOGLE_SYMMETRIC_ENCRYPTION`, or `EXTERNAL_SYMMETRIC_ENCRYPTION` for an external key. */
  readonly algorithm?: KeyAlgorithm;
  /** Default `SOFTWARE`. */
  readonly protectionLevel?: ProtectionLevel;
  /** The rotation period, for the doctor: the emulator does not rotate by itself. */
  readonly rotationSeconds?: number;
}

export interface KeyVersion {
  readonly number: number;
  readonly name: string;
  readonly algorithm: KeyAlgorithm;
  readonly createdMs: number;
  readonly pair: { readonly publicKey: KeyObject; readonly privateKey: KeyObject } | undefined;
  readonly secret: Buffer;
  state: VersionState;
}

/** One CryptoKey with its versions. */
export class KmsKey {
  readonly name: string;
  readonly purpose: KeyPurpose;
  readonly protectionLevel: ProtectionLevel;
  readonly rotationSeconds: number | undefined;
  readonly createdMs: number;
  readonly algorithm: KeyAlgorithm;
  readonly versions: KeyVersion[] = [];
  /** The number of the version that encrypts. */
  primary = 1;
  readonly #tag: Buffer = randomBytes(TAG_BYTES);

  constructor(name: string, { protectionLevel = "SOFTWARE", algorithm, rotationSeconds }: KeyTraits, nowMs: number) {
    this.name = name;
    this.protectionLevel = protectionLevel;
    this.algorithm =
      algorithm ?? (protectionLevel.startsWith("EXTERNAL") ? "EXTERNAL_SYMMETRIC_ENCRYPTION" : "GOOGLE_SYMMETRIC_ENCRYPTION");
    this.purpose = this.algorithm.startsWith("RSA") ? "ASYMMETRIC_DECRYPT" : "ENCRYPT_DECRYPT";
    this.rotationSeconds = rotationSeconds;
    this.createdMs = nowMs;
    this.addVersion(nowMs);
  }

  addVersion(nowMs: number): KeyVersion {
    const number = this.versions.length + 1;
    const [, bits] = /^RSA_DECRYPT_OAEP_(\d+)_/.exec(this.algorithm) ?? [];
    const version: KeyVersion = {
      number,
      name: `${this.name}/cryptoKeyVersions/${number}`,
      algorithm: this.algorithm,
      createdMs: nowMs,
      pair: bits === undefined ? undefined : generateKeyPairSync("rsa", { modulusLength: Number(bits) }),
      secret: randomBytes(32),
      state: "ENABLED",
    };
    this.versions.push(version);
    return version;
  }

  /** @throws GcpAnswer */
  version(number: number): KeyVersion {
    const version = this.versions[number - 1];
    if (version === undefined) throw notFound(`${this.name}/cryptoKeyVersions/${number}`);
    return version;
  }

  /** @throws GcpAnswer */
  encrypt(version: KeyVersion, plaintext: Buffer, aad: Buffer): Buffer {
    this.#requirePurpose("ENCRYPT_DECRYPT");
    requireEnabled(version);
    this.#requireSize(plaintext, aad);
    const iv = randomBytes(IV_BYTES);
    const head = Buffer.concat([Buffer.of(FIRST_BYTE), this.#tag, uint32(version.number)]);
    const cipher = createCipheriv("aes-256-gcm", version.secret, iv).setAAD(Buffer.concat([head, aad]));
    return Buffer.concat([head, iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  }

  /** Decrypts with the version that the ciphertext names. @throws GcpAnswer */
  decrypt(ciphertext: Buffer, aad: Buffer): { readonly plaintext: Buffer; readonly version: KeyVersion } {
    this.#requirePurpose("ENCRYPT_DECRYPT");
    if (ciphertext.length < HEAD_BYTES + IV_BYTES + 16 || ciphertext[0] !== FIRST_BYTE) throw ciphertextInvalid();
    const head = ciphertext.subarray(0, HEAD_BYTES);
    const version = this.versions[head.readUInt32BE(1 + TAG_BYTES) - 1];
    if (version === undefined || !head.subarray(1, 1 + TAG_BYTES).equals(this.#tag)) throw ciphertextRefused();
    requireEnabled(version);
    this.#requireSize(Buffer.alloc(0), aad);
    const rest = ciphertext.subarray(HEAD_BYTES);
    const decipher = createDecipheriv("aes-256-gcm", version.secret, rest.subarray(0, IV_BYTES));
    decipher.setAAD(Buffer.concat([head, aad])).setAuthTag(rest.subarray(-16));
    try {
      return { plaintext: Buffer.concat([decipher.update(rest.subarray(IV_BYTES, -16)), decipher.final()]), version };
    } catch {
      throw ciphertextRefused();
    }
  }

  /** @throws GcpAnswer */
  asymmetricDecrypt(version: KeyVersion, ciphertext: Buffer): Buffer {
    this.#requirePurpose("ASYMMETRIC_DECRYPT");
    requireEnabled(version);
    if (version.pair === undefined) throw ciphertextInvalid();
    const oaepHash = version.algorithm.endsWith("SHA512") ? "sha512" : version.algorithm.endsWith("SHA1") ? "sha1" : "sha256";
    try {
      return privateDecrypt({ key: version.pair.privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, ciphertext);
    } catch {
      throw ciphertextInvalid();
    }
  }

  /** Returns the public key in PEM. @throws GcpAnswer */
  publicKeyOf(version: KeyVersion): string {
    requireEnabled(version);
    if (version.pair === undefined) throw invalid(`${version.name} has no public key: its purpose is ${this.purpose}.`);
    return `${version.pair.publicKey.export({ type: "spki", format: "pem" })}`;
  }

  #requirePurpose(purpose: KeyPurpose): void {
    if (this.purpose === purpose) return;
    throw invalid(`The request cannot be fulfilled. Resource ${this.name} has purpose ${this.purpose}.`);
  }

  #requireSize(plaintext: Buffer, aad: Buffer): void {
    if (plaintext.length > SOFTWARE_BYTES) throw invalid("The plaintext is larger than 65536 bytes.");
    if (aad.length > SOFTWARE_BYTES) throw invalid("The additional_authenticated_data is larger than 65536 bytes.");
    if (this.protectionLevel === "HSM" && plaintext.length + aad.length > HSM_BYTES)
      throw invalid("The plaintext and additional_authenticated_data together are larger than 8192 bytes.");
  }
}

function requireEnabled({ name, state }: KeyVersion): void {
  if (state !== "ENABLED") throw notEnabled(name, state);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const FIRST_BYTE = 0x0a;
const TAG_BYTES = 8;
const HEAD_BYTES: number = 1 + TAG_BYTES + 4;
const IV_BYTES = 12;
const SOFTWARE_BYTES = 65_536;
const HSM_BYTES = 8_192;
