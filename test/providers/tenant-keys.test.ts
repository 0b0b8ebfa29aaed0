import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { awsTenantKeys } from "../../providers/aws-kms/index.ts";
import { type AzureCredential, azureTenantKeys } from "../../providers/azure/index.ts";
import { gcpTenantKeys } from "../../providers/gcp-kms/index.ts";
import { pkcs11TenantKeys } from "../../providers/pkcs11/index.ts";
import { appRole, vaultTenantKeys } from "../../providers/vault/index.ts";
import type { WrapOptions } from "../../src/core/contracts/key-provider.ts";
import type { TenantKeyIdentity, TenantKeyOpener, TenantKeyRef } from "../../src/core/contracts/tenant-keys.ts";
import { AwsKmsEmulator } from "../../src/testing/aws-kms-emulator/index.ts";
import { AzureEmulator } from "../../src/testing/azure-emulator/index.ts";
import { GcpKmsEmulator } from "../../src/testing/gcp-kms-emulator/index.ts";
import { VaultEmulator } from "../../src/testing/vault-emulator/index.ts";
import { noise } from "../support/arbitraries.ts";
import { refusal } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { softHsmTokens } from "./pkcs11/tokens.ts";

const DEK = noise(32, "tenant keys");
const OPTIONS: WrapOptions = { keyContext: { tenant: "acme" }, wrapAad: () => new Uint8Array([1]) };
const identityOf = (settings: Readonly<Record<string, string>>, tenant = "acme"): TenantKeyIdentity => ({
  tenant,
  epoch: 1,
  externalId: `${tenant}-0123456789abcdef0123456789`.slice(0, 32),
  settings,
});

interface Family {
  readonly opener: TenantKeyOpener;
  readonly ref: TenantKeyRef;
  readonly identity: TenantKeyIdentity;
  readonly name: string;
  readonly payer: string;
  /** Undefined where the name of a key does not say it. */
  readonly region?: string;
  /** How many requests the key service has had since the last call. */
  requests(): number;
  /** Descriptions outside of what the vendor allows, by what they try. */
  readonly forbidden: Readonly<Record<string, readonly [TenantKeyRef, TenantKeyIdentity]>>;
  /** Descriptions that say nothing sensible. */
  readonly malformed: Readonly<Record<string, readonly [TenantKeyRef, TenantKeyIdentity]>>;
}

const azure = await AzureEmulator.start({ isPurgeProtected: true });
await azure.createKey("orders", { type: "RSA" });
const aws = await AwsKmsEmulator.start();
const gcp = await GcpKmsEmulator.start();
const softHsm = softHsmTokens("acme", "globex");
const vault = await VaultEmulator.start({ mounts: ["tenants/acme/transit", "tenants/globex/transit"] });
afterAll(async () => {
  await Promise.all([azure.close(), aws.close(), gcp.close(), vault.close()]);
  softHsm.remove();
});

const FAMILIES: Readonly<Record<string, () => Family>> = {
  azure: azureFamily,
  aws: awsFamily,
  gcp: gcpFamily,
  vault: vaultFamily,
  pkcs11: pkcs11Family,
};

describe.each(Object.entries(FAMILIES))("%s", (_, make) => {
  const { opener, ref, identity, name, payer, region, requests, forbidden, malformed } = make();
  beforeEach(() => void requests());

  test("an accepted description wraps and unwraps with the tenant's identity", async () => {
    expect(opener.accept(ref, identity)).toEqual({ name, payer, ...(region !== undefined && { region }) });
    const provider = opener.open(ref, identity);
    expect(requests()).toBe(0);
    const recipient = await provider.wrap(DEK, OPTIONS);
    expect(recipient.provider).toBe(opener.kind);
    expect(await provider.unwrap(recipient, OPTIONS)).toEqual(DEK);
    expect(requests()).toBeGreaterThan(0);
    await provider.close?.();
  });

  test.each(Object.keys(forbidden))("%s: refused by configuration alone, also at the use of an old record", async (what) => {
    const [badRef, badIdentity] = forbidden[what] ?? [ref, identity];
    for (const call of [() => opener.accept(badRef, badIdentity), () => opener.open(badRef, badIdentity)])
      expect(await refusal(call)).toMatchObject({ code: "access-denied", detail: "not-allowed" });
    expect(requests()).toBe(0);
  });

  test.each(Object.keys(malformed))("%s: refused as malformed", async (what) => {
    const [badRef, badIdentity] = malformed[what] ?? [ref, identity];
    for (const call of [() => opener.accept(badRef, badIdentity), () => opener.open(badRef, badIdentity)])
      expect(await refusal(call)).toMatchObject({ code: "invalid-argument" });
    expect(requests()).toBe(0);
  });

  test("an unknown setting is refused and the nearest one named", async () => {
    const misspelt = { ...ref, settings: { ...ref.settings, keyTyp: "rsa", aesKeyBit: "128" } };
    expect(await refusal(() => opener.accept(misspelt, identity))).toMatchObject({ code: "invalid-argument" });
    const more = { ...identity, settings: { ...identity.settings, endpoint: "https://elsewhere.example" } };
    expect(await refusal(() => opener.accept(ref, more))).toMatchObject({
      code: "invalid-argument",
      message: "the identity has no setting `endpoint`",
    });
    expect(await refusal(() => opener.accept({ ...ref, settings: untyped({ keyType: 5, aesKeyBits: 5 }) }, identity))).toMatchObject({
      code: "invalid-argument",
    });
  });

  test("the doctor looks at the key with the tenant's identity, and stops waiting when it is told", async () => {
    const { diagnose } = opener;
    if (diagnose === undefined) throw new Error("this opener has no doctor");
    const findings = await diagnose(ref, identity, { signal: new AbortController().signal });
    expect(findings.filter(({ status }) => status === "failed")).toEqual([]);
    expect(findings.map(({ status }) => status)).toContain("ok");
    const stopped = AbortSignal.abort(new Error("enough"));
    await expect(diagnose(ref, identity, { signal: stopped })).rejects.toThrow("enough");
  });
});

test("azure: one credential serves all keys of a directory", () => {
  const asked: string[] = [];
  const { opener, ref, identity } = azureFamily(asked);
  for (let time = 0; time < 3; time++) opener.open(ref, identity);
  opener.open(ref, identityOf({ directoryId: OTHER_DIRECTORY.toUpperCase() }));
  expect(asked).toEqual([DIRECTORY, OTHER_DIRECTORY]);
});

test("aws: the external id is the tenant's own, so no tenant's record opens another one's role", async () => {
  const { opener, ref, identity } = awsFamily();
  const stranger = { ...identity, tenant: "globex", externalId: "globex-0123456789abcdef012345678" };
  const refused = await refusal(() => opener.open(ref, stranger).wrap(DEK, { ...OPTIONS, keyContext: { tenant: "globex" } }));
  expect(refused).toMatchObject({ code: "access-denied" });
});

test("aws: the replicas of a multi-region key have one name", () => {
  const { opener, ref, identity } = awsFamily();
  const key = aws.createKey({ account: TENANT_ACCOUNT, region: "eu-central-1", multiRegion: true });
  const names = [key, aws.replicate(key, "us-east-1")].map((arn) => opener.accept({ ...ref, key: arn }, identity).name);
  expect(new Set(names).size).toBe(1);
});

test("vault: the place of a tenant comes from the vendor, whatever its description says", async () => {
  const { opener, ref, identity } = vaultFamily();
  const other = identityOf({}, "globex");
  expect(opener.accept(ref, other)).toEqual({
    name: `${vault.url}/tenants/globex/transit/orders`,
    payer: `${vault.url}/tenants/globex`,
  });
  const recipient = await opener.open(ref, identity).wrap(DEK, OPTIONS);
  expect(await refusal(() => opener.open(ref, other).unwrap(recipient, OPTIONS))).toMatchObject({ code: "unwrap-rejected" });
});

const DIRECTORY = "11111111-2222-3333-4444-555555555555";
const OTHER_DIRECTORY = "22222222-2222-3333-4444-555555555555";
const VENDOR_DIRECTORY = "99999999-8888-7777-6666-555555555555";

function azureFamily(asked: string[] = []): Family {
  const { keyUrl: _, ...connection } = { keyUrl: "", ...azure.connection };
  const host = new URL(azure.keyUrl("orders")).host;
  const credential = (directoryId: string): AzureCredential => {
    asked.push(directoryId);
    return azure.connection.credential;
  };
  const opener = azureTenantKeys({
    ...connection,
    credential,
    vendorDirectories: [VENDOR_DIRECTORY],
    vaults: [host, "other.vault.azure.net"],
  });
  const ref = { kind: "azure-key-vault", key: azure.keyUrl("orders") };
  const identity = identityOf({ directoryId: DIRECTORY });
  return {
    opener,
    ref,
    identity,
    name: azure.keyUrl("orders"),
    payer: host,
    requests: () => azure.takeRequests().length,
    forbidden: {
      "a vault that is not listed": [{ ...ref, key: "https://acme.vault.azure.net/keys/orders" }, identity],
      "the vendor's own directory": [ref, identityOf({ directoryId: VENDOR_DIRECTORY.toUpperCase() })],
    },
    malformed: {
      "a host of another domain": [{ ...ref, key: "https://vault.azure.net.evil.example/keys/orders" }, identity],
      "a key with a version": [{ ...ref, key: `${ref.key}/${"0".repeat(32)}` }, identity],
      "no directory": [ref, identityOf({})],
      "a domain for a directory": [ref, identityOf({ directoryId: "acme.onmicrosoft.com" })],
      "a size that no key has": [{ ...ref, settings: { aesKeyBits: "64" } }, identity],
    },
  };
}

function awsFamily(): Family {
  const keyArn = aws.createKey({ account: TENANT_ACCOUNT, region: "eu-central-1" });
  const roleArn = `arn:aws:iam::${TENANT_ACCOUNT}:role/envelock`;
  const identity = identityOf({ roleArn });
  aws.addRole(roleArn, { externalId: identity.externalId });
  const { credentials, ...connection } = aws.connection;
  const options = {
    ...connection,
    credentials,
    vendorAccounts: ["111122223333"],
    regions: ["eu-central-1", "us-east-1"],
    stsEndpoint: aws.url,
  };
  const ref = { kind: "aws-kms", key: keyArn };
  return {
    opener: awsTenantKeys(options),
    ref,
    identity,
    name: keyArn,
    payer: `${TENANT_ACCOUNT}/eu-central-1`,
    region: "eu-central-1",
    requests: () => aws.takeRequests().length,
    forbidden: {
      "the vendor's own key": [{ ...ref, key: aws.createKey() }, identity],
      "the vendor's own role": [ref, identityOf({ roleArn: "arn:aws:iam::111122223333:role/admin" })],
      "a role of a third account": [ref, identityOf({ roleArn: "arn:aws:iam::777788889999:role/envelock" })],
      "a region that is not listed": [{ ...ref, key: keyArn.replace("eu-central-1", "ap-south-1") }, identity],
    },
    malformed: {
      "an alias": [{ ...ref, key: `arn:aws:kms:eu-central-1:${TENANT_ACCOUNT}:alias/orders` }, identity],
      "a bare key id": [{ ...ref, key: keyArn.slice(keyArn.lastIndexOf("/") + 1) }, identity],
      "no role": [ref, identityOf({})],
      "a user for a role": [ref, identityOf({ roleArn: `arn:aws:iam::${TENANT_ACCOUNT}:user/root` })],
      "a type that no key has": [{ ...ref, settings: { keyType: "hmac" } }, identity],
    },
  };
}

const TENANT_ACCOUNT = "444455556666";

function gcpFamily(): Family {
  const key = "projects/acme-keys/locations/europe-west3/keyRings/main/cryptoKeys/orders";
  gcp.createKey(key);
  const serviceAccount = "envelock@acme-keys.iam.gserviceaccount.com";
  gcp.addServiceAccount({ email: serviceAccount });
  const identity = identityOf({ serviceAccount });
  const ref = { kind: "gcp-kms", key };
  return {
    opener: gcpTenantKeys({ ...gcp.connection, vendorProjects: ["vendor-production"], locations: ["europe-west3"] }),
    ref,
    identity,
    name: key,
    payer: "acme-keys/europe-west3",
    region: "europe-west3",
    requests: () => gcp.takeRequests().length,
    forbidden: {
      "the vendor's own key": [{ ...ref, key: key.replace("acme-keys", "vendor-production") }, identity],
      "the vendor's own account": [ref, identityOf({ serviceAccount: "admin@vendor-production.iam.gserviceaccount.com" })],
      "a location that is not listed": [{ ...ref, key: key.replace("europe-west3", "global") }, identity],
    },
    malformed: {
      "a key with a version": [{ ...ref, key: `${key}/cryptoKeyVersions/1` }, identity],
      "the number of a project": [{ ...ref, key: key.replace("acme-keys", "123456789012") }, identity],
      "no account": [ref, identityOf({})],
      "an account of Google's own": [ref, identityOf({ serviceAccount: "123456-compute@developer.gserviceaccount.com" })],
      "a version of nothing": [{ ...ref, settings: { keyType: "rsa", version: "0" } }, identity],
    },
  };
}

function vaultFamily(): Family {
  for (const tenant of ["acme", "globex"]) vault.createKey("orders", "aes256-gcm96", {}, `tenants/${tenant}/transit`);
  const { fetch } = vault.connection;
  const logins = new Map(
    ["acme", "globex"].map((tenant) => [tenant, appRole(vault.addAppRole({ namespace: `tenants/${tenant}` }))] as const),
  );
  const placeOf = ({ tenant }: TenantKeyIdentity) => ({ namespace: `tenants/${tenant}`, token: logins.get(tenant) ?? "none" });
  const ref = { kind: "vault-transit", key: "orders" };
  const identity = identityOf({});
  return {
    opener: vaultTenantKeys({ clusters: { main: { address: vault.url, fetch, placeOf } } }),
    ref,
    identity,
    name: `${vault.url}/tenants/acme/transit/orders`,
    payer: `${vault.url}/tenants/acme`,
    requests: () => vault.takeRequests().length,
    forbidden: {
      "a cluster that is not listed": [{ ...ref, settings: { cluster: "https://evil.example" } }, identity],
    },
    malformed: {
      "a path for a key": [{ ...ref, key: "../globex/orders" }, identity],
      "an address": [{ ...ref, settings: { address: "https://evil.example" } }, identity],
      "a namespace of its own choice": [ref, identityOf({ namespace: "tenants/globex" })],
      "a type that no key has": [{ ...ref, settings: { keyType: "hmac" } }, identity],
    },
  };
}

test("pkcs11: the token of a tenant comes from the vendor, whatever its description says", async () => {
  const { opener, ref, identity } = pkcs11Family();
  const other = identityOf({}, "globex");
  expect(opener.accept(ref, other)).toEqual({ name: "hsm/globex//orders", payer: "hsm/globex/" });
  const recipient = await opener.open(ref, identity).wrap(DEK, OPTIONS);
  expect(await refusal(() => opener.open(ref, other).unwrap(recipient, OPTIONS))).toMatchObject({ code: "unwrap-rejected" });
});

test("pkcs11: the doctor finds a label without a key, a key that may leave the token, its end, and a PIN that is none", async () => {
  const { opener, identity } = pkcs11Family();
  const [acme] = softHsm.tokens;
  const EXTRACTABLE = 0x162;
  const END_DATE = 0x111;
  const PRIVATE = 2; // SoftHSM fails to read the dates of private objects
  acme.addKey({ label: "loose", id: "01", aes: noise(32, "older"), startDate: "20250101", attributes: { [PRIVATE]: false } });
  acme.addKey({
    label: "loose",
    id: "02",
    aes: noise(32, "loose"),
    startDate: "20260101",
    attributes: { [PRIVATE]: false, [EXTRACTABLE]: true, [END_DATE]: new TextEncoder().encode("20301231") },
  });
  const found = async (key: string, of: TenantKeyOpener = opener): Promise<unknown> =>
    await of.diagnose?.({ kind: "pkcs11", key }, identity, { signal: new AbortController().signal });
  expect(await found("none")).toMatchObject([{ check: "key", status: "failed", code: "key-not-found" }]);
  expect(await found("loose")).toMatchObject([
    { check: "key", status: "ok", message: expect.stringMatching(/id=%02.* wraps; .*: 2$/), notAfterMs: Date.UTC(2031, 0, 1) },
    { check: "protection", status: "warning" },
  ]);
  const placeOf = () => ({ token: { label: "initech" }, pin: () => "0000" });
  const elsewhere = pkcs11TenantKeys({ modules: { hsm: { module: acme.module, placeOf } } });
  expect(await found("orders", elsewhere)).toMatchObject([{ check: "key", status: "failed", code: expect.any(String) }]);
});

test("pkcs11: several modules are named by the vendor alone", async () => {
  const [{ module }] = softHsm.tokens;
  const placeOf = () => ({ token: { serial: "7" } });
  const opener = pkcs11TenantKeys({ modules: { a: { module, placeOf }, b: { module, placeOf } } });
  const ref = { kind: "pkcs11", key: "orders/1" };
  expect(await refusal(() => opener.accept(ref, identityOf({})))).toMatchObject({ code: "invalid-argument" });
  expect(opener.accept({ ...ref, settings: { module: "b" } }, identityOf({})).name).toBe("b//7/orders%2F1");
  for (const modules of [{}, { a: { module: "relative.so", placeOf } }, { a: untyped({ module }) }])
    expect(await refusal(() => pkcs11TenantKeys(untyped({ modules })))).toMatchObject({ code: "invalid-argument" });
});

function pkcs11Family(): Family {
  for (const token of softHsm.tokens) {
    token.deleteKey("orders");
    token.addKey({ label: "orders", id: "01", aes: noise(32, token.label) });
  }
  const [{ module }] = softHsm.tokens;
  const ref = { kind: "pkcs11", key: "orders" };
  const identity = identityOf({});
  let pins = 0;
  const placeOf = ({ tenant }: TenantKeyIdentity) => {
    const token = softHsm.tokens.find(({ label }) => label === tenant);
    const pin = (): string => {
      pins++;
      return token?.pin ?? "";
    };
    return { token: { label: tenant }, pin };
  };
  return {
    opener: pkcs11TenantKeys({ modules: { hsm: { module, placeOf } } }),
    ref,
    identity,
    name: "hsm/acme//orders",
    payer: "hsm/acme/",
    requests() {
      const asked = pins;
      pins = 0;
      return asked;
    },
    forbidden: {
      "a module that is not listed": [{ ...ref, settings: { module: "/tmp/evil.so" } }, identity],
    },
    malformed: {
      "a path of a module": [{ ...ref, settings: { path: "/tmp/evil.so" } }, identity],
      "a token of its own choice": [ref, identityOf({ token: "globex" })],
      "an empty label": [{ ...ref, key: "" }, identity],
      "a mechanism that does not exist": [{ ...ref, settings: { mechanism: "des" } }, identity],
    },
  };
}

describe("what an opener allows is a list", () => {
  const credentials = async (): Promise<never> => Promise.reject(new Error("not asked"));
  const token = credentials;

  test.each([null, 5, "eu-central-1", {}, [null]])("and %j is none", async (given) => {
    const list = untyped<readonly string[]>(given);
    for (const make of [
      () => awsTenantKeys({ credentials, vendorAccounts: list }),
      () => awsTenantKeys({ credentials, vendorAccounts: [], regions: list }),
      () => gcpTenantKeys({ token, vendorProjects: list }),
      () => gcpTenantKeys({ token, vendorProjects: [], locations: list }),
      () => azureTenantKeys({ credential: untyped(() => ({})), vendorDirectories: list }),
      () => azureTenantKeys({ credential: untyped(() => ({})), vendorDirectories: [], vaults: list }),
    ]) {
      const { code, message } = await refusal(make);
      expect([code, message]).toEqual(["invalid-argument", expect.stringContaining("must be an array of texts")]);
    }
  });
});
