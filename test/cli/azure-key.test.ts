import { chmodSync, mkdirSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { delimiter } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { AzureEmulator } from "../../src/testing/azure-emulator/index.ts";
import { refused, run, scratch } from "./runner.ts";

const { at, names, read, write } = scratch();
const emulator = await AzureEmulator.start();
afterAll(() => emulator.close());
await emulator.createKey("orders", { type: "oct-HSM", bits: 256 });
const identityEndpoint = await startIdentityEndpoint();
afterAll(() => new Promise((resolve) => identityEndpoint.server.close(resolve)));
const plain = write("plain", new TextEncoder().encode("net 30 days"));
const ca = write("ca.pem", emulator.ca);
const FOR_EMULATOR = ["--allow-host", emulator.host, "--token-resource", emulator.tokenResource];
const { PATH: path = "" } = process.env;
/** What the kinds of credentials read; nothing of this machine's own. */
const ENV = {
  PATH: path,
  NODE_EXTRA_CA_CERTS: ca,
  AZURE_POD_IDENTITY_AUTHORITY_HOST: identityEndpoint.url,
};

test.each([
  "azure:",
  "azure:orders",
  "azure:http://acme.vault.azure.net/keys/orders",
  "azure:https://attacker.example/keys/orders",
  "azure:https://acme.vault.azure.net/secrets/orders/latest",
  "AZURE:https://acme.vault.azure.net/keys/orders/latest",
])("--key %s is no key of Azure: nothing is asked for and nothing written", async (key) => {
  const before = names();
  await refused(1, "invalid-argument", ["encrypt", plain, "--key", key, "--out", at("envelope")]);
  expect(names()).toEqual(before);
});

describe("--credential", () => {
  test("managed-identity serves every verb", async () => {
    const key = ["--key", `azure:${emulator.keyUrl("orders")}`, "--credential", "managed-identity", ...FOR_EMULATOR];
    const envelope = at("by-managed-identity");
    await silent(["encrypt", plain, ...key, "--out", envelope]);
    await silent(["decrypt", envelope, ...key, "--out", at("again")]);
    expect(read("again")).toEqual(read("plain"));
    expect((await silent(["rewrap", "--check", envelope, ...key])).text).toMatch(/^current /);
    await emulator.rotate("orders");
    const checked = await run(["rewrap", "--check", envelope, ...key], undefined, { env: ENV });
    expect([checked.exitCode, checked.text], "a version that is too young to wrap").toEqual([1, expect.stringMatching(/^stale {4}/)]);
    expect((await silent(["rewrap", envelope, ...key])).text).toMatch(/^current /);
    await emulator.rotate("orders", 3_600_000);
    expect((await run(["rewrap", "--check", envelope, ...key], undefined, { env: ENV })).text).toMatch(/^stale {4}/);
    expect((await silent(["rewrap", envelope, ...key])).text).toMatch(/^rewrapped {2}/);
    expect((await run(["inspect", envelope])).text).toContain(emulator.keyUrl("orders", emulator.newestVersion("orders")));
    expect(identityEndpoint.requests[0]).toMatch(/^\/metadata\/identity\/oauth2\/token\/\?.*resource=https%3A%2F%2Fvault\.azure\.net/);
  });

  test("managed-identity takes the client id of a user-assigned one from AZURE_CLIENT_ID", async () => {
    identityEndpoint.requests.length = 0;
    const key = ["--key", `azure:${emulator.keyUrl("orders")}`, "--credential", "managed-identity", ...FOR_EMULATOR];
    await silent(["encrypt", plain, ...key, "--out", at("user-assigned")], { AZURE_CLIENT_ID: "5d8d9f6c-0000-4000-8000-000000000000" });
    expect(identityEndpoint.requests[0]).toContain("client_id=5d8d9f6c-0000-4000-8000-000000000000");
  });

  test("cli asks az", async () => {
    mkdirSync(at("bin"));
    const token = { accessToken: emulator.token, expiresOn: "2099-01-01 00:00:00.000000", expires_on: 4_000_000_000, tenant: "t" };
    const az = write("bin/az", `#!/bin/sh\necho '${JSON.stringify(token)}'\n`);
    chmodSync(az, 0o755);
    const key = ["--key", `azure:${emulator.keyUrl("orders")}`, "--credential", "cli", ...FOR_EMULATOR];
    await silent(["encrypt", plain, ...key, "--out", at("by-cli")], { PATH: `${at("bin")}${delimiter}${ENV.PATH}` });
  });

  test.each(["workload", "env", "cli"])("%s fails in our words where its environment is not", async (kind) => {
    const key = ["--key", `azure:${emulator.keyUrl("orders")}`, "--credential", kind, ...FOR_EMULATOR];
    const { stderr, exitCode } = await run(["encrypt", plain, ...key, "--out", at("none")], undefined, {
      env: { ...ENV, PATH: "/nowhere" },
    });
    expect(stderr).toMatch(/^envelock: access-denied: .*\nhint: /);
    expect(exitCode).toBe(1);
  });

  test("of no other kind is taken", async () => {
    await refused(2, "invalid-argument", ["encrypt", plain, "--key", "keys.json", "--credential", "password"]);
  });
});

test("a key may lie in a secret", async () => {
  emulator.setSecret("kek", Buffer.alloc(32, 7).toString("base64"));
  const key = ["--key", `azure:${emulator.secretUrl("kek")}`, "--credential", "managed-identity", ...FOR_EMULATOR];
  await silent(["encrypt", plain, ...key, "--out", at("by-secret")]);
  await silent(["decrypt", at("by-secret"), ...key, "--out", at("from-secret")]);
  expect(read("from-secret")).toEqual(read("plain"));
});

describe("doctor", () => {
  const doctor = (...more: string[]): string[] => ["doctor", "--credential", "managed-identity", ...FOR_EMULATOR, ...more];

  test("exits with 1 for a key that can be purged, and says what to do", async () => {
    const { exitCode, text, stderr } = await run(doctor("--azure", emulator.keyUrl("orders")), undefined, { env: ENV });
    expect([exitCode, stderr]).toEqual([1, ""]);
    expect(text).toMatch(/^failed +recovery +Recoverable\+Purgeable: .*\n +-> az keyvault update .*--enable-purge-protection true/m);
    expect(text).toMatch(/^ok +unwrap /m);
  });

  test("exits with 0 for one that cannot, and gives every finding as JSON", async () => {
    await using safe = await AzureEmulator.start({ isPurgeProtected: true });
    await safe.createKey("orders", { type: "oct-HSM", bits: 256 });
    const env = { ...ENV, NODE_EXTRA_CA_CERTS: write("safe.pem", safe.ca) };
    const endpoint = await startIdentityEndpoint(safe);
    const args = ["--credential", "managed-identity", "--allow-host", safe.host, "--token-resource", safe.tokenResource, "--json"];
    const { exitCode, text } = await run(["doctor", "--azure", safe.keyUrl("orders"), ...args], undefined, {
      env: { ...env, AZURE_POD_IDENTITY_AUTHORITY_HOST: endpoint.url },
    });
    endpoint.server.close();
    const report = JSON.parse(text);
    expect([exitCode, report.isHealthy, report.keyUrl]).toEqual([0, true, safe.keyUrl("orders")]);
    expect(report.findings).toContainEqual({ check: "enabled", status: "ok", message: expect.stringContaining("is enabled") });
    expect(report.findings.map(({ status }: { status: string }) => status)).not.toContain("failed");
  });

  test("exits with 2 without a key, with 1 for a URL that is none", async () => {
    await refused(2, "invalid-argument", ["doctor"]);
    await refused(1, "invalid-argument", ["doctor", "--azure", "https://attacker.example/keys/orders"]);
  });
});

async function silent(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Awaited<ReturnType<typeof run>>> {
  const result = await run(args, undefined, { env: { ...ENV, ...env } });
  expect(result.stderr).toBe("");
  expect(result.exitCode).toBe(0);
  return result;
}

/** What a machine's managed identity is asked through, with tokens that an emulator takes. */
async function startIdentityEndpoint(vault: AzureEmulator = emulator): Promise<{ server: Server; url: string; requests: string[] }> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? "");
    const { resource } = Object.fromEntries(new URL(request.url ?? "/", "http://localhost").searchParams);
    response.setHeader("content-type", "application/json");
    response.end(
      JSON.stringify({ access_token: vault.token, expires_in: "3600", expires_on: "4000000000", resource, token_type: "Bearer" }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address: AddressInfo | string | null = server.address();
  return { server, url: `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`, requests };
}
