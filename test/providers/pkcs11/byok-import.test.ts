import { constants, createPublicKey, generateKeyPairSync, publicEncrypt } from "node:crypto";
import pkcs11js from "pkcs11js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ByokKek, type Pkcs11Token, pkcs11Key, pkcs11Token } from "../../../providers/pkcs11/index.ts";
import { AzureEmulator } from "../../../src/testing/azure-emulator/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { hexOf } from "../../support/bytes.ts";
import { ask } from "../../testing/azure-emulator/ask.ts";
import { DEK, locationOf, OPTIONS } from "./location.ts";
import { nssToken, softHsmTokens, type TestToken } from "./tokens.ts";

// From a token into an emulated Managed HSM: what the one wraps the other unwraps.

const softHsm = softHsmTokens("byok");
const nss = nssToken();
const hsm = await AzureEmulator.start({ flavour: "managed-hsm" });
const places: readonly TestToken[] = [softHsm.tokens[0], nss.tokens[0]];
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
let kek: ByokKek;
beforeAll(async () => {
  kek = await exchangeKey();
  for (const place of places) {
    const attributes = { [pkcs11js.CKA_EXTRACTABLE]: true };
    place.addKey({ label: "aes", id: "01", aes: noise(32, "aes"), attributes });
    place.addKey({ label: "rsa", id: "02", rsa: rsa.privateKey, attributes });
  }
});
afterAll(async () => {
  softHsm.remove();
  nss.remove();
  await hsm.close();
});

test.each(
  places.map((place) => [place.label, place] as const),
)("an AES key of %s wraps there and unwraps in Azure", async (_label, place) => {
  await bring("oct-HSM", "moved", await withToken(place, (token) => token.byokFile({ label: "aes" }, kek)));
  const key = pkcs11Key({ ...locationOf(place), key: { label: "aes" }, mechanism: "aes-kw" });
  const { wrapped } = await key.wrap(DEK, OPTIONS);
  await key.close();
  expect(hexOf(await unwrapped("moved", "A256KW", wrapped))).toBe(hexOf(DEK));
});

test("a private key of NSS unwraps in Azure what its public half wraps", async () => {
  await bring("RSA-HSM", "moved-pair", await withToken(nss.tokens[0], (token) => token.byokFile({ label: "rsa" }, kek)));
  const padding = { key: rsa.publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" };
  expect(hexOf(await unwrapped("moved-pair", "RSA-OAEP-256", publicEncrypt(padding, DEK)))).toBe(hexOf(DEK));
});

async function exchangeKey(): Promise<ByokKek> {
  await hsm.createKey("exchange", { type: "RSA-HSM", operations: ["import"] });
  const { key } = (await ask(hsm, "GET", "/keys/exchange")).body;
  const { kid, n, e } = Object(key);
  const publicKey = createPublicKey({ key: { kty: "RSA", n, e }, format: "jwk" });
  return { keyId: kid, publicKey: publicKey.export({ format: "pem", type: "spki" }).toString() };
}

async function bring(kty: string, name: string, file: string): Promise<void> {
  const key = { kty, key_hsm: Buffer.from(file).toString("base64"), key_ops: ["unwrapKey"] };
  expect((await ask(hsm, "PUT", `/keys/${name}`, { json: { key } })).gist).toBe("200");
}

async function unwrapped(name: string, alg: string, wrapped: Uint8Array): Promise<Uint8Array> {
  const json = { alg, value: Buffer.from(wrapped).toString("base64url") };
  const { body } = await ask(hsm, "POST", `/keys/${name}//unwrapkey`, { json });
  return Buffer.from(`${body.value}`, "base64url");
}

async function withToken<T>(place: TestToken, use: (token: Pkcs11Token) => Promise<T>): Promise<T> {
  const token = pkcs11Token(locationOf(place));
  try {
    return await use(token);
  } finally {
    await token.close();
  }
}
