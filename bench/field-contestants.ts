import { randomBytes } from "node:crypto";
import { decryptStringSync, encryptStringSync, generateKey, parseKeySync } from "@47ng/cloak";
import { getLocalCryptographicMaterialsCache, NodeCachingMaterialsManager } from "@aws-crypto/client-node";
import { gcm } from "@noble/ciphers/aes.js";
import { Keyring } from "envelock";
import { DataKeys, memoryStore } from "envelock/fields";
import { localKey } from "envelock/providers/local";
import { CompactEncrypt, compactDecrypt } from "jose";
import { configureKeys, decryptOnRead, encryptOnWrite } from "prisma-field-encryption/dist/encryption.js";
import { awsClient, UNSIGNED_SUITE } from "./aws-crypto.ts";
import { idiomaticOpen, idiomaticSeal } from "./idiomatic.ts";
import { sodiumNative } from "./sodium.ts";

/** One way of encrypting a field of text to text, its key in hand. */
export interface FieldContestant {
  readonly name: string;
  encrypt(text: string): string | Promise<string>;
  /** Throws, or rejects, if `sealed` was changed. */
  decrypt(sealed: string): string | Promise<string>;
}

/** What people write by hand, with the context that the others bind as its AAD. */
export function idiomaticField(): FieldContestant {
  const key = randomBytes(32);
  return {
    name: "node:crypto (idiomatic)",
    encrypt: (text) => idiomaticSeal(key, AAD, Buffer.from(text)).toString("base64url"),
    decrypt: (sealed) => idiomaticOpen(key, AAD, Buffer.from(sealed, "base64url")).toString(),
  };
}

export async function fieldContestants(): Promise<readonly FieldContestant[]> {
  return [await envelock(), ...(await otherFieldContestants())];
}

export async function otherFieldContestants(): Promise<readonly FieldContestant[]> {
  return [sodium(), noble(), await cloak(), await prismaFieldEncryption(), await jose(), aws()];
}

async function envelock(): Promise<FieldContestant> {
  const keyring = new Keyring({ wrapWith: [localKey({ keyId: "bench", key: randomBytes(32) })], context: { tenant: "acme" } });
  const cipher = await new DataKeys({ keyring, store: memoryStore() }).field({ table: "users", column: "email" });
  const place = { row: 12345 };
  return {
    name: "envelock field",
    encrypt: (text) => cipher.encrypt(text, place),
    decrypt: (sealed) => cipher.decrypt(sealed, place),
  };
}

function sodium(): FieldContestant {
  const key = randomBytes(32);
  const { seal, open } = sodiumNative();
  return {
    name: "sodium-native",
    encrypt: (text) => seal(key, AAD, Buffer.from(text)).toString("base64url"),
    decrypt: (sealed) => open(key, AAD, Buffer.from(sealed, "base64url")).toString(),
  };
}

/** Its own WebCrypto-like interface: `nonce | ciphertext`. */
function noble(): FieldContestant {
  const key = randomBytes(32);
  return {
    name: "@noble/ciphers AES-256-GCM",
    encrypt(text) {
      const nonce = randomBytes(12);
      return Buffer.concat([nonce, gcm(key, nonce, AAD).encrypt(Buffer.from(text))]).toString("base64url");
    },
    decrypt(sealed) {
      const bytes = Buffer.from(sealed, "base64url");
      return Buffer.from(gcm(key, bytes.subarray(0, 12), AAD).decrypt(bytes.subarray(12))).toString();
    },
  };
}

/** Binds no context. */
async function cloak(): Promise<FieldContestant> {
  const key = parseKeySync(await generateKey());
  return {
    name: "@47ng/cloak (no context)",
    encrypt: (text) => encryptStringSync(text, key),
    decrypt: (sealed) => decryptStringSync(sealed, key),
  };
}

/** What its extension does to each query, without Prisma. Binds no context. */
async function prismaFieldEncryption(): Promise<FieldContestant> {
  const keys = configureKeys({ encryptionKey: await generateKey() });
  const models = { User: { fields: { email: { encrypt: true, strictDecryption: true } }, connections: {} } };
  const query = (args: object) => ({ model: "User", action: "create", args, dataPath: [], runInTransaction: false });
  return {
    name: "prisma-field-encryption, core (no context)",
    encrypt: (text) => encryptOnWrite(query({ data: { email: text } }), keys, models, "User.create").args.data.email,
    decrypt(sealed) {
      const result = { email: sealed };
      decryptOnRead(query({}), result, keys, models, "User.findFirst");
      return result.email;
    },
  };
}

/** A direct key, as a CryptoKey: bytes would be imported at each call. The context is in the protected header. */
async function jose(): Promise<FieldContestant> {
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  const header = { alg: "dir", enc: "A256GCM", ctx: AAD.toString() };
  const decoder = new TextDecoder();
  return {
    name: "jose dir, A256GCM",
    encrypt: (text) => new CompactEncrypt(Buffer.from(text)).setProtectedHeader(header).encrypt(key),
    async decrypt(sealed) {
      const { plaintext, protectedHeader } = await compactDecrypt(sealed, key);
      const { ctx } = protectedHeader;
      if (ctx !== header.ctx) throw new Error("another context");
      return decoder.decode(plaintext);
    },
  };
}

/** Its fastest committing suite, without the signature of the default one, and with its cache of data keys. */
function aws(): FieldContestant {
  const { client, keyring } = awsClient(randomBytes(32));
  const materials = new NodeCachingMaterialsManager({
    backingMaterials: keyring,
    cache: getLocalCryptographicMaterialsCache(100),
    maxAge: 3_600_000,
  });
  const encryptionContext = { tenant: "acme", table: "users", column: "email", row: "12345" };
  const suiteId = UNSIGNED_SUITE;
  return {
    name: "@aws-crypto/client-node, cached, no signature",
    async encrypt(text) {
      const { result } = await client.encrypt(materials, Buffer.from(text), { encryptionContext, suiteId });
      return result.toString("base64url");
    },
    async decrypt(sealed) {
      const { plaintext, messageHeader } = await client.decrypt(materials, Buffer.from(sealed, "base64url"));
      const { row } = messageHeader.encryptionContext;
      if (row !== encryptionContext.row) throw new Error("another context");
      return plaintext.toString();
    },
  };
}

export const AAD: Buffer = Buffer.from("tenant=acme;table=users;column=email;row=12345");
