import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { awsTenantKeys } from "../../providers/aws-kms/index.ts";
import { azureTenantKeys } from "../../providers/azure/index.ts";
import { gcpTenantKeys } from "../../providers/gcp-kms/index.ts";
import { vaultTenantKeys } from "../../providers/vault/index.ts";
import type { TenantKeyOpener } from "../../src/core/contracts/tenant-keys.ts";
import { memoryTenantStore } from "../../src/tenants/stores/memory.ts";
import { Tenants } from "../../src/tenants/tenants.ts";
import { AwsKmsEmulator } from "../../src/testing/aws-kms-emulator/index.ts";
import { AzureEmulator } from "../../src/testing/azure-emulator/index.ts";
import { GcpKmsEmulator } from "../../src/testing/gcp-kms-emulator/index.ts";
import { VaultEmulator } from "../../src/testing/vault-emulator/index.ts";

// Every check of `Tenants.verify`, over the emulators of all key services.

const DAY_MS = 86_400_000;
const DIRECTORY = "11111111-2222-3333-4444-555555555555";
const ACCOUNT = "444455556666";
const ROLE = `arn:aws:iam::${ACCOUNT}:role/envelock`;
const PROJECT = "projects/acme-keys/locations/europe-west3/keyRings/main/cryptoKeys";
const ROBOT = "envelock@acme-keys.iam.gserviceaccount.com";

const azure = await AzureEmulator.start({ isPurgeProtected: true });
const unprotected = await AzureEmulator.start();
const aws = await AwsKmsEmulator.start();
const gcp = await GcpKmsEmulator.start();
const vault = await VaultEmulator.start({ mounts: ["tenants/acme/transit"] });
for (const emulator of [azure, unprotected]) await emulator.createKey("orders", { type: "RSA" });
afterAll(async () => {
  await Promise.all([azure.close(), unprotected.close(), aws.close(), gcp.close(), vault.close()]);
});
beforeEach(() => {
  for (const emulator of [azure, unprotected, aws, gcp, vault]) emulator.clearFaults();
});

/** The outcome of a check, as `check level whose`. */
type Outcome = string;

/** Verifies a key of a tenant that was invited for it. @param prepare gets the external id before the key is checked */
async function verified(
  { opener, key, identity = {}, settings = {} }: Onboarding,
  prepare: (externalId: string) => void = () => undefined,
): Promise<readonly Outcome[]> {
  const store = memoryTenantStore();
  const tenants = new Tenants({ store, open: opener, reserved: ({ name }) => name.includes("reserved") });
  try {
    prepare((await tenants.invite("acme", { identity })).externalId);
    await tenants.stage("acme", { kind: opener.kind, key, settings });
    const { level, findings, record } = await tenants.verify("acme");
    for (const finding of findings)
      if (finding.level === "failed" || finding.level === "warning")
        expect([finding.check, finding.hint]).toEqual([finding.check, expect.any(String)]);
    expect((await store.list({ kind: "canary", limit: 9 })).length).toBe(level === "failed" ? 0 : 1);
    expect(record.verification).toMatchObject({
      level,
      failed: findings
        .filter((one) => one.level === "failed")
        .map(({ check }) => check)
        .slice(0, 8),
    });
    return findings.map(({ check, level: of, whose }) => `${check} ${of} ${whose}`);
  } finally {
    await tenants.close();
  }
}

interface Onboarding {
  readonly opener: TenantKeyOpener;
  readonly key: string;
  readonly identity?: Readonly<Record<string, string>>;
  readonly settings?: Readonly<Record<string, string>>;
}

function azureKey(
  rights: readonly ("read" | "readpolicy" | "wrapkey" | "unwrapkey" | "update")[],
  emulator: AzureEmulator = azure,
  name = "orders",
): Onboarding {
  const { credential: _, ...connection } = emulator.connection;
  const principal = emulator.principal({ rights });
  const opener = azureTenantKeys({ ...connection, credential: () => principal, vendorDirectories: [] });
  return { opener, key: emulator.keyUrl(name), identity: { directoryId: DIRECTORY } };
}

function awsKey(keyArn: string, allow: readonly string[], trusted = true): readonly [Onboarding, (externalId: string) => void] {
  const { credentials, ...connection } = aws.connection;
  const opener = awsTenantKeys({ ...connection, credentials, vendorAccounts: ["111122223333"], stsEndpoint: aws.url });
  const prepare = (externalId: string): void => aws.addRole(ROLE, { externalId: trusted ? externalId : "another", allow });
  return [{ opener, key: keyArn, identity: { roleArn: ROLE } }, prepare];
}

function gcpKey(key: string, permissions: readonly string[]): Onboarding {
  gcp.addServiceAccount({ email: ROBOT, grants: { [key]: permissions.map((name) => `cloudkms.${name}`) } });
  return { opener: gcpTenantKeys({ ...gcp.connection, vendorProjects: [] }), key, identity: { serviceAccount: ROBOT } };
}

function vaultKey(name: string, more: Readonly<Record<string, readonly ("update" | "read" | "delete")[]>> = {}): Onboarding {
  const mount = "tenants/acme/transit";
  const policy: Readonly<Record<string, readonly ("update" | "read" | "delete")[]>> = {
    [`${mount}/encrypt/${name}`]: ["update"],
    [`${mount}/decrypt/${name}`]: ["update"],
    [`${mount}/keys/${name}`]: ["read"],
    ...more,
  };
  const { fetch } = vault.connection;
  const token = vault.issueToken({ policy });
  const opener = vaultTenantKeys({ clusters: { main: { address: vault.url, fetch, placeOf: () => ({ mount, token }) } } });
  return { opener, key: name };
}

const AZURE_LEAST = ["read", "readpolicy", "wrapkey", "unwrapkey"] as const;
const AWS_LEAST = ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey", "kms:GetKeyRotationStatus"];
const GCP_LEAST = ["cryptoKeyVersions.useToEncrypt", "cryptoKeyVersions.useToDecrypt", "cryptoKeys.get"];

describe("a sound key with no more rights than it needs", () => {
  const lastOnes = ["round-trip ok service", "context ok service", "latency ok service", "quota ok tenant"];

  test("azure", async () => {
    const found = await verified(azureKey(AZURE_LEAST));
    expect(found[0]).toBe("description ok tenant");
    expect(found).toEqual(
      expect.arrayContaining(["token ok service", "recovery ok service", "excess-rights ok service", "key-expiry ok service"]),
    );
    expect(found.filter((outcome) => outcome.includes("failed"))).toEqual([]);
    expect(found.slice(-4)).toEqual(lastOnes);
  });

  test("aws", async () => {
    const found = await verified(...awsKey(aws.createKey({ account: ACCOUNT }), AWS_LEAST));
    expect(found).toEqual(
      expect.arrayContaining([
        "credentials ok service",
        "excess-rights ok service",
        "recovery ok service",
        "administrators skipped service",
        "key-expiry ok service",
      ]),
    );
    expect(found.slice(-4)).toEqual(lastOnes);
  });

  test("gcp", async () => {
    const key = `${PROJECT}/sound`;
    gcp.createKey(key, { rotationSeconds: 7_776_000 });
    const found = await verified(gcpKey(key, GCP_LEAST));
    expect(found).toEqual(
      expect.arrayContaining([
        "token ok service",
        "rights ok service",
        "excess-rights ok service",
        "destruction ok service",
        "key-expiry ok service",
      ]),
    );
    expect(found.slice(-4)).toEqual(lastOnes);
  });

  test("vault", async () => {
    vault.createKey("sound", "aes256-gcm96", {}, "tenants/acme/transit");
    const found = await verified(vaultKey("sound"));
    expect(found).toEqual(
      expect.arrayContaining(["token ok service", "excess-rights ok service", "deletion ok service", "key-expiry ok service"]),
    );
    expect(found.slice(-4)).toEqual(lastOnes);
  });
});

describe("rights beyond need are a warning, and change nothing", () => {
  test("azure", async () => {
    const before = azure.newestVersion("orders");
    expect(await verified(azureKey([...AZURE_LEAST, "update"]))).toContain("excess-rights warning tenant");
    expect(azure.newestVersion("orders")).toBe(before);
  });

  test("aws", async () => {
    const found = await verified(...awsKey(aws.createKey({ account: ACCOUNT }), [...AWS_LEAST, "kms:CreateGrant"]));
    expect(found).toContain("excess-rights warning tenant");
  });

  test("gcp", async () => {
    const key = `${PROJECT}/generous`;
    gcp.createKey(key);
    expect(await verified(gcpKey(key, [...GCP_LEAST, "cryptoKeyVersions.destroy"]))).toContain("excess-rights warning tenant");
  });

  test("vault", async () => {
    vault.createKey("generous", "aes256-gcm96", {}, "tenants/acme/transit");
    const more = { "tenants/acme/transit/keys/generous": ["read", "delete"] } as const;
    expect(await verified(vaultKey("generous", more))).toContain("excess-rights warning tenant");
  });
});

describe("state, end and recoverability of a key", () => {
  test("azure: an expiry, a disabled key, and a vault without purge protection", async () => {
    const at = (days: number): number => Math.floor((Date.now() + days * DAY_MS) / 1000);
    await azure.createKey("ending", { type: "RSA", exp: at(5) });
    expect(await verified(azureKey(AZURE_LEAST, azure, "ending"))).toContain("key-expiry warning tenant");
    await azure.createKey("ended", { type: "RSA", exp: at(-5) });
    expect(await verified(azureKey(AZURE_LEAST, azure, "ended"))).toEqual(
      expect.arrayContaining(["key-expired failed tenant", "round-trip failed tenant", "context skipped tenant"]),
    );
    await azure.createKey("off", { type: "RSA", enabled: false });
    expect(await verified(azureKey(AZURE_LEAST, azure, "off"))).toEqual(
      expect.arrayContaining(["enabled failed tenant", "round-trip failed tenant"]),
    );
    expect(await verified(azureKey(AZURE_LEAST, unprotected))).toContain("recovery failed tenant");
  });

  test("aws: imported material, a planned deletion, a disabled key, and a policy without an administrator (C11)", async () => {
    const key = aws.createKey({ account: ACCOUNT, validToMs: Date.now() + 20 * DAY_MS });
    expect(await verified(...awsKey(key, AWS_LEAST))).toEqual(
      expect.arrayContaining(["expiry warning tenant", "recovery warning tenant", "key-expiry warning tenant", "round-trip ok service"]),
    );
    for (const state of ["Disabled", "PendingDeletion"] as const) {
      aws.setState(key, state);
      expect(await verified(...awsKey(key, AWS_LEAST))).toEqual(
        expect.arrayContaining(["state failed tenant", "round-trip failed tenant"]),
      );
    }
    const orphan = aws.createKey({ account: ACCOUNT, policy: { "*": [...AWS_LEAST, "kms:GetKeyPolicy"] } });
    expect(await verified(...awsKey(orphan, [...AWS_LEAST, "kms:GetKeyPolicy"]))).toContain("administrators warning tenant");
  });

  test("gcp: versions that are disabled, and one that will be destroyed", async () => {
    const key = `${PROJECT}/stopped`;
    gcp.createKey(key);
    for (const state of ["DISABLED", "DESTROY_SCHEDULED"] as const) {
      gcp.setState(key, 1, state);
      expect(await verified(gcpKey(key, GCP_LEAST))).toEqual(expect.arrayContaining(["state failed tenant", "round-trip failed tenant"]));
    }
  });

  test("vault: a key that may be deleted or exported", async () => {
    vault.createKey("loose", "aes256-gcm96", { exportable: true }, "tenants/acme/transit");
    expect(await verified(vaultKey("loose"))).toEqual(expect.arrayContaining(["exportable warning tenant", "round-trip ok service"]));
  });
});

describe("reach and identity", () => {
  test("azure: no right on the key is the tenant's, a vault that does not answer the service's", async () => {
    expect(await verified(azureKey([]))).toEqual(
      expect.arrayContaining(["read failed tenant", "wrap failed tenant", "round-trip failed tenant"]),
    );
    const stopped = await AzureEmulator.start();
    await stopped.createKey("orders", { type: "RSA" });
    const onboarding = azureKey(AZURE_LEAST, stopped);
    await stopped.close();
    expect(await verified(onboarding)).toEqual(expect.arrayContaining(["tls failed service", "round-trip failed service"]));
  });

  test("aws: a role that does not trust the external id is the tenant's", async () => {
    const found = await verified(...awsKey(aws.createKey({ account: ACCOUNT }), AWS_LEAST, false));
    expect(found).toEqual(expect.arrayContaining(["credentials failed tenant", "key skipped service", "round-trip failed tenant"]));
  });

  test("gcp: an account that the vendor may not act as is the tenant's", async () => {
    const key = `${PROJECT}/closed`;
    gcp.createKey(key);
    const onboarding = { ...gcpKey(key, GCP_LEAST), identity: { serviceAccount: "nobody@acme-keys.iam.gserviceaccount.com" } };
    expect(await verified(onboarding)).toEqual(expect.arrayContaining(["token failed tenant", "round-trip failed tenant"]));
  });

  test("vault: a sealed server is the service's", async () => {
    vault.createKey("sealed", "aes256-gcm96", {}, "tenants/acme/transit");
    const onboarding = vaultKey("sealed");
    vault.seal(true);
    try {
      expect(await verified(onboarding)).toEqual(expect.arrayContaining(["seal failed service", "round-trip failed service"]));
    } finally {
      vault.seal(false);
    }
  });
});
