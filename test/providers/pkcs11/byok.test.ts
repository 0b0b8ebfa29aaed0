import { constants, createPrivateKey, generateKeyPairSync, type KeyObject, privateDecrypt } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { byokFile } from "../../../providers/pkcs11/token/byok.ts";
import { openPadded } from "../../../providers/pkcs11/wrapping/rfc5649.ts";
import { hexOf } from "../../support/bytes.ts";
import { refusalCode } from "../../support/refusal.ts";

const exchange = generateKeyPairSync("rsa", { modulusLength: 2048 });
const kek = { keyId: `https://acme.vault.azure.net/keys/exchange/${"0a".repeat(16)}`, publicKey: pemOf(exchange.publicKey) };

test("the holder of the key exchange key gets back the key, of whatever type", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 3000 }), (key) => {
      expect(hexOf(opened(byokFile(kek, key)))).toBe(hexOf(key));
    }),
    { numRuns: 20 },
  );
});

test("an RSA key arrives as PKCS #8", () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const der = opened(byokFile(kek, privateKey.export({ format: "der", type: "pkcs8" })));
  expect(createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs8" }).equals(privateKey)).toBe(true);
});

test("the file has the fields that Azure's specification names, and base64url without padding", () => {
  const file = JSON.parse(byokFile(kek, new Uint8Array(32)));
  expect(file).toEqual({
    schema_version: "1.0.0",
    header: { kid: kek.keyId, alg: "dir", enc: "CKM_RSA_AES_KEY_WRAP" },
    ciphertext: expect.stringMatching(/^[A-Za-z0-9_-]{395}$/), // 256 bytes of OAEP and 40 of RFC 5649
    generator: "Envelock",
  });
});

test("every file has a transfer key of its own", () => {
  const key = new Uint8Array(32);
  expect(byokFile(kek, key)).not.toBe(byokFile(kek, key));
});

test.each([
  ["without a version", { ...kek, keyId: "https://acme.vault.azure.net/keys/exchange" }],
  ["that is no URL", { ...kek, keyId: "exchange" }],
  ["without encryption on the way", { ...kek, keyId: kek.keyId.replace("https", "http") }],
  ["of 1024 bits", { ...kek, publicKey: pemOf(generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey) }],
  ["on a curve", { ...kek, publicKey: pemOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey) }],
  ["that is a private key", { ...kek, publicKey: exchange.privateKey.export({ format: "pem", type: "pkcs8" }).toString() }],
  ["that is nothing", { ...kek, publicKey: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n" }],
])("a key exchange key %s is refused", async (_what, broken) => {
  expect(await refusalCode(() => byokFile(broken, new Uint8Array(32)))).toBe("invalid-argument");
});

/** Azure's way: the first part is under the exchange key, the rest under what that hides. */
function opened(file: string): Uint8Array {
  const { ciphertext } = JSON.parse(file);
  const bytes = Buffer.from(ciphertext, "base64url");
  const padding = { key: exchange.privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha1" };
  const transferKey = privateDecrypt(padding, bytes.subarray(0, 256));
  expect(transferKey).toHaveLength(32);
  const key = openPadded(transferKey, bytes.subarray(256));
  if (key === undefined) throw new Error("the transfer key does not open the rest");
  return key;
}

function pemOf(key: KeyObject): string {
  return key.export({ format: "pem", type: "spki" }).toString();
}
