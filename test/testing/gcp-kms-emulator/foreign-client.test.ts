import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { gcpKmsKey } from "../../../providers/gcp-kms/index.ts";
import type { WrapOptions } from "../../../src/core/contracts/key-provider.ts";
import { ENUMS } from "../../../src/testing/gcp-kms-emulator/enums.ts";
import { GcpKmsEmulator } from "../../../src/testing/gcp-kms-emulator/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { installed } from "../../support/npm-tools.ts";

// Google's own client over REST, in a process of its own: what it does here it does there.

const folder = mkdtempSync(join(tmpdir(), "envelock-gcp-"));
const emulator = await GcpKmsEmulator.start();
afterAll(async () => {
  await emulator.close();
  rmSync(folder, { recursive: true });
});
const modules = installed("foreign", ["@google-cloud/kms@5.7.0"]);
const DEK = noise(32, "foreign");
const OPTIONS: WrapOptions = { keyContext: {}, wrapAad: (keyId) => Buffer.from(`acme ${keyId}`) };

test("the official client: rings, keys, versions, both directions, RSA, permissions and refusals", async () => {
  const key = emulator.createKey("orders");
  const rsa = emulator.createKey("rsa", { algorithm: "RSA_DECRYPT_OAEP_2048_SHA256" });
  const ours = await gcpKmsKey({ ...emulator.connection, key }).wrap(DEK, OPTIONS);
  const oursByRsa = await gcpKmsKey({ ...emulator.connection, key: rsa, keyType: "rsa", version: 1 }).wrap(DEK, OPTIONS);
  const aad = createHash("sha512").update(OPTIONS.wrapAad(key)).digest("base64");
  const answer = await client({
    key,
    rsa: `${rsa}/cryptoKeyVersions/1`,
    aad,
    dek: Buffer.from(DEK).toString("base64"),
    ours: Buffer.from(ours.wrapped).toString("base64"),
    oursByRsa: Buffer.from(oursByRsa.wrapped).toString("base64"),
  });
  expect(answer).toMatchObject({
    ours: Buffer.from(DEK).toString("base64"),
    oursByRsa: Buffer.from(DEK).toString("base64"),
    isPrimary: true,
    verified: [true, true],
    checksum: "2324772522",
    created: expect.stringMatching(/keyRings\/foreign\/cryptoKeys\/made$/),
    state: "ENABLED",
    purpose: "ENCRYPT_DECRYPT",
    primary: expect.stringMatching(/made\/cryptoKeyVersions\/2$/),
    states: ["DISABLED", "ENABLED"],
    pem: expect.stringContaining("BEGIN PUBLIC KEY"),
    held: ["cloudkms.cryptoKeyVersions.useToDecrypt"],
    wrongAad: 400,
    disabled: 400,
    missing: 404,
    checksumRefused: 400,
    random: 32,
  });
  const theirs = { provider: "gcp-kms", keyId: answer.theirsBy, alg: 9, wrapped: Buffer.from(answer.theirs, "base64") };
  expect(await gcpKmsKey({ ...emulator.connection, key }).unwrap(theirs, OPTIONS), "what it wrapped opens here").toEqual(DEK);
  expect(emulator.requests.find(({ path, principal }) => path.endsWith("orders:decrypt") && principal !== undefined)?.routing).toBe(
    `name=${encodeURIComponent(key)}`,
  );
});

test("enumerations have the numbers of the service's definitions", () => {
  const definitions: Definitions = JSON.parse(readFileSync(join(modules, "@google-cloud/kms/build/protos/protos.json"), "utf8"));
  const kms = definitions.nested.google.nested.cloud.nested.kms.nested.v1.nested;
  const { CryptoKeyVersionAlgorithm: algorithm, CryptoKeyVersionState: state } = kms.CryptoKeyVersion.nested;
  expect(algorithm.values).toMatchObject(ENUMS.algorithm);
  expect(kms.CryptoKey.nested.CryptoKeyPurpose.values).toMatchObject(ENUMS.purpose);
  expect(kms.ProtectionLevel.values).toMatchObject(ENUMS.protectionLevel);
  expect(state.values, "every state").toEqual({ CRYPTO_KEY_VERSION_STATE_UNSPECIFIED: 0, ...ENUMS.state });
});

test("every member of an answer is one of the service's definitions", async () => {
  const definitions: Definitions = JSON.parse(readFileSync(join(modules, "@google-cloud/kms/build/protos/protos.json"), "utf8"));
  const messages: Readonly<Record<string, Message>> = definitions.nested.google.nested.cloud.nested.kms.nested.v1.nested;
  const [name, rsa] = [emulator.createKey("members"), emulator.createKey("members-rsa", { algorithm: "RSA_DECRYPT_OAEP_2048_SHA256" })];
  const location = name.replace(/\/keyRings.*/, "");
  const encrypted = await bareAnswer("POST", `${name}:encrypt`, { plaintext: "AAAA" });
  const wrapped = await gcpKmsKey({ ...emulator.connection, key: rsa, keyType: "rsa", version: 1 }).wrap(DEK, OPTIONS);
  const answers: readonly (readonly [message: string, answer: object])[] = [
    ["EncryptResponse", encrypted],
    ["DecryptResponse", await bareAnswer("POST", `${name}:decrypt`, { ciphertext: encrypted.ciphertext })],
    [
      "AsymmetricDecryptResponse",
      await bareAnswer("POST", `${rsa}/cryptoKeyVersions/1:asymmetricDecrypt`, {
        ciphertext: Buffer.from(wrapped.wrapped).toString("base64"),
      }),
    ],
    ["CryptoKey", await bareAnswer("GET", name)],
    ["CryptoKeyVersion", await bareAnswer("GET", `${name}/cryptoKeyVersions/1`)],
    ["ListCryptoKeysResponse", await bareAnswer("GET", name.replace(/\/[^/]*$/, ""))],
    ["ListCryptoKeyVersionsResponse", await bareAnswer("GET", `${name}/cryptoKeyVersions`)],
    ["PublicKey", await bareAnswer("GET", `${rsa}/cryptoKeyVersions/1/publicKey`)],
    ["KeyRing", await bareAnswer("GET", name.replace(/\/cryptoKeys.*/, ""))],
    [
      "GenerateRandomBytesResponse",
      await bareAnswer("POST", `${location}:generateRandomBytes`, { lengthBytes: 8, protectionLevel: "HSM" }),
    ],
  ];
  for (const [message, answer] of answers) {
    expect(Object.keys(answer).length, message).toBeGreaterThan(0);
    expect(Object.keys(messages[message]?.fields ?? {}), message).toEqual(expect.arrayContaining(Object.keys(answer)));
  }
});

/** The answer to one request, as it stands on the wire. */
async function bareAnswer(method: string, path: string, body?: object): Promise<{ readonly ciphertext?: unknown }> {
  const headers = { authorization: `Bearer ${emulator.token}`, "content-type": "application/json" };
  const { signal } = new AbortController();
  const sent = { method, headers, redirect: "manual", signal, ...(body !== undefined && { body: JSON.stringify(body) }) } as const;
  const answer = await emulator.fetch(`${emulator.url}/v1/${path}`, sent);
  const text = await new Response(answer.body).text();
  expect(answer.status, `${path}: ${text}`).toBe(200);
  return JSON.parse(text);
}

interface Message {
  readonly fields?: object;
  readonly nested?: object;
  readonly values?: object;
}

interface Enumeration {
  readonly values: Readonly<Record<string, number>>;
}

interface Definitions {
  readonly nested: { readonly google: { readonly nested: { readonly cloud: { readonly nested: { readonly kms: Kms } } } } };
}

interface Kms {
  readonly nested: {
    readonly v1: {
      readonly nested: {
        readonly CryptoKeyVersion: {
          readonly nested: { readonly CryptoKeyVersionAlgorithm: Enumeration; readonly CryptoKeyVersionState: Enumeration };
        };
        readonly CryptoKey: { readonly nested: { readonly CryptoKeyPurpose: Enumeration } };
        readonly ProtectionLevel: Enumeration;
      };
    };
  };
}

interface ClientAnswer {
  readonly theirs: string;
  readonly theirsBy: string;
}

async function client(input: object): Promise<ClientAnswer> {
  const script = join(folder, "client.cjs");
  writeFileSync(script, PROGRAM);
  writeFileSync(join(folder, "ca.pem"), emulator.ca);
  const { stdout } = await promisify(execFile)(process.execPath, [script], {
    env: {
      NODE_EXTRA_CA_CERTS: join(folder, "ca.pem"),
      MODULE: join(modules, "@google-cloud/kms"),
      AUTH: join(modules, "google-auth-library"),
      HOST: emulator.host,
      TOKEN: emulator.token,
      INPUT: JSON.stringify(input),
    },
  });
  return JSON.parse(stdout);
}

const PROGRAM = `
const { KeyManagementServiceClient } = require(process.env.MODULE);
const { OAuth2Client } = require(process.env.AUTH);
const [apiEndpoint, port] = process.env.HOST.split(":");
const { key, rsa, aad, dek, ours, oursByRsa } = JSON.parse(process.env.INPUT);
const authClient = new OAuth2Client();
authClient.setCredentials({ access_token: process.env.TOKEN });
const client = new KeyManagementServiceClient({ fallback: true, protocol: "https", apiEndpoint, port: Number(port), authClient });
const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const refusal = async (work) => {
  try {
    await work();
    return "none";
  } catch (error) {
    return error.code;
  }
};

async function main() {
  const additionalAuthenticatedData = Buffer.from(aad, "base64");
  const [opened] = await client.decrypt({ name: key, ciphertext: Buffer.from(ours, "base64"), additionalAuthenticatedData });
  const plaintext = Buffer.from(dek, "base64");
  const [wrapped] = await client.encrypt({ name: key, plaintext, additionalAuthenticatedData });
  const zeros = await client.encrypt({ name: key, plaintext: Buffer.alloc(32), plaintextCrc32c: { value: "2324772522" }, additionalAuthenticatedData: Buffer.alloc(0), additionalAuthenticatedDataCrc32c: { value: "0" } });
  const [back] = await client.decrypt({ name: key, ciphertext: zeros[0].ciphertext });
  const [rsaOpened] = await client.asymmetricDecrypt({ name: rsa, ciphertext: Buffer.from(oursByRsa, "base64") });
  const [publicKey] = await client.getPublicKey({ name: rsa });
  const location = "projects/acme/locations/europe-west3";
  const [ring] = await client.createKeyRing({ parent: location, keyRingId: "foreign", keyRing: {} });
  const [made] = await client.createCryptoKey({ parent: ring.name, cryptoKeyId: "made", cryptoKey: { purpose: "ENCRYPT_DECRYPT" } });
  await client.createCryptoKeyVersion({ parent: made.name, cryptoKeyVersion: {} });
  const [moved] = await client.updateCryptoKeyPrimaryVersion({ name: made.name, cryptoKeyVersionId: "2" });
  const first = made.name + "/cryptoKeyVersions/1";
  const [old] = await client.encrypt({ name: first, plaintext });
  await client.updateCryptoKeyVersion({ cryptoKeyVersion: { name: first, state: "DISABLED" }, updateMask: { paths: ["state"] } });
  const [versions] = await client.listCryptoKeyVersions({ parent: made.name });
  const [permissions] = await client.testIamPermissions({ resource: key, permissions: ["cloudkms.cryptoKeyVersions.useToDecrypt"] }).catch((error) => [{ permissions: [String(error)] }]);
  const [random] = await client.generateRandomBytes({ location, lengthBytes: 32, protectionLevel: "HSM" });
  console.log(JSON.stringify({
    ours: base64(opened.plaintext),
    oursByRsa: base64(rsaOpened.plaintext),
    isPrimary: opened.usedPrimary,
    verified: [zeros[0].verifiedPlaintextCrc32c, zeros[0].verifiedAdditionalAuthenticatedDataCrc32c],
    checksum: String(back.plaintextCrc32c.value),
    theirs: base64(wrapped.ciphertext),
    theirsBy: wrapped.name,
    created: made.name,
    state: made.primary.state,
    purpose: made.purpose,
    primary: moved.primary.name,
    states: versions.map(({ state }) => state),
    pem: publicKey.pem,
    held: permissions.permissions,
    wrongAad: await refusal(() => client.decrypt({ name: key, ciphertext: Buffer.from(ours, "base64") })),
    disabled: await refusal(() => client.decrypt({ name: made.name, ciphertext: old.ciphertext })),
    missing: await refusal(() => client.encrypt({ name: key + "-none", plaintext })),
    checksumRefused: await refusal(() => client.encrypt({ name: key, plaintext, plaintextCrc32c: { value: "1" } })),
    random: random.data.length,
  }));
}
main();
`;
