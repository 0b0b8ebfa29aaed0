import { constants, createCipheriv, createPublicKey, generateKeyPairSync, type KeyObject, publicEncrypt, randomBytes } from "node:crypto";
import { afterAll, describe, expect, test } from "vitest";
import { AzureEmulator } from "../../../src/testing/azure-emulator/index.ts";
import { ask } from "./ask.ts";

const emulator = await AzureEmulator.start();
const hsm = await AzureEmulator.start({ flavour: "managed-hsm" });
afterAll(async () => await Promise.all([emulator.close(), hsm.close()]));

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const secret = randomBytes(32);

describe("a key in the clear", () => {
  test("an RSA key unwraps what its public half wrapped, in hardware if asked for", async () => {
    const { body } = await ask(emulator, "PUT", "/keys/brought", { json: { Hsm: true, key: rsa.privateKey.export({ format: "jwk" }) } });
    const { n, e } = rsa.publicKey.export({ format: "jwk" });
    expect(body).toMatchObject({ key: { kty: "RSA-HSM", n, e }, attributes: { enabled: true } });
    const wrapped = publicEncrypt({ key: rsa.publicKey, oaepHash: "sha256", padding: constants.RSA_PKCS1_OAEP_PADDING }, secret);
    expect(await used(emulator, "brought", "unwrapkey", "RSA-OAEP-256", wrapped)).toEqual(secret);
  });

  test("an EC key signs what its public half verifies", async () => {
    await ask(emulator, "PUT", "/keys/signer", { json: { key: ec.privateKey.export({ format: "jwk" }) } });
    const digest = randomBytes(32);
    const signature = await used(emulator, "signer", "sign", "ES256", digest);
    const verified = await ask(emulator, "POST", "/keys/signer//verify", {
      json: { alg: "ES256", digest: digest.toString("base64url"), value: signature.toString("base64url") },
    });
    expect(verified.body).toEqual({ value: true });
  });

  test("an oct key is for hardware", async () => {
    const key = { kty: "oct-HSM", k: secret.toString("base64url"), key_ops: ["unwrapKey", "wrapKey"] };
    const { body } = await ask(hsm, "PUT", "/keys/brought", { json: { Hsm: true, key } });
    expect(body.key).toEqual({ kid: expect.any(String), kty: "oct-HSM", key_ops: ["unwrapKey", "wrapKey"] });
    expect(await used(hsm, "brought", "unwrapkey", "A256KW", wrappedUnder(secret, secret))).toEqual(secret);
    expect((await ask(emulator, "PUT", "/keys/brought", { json: { key: { ...key, kty: "oct" } } })).gist).toBe("400 BadParameter");
  });

  test.each([
    { kty: "RSA", n: "AQAB", e: "AQAB" },
    { kty: "EC", crv: "P-256", x: "AA", y: "AA", d: "AA" },
    { ...ec.privateKey.export({ format: "jwk" }), kty: "RSA" },
    { kty: "oct-HSM", k: "AAAA" },
    {},
  ])("that is none is refused: %j", async (key) => {
    expect((await ask(emulator, "PUT", "/keys/bad", { json: { key } })).gist).toBe("400 BadParameter");
  });
});

describe("a key in a transfer file", () => {
  test("is opened with the key that the file was made for", async () => {
    const exchange = await exchangeKey(hsm);
    const rsaFile = transferFile(exchange, rsa.privateKey.export({ format: "der", type: "pkcs8" }));
    const { body } = await ask(hsm, "PUT", "/keys/moved", { json: { key: { kty: "RSA-HSM", key_hsm: rsaFile } } });
    expect(body.key).toMatchObject({ kty: "RSA-HSM", n: rsa.publicKey.export({ format: "jwk" }).n });
    const octFile = transferFile(exchange, secret);
    await ask(hsm, "PUT", "/keys/moved-oct", { json: { key: { kty: "oct-HSM", key_hsm: octFile, key_ops: ["unwrapKey"] } } });
    expect(await used(hsm, "moved-oct", "unwrapkey", "A256KW", wrappedUnder(secret, secret))).toEqual(secret);
    const ecFile = transferFile(exchange, ec.privateKey.export({ format: "der", type: "pkcs8" }));
    expect((await ask(hsm, "PUT", "/keys/moved-ec", { json: { key: { kty: "EC-HSM", key_hsm: ecFile } } })).status).toBe(200);
  });

  test("is refused for a key that can do more than import, a file that was changed, or a type that it is not", async () => {
    const exchange = await exchangeKey(hsm);
    const tryFile = async (file: string, kty = "oct-HSM") =>
      (await ask(hsm, "PUT", "/keys/bad", { json: { key: { kty, key_hsm: file } } })).gist;
    const good = transferFile(exchange, secret);
    expect(await tryFile(good)).toBe("200");
    expect(await tryFile(good, "RSA-HSM")).toBe("400 BadParameter");
    expect(await tryFile(good.slice(0, -4))).toBe("400 BadParameter");
    const changed = transferFile(exchange, secret, (ciphertext) => ciphertext.fill(0, 260));
    expect(await tryFile(changed)).toBe("400 BadParameter");
    await ask(hsm, "PATCH", "/keys/exchange", { json: { key_ops: ["import", "encrypt"] } });
    expect(await tryFile(good)).toBe("400 BadParameter");
    hsm.softDelete("exchange");
    expect(await tryFile(good)).toBe("404 KeyNotFound");
  });
});

interface ExchangeKey {
  readonly kid: string;
  readonly publicKey: KeyObject;
}

async function exchangeKey(emulator: AzureEmulator): Promise<ExchangeKey> {
  await emulator.createKey("exchange", { type: "RSA-HSM", operations: ["import"] });
  const { key } = Object((await ask(emulator, "GET", "/keys/exchange")).body);
  return { kid: key.kid, publicKey: createPublicKey({ key: { kty: "RSA", n: key.n, e: key.e }, format: "jwk" }) };
}

/** As a HSM writes it: base64 of the file's JSON. */
function transferFile({ kid, publicKey }: ExchangeKey, key: Buffer, change = (ciphertext: Buffer) => ciphertext): string {
  const transferKey = randomBytes(32);
  const wrap = createCipheriv("id-aes256-wrap-pad", transferKey, Buffer.from("a65959a6", "hex"));
  const sealed = publicEncrypt({ key: publicKey, oaepHash: "sha1", padding: constants.RSA_PKCS1_OAEP_PADDING }, transferKey);
  const ciphertext = change(Buffer.concat([sealed, wrap.update(key), wrap.final()])).toString("base64url");
  const file = { schema_version: "1.0.0", header: { kid, alg: "dir", enc: "CKM_RSA_AES_KEY_WRAP" }, ciphertext, generator: "a test" };
  return Buffer.from(JSON.stringify(file)).toString("base64");
}

function wrappedUnder(key: Buffer, value: Buffer): Buffer {
  const cipher = createCipheriv("id-aes256-wrap", key, Buffer.from("a6a6a6a6a6a6a6a6", "hex"));
  return Buffer.concat([cipher.update(value), cipher.final()]);
}

async function used(emulator: AzureEmulator, name: string, operation: string, alg: string, value: Buffer): Promise<Buffer> {
  const { body } = await ask(emulator, "POST", `/keys/${name}//${operation}`, { json: { alg, value: value.toString("base64url") } });
  return Buffer.from(`${body.value}`, "base64url");
}
