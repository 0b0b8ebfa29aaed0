import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { ROOT, refused, scratch, start } from "./runner.ts";

const { at, read } = scratch();

test("another process reaches the emulator by environment variables alone, until a signal ends it", async () => {
  const caFile = at("emulator.pem");
  const args = ["--key", "orders:RSA-HSM:2048", "--secret", "kek=value=1", "--fault", "throttled:1@/wrapkey", "--ca-out", caFile];
  const emulator = start(["dev", "azure-emulator", "--json", "--verbose", ...args]);
  const { url, keys, secrets, environment, tokenResource } = JSON.parse(await emulator.firstLine);
  expect({ keys, secrets, tokenResource }).toEqual({
    keys: [`${url}/keys/orders`],
    secrets: [`${url}/secrets/kek`],
    tokenResource: "https://vault.azure.net",
  });
  expect(environment).toEqual({
    AZURE_POD_IDENTITY_AUTHORITY_HOST: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    NODE_EXTRA_CA_CERTS: caFile,
  });
  expect(new TextDecoder().decode(read("emulator.pem"))).toMatch(/^-----BEGIN CERTIFICATE-----/);

  const client = ["--input-type=module", "-e", CLIENT, keys[0]];
  const { stdout } = await promisify(execFile)(process.execPath, client, { cwd: ROOT, env: { ...process.env, ...environment } });
  expect(stdout).toBe(`${Buffer.alloc(32, 7).toString("hex")}\n`);

  emulator.kill("SIGTERM");
  const { exitCode, stderr } = await emulator.done;
  expect(exitCode).toBe(0);
  expect(stderr.split("\n")).toEqual([
    "POST /keys/orders//wrapkey 429 - -",
    "POST /keys/orders//wrapkey 401 - -",
    "POST /keys/orders//wrapkey 200 KeyWrap owner",
    "POST /keys/orders//unwrapkey 200 KeyUnwrap owner",
    "",
  ]);
});

test("what it stands for is printed for people too", async () => {
  const emulator = start(["dev", "azure-emulator", "--flavour", "managed-hsm", "--key", "orders:oct-HSM"]);
  expect(await emulator.firstLine).toMatch(/^vault +https:\/\/127\.0\.0\.1:\d+$/);
  emulator.kill("SIGINT");
  const { exitCode, text } = await emulator.done;
  expect(exitCode).toBe(0);
  expect(text.split("\n").map((line) => line.replaceAll(/127\.0\.0\.1:\d+/g, "<host>").replaceAll(/ +/g, " "))).toEqual([
    "vault https://<host>",
    "resource https://managedhsm.azure.net",
    "key https://<host>/keys/orders",
    "set AZURE_POD_IDENTITY_AUTHORITY_HOST=http://<host>",
    "",
  ]);
});

test.each([
  [2, ["--port", "65536"]],
  [2, ["--flavour", "vanilla"]],
  [2, ["--key", "orders:DSA"]],
  [2, ["--secret", "kek"]],
  [2, ["--fault", "nothing"]],
  [1, ["--key", "orders:RSA:512"]],
  [1, ["--key", "orders:oct-HSM", "--flavour", "standard"]],
] as const)("ends with %i at once for %j", async (exitCode, args) => {
  await refused(exitCode, "invalid-argument", ["dev", "azure-emulator", ...args]);
});

/** A client that is told nothing of an emulator but its address. */
const CLIENT = `
import { ManagedIdentityCredential } from "@azure/identity";
import { CryptographyClient } from "@azure/keyvault-keys";
const [, keyId] = process.argv;
const vaultUrl = new URL(keyId).origin;
const key = { id: keyId, name: "orders", properties: { name: "orders", vaultUrl } };
const client = new CryptographyClient(key, new ManagedIdentityCredential(), { disableChallengeResourceVerification: true });
const { result } = await client.wrapKey("RSA-OAEP-256", Buffer.alloc(32, 7));
console.log(Buffer.from((await client.unwrapKey("RSA-OAEP-256", result)).result).toString("hex"));
`;
