import { constants, createHash, createPublicKey, type JsonWebKey, randomBytes, verify } from "node:crypto";
import { CryptographyClient, KeyClient, type KeyWrapAlgorithm, type SignatureAlgorithm } from "@azure/keyvault-keys";
import { afterAll, describe, expect, test } from "vitest";
import { AzureEmulator, type KeySpec } from "../../../src/testing/azure-emulator/index.ts";
import { ask } from "./ask.ts";

// Microsoft's own client reads what the emulator answers, and node:crypto checks what it computed.

const emulator = await AzureEmulator.start();
afterAll(async () => await emulator.close());

const RSA: KeySpec = { type: "RSA-HSM" };
const rsaVersion = await emulator.createKey("rsa", RSA);

describe("wrapping", () => {
  test.each<[KeySpec, KeyWrapAlgorithm]>([
    [RSA, "RSA-OAEP-256"],
    [RSA, "RSA-OAEP"],
    [{ type: "oct-HSM", bits: 128 }, "A128KW"],
    [{ type: "oct-HSM", bits: 192 }, "A192KW"],
    [{ type: "oct-HSM", bits: 256 }, "A256KW"],
  ])("%j %s", async (spec, algorithm) => {
    const keyId = spec === RSA ? emulator.keyUrl("rsa", rsaVersion) : emulator.keyUrl("aes", await emulator.createKey("aes", spec));
    const client = clientOf(keyId);
    const secret = randomBytes(32);
    const { result, keyID } = await client.wrapKey(algorithm, secret);
    expect(keyID).toBe(keyId);
    expect(Buffer.from((await client.unwrapKey(algorithm, result)).result)).toEqual(secret);
    result[result.length - 1] = (result.at(-1) ?? 0) ^ 1;
    await expect(client.unwrapKey(algorithm, result)).rejects.toMatchObject({ statusCode: 400, code: "BadParameter" });
  });
});

describe("encrypting", () => {
  const plain = randomBytes(32);
  const text = (bytes: Buffer) => bytes.toString("base64url");

  test.each([128, 192, 256])("A%iGCM: the service makes the start value, and what was changed does not decrypt", async (bits) => {
    await emulator.createKey("aes", { type: "oct-HSM", bits });
    const alg = `A${bits}GCM`;
    const aad = text(Buffer.from("aad"));
    const { body: sealed } = await ask(emulator, "POST", "/keys/aes//encrypt", { json: { alg, value: text(plain), aad } });
    expect(sealed).toEqual({
      kid: expect.any(String),
      value: expect.any(String),
      iv: expect.any(String),
      tag: expect.any(String),
      aad,
    });
    const decrypted = await ask(emulator, "POST", "/keys/aes//decrypt", { json: { ...sealed, alg } });
    expect(decrypted.body).toEqual({ kid: expect.any(String), value: text(plain) });
    const other = { ...sealed, alg, aad: text(Buffer.from("other")) };
    expect((await ask(emulator, "POST", "/keys/aes//decrypt", { json: other })).gist).toBe("400 BadParameter");
    const own = { alg, value: text(plain), iv: text(randomBytes(12)) };
    expect((await ask(emulator, "POST", "/keys/aes//encrypt", { json: own })).gist).toBe("400 BadParameter");
  });

  test.each(["A256CBC", "A256CBCPAD"])("%s: the client gives the start value", async (alg) => {
    await emulator.createKey("aes", { type: "oct-HSM", bits: 256 });
    const iv = text(randomBytes(16));
    const { body: sealed } = await ask(emulator, "POST", "/keys/aes//encrypt", { json: { alg, value: text(plain), iv } });
    expect(Buffer.from(`${sealed.value}`, "base64url")).toHaveLength(alg === "A256CBC" ? 32 : 48);
    const { body } = await ask(emulator, "POST", "/keys/aes//decrypt", { json: { ...sealed, alg } });
    expect(body.value).toBe(text(plain));
    expect((await ask(emulator, "POST", "/keys/aes//encrypt", { json: { alg, value: text(plain) } })).gist).toBe("400 BadParameter");
  });

  test("RSA-OAEP-256, up to what fits", async () => {
    const json = { alg: "RSA-OAEP-256", value: text(randomBytes(190)) };
    const { body: sealed } = await ask(emulator, "POST", "/keys/rsa//encrypt", { json });
    const { body } = await ask(emulator, "POST", "/keys/rsa//decrypt", { json: { ...json, value: sealed.value } });
    expect(body.value).toBe(json.value);
    const tooLong = { ...json, value: text(randomBytes(191)) };
    expect((await ask(emulator, "POST", "/keys/rsa//encrypt", { json: tooLong })).gist).toBe("400 BadParameter");
  });
});

describe("signing", () => {
  test.each<[KeySpec, SignatureAlgorithm, string]>([
    [RSA, "RS256", "sha256"],
    [RSA, "RS384", "sha384"],
    [RSA, "RS512", "sha512"],
    [RSA, "PS256", "sha256"],
    [RSA, "PS384", "sha384"],
    [RSA, "PS512", "sha512"],
    [{ type: "EC-HSM", curve: "P-256" }, "ES256", "sha256"],
    [{ type: "EC-HSM", curve: "P-384" }, "ES384", "sha384"],
    [{ type: "EC-HSM", curve: "P-521" }, "ES512", "sha512"],
    [{ type: "EC-HSM", curve: "P-256K" }, "ES256K", "sha256"],
  ])("%j %s", async (spec, algorithm, hash) => {
    const version = spec === RSA ? rsaVersion : await emulator.createKey("ec", spec);
    const keyId = emulator.keyUrl(spec === RSA ? "rsa" : "ec", version);
    const data = randomBytes(100);
    const digest = createHash(hash).update(data).digest();
    const { result } = await clientOf(keyId).sign(algorithm, digest);
    expect(verify(hash, data, { key: await publicKeyAt(keyId), ...schemeOf(algorithm) }, result)).toBe(true);
    const verified = async (of: Buffer, signature: Uint8Array) => {
      const json = { alg: algorithm, digest: of.toString("base64url"), value: Buffer.from(signature).toString("base64url") };
      return (await ask(emulator, "POST", `${new URL(keyId).pathname}/verify`, { json })).body;
    };
    expect(await verified(digest, result)).toEqual({ value: true });
    expect(await verified(createHash(hash).update("other").digest(), result)).toEqual({ value: false });
    expect(await verified(digest, result.slice(1))).toEqual({ value: false });
    result[5] = (result[5] ?? 0) ^ 1;
    expect(await verified(digest, result)).toEqual({ value: false });
  });

  test("takes nothing but a digest of its algorithm, and no algorithm of another key", async () => {
    const tried = async (alg: string, bytes: number) =>
      (await ask(emulator, "POST", "/keys/rsa//sign", { json: { alg, value: randomBytes(bytes).toString("base64url") } })).gist;
    expect(await tried("RS256", 32)).toBe("200");
    expect(await tried("RS256", 31)).toBe("400 BadParameter");
    expect(await tried("ES256", 32)).toBe("400 BadParameter");
    expect(await tried("RS1", 20)).toBe("400 BadParameter");
  });
});

test("what a key may do depends on its operations, on whether it is enabled, and on its dates", async () => {
  const done = async (change: object): Promise<string> => {
    await emulator.createKey("state", RSA);
    const value = Buffer.alloc(32, 1).toString("base64url");
    const ask1 = async (operation: string, alg: string, more: object = {}) =>
      await ask(emulator, "POST", `/keys/state//${operation}`, { json: { alg, value, ...more } });
    const sealed = { value: (await ask1("wrapkey", "RSA-OAEP-256")).body.value };
    await ask(emulator, "PATCH", "/keys/state", { json: change });
    const gists = {
      wrapkey: (await ask1("wrapkey", "RSA-OAEP-256")).gist,
      encrypt: (await ask1("encrypt", "RSA-OAEP-256")).gist,
      verify: (await ask1("verify", "RS256", { digest: value })).gist,
      unwrapkey: (await ask1("unwrapkey", "RSA-OAEP-256", sealed)).gist,
      decrypt: (await ask1("decrypt", "RSA-OAEP-256", sealed)).gist,
      sign: (await ask1("sign", "RS256")).gist,
    };
    return Object.entries(gists)
      .map(([operation, gist]) => (gist === "200" ? operation : `${operation}: ${gist.split(" ").at(-1)}`))
      .join(", ");
  };
  expect(await done({})).toBe("wrapkey, encrypt, verify, unwrapkey, decrypt, sign");
  expect(await done({ attributes: { enabled: false } })).toBe(
    "wrapkey, encrypt, verify, unwrapkey: KeyDisabled, decrypt: KeyDisabled, sign: KeyDisabled",
  );
  expect(await done({ attributes: { exp: 1_700_000_000 } })).toBe(
    "wrapkey: KeyExpired, encrypt: KeyExpired, verify, unwrapkey, decrypt, sign: KeyExpired",
  );
  expect(await done({ attributes: { nbf: 4_000_000_000 } })).toBe(
    "wrapkey: KeyNotYetValid, encrypt: KeyNotYetValid, verify, unwrapkey, decrypt, sign: KeyNotYetValid",
  );
  const not = (operation: string) => `${operation}: KeyOperationForbidden`;
  expect(await done({ key_ops: ["unwrapKey"] })).toBe(
    [not("wrapkey"), not("encrypt"), not("verify"), "unwrapkey", not("decrypt"), not("sign")].join(", "),
  );
});

test("Microsoft's client manages keys through it", async () => {
  const client = new KeyClient(emulator.url, emulator.owner, clientOptions());
  const made = await client.createRsaKey("managed", { keySize: 2048, hsm: true, tags: { a: "b" }, expiresOn: new Date(2e12) });
  expect(made).toMatchObject({ keyType: "RSA-HSM", properties: { enabled: true, tags: { a: "b" }, expiresOn: new Date(2e12) } });
  const rotated = await client.rotateKey("managed");
  expect(rotated.properties.version).not.toBe(made.properties.version);
  await client.updateKeyProperties("managed", made.properties.version ?? "", { enabled: false });
  const listed: (string | undefined)[] = [];
  for await (const { version, enabled } of client.listPropertiesOfKeyVersions("managed")) listed.push(`${version} ${enabled}`);
  expect(listed).toEqual([`${made.properties.version} false`, `${rotated.properties.version} true`]);
  const policy = await client.updateKeyRotationPolicy("managed", {
    expiresIn: "P90D",
    lifetimeActions: [{ action: "Rotate", timeAfterCreate: "P60D" }],
  });
  expect(policy).toMatchObject({ expiresIn: "P90D", lifetimeActions: [{ action: "Rotate", timeAfterCreate: "P60D" }] });
  const backup = await client.backupKey("managed");
  const deleting = await client.beginDeleteKey("managed", { intervalInMs: 1 });
  expect((await deleting.pollUntilDone()).properties.recoveryId).toBe(`${emulator.url}/deletedkeys/managed`);
  await (await client.beginRecoverDeletedKey("managed", { intervalInMs: 1 })).pollUntilDone();
  await (await client.beginDeleteKey("managed", { intervalInMs: 1 })).pollUntilDone();
  await client.purgeDeletedKey("managed");
  const restored = await client.restoreKeyBackup(backup ?? new Uint8Array());
  expect(restored.id).toBe(rotated.id);
});

function clientOf(keyId: string): CryptographyClient {
  const bare = { id: keyId, name: "any", properties: { name: "any", vaultUrl: emulator.url } }; // so that nothing is done on this side
  return new CryptographyClient(bare, emulator.owner, clientOptions());
}

function clientOptions(): object {
  return { tlsOptions: { ca: emulator.ca }, disableChallengeResourceVerification: true };
}

async function publicKeyAt(keyId: string): Promise<ReturnType<typeof createPublicKey>> {
  const { key } = Object((await ask(emulator, "GET", new URL(keyId).pathname)).body);
  const jwk: JsonWebKey = { ...key, kty: key.kty.replace("-HSM", ""), crv: key.crv === "P-256K" ? "secp256k1" : key.crv };
  return createPublicKey({ key: jwk, format: "jwk" });
}

/** How node:crypto is told what the service does. */
function schemeOf(algorithm: SignatureAlgorithm): object {
  if (algorithm.startsWith("ES")) return { dsaEncoding: "ieee-p1363" };
  return algorithm.startsWith("PS") ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : {};
}
