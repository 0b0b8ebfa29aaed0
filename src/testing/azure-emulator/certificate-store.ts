import { createHash, createPublicKey, type KeyObject, randomBytes } from "node:crypto";
import { certificatePem, der, extension, signedCertificate } from "../emulator/x509.ts";
import { Answer, badParameter } from "./answer.ts";
import { type KeyKind, type KeyMaterial, newMaterial } from "./key-material.ts";
import type { KeyOperation, KeyStore } from "./key-store.ts";
import { type Deleted, type DeletionRules, RecoverableObjects, type Versioned } from "./recoverable-objects.ts";
import type { SecretStore } from "./secret-store.ts";

/** What a certificate is made by. */
export interface CertificatePolicy {
  readonly kind: KeyKind;
  /** A common name, such as `CN=orders`. */
  readonly subject: string;
  readonly keyUsage: readonly KeyUsage[];
  readonly validityMonths: number;
  /** Whether a renewal keeps the key. */
  readonly reuseKey: boolean;
  /** Whether the secret of the certificate has the private key. */
  readonly exportable: boolean;
}

export type KeyUsage =
  | "digitalSignature"
  | "nonRepudiation"
  | "keyEncipherment"
  | "dataEncipherment"
  | "keyAgreement"
  | "keyCertSign"
  | "cRLSign"
  | "encipherOnly"
  | "decipherOnly";

export interface StoredCertificate extends Versioned<CertificateVersion> {
  readonly policy: CertificatePolicy;
}

export interface CertificateVersion {
  /** 32 hex digits, which its key and its secret have too. */
  readonly id: string;
  readonly bytes: Buffer;
  /** SHA-1 of the certificate. */
  readonly thumbprint: Buffer;
  readonly tags: Readonly<Record<string, string>> | undefined;
  readonly created: number;
  /** Unix times in seconds. */
  readonly nbf: number;
  readonly exp: number;
  updated: number;
  enabled: boolean;
}

/** The certificates of one vault. Each has a key and a secret of its name, which live and die with it. */
export class CertificateStore extends RecoverableObjects<CertificateVersion, StoredCertificate> {
  readonly #rules: DeletionRules;
  readonly #keys: KeyStore;
  readonly #secrets: SecretStore;

  constructor(rules: DeletionRules, keys: KeyStore, secrets: SecretStore) {
    super(rules, certificateNotFound);
    this.#rules = rules;
    this.#keys = keys;
    this.#secrets = secrets;
  }

  /** Makes a certificate that signs itself, or the next version of one. @throws Answer */
  async add(
    name: string,
    policy: CertificatePolicy,
    { enabled = true, tags, ageMs = 0 }: CertificateTraits = {},
  ): Promise<StoredCertificate> {
    const known = this.known(name);
    const material = (policy.reuseKey && known !== undefined && this.#keys.find(name).versions.at(-1)?.material) || undefined;
    const privateKey = privateKeyOf(material ?? (await newMaterial(policy.kind)));
    const id = randomBytes(16).toString("hex");
    const created = Math.floor((this.#rules.clock.unixMs() - ageMs) / 1000);
    const nbf = created - SKEW_SECONDS;
    const exp = secondsAfter(created, policy.validityMonths);
    const bytes = selfSigned(policy, privateKey, nbf, exp);
    const attributes = { enabled, nbf, exp, tags };
    this.#keys.add(name, policy.kind, privateKey, { ...attributes, operations: operationsOf(policy) }, { ageMs, certificateVersion: id });
    const key = policy.exportable ? `${privateKey.export({ type: "pkcs8", format: "pem" })}` : "";
    this.#secrets.add(name, `${key}${certificatePem(bytes)}`, { ...attributes, contentType: PEM }, id);
    const version = {
      id,
      bytes,
      thumbprint: createHash("sha1").update(bytes).digest(),
      tags,
      created,
      updated: created,
      enabled,
      nbf,
      exp,
    };
    const certificate = { name: known?.name ?? name, versions: [...(known?.versions ?? []), version], policy };
    this.put(certificate);
    return certificate;
  }

  /** Enables or disables a version, and with it its key and its secret. @throws Answer */
  setEnabled(name: string, version: string, enabled: boolean, nowSeconds: number): CertificateVersion {
    const found = this.version(name, version);
    for (const part of [found, this.#keys.version(name, found.id), this.#secrets.version(name, found.id)]) {
      part.enabled = enabled;
      part.updated = nowSeconds;
    }
    return found;
  }

  /** @throws Answer */
  override delete(name: string): Deleted<StoredCertificate> {
    const deleted = super.delete(name);
    this.#keys.delete(name);
    this.#secrets.delete(name);
    return deleted;
  }

  /** @throws Answer */
  override recover(name: string): StoredCertificate {
    const certificate = super.recover(name);
    this.#keys.recover(name);
    this.#secrets.recover(name);
    return certificate;
  }

  /** @throws Answer also where purge protection is on */
  override purge(name: string): void {
    super.purge(name);
    this.#keys.purge(name);
    this.#secrets.purge(name);
  }
}

interface CertificateTraits {
  readonly enabled?: boolean | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly ageMs?: number;
}

export function isKeyUsage(text: string): text is KeyUsage {
  return Object.hasOwn(OPERATIONS, text);
}

function operationsOf({ keyUsage }: CertificatePolicy): readonly KeyOperation[] {
  return [...new Set(keyUsage.flatMap((usage) => OPERATIONS[usage]))];
}

function privateKeyOf(material: KeyMaterial): KeyObject {
  if (Buffer.isBuffer(material)) throw badParameter("A certificate has a key of type RSA or EC.");
  return material;
}

function selfSigned({ subject, keyUsage }: CertificatePolicy, privateKey: KeyObject, nbf: number, exp: number): Buffer {
  const commonName = subject.replace(/^CN=/i, "");
  return signedCertificate({
    serial: 1,
    issuer: commonName,
    subject: commonName,
    notBeforeMs: nbf * 1000,
    notAfterMs: exp * 1000,
    key: createPublicKey(privateKey),
    signer: privateKey,
    extensions: [extension("551d0f", usageBits(keyUsage), true)],
  });
}

/** RFC 5280 §4.2.1.3: the bits in the order of the usages below, from the highest. */
function usageBits(keyUsage: readonly KeyUsage[]): Buffer {
  const bits = Object.keys(OPERATIONS).reduce(
    (sum, usage, place) => sum | (keyUsage.some((own) => own === usage) ? 0x8000 >> place : 0),
    0,
  );
  return bits & 0xff ? der(0x03, [7, bits >> 8, bits & 0xff]) : der(0x03, [0, bits >> 8]);
}

function secondsAfter(seconds: number, months: number): number {
  const date = new Date(seconds * 1000);
  date.setUTCMonth(date.getUTCMonth() + months);
  return Math.floor(date.getTime() / 1000);
}

function certificateNotFound(name: string): Answer {
  return new Answer(404, { code: "CertificateNotFound", message: `There is no certificate ${name} in this vault.` });
}

/** The key operations that a usage allows, in the order of the bits in a certificate. */
const OPERATIONS: Readonly<Record<KeyUsage, readonly KeyOperation[]>> = {
  digitalSignature: ["sign", "verify"],
  nonRepudiation: ["sign", "verify"],
  keyEncipherment: ["wrapKey", "unwrapKey"],
  dataEncipherment: ["encrypt", "decrypt"],
  keyAgreement: [],
  keyCertSign: ["sign", "verify"],
  cRLSign: ["sign", "verify"],
  encipherOnly: ["encrypt"],
  decipherOnly: ["decrypt"],
};
export const PEM = "application/x-pem-file";
/** The service dates a certificate back, for verifiers whose clock is behind. */
const SKEW_SECONDS = 600;
