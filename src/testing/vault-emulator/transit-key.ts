import {
  constants,
  createCipheriv,
  createDecipheriv,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from "node:crypto";
import { chacha20poly1305, xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { badRequest, VaultAnswer } from "./answer.ts";

export type TransitKeyType = AeadType | RsaType;

export type AeadType = "aes128-gcm96" | "aes256-gcm96" | "chacha20-poly1305" | "xchacha20-poly1305";
export type RsaType = "rsa-2048" | "rsa-3072" | "rsa-4096";

/** A request to encrypt or decrypt one value. */
export interface TransitInput {
  readonly associatedData: Buffer | undefined;
  /** The derivation context of a derived key. Other keys ignore it, as the server does. */
  readonly context: Buffer | undefined;
}

interface KeyVersion {
  /** Undefined for a trimmed version. */
  readonly secret: Buffer | undefined;
  readonly pair: { readonly publicKey: KeyObject; readonly privateKey: KeyObject } | undefined;
  readonly createdMs: number;
}

/** One named key of the transit engine, with its versions. */
export class TransitKey {
  readonly name: string;
  readonly type: TransitKeyType;
  readonly isDerived: boolean;
  isExportable: boolean;
  allowsPlaintextBackup: boolean;
  isDeletionAllowed = false;
  isSoftDeleted = false;
  minDecryptionVersion = 1;
  minEncryptionVersion = 0;
  /** The oldest version that is not trimmed. */
  minAvailableVersion = 1;
  readonly #versions: KeyVersion[] = [];

  constructor(
    name: string,
    type: TransitKeyType,
    { derived = false, exportable = false, allowPlaintextBackup = false }: TransitKeyTraits,
    nowMs: number,
  ) {
    this.name = name;
    this.type = type;
    this.isDerived = derived;
    this.isExportable = exportable;
    this.allowsPlaintextBackup = allowPlaintextBackup;
    this.rotate(nowMs);
  }

  get latestVersion(): number {
    return this.#versions.length;
  }

  get isRsa(): boolean {
    return isRsaType(this.type);
  }

  rotate(nowMs: number): number {
    const pair = isRsaType(this.type) ? generateKeyPairSync("rsa", { modulusLength: Number(this.type.slice("rsa-".length)) }) : undefined;
    const secret = pair === undefined ? randomBytes(this.type === "aes128-gcm96" ? 16 : 32) : undefined;
    this.#versions.push({ secret, pair, createdMs: nowMs });
    return this.latestVersion;
  }

  createdMs(version: number): number {
    return this.#versions[version - 1]?.createdMs ?? 0;
  }

  publicKey(version: number): string | undefined {
    return this.#versions[version - 1]?.pair?.publicKey.export({ type: "spki", format: "pem" }).toString();
  }

  /** @throws VaultAnswer */
  encrypt(plaintext: Buffer, input: TransitInput, asked: number | undefined): { readonly ciphertext: string; readonly version: number } {
    this.#requireUsable();
    const version = asked === undefined || asked === 0 ? this.latestVersion : asked;
    if (version > this.latestVersion) throw badRequest("requested version for encryption is higher than the latest key version");
    if (version < this.minEncryptionVersion)
      throw badRequest("requested version for encryption is less than the minimum encryption key version");
    const sealed = isRsaType(this.type) ? this.#sealRsa(version, plaintext, input) : this.#sealAead(this.type, version, plaintext, input);
    return { ciphertext: `vault:v${version}:${sealed.toString("base64")}`, version };
  }

  /** @throws VaultAnswer with the server's own texts */
  decrypt(ciphertext: string, input: TransitInput): Buffer {
    this.#requireUsable();
    const [, digits, text] = /^vault:v(\d+):(.*)$/s.exec(ciphertext) ?? [];
    if (digits === undefined || text === undefined) throw badRequest("invalid ciphertext: no prefix");
    const version = Math.max(1, Number(digits)); // the server reads v0 as v1
    if (version > this.latestVersion) throw badRequest("invalid ciphertext: version is too new");
    if (version < this.minDecryptionVersion) {
      throw badRequest("ciphertext or signature version is disallowed by policy (too old)");
    }
    if (version < this.minAvailableVersion) throw new VaultAnswer(400, ["could not decrypt: the version was trimmed"]);
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw badRequest("invalid ciphertext: could not decode base64");
    const sealed = Buffer.from(text, "base64");
    return isRsaType(this.type) ? this.#openRsa(version, sealed, input) : this.#openAead(this.type, version, sealed, input);
  }

  trim(minAvailableVersion: number): void {
    this.minAvailableVersion = minAvailableVersion;
  }

  #requireUsable(): void {
    if (this.isSoftDeleted) throw badRequest("refusing to use soft-deleted key");
  }

  #secretOf(version: number, context: Buffer | undefined): Buffer {
    const secret = this.#versions[version - 1]?.secret ?? Buffer.alloc(0);
    if (!this.isDerived) return secret;
    if (context === undefined || context.length === 0)
      throw badRequest(
        "missing 'context' for key derivation; the key was created using a derived key, which means additional, per-request information must be included in order to perform operations with the key",
      );
    return Buffer.from(hkdfSync("sha256", secret, Buffer.alloc(0), context, secret.length));
  }

  #sealAead(type: AeadType, version: number, plaintext: Buffer, { associatedData, context }: TransitInput): Buffer {
    const secret = this.#secretOf(version, context);
    const aad = associatedData ?? Buffer.alloc(0);
    const nonce = randomBytes(nonceBytesOf(type));
    if (isChaCha(type)) return Buffer.concat([nonce, CHACHA[type](secret, nonce, aad).encrypt(plaintext)]);
    const cipher = createCipheriv(GCM[type], secret, nonce);
    cipher.setAAD(aad);
    return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  }

  #openAead(type: AeadType, version: number, sealed: Buffer, { associatedData, context }: TransitInput): Buffer {
    const secret = this.#secretOf(version, context);
    const aad = associatedData ?? Buffer.alloc(0);
    const nonceBytes = nonceBytesOf(type);
    if (sealed.length < nonceBytes + TAG_BYTES) throw badRequest("invalid ciphertext length");
    const [nonce, body] = [sealed.subarray(0, nonceBytes), sealed.subarray(nonceBytes)];
    try {
      if (isChaCha(type)) return Buffer.from(CHACHA[type](secret, nonce, aad).decrypt(body));
      const decipher = createDecipheriv(GCM[type], secret, nonce);
      decipher.setAAD(aad);
      decipher.setAuthTag(body.subarray(-TAG_BYTES));
      return Buffer.concat([decipher.update(body.subarray(0, -TAG_BYTES)), decipher.final()]);
    } catch {
      throw badRequest("cipher: message authentication failed");
    }
  }

  #sealRsa(version: number, plaintext: Buffer, { associatedData }: TransitInput): Buffer {
    refuseAssociatedData(associatedData);
    const pair = this.#versions[version - 1]?.pair;
    if (pair === undefined) throw new VaultAnswer(500, ["internal error"]);
    return publicEncrypt({ key: pair.publicKey, ...OAEP }, plaintext);
  }

  #openRsa(version: number, sealed: Buffer, { associatedData }: TransitInput): Buffer {
    refuseAssociatedData(associatedData);
    const pair = this.#versions[version - 1]?.pair;
    try {
      if (pair !== undefined) return privateDecrypt({ key: pair.privateKey, ...OAEP }, sealed);
    } catch {
      // the caller answers with the server's text
    }
    throw new VaultAnswer(500, ["1 error occurred:\n\t* failed to RSA decrypt the ciphertext: crypto/rsa: decryption error\n\n"]);
  }
}

/** The options of a new key. */
export interface TransitKeyTraits {
  readonly derived?: boolean;
  readonly exportable?: boolean;
  readonly allowPlaintextBackup?: boolean;
}

export function isTransitKeyType(type: string): type is TransitKeyType {
  return isRsaType(type) || Object.hasOwn(GCM, type) || Object.hasOwn(CHACHA, type);
}

function isRsaType(type: string): type is RsaType {
  return type === "rsa-2048" || type === "rsa-3072" || type === "rsa-4096";
}

function isChaCha(type: AeadType): type is keyof typeof CHACHA {
  return Object.hasOwn(CHACHA, type);
}

function nonceBytesOf(type: AeadType): number {
  return type === "xchacha20-poly1305" ? 24 : 12;
}

function refuseAssociatedData(associatedData: Buffer | undefined): void {
  if (associatedData !== undefined) throw badRequest("associated_data is only supported for AEAD keys");
}

const TAG_BYTES = 16;
const OAEP = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" } as const;
const GCM = { "aes128-gcm96": "aes-128-gcm", "aes256-gcm96": "aes-256-gcm" } as const;
const CHACHA = { "chacha20-poly1305": chacha20poly1305, "xchacha20-poly1305": xchacha20poly1305 } as const;
