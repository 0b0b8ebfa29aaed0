import { awsTenantKeys } from "envelock/providers/aws-kms";
import { azureTenantKeys } from "envelock/providers/azure";
import { gcpTenantKeys } from "envelock/providers/gcp-kms";
import { vaultTenantKeys } from "envelock/providers/vault";
import { AwsKmsEmulator } from "envelock/testing/aws-kms-emulator";
import { AzureEmulator } from "envelock/testing/azure-emulator";
import { GcpKmsEmulator } from "envelock/testing/gcp-kms-emulator";
import {
  awsKeyHost,
  azureKeyHost,
  type FakeKeyMode,
  FakeTenants,
  gcpKeyHost,
  type TenantKeyHost,
  vaultKeyHost,
} from "envelock/testing/tenants";
import { VaultEmulator } from "envelock/testing/vault-emulator";
import { afterAll, describe, expect, test } from "vitest";
import { refusal } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const vault = await VaultEmulator.start();
const gcp = await GcpKmsEmulator.start();
const azure = await AzureEmulator.start({ isPurgeProtected: true });
const aws = await AwsKmsEmulator.start();
afterAll(async () => {
  for (const emulator of [vault, gcp, azure, aws]) await emulator.close();
});

const HOSTS: readonly (readonly [name: string, host: () => TenantKeyHost])[] = [
  [
    "Vault",
    () => {
      const { address, token, fetch } = vault.connection;
      const opener = vaultTenantKeys({ clusters: { main: { address, fetch, placeOf: () => ({ token: async () => ({ token }) }) } } });
      return vaultKeyHost({ emulator: vault, opener });
    },
  ],
  [
    "Google Cloud KMS",
    () => gcpKeyHost({ emulator: gcp, opener: gcpTenantKeys({ ...gcp.connection, vendorProjects: ["vendor-production"] }) }),
  ],
  [
    "Azure Key Vault",
    () => {
      const { credential, ...connection } = azure.connection;
      const vendorDirectories = ["99999999-8888-7777-6666-555555555555"];
      return azureKeyHost({ emulator: azure, opener: azureTenantKeys({ ...connection, credential: () => credential, vendorDirectories }) });
    },
  ],
  ["AWS KMS", () => awsKeyHost({ emulator: aws, opener: awsTenantKeys({ ...aws.connection, stsEndpoint: aws.url, vendorAccounts: [] }) })],
];

const ENDS: Readonly<Partial<Record<FakeKeyMode, string>>> = {
  healthy: "ok",
  slow: "ok",
  expiring: "ok",
  throttled: "rate-limited",
  denied: "access-denied",
  disabled: "key-disabled",
  deleted: "key-not-found",
  unreachable: "unavailable",
  hanging: "timeout",
};

describe.each(HOSTS)("keys in the emulator of %s", (_name, hostOf) => {
  test("behave as their modes say, over HTTPS, and other tenants' keys as before", async () => {
    const host = hostOf();
    const settings = { resilience: { retry: false, attemptDeadlineMs: 1500, breaker: false } } as const;
    await using fake = await FakeTenants.start({ tenants: { acme: "healthy", globex: "healthy" }, host, settings });
    const write = async (id: string): Promise<string> =>
      await (await fake.tenants.keyring(id)).encryptText("x").then(
        () => "ok",
        ({ code }: { code: string }) => code,
      );
    for (const mode of host.modes) {
      fake.setMode("acme", mode);
      const calls = fake.callsOf("acme");
      expect([mode, await write("acme"), await write("globex")]).toEqual([mode, ENDS[mode], "ok"]);
      expect(fake.callsOf("acme")).toBeGreaterThan(calls);
      fake.setMode("acme", "healthy");
      const { state } = await fake.tenants.show("acme");
      if (state !== "active") await fake.tenants.restore("acme");
      expect(await write("acme")).toBe("ok");
    }
  });

  test("close within the bound on the machine's clock, and touch no other tenant", async () => {
    const settings = { cache: { maxAgeMs: 1000 }, refreshMs: 1000, resilience: { retry: false, attemptDeadlineMs: 1000 } } as const;
    await using fake = await FakeTenants.start({ tenants: { initech: "healthy", hooli: "healthy" }, host: hostOf(), settings });
    const { closedAfterMs, boundMs } = await fake.requireRevoked("initech", "disabled");
    expect(closedAfterMs).toBeLessThanOrEqual(boundMs);
    expect((await fake.tenants.show("initech")).state).toBe("revoked");
  });
});

test("what an emulator cannot do to one key is refused, and what it can is named", async () => {
  const host = HOSTS[0]?.[1]();
  if (host === undefined) throw new Error("no host");
  await host.describeKey("acme");
  const error = await refusal(() => host.setMode("acme", "context-ignored"));
  expect(error).toMatchObject({ code: "invalid-argument", hint: expect.stringContaining("healthy, slow, throttled") });
  for (const call of [() => host.setMode("nobody", "denied"), () => host.callsOf("nobody"), () => host.describeKey("../x")])
    expect(await refusal(call)).toMatchObject({ code: "invalid-argument" });
  const { opener } = host;
  const ofAws = HOSTS.at(-1)?.[1]();
  expect(await refusal(() => ofAws?.trust?.("nobody", "x"))).toMatchObject({ code: "invalid-argument" });
  for (const call of [
    () => vaultKeyHost(untyped({ emulator: vault, openr: opener })),
    () => vaultKeyHost({ emulator: untyped({}), opener }),
    () => vaultKeyHost({ emulator: vault, opener: untyped({}) }),
    () => gcpKeyHost(untyped({ emulator: gcp, opener, ring: "x" })),
    () => azureKeyHost(untyped({ emulator: azure, opener, mount: "x" })),
    () => awsKeyHost(untyped({ emulator: aws, opener, role: "x" })),
    () => awsKeyHost({ emulator: aws, opener, account: "acme" }),
  ])
    expect(await refusal(call)).toMatchObject({ code: "invalid-argument" });
});
