import {
  constants,
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
} from "node:crypto";
import { afterAll, describe, expect, test } from "vitest";
import { type Pkcs11Mechanism, pkcs11Key } from "../../../providers/pkcs11/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { DEK, locationOf, OPTIONS } from "./location.ts";
import { nssToken, softHsmTokens, type TestToken } from "./tokens.ts";

// What a token wraps node:crypto unwraps with the same key, and the other way round.

const softHsm = softHsmTokens("interop");
const nss = nssToken();
afterAll(() => {
  softHsm.remove();
  nss.remove();
});
const RSA = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
const CASES: readonly (readonly [string, TestToken, Pkcs11Mechanism])[] = [
  ["SoftHSM", softHsm.tokens[0], "aes-gcm"],
  ["SoftHSM", softHsm.tokens[0], "aes-kw"],
  ["SoftHSM, by CKM_AES_KEY_WRAP_PAD", softHsm.tokens[0], "aes-kwp"],
  ["SoftHSM", softHsm.tokens[0], "rsa-oaep-sha1"],
  ["NSS", nss.tokens[0], "aes-gcm"],
  ["NSS", nss.tokens[0], "aes-kw"],
  ["NSS, by CKM_AES_KEY_WRAP_KWP", nss.tokens[0], "aes-kwp"],
  ["NSS", nss.tokens[0], "rsa-oaep-sha1"],
  ["NSS", nss.tokens[0], "rsa-oaep-256"],
];

describe.each([16, 24, 32])("a KEK of %i bytes", (kekBytes) => {
  test.each(CASES.filter(([, , mechanism]) => mechanism.startsWith("aes")))("%s", async (_module, token, mechanism) => {
    const label = `${mechanism} ${kekBytes}`;
    const kek = noise(kekBytes, label);
    token.addKey({ label, id: `${kekBytes}${mechanism.length}`, aes: kek });
    await isTheSame(token, label, mechanism, AES[mechanism]?.(kek));
  });
});

test.each(CASES.filter(([, , mechanism]) => mechanism.startsWith("rsa")))("an RSA key on %s: %s %s", async (_module, token, mechanism) => {
  token.addKey({ label: mechanism, id: `aa${mechanism.length}0`, rsa: RSA });
  await isTheSame(token, mechanism, mechanism, oaep(RSA, mechanism === "rsa-oaep-256" ? "sha256" : "sha1"));
});

test("each way to use a key is taken where its attributes allow no other", async () => {
  const [token] = softHsm.tokens;
  const kek = noise(32, "wrap alone");
  token.addKey({ label: "wrap alone", id: "0f", aes: kek, attributes: { [CKA_ENCRYPT]: false, [CKA_DECRYPT]: false } });
  const provider = pkcs11Key({ ...locationOf(token), key: { label: "wrap alone" } });
  const recipient = await provider.wrap(DEK, OPTIONS);
  expect(recipient.alg).toBe(6);
  expect(Buffer.from(AES["aes-kw"]?.(kek).open(recipient.wrapped, new Uint8Array(0)) ?? [])).toEqual(Buffer.from(DEK));
  await provider.close();
});

interface Peer {
  seal(dek: Uint8Array, aad: Uint8Array): Uint8Array;
  open(wrapped: Uint8Array, aad: Uint8Array): Uint8Array;
}

async function isTheSame(token: TestToken, label: string, mechanism: Pkcs11Mechanism, peer: Peer | undefined): Promise<void> {
  const provider = pkcs11Key({ ...locationOf(token), key: { label }, mechanism });
  try {
    const recipient = await provider.wrap(DEK, OPTIONS);
    const aad = OPTIONS.wrapAad(recipient.keyId);
    expect(Buffer.from(peer?.open(recipient.wrapped, aad) ?? [])).toEqual(Buffer.from(DEK));
    const wrapped = peer?.seal(DEK, aad) ?? new Uint8Array(0);
    expect(Buffer.from(await provider.unwrap({ ...recipient, wrapped }, OPTIONS))).toEqual(Buffer.from(DEK));
  } finally {
    await provider.close();
  }
}

const AES: Readonly<Partial<Record<Pkcs11Mechanism, (kek: Uint8Array) => Peer>>> = {
  "aes-gcm": (kek) => {
    const name = GCM[kek.length] ?? "aes-256-gcm";
    return {
      seal(dek, aad) {
        const nonce = noise(12, name);
        const sealing = createCipheriv(name, kek, nonce).setAAD(aad);
        return Buffer.concat([nonce, sealing.update(dek), sealing.final(), sealing.getAuthTag()]);
      },
      open(wrapped, aad) {
        const opening = createDecipheriv(name, kek, wrapped.subarray(0, 12), { authTagLength: 16 }).setAAD(aad);
        opening.setAuthTag(wrapped.subarray(44));
        return Buffer.concat([opening.update(wrapped.subarray(12, 44)), opening.final()]);
      },
    };
  },
  "aes-kw": (kek) => keyWrap(`id-aes${kek.length * 8}-wrap`, kek, "a6a6a6a6a6a6a6a6"),
  "aes-kwp": (kek) => keyWrap(`id-aes${kek.length * 8}-wrap-pad`, kek, "a65959a6"),
};

function keyWrap(cipher: string, kek: Uint8Array, constant: string): Peer {
  const start = Buffer.from(constant, "hex");
  return {
    seal(dek) {
      const sealing = createCipheriv(cipher, kek, start);
      return Buffer.concat([sealing.update(dek), sealing.final()]);
    },
    open(wrapped) {
      const opening = createDecipheriv(cipher, kek, start);
      return Buffer.concat([opening.update(wrapped), opening.final()]);
    },
  };
}

function oaep(key: KeyObject, oaepHash: string): Peer {
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  return {
    seal: (dek) => publicEncrypt({ key: createPublicKey(key), padding, oaepHash }, dek),
    open: (wrapped) => privateDecrypt({ key, padding, oaepHash }, wrapped),
  };
}

const GCM: Readonly<Record<number, "aes-128-gcm" | "aes-192-gcm" | "aes-256-gcm">> = {
  16: "aes-128-gcm",
  24: "aes-192-gcm",
  32: "aes-256-gcm",
};
const CKA_ENCRYPT = 0x104;
const CKA_DECRYPT = 0x105;
