import { afterAll, expect, test } from "vitest";
import { VaultEmulator } from "../../src/testing/vault-emulator/index.ts";
import { refused, run, scratch } from "./runner.ts";

const { at, names, read, write } = scratch();
const emulator = await VaultEmulator.start();
afterAll(() => emulator.close());
emulator.createKey("orders");
const plain = write("plain", new TextEncoder().encode("net 30 days"));
const ca = write("ca.pem", emulator.ca);
const { PATH: path = "" } = process.env;
const ENV = { PATH: path, HOME: at("home"), VAULT_TOKEN: emulator.token, VAULT_CACERT: ca };
const KEY = `vault:${emulator.url}/transit/orders`;

test.each([
  "vault:",
  "vault:orders",
  "vault:https://vault.example:8200",
  "vault:ftp://vault.example/transit/orders",
  "vault:https://vault.example/transit/",
])("--key %s names no transit key: nothing is asked for and nothing written", async (key) => {
  const before = names();
  await refused(2, "invalid-argument", ["encrypt", plain, "--key", key, "--out", at("never")]);
  expect(names()).toEqual(before);
});

test("every verb goes with a key in Vault", async () => {
  const envelope = at("envelope");
  await succeeds(["encrypt", plain, "--key", KEY, "--out", envelope]);
  emulator.rotate("orders");
  expect((await run(["rewrap", "--check", envelope, "--key", KEY], undefined, { env: ENV })).text).toMatch(/^stale/);
  await succeeds(["rewrap", envelope, "--key", KEY]);
  await succeeds(["decrypt", envelope, "--key", KEY, "--out", at("again")]);
  expect(read("again")).toEqual(read("plain"));
  expect((await run(["inspect", envelope])).text).toContain(`${emulator.url}/transit/orders#2`);
});

test("doctor looks at it, and its exit code says what came of it", async () => {
  const url = `${emulator.url}/transit/orders`;
  expect((await succeeds(["doctor", "--vault", url])).text).toMatch(/^ok +context +another context does not open it$/m);
  const missing = await run(["doctor", "--vault", `${emulator.url}/transit/missing`, "--json"], undefined, { env: ENV });
  expect(missing.exitCode).toBe(1);
  expect(JSON.parse(missing.text)).toMatchObject({ isHealthy: false });
});

test("without a token it says where one would be found", async () => {
  const { VAULT_TOKEN: _, ...env } = ENV;
  const result = await run(["encrypt", plain, "--key", KEY, "--out", at("none")], undefined, { env });
  expect(result.stderr).toContain("vault login");
});

async function succeeds(args: readonly string[]): Promise<Awaited<ReturnType<typeof run>>> {
  const result = await run(args, undefined, { env: ENV });
  expect(result.stderr).toBe("");
  expect(result.exitCode).toBe(0);
  return result;
}
