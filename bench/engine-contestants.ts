import { randomBytes } from "node:crypto";
import { gcm } from "@noble/ciphers/aes.js";
import { Decrypter, Encrypter, generateIdentity, identityToRecipient } from "age-encryption";
import { CompactEncrypt, compactDecrypt } from "jose";
import { awsClient, UNSIGNED_SUITE } from "./aws-crypto.ts";
import { bytesOf, type Job, type Sealed } from "./builds.ts";
import { AAD, type FieldContestant, idiomaticField, otherFieldContestants } from "./field-contestants.ts";
import { idiomaticOpen, idiomaticSeal } from "./idiomatic.ts";
import { sodiumNative } from "./sodium.ts";

/** Another way of doing one of the jobs that builds are compared at. */
export interface OtherWay {
  readonly name: string;
  seal(): Sealed | Promise<Sealed>;
  open(sealed: Sealed): Sealed | Promise<Sealed>;
}

/** What users write with node:crypto: the baseline. */
export function byHand(job: Job): OtherWay {
  if (job.kind === "field") return ofText(job, idiomaticField());
  return ofBytes(job, "node:crypto (idiomatic)", { seal: idiomaticSeal, open: idiomaticOpen });
}

/** What other packages have for the job, and two of them by hand. */
export async function otherWays(job: Job): Promise<readonly OtherWay[]> {
  if (job.kind === "field") return (await otherFieldContestants()).map((peer) => ofText(job, peer));
  const plain = [ofBytes(job, "sodium-native", sodiumNative()), ofBytes(job, "@noble/ciphers AES-256-GCM", NOBLE)];
  return job.kind === "token" ? plain : [...plain, jose(job), aws(job), await age(job)];
}

interface Aead {
  seal(key: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Buffer;
  open(key: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Buffer;
}

function ofText({ plaintext }: Job, { name, encrypt, decrypt }: FieldContestant): OtherWay {
  return { name, seal: () => encrypt(String(plaintext)), open: (sealed) => decrypt(String(sealed)) };
}

/** One message for a token; two for an envelope, the first of which wraps a fresh data key. */
function ofBytes(job: Job, name: string, { seal, open }: Aead): OtherWay {
  const plaintext = bytesOf(job.plaintext);
  const kek = randomBytes(32);
  if (job.kind === "token") return { name, seal: () => seal(kek, AAD, plaintext), open: (sealed) => open(kek, AAD, bytesOf(sealed)) };
  const wrappedBytes = seal(kek, AAD, kek).length;
  return {
    name,
    seal() {
      const dataKey = randomBytes(32);
      return Buffer.concat([seal(kek, AAD, dataKey), seal(dataKey, AAD, plaintext)]);
    },
    open(sealed) {
      const bytes = bytesOf(sealed);
      return open(open(kek, AAD, bytes.subarray(0, wrappedBytes)), AAD, bytes.subarray(wrappedBytes));
    },
  };
}

const NOBLE: Aead = {
  seal(key, aad, plaintext) {
    const nonce = randomBytes(12);
    return Buffer.concat([nonce, gcm(key, nonce, aad).encrypt(plaintext)]);
  },
  open: (key, aad, sealed) => Buffer.from(gcm(key, sealed.subarray(0, 12), aad).decrypt(sealed.subarray(12))),
};

/** A fresh content key, wrapped by AES-256-GCM. */
function jose({ plaintext }: Job): OtherWay {
  const kek = randomBytes(32);
  const bytes = bytesOf(plaintext);
  const header = { alg: "A256GCMKW", enc: "A256GCM", ctx: AAD.toString() };
  return {
    name: "jose A256GCMKW, A256GCM",
    seal: () => new CompactEncrypt(bytes).setProtectedHeader(header).encrypt(kek),
    async open(sealed) {
      const { plaintext, protectedHeader } = await compactDecrypt(String(sealed), kek);
      const { ctx } = protectedHeader;
      if (ctx !== header.ctx) throw new Error("another context");
      return plaintext;
    },
  };
}

/** Its fastest committing suite, without the signature of the default one. */
function aws({ plaintext }: Job): OtherWay {
  const { client, keyring } = awsClient(randomBytes(32));
  const suiteId = UNSIGNED_SUITE;
  const encryptionContext = { tenant: "acme", object: "invoices/7.pdf" };
  const bytes = Buffer.from(bytesOf(plaintext));
  return {
    name: "@aws-crypto/client-node, no signature",
    seal: async () => (await client.encrypt(keyring, bytes, { encryptionContext, suiteId })).result,
    open: async (sealed) => (await client.decrypt(keyring, Buffer.from(bytesOf(sealed)))).plaintext,
  };
}

/** Binds no context. */
async function age({ plaintext }: Job): Promise<OtherWay> {
  const encrypter = new Encrypter();
  const decrypter = new Decrypter();
  const identity = await generateIdentity();
  encrypter.addRecipient(await identityToRecipient(identity));
  decrypter.addIdentity(identity);
  const bytes = bytesOf(plaintext);
  return {
    name: "age-encryption, X25519 (no context)",
    seal: () => encrypter.encrypt(bytes),
    open: (sealed) => decrypter.decrypt(bytesOf(sealed)),
  };
}
