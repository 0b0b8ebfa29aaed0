import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { KeyClient, type KeyRotationLifetimeAction } from "@azure/keyvault-keys";
import { describe, expect, test } from "vitest";
import { type AzureCheck, type AzureDiagnosisOptions, type AzureFinding, diagnoseAzureKey } from "../../../providers/azure/index.ts";
import { toBase64Url, utf8 } from "../../../src/core/base/bytes.ts";
import { Answer, AzureEmulator, type EmulatorOptions, forbidden, type KeySpec } from "../../../src/testing/azure-emulator/index.ts";
import { type FakeClock, fakeClock } from "../../support/fake-clock.ts";
import { refusalCode } from "../../support/refusal.ts";

const DAY_MS = 86_400_000;

test("a key that is as it should be passes every check, and its keys and versions stay as they are", async () => {
  const { emulator, diagnose } = await setUp();
  const findings = await diagnose();
  expect(findings.map(({ check, status }) => `${check} ${status}`)).toEqual(CHECKS.map((check) => `${check} ok`));
  expect(findings.find(({ check }) => check === "wrap")?.message).toContain(emulator.keyUrl("orders", emulator.newestVersion("orders")));
  const writes = emulator.requests.filter(({ method, path }) => method !== "GET" && !/\/(un)?wrapkey$/.test(path));
  expect(writes.map(({ path, status }) => `${path} ${status}`)).toEqual([
    expect.stringMatching(/^PATCH \/keys\/orders\/[0-9a-f]{32} 403$/), // of a version that no key has: it tells the right alone
  ]);
  await emulator.close();
});

describe("what stands in the way of the vault", () => {
  test("a name that does not resolve", async () => {
    const credential = { getToken: async () => null };
    const findings = await diagnoseAzureKey({
      keyUrl: "https://acme.vault.invalid/keys/orders",
      allowedHosts: [".vault.invalid"],
      credential,
    });
    expectFindings(findings, { dns: /does not resolve/ });
    expect(statusOf(findings, "challenge", "token", "read", "unwrap")).toEqual(["skipped", "skipped", "skipped", "skipped"]);
  });

  test("a port where nobody listens", async () => {
    const { emulator, diagnose } = await setUp();
    await emulator.close();
    const findings = await diagnose();
    expectFindings(findings, { tls: /cannot be reached \(ECONNREFUSED\)/ });
    expect(statusOf(findings, "dns", "challenge", "token", "wrap")).toEqual(["ok", "skipped", "skipped", "skipped"]);
  });

  test("a certificate that nobody vouches for", async () => {
    await withEmulator({}, async ({ diagnose }) => {
      const findings = await diagnose({ client: {} });
      expectFindings(findings, { tls: /certificate is not trusted/ });
    });
  });

  test("a server that speaks no TLS", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address: AddressInfo | string | null = server.address();
    const host = `127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
    const tokenResource = "https://vault.azure.net";
    const findings = await diagnoseAzureKey({
      keyUrl: `https://${host}/keys/orders`,
      allowedHosts: [host],
      tokenResource,
      credential: { getToken: async () => null },
    });
    server.close();
    expectFindings(findings, { tls: /cannot be reached/ });
  });

  test("a gateway that answers in its place", async () => {
    await withEmulator({}, async ({ emulator, diagnose }) => {
      emulator.failNext({ status: 403, text: "<html>blocked</html>" });
      expectFindings(await diagnose(), { challenge: /answered 403/ });
    });
  });

  test("a vault of another cloud", async () => {
    await withEmulator({}, async ({ diagnose }) => {
      const findings = await diagnose({ tokenResource: "https://vault.azure.cn" });
      expectFindings(findings, { challenge: /https:\/\/vault\.azure\.net, not to https:\/\/vault\.azure\.cn/ });
    });
  });
});

describe("what is wrong with the token", () => {
  test.each<readonly [what: string, credential: AzureDiagnosisOptions["credential"], message: RegExp]>([
    ["none is given", { getToken: async () => null }, /gave no token/],
    ["the credential fails", { getToken: () => Promise.reject(new Error("sign in first")) }, /access-denied: the credential gave no token/],
    ["it is made out to another service", tokenOf({ aud: "https://graph.microsoft.com" }), /made out to https:\/\/graph\.microsoft\.com/],
    ["it comes from another tenant", tokenOf({ aud: "https://vault.azure.net", tid: "other-tenant" }), /tenant other-tenant/],
  ])("%s", async (_what, credential, message) => {
    await withEmulator({}, async ({ diagnose }) => {
      const findings = await diagnose({ credential });
      expectFindings(findings, { token: message });
      expect(statusOf(findings, "read", "wrap", "unwrap")).toEqual(["skipped", "skipped", "skipped"]);
    });
  });

  test("an audience that is spelt otherwise is none", async () => {
    for (const aud of ["https://vault.azure.net/", "cfa8b339-82a2-471a-a3c9-0fc0be7a4093"]) {
      await withEmulator({}, async ({ diagnose }) => {
        const findings = await diagnose({ credential: tokenOf({ aud }) });
        expect(findings.find(({ check }) => check === "token")).toMatchObject({ status: "ok" });
      });
    }
  });
});

describe("what is wrong with the rights", () => {
  test("more than wrapping and unwrapping needs is a warning, and no key is changed", async () => {
    await withEmulator({}, async ({ emulator, diagnose }) => {
      const before = emulator.newestVersion("orders");
      const findings = await diagnose({ credential: emulator.owner });
      expectFindings(findings, {});
      expect(statusOf(findings, "excess-rights")).toEqual(["warning"]);
      expect(emulator.newestVersion("orders")).toBe(before);
      expect(emulator.requests.find(({ method }) => method === "PATCH")).toMatchObject({ status: 404 });
    });
  });

  test("none to read, and the rest works all the same for who may unwrap", async () => {
    await withEmulator({}, async ({ emulator, diagnose }) => {
      const nobody = emulator.principal({ rights: ["wrapkey", "unwrapkey"] });
      const findings = await diagnose({ credential: nobody });
      expectFindings(findings, { read: /access-denied/, wrap: /access-denied/ });
      expect(statusOf(findings, "recovery", "unwrap", "rotation", "versions")).toEqual(["skipped", "skipped", "skipped", "skipped"]);
      expect(findings.find(({ check }) => check === "read")?.advice).toContain("Key Vault Crypto Service Encryption User");
    });
  });

  test.each<readonly [check: AzureCheck, right: "wrapkey" | "unwrapkey"]>([
    ["wrap", "wrapkey"],
    ["unwrap", "unwrapkey"],
  ])("none to %s", async (check, right) => {
    await withEmulator({}, async ({ emulator, diagnose }) => {
      emulator.deny(right);
      expectFindings(await diagnose(), { [check]: /access-denied/ });
    });
  });

  test("a firewall", async () => {
    await withEmulator({}, async ({ emulator, diagnose }) => {
      for (const right of ["read", "wrapkey"] as const) emulator.deny(right, forbidden("ForbiddenByFirewall"));
      const findings = await diagnose();
      expectFindings(findings, { read: /403 Forbidden ForbiddenByFirewall/, wrap: /ForbiddenByFirewall/ });
      expect(findings.find(({ check }) => check === "read")?.advice).toContain("firewall");
    });
  });

  test("none to see the rotation policy, which is no failure", async () => {
    await withEmulator({}, async ({ emulator, diagnose }) => {
      const role = emulator.principal({ rights: ["read", "wrapkey", "unwrapkey"] });
      const findings = await diagnose({ credential: role });
      expectFindings(findings, {});
      expect(statusOf(findings, "rotation", "versions")).toEqual(["skipped", "ok"]);
    });
  });

  test("a key that is not there", async () => {
    await withEmulator({}, async ({ emulator, diagnose }) => {
      emulator.softDelete("orders");
      expectFindings(await diagnose(), { read: /key-not-found/, wrap: /key-not-found/ });
    });
  });
});

describe("what is wrong with the key", () => {
  test("nothing if it is an RSA key in software", async () => {
    await withEmulator({ spec: { type: "RSA", bits: 2048 } }, async ({ diagnose }) => {
      const findings = await diagnose();
      expectFindings(findings, {});
      expect(findings.find(({ check }) => check === "key-type")?.message).toBe("RSA of 2048 bits, protected by software");
    });
  });

  test("an EC key", async () => {
    await withEmulator({ spec: { type: "EC" } }, async ({ diagnose }) => {
      expectFindings(await diagnose(), {
        "key-type": /type EC cannot wrap/,
        "key-operations": /wrapKey and unwrapKey/,
        wrap: /key-disabled/,
      });
    });
  });

  test("a key that is disabled", async () => {
    await withEmulator({ spec: { ...AES, enabled: false } }, async ({ diagnose }) => {
      expectFindings(await diagnose(), { enabled: /is disabled/, wrap: /key-disabled/ });
    });
  });

  test("a key that is not valid yet", async () => {
    await withEmulator({ spec: { ...AES, nbf: 4_000_000_000 } }, async ({ diagnose }) => {
      expectFindings(await diagnose(), { validity: /not valid before 2096-10-02/, wrap: /key-disabled/ });
    });
  });

  test("a key that has expired", async () => {
    await withEmulator({ spec: { ...AES, exp: 1_700_000_000 } }, async ({ diagnose }) => {
      expectFindings(await diagnose(), { validity: /expired on 2023-11-14/, wrap: /key-disabled/ });
    });
  });

  test("a key that expires within the month is a warning, later it is none", async () => {
    await withEmulator({}, async ({ emulator, clock, diagnose }) => {
      const expireIn = (ms: number): void => {
        emulator.change("orders", emulator.newestVersion("orders"), { exp: Math.floor((clock.unixMs() + ms) / 1000) });
      };
      expireIn(29.5 * DAY_MS);
      const findings = await diagnose();
      expectFindings(findings, {});
      expect(findings.find(({ check }) => check === "validity")).toMatchObject({
        status: "warning",
        message: expect.stringContaining("29 days"),
      });
      expireIn(30 * DAY_MS);
      expect(statusOf(await diagnose(), "validity")).toEqual(["ok"]);
    });
  });

  test("operations that lack one of the two", async () => {
    await withEmulator({ spec: { ...AES, operations: ["wrapKey"] } }, async ({ diagnose }) => {
      expectFindings(await diagnose(), { "key-operations": /lack unwrapKey/, unwrap: /access-denied/ });
    });
  });

  test("a vault without purge protection", async () => {
    await withEmulator({ isPurgeProtected: false }, async ({ diagnose }) => {
      const findings = await diagnose();
      expectFindings(findings, { recovery: /Purgeable/ });
      expect(findings.find(({ check }) => check === "recovery")?.advice).toContain("--enable-purge-protection");
    });
  });

  test("no policy that rotates", async () => {
    await withEmulator({ policy: [] }, async ({ diagnose }) => {
      expect(statusOf(await diagnose(), "rotation")).toEqual(["warning"]);
    });
  });

  test("too many versions for a Managed HSM", async () => {
    await withEmulator({ flavour: "managed-hsm" }, async ({ emulator, diagnose }) => {
      for (let count = 1; count < 79; count++) await emulator.rotate("orders");
      expect(statusOf(await diagnose(), "versions")).toEqual(["ok"]);
      await emulator.rotate("orders");
      const findings = await diagnose();
      expect(findings.find(({ check }) => check === "versions")).toMatchObject({
        status: "warning",
        message: "80 versions, 80 of them enabled",
      });
    });
  });

  test("a service that unwraps to something else", async () => {
    await withEmulator({}, async ({ emulator, diagnose }) => {
      emulator.failNext({ status: 200, text: JSON.stringify({ value: toBase64Url(new Uint8Array(32)) }) }, /unwrapkey$/);
      expectFindings(await diagnose(), { unwrap: /not what was wrapped/ });
    });
  });

  test("a service that is busy", async () => {
    await withEmulator({}, async ({ emulator, diagnose }) => {
      emulator.failNext(new Answer(429, { code: "Throttled" }), /\/unwrapkey$/);
      expectFindings(await diagnose(), { unwrap: /rate-limited/ });
    });
  });
});

test("a bad URL is no finding", async () => {
  const credential = { getToken: async () => null };
  for (const keyUrl of ["orders", "http://acme.vault.azure.net/keys/orders", "https://attacker.example/keys/orders"]) {
    expect(await refusalCode(() => diagnoseAzureKey({ keyUrl, credential }))).toBe("invalid-argument");
  }
});

const CHECKS: readonly AzureCheck[] = [
  "dns",
  "tls",
  "challenge",
  "token",
  "read",
  "key-type",
  "enabled",
  "validity",
  "key-operations",
  "recovery",
  "wrap",
  "unwrap",
  "rotation",
  "versions",
  "excess-rights",
];
const AES: KeySpec = { type: "oct-HSM", bits: 256 }; // quickly made

interface SetUpOptions extends EmulatorOptions {
  readonly spec?: KeySpec;
  /** The rotation policy's lifetime actions. */
  readonly policy?: readonly KeyRotationLifetimeAction[];
}

interface SetUp {
  readonly emulator: AzureEmulator;
  readonly clock: FakeClock;
  diagnose(options?: Partial<AzureDiagnosisOptions>): Promise<readonly AzureFinding[]>;
}

async function setUp({ spec = AES, policy = [ROTATE], ...options }: SetUpOptions = {}): Promise<SetUp> {
  const clock = fakeClock();
  const emulator = await AzureEmulator.start({ clock, isPurgeProtected: true, ...options });
  await emulator.createKey("orders", spec);
  const least = emulator.principal({ rights: ["read", "readpolicy", "wrapkey", "unwrapkey"] });
  const connection = { ...emulator.connectionFor(least), keyUrl: emulator.keyUrl("orders"), clock };
  const { credential, client } = emulator.connection;
  const keyClient = new KeyClient(emulator.url, credential, { ...client, disableChallengeResourceVerification: true });
  if (policy.length > 0) await keyClient.updateKeyRotationPolicy("orders", { lifetimeActions: [...policy] });
  emulator.takeRequests();
  return { emulator, clock, diagnose: (more) => diagnoseAzureKey({ ...connection, ...more }) };
}

async function withEmulator(options: SetUpOptions, work: (setUp: SetUp) => Promise<void>): Promise<void> {
  const made = await setUp(options);
  await work(made).finally(() => made.emulator.close());
}

/** Fails unless exactly these checks failed, each with such a message and with something to do. */
function expectFindings(findings: readonly AzureFinding[], failed: Partial<Record<AzureCheck, RegExp>>): void {
  expect(findings.map(({ check }) => check)).toEqual(CHECKS);
  const found = findings.filter(({ status }) => status === "failed");
  expect(found.map(({ check }) => check)).toEqual(Object.keys(failed));
  for (const { check, message } of found) expect(message).toMatch(failed[check] ?? /^$/);
  for (const { status, advice } of findings) if (status === "warning") expect(advice).toBeDefined();
}

function statusOf(findings: readonly AzureFinding[], ...checks: readonly AzureCheck[]): readonly (string | undefined)[] {
  return checks.map((check) => findings.find((finding) => finding.check === check)?.status);
}

function tokenOf(claims: object): AzureDiagnosisOptions["credential"] {
  const token = ["e30", toBase64Url(utf8(JSON.stringify(claims))), "AA"].join(".");
  return { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) };
}

const ROTATE: KeyRotationLifetimeAction = { timeAfterCreate: "P90D", action: "Rotate" };
