import { afterAll, beforeEach, describe, expect, test } from "vitest";
import {
  type AwsCredentialSource,
  assumeRole,
  awsKmsKey,
  awsTenantKeys,
  instanceCredentials,
  webIdentity,
} from "../../providers/aws-kms/index.ts";
import { type GcpTokenSource, gcpKmsKey, gcpTenantKeys, impersonated, metadataServer } from "../../providers/gcp-kms/index.ts";
import { appRole, type VaultTokenSource, vaultTenantKeys, vaultTransitKey } from "../../providers/vault/index.ts";
import type { KeyProvider, WrapOptions } from "../../src/core/contracts/key-provider.ts";
import type { TenantKeyIdentity, TenantKeyOpener } from "../../src/core/contracts/tenant-keys.ts";
import { AwsKmsEmulator } from "../../src/testing/aws-kms-emulator/index.ts";
import { GcpKmsEmulator } from "../../src/testing/gcp-kms-emulator/index.ts";
import { VaultEmulator } from "../../src/testing/vault-emulator/index.ts";
import { noise } from "../support/arbitraries.ts";
import { fakeClock } from "../support/fake-clock.ts";

// One source of credentials is one login, however many providers there are of it.

const clock = fakeClock();
const aws = await AwsKmsEmulator.start({ clock });
const gcp = await GcpKmsEmulator.start({ clock });
const vault = await VaultEmulator.start({ clock, mounts: ["transit", "tenants/acme/transit"] });
afterAll(async () => {
  await Promise.all([aws.close(), gcp.close(), vault.close()]);
});

const KEYS = 12;
const DEK = noise(32, "shared logins");
const OPTIONS: WrapOptions = { keyContext: { tenant: "acme" }, wrapAad: () => new Uint8Array(1) };
const IDENTITY: TenantKeyIdentity = { tenant: "acme", epoch: 1, externalId: "acme-0123456789abcdef0123456789a", settings: {} };
const ROLE = "arn:aws:iam::444455556666:role/envelock";
const ACCOUNT = "envelock@acme-keys.iam.gserviceaccount.com";
const gcpKey = (place: number): string => `projects/acme-keys/locations/europe-west3/keyRings/main/cryptoKeys/orders-${place}`;

aws.addRole(ROLE, { externalId: IDENTITY.externalId, webIdentityToken: "web.identity.token" });
aws.serveMetadata("arn:aws:iam::111122223333:role/orders");
gcp.addServiceAccount({ email: ACCOUNT });
const awsKeys = Array.from({ length: KEYS }, (_, place) =>
  aws.createKey({ account: "444455556666", region: place % 2 === 0 ? "eu-central-1" : "us-east-1" }),
);
for (let place = 0; place < KEYS; place++) {
  gcp.createKey(gcpKey(place));
  vault.createKey(`orders-${place}`);
  vault.createKey(`orders-${place}`, "aes256-gcm96", {}, "tenants/acme/transit");
}

interface Family {
  readonly open: (place: number) => KeyProvider;
  /** The logins since the last call, each by what was asked. */
  readonly logins: () => readonly string[];
  readonly expected: readonly string[];
  /** How long the credentials live. */
  readonly lifeMs: number;
  /** What is asked after that. */
  readonly renewal: readonly string[];
}

const awsLogins = (): readonly string[] => pathsOf(aws, /AssumeRole|security-credentials\/o/);
const gcpLogins = (): readonly string[] => pathsOf(gcp, /generateAccessToken|service-accounts\/default\/token/);
const vaultLogins = (): readonly string[] => pathsOf(vault, /auth\/(?:approle|token)/);
const METADATA = "GET /latest/meta-data/iam/security-credentials/orders";
const VAULT_LOGIN = "POST /v1/auth/approle/login";
const VAULT_RENEWAL = "POST /v1/auth/token/renew-self";
const GCP_METADATA = "GET /computeMetadata/v1/instance/service-accounts/default/token";
const HOUR_MS = 3_600_000;

const FAMILIES: Readonly<Record<string, () => Family>> = {
  "aws, a role by an endpoint of its own"() {
    const source = assumeRole({ roleArn: ROLE, externalId: IDENTITY.externalId, source: aws.credentials, endpoint: aws.url });
    const asked = ["POST /AssumeRole"];
    return { open: (place) => awsKey(place, source), logins: awsLogins, expected: asked, lifeMs: HOUR_MS, renewal: asked };
  },
  "aws, an instance"() {
    const source = instanceCredentials({ endpoint: aws.url });
    return { open: (place) => awsKey(place, source), logins: awsLogins, expected: [METADATA], lifeMs: 6 * HOUR_MS, renewal: [METADATA] };
  },
  "aws, a function"() {
    const { source, logins } = counted(async () => aws.issueCredentials({ lifeSeconds: 3600 }));
    return { open: (place) => awsKey(place, source), logins, expected: ["asked"], lifeMs: HOUR_MS, renewal: ["asked"] };
  },
  "aws, a tenant's role from an instance"() {
    const { credentials: _, ...connection } = aws.connection;
    const credentials = instanceCredentials({ endpoint: aws.url });
    const opener = awsTenantKeys({ ...connection, clock, credentials, vendorAccounts: ["111122223333"], stsEndpoint: aws.url });
    const open = tenantKey(opener, { roleArn: ROLE }, (place) => awsKeys[place] ?? "");
    return { open, logins: awsLogins, expected: [METADATA, "POST /AssumeRole"], lifeMs: HOUR_MS, renewal: ["POST /AssumeRole"] };
  },
  "google, an impersonation from the metadata server"() {
    const token = impersonated({ source: metadataServer(), serviceAccount: ACCOUNT });
    return { open: (place) => gcpProvider(place, token), logins: gcpLogins, ...GCP_LOGINS };
  },
  "google, a function"() {
    const { source, logins } = counted(async () => ({ token: gcp.token, expiresAtMs: clock.unixMs() + HOUR_MS }));
    return { open: (place) => gcpProvider(place, source), logins, expected: ["asked"], lifeMs: HOUR_MS, renewal: ["asked"] };
  },
  "google, a tenant's account"() {
    const { token: _, ...connection } = gcp.connection;
    const opener = gcpTenantKeys({ ...connection, clock, token: metadataServer(), vendorProjects: ["vendor-production"] });
    return { open: tenantKey(opener, { serviceAccount: ACCOUNT }, gcpKey), logins: gcpLogins, ...GCP_LOGINS };
  },
  "vault, an AppRole"() {
    const token = appRole(vault.addAppRole({ ttlSeconds: 3600, maxTtlSeconds: 360_000 }));
    return { open: (place) => vaultKey(place, token), logins: vaultLogins, ...VAULT_LOGINS };
  },
  "vault, a function"() {
    const { source, logins } = counted(async () => ({ token: vault.token, expiresAtMs: clock.unixMs() + HOUR_MS }));
    return { open: (place) => vaultKey(place, source), logins, expected: ["asked"], lifeMs: HOUR_MS, renewal: ["asked"] };
  },
  "vault, a tenant's AppRole"() {
    const token = appRole(vault.addAppRole({ namespace: "tenants/acme", ttlSeconds: 3600, maxTtlSeconds: 360_000 }));
    const { fetch } = vault.connection;
    const cluster = { address: vault.url, fetch, clock, placeOf: () => ({ namespace: "tenants/acme", token }) };
    const opener = vaultTenantKeys({ clusters: { main: cluster } });
    return { open: tenantKey(opener, {}, (place) => `orders-${place}`), logins: vaultLogins, ...VAULT_LOGINS };
  },
};

const GCP_LOGINS = {
  expected: [GCP_METADATA, `POST /v1/projects/-/serviceAccounts/${encodeURIComponent(ACCOUNT)}:generateAccessToken`],
  lifeMs: HOUR_MS,
  renewal: [GCP_METADATA, `POST /v1/projects/-/serviceAccounts/${encodeURIComponent(ACCOUNT)}:generateAccessToken`],
} as const;
const VAULT_LOGINS = { expected: [VAULT_LOGIN], lifeMs: HOUR_MS, renewal: [VAULT_RENEWAL] } as const;

describe.each(Object.entries(FAMILIES))("%s", (_name, make) => {
  beforeEach(() => {
    for (const emulator of [aws, gcp, vault]) emulator.takeRequests();
  });

  test(`${KEYS} providers at once log in once, and renew once`, async () => {
    const { open, logins, expected, lifeMs, renewal } = make();
    const providers = Array.from({ length: KEYS }, (_, place) => open(place));
    const recipients = await Promise.all(providers.map((provider) => provider.wrap(DEK, OPTIONS)));
    expect(logins()).toEqual(expected);
    clock.advanceNow(lifeMs - 60_000);
    const opened = await Promise.all(providers.map((provider, place) => provider.unwrap(recipients[place] ?? fail(), OPTIONS)));
    expect(opened).toEqual(Array.from({ length: KEYS }, () => DEK));
    expect(logins()).toEqual(renewal);
    await Promise.all(providers.map((provider) => provider.close?.()));
    const later = open(0);
    await later.unwrap(recipients[0] ?? fail(), OPTIONS);
    expect(logins(), "a provider that is made later logs in no more").toEqual([]);
  });

  test("two sources are two logins", async () => {
    const [one, other] = [make(), make()];
    await one.open(0).wrap(DEK, OPTIONS);
    await other.open(1).wrap(DEK, OPTIONS);
    const all = [...one.logins(), ...other.logins()];
    expect(all.length).toBe(2 * one.expected.length);
  });
});

test("a role of the key's own region has a login in each region", async () => {
  const hosts: string[] = [];
  const fetch: typeof aws.fetch = async (url, request) => {
    hosts.push(new URL(url).host);
    return await aws.fetch(url.replace(/^https:\/\/[^/]*amazonaws\.com/, aws.url), request);
  };
  const source = webIdentity({ roleArn: ROLE, token: async () => "web.identity.token" }); // needs no signature, and so no host
  for (let place = 0; place < KEYS; place++) {
    const key = awsKmsKey({ keyArn: awsKeys[place] ?? "", credentials: source, clock, fetch, endpoint: aws.url });
    expect(await key.current()).toBe(awsKeys[place]);
  }
  expect(hosts.filter((host) => host.startsWith("sts"))).toEqual(["sts.eu-central-1.amazonaws.com", "sts.us-east-1.amazonaws.com"]);
});

function awsKey(place: number, credentials: AwsCredentialSource): KeyProvider {
  return awsKmsKey({ ...aws.connection, clock, keyArn: awsKeys[place] ?? "", credentials });
}

function gcpProvider(place: number, token: GcpTokenSource): KeyProvider {
  return gcpKmsKey({ ...gcp.connection, clock, key: gcpKey(place), token });
}

function vaultKey(place: number, token: VaultTokenSource): KeyProvider {
  return vaultTransitKey({ ...vault.connection, clock, key: `orders-${place}`, token });
}

function tenantKey(opener: TenantKeyOpener, settings: Record<string, string>, nameOf: (place: number) => string): Family["open"] {
  return (place) => opener.open({ kind: opener.kind, key: nameOf(place) }, { ...IDENTITY, settings });
}

function counted<T>(give: () => Promise<T>): { source: () => Promise<T>; logins: () => readonly string[] } {
  let asked: string[] = [];
  return {
    source: async () => {
      asked.push("asked");
      return await give();
    },
    logins() {
      const taken = asked;
      asked = [];
      return taken;
    },
  };
}

function pathsOf(emulator: { takeRequests(): readonly { readonly path: string }[] }, pattern: RegExp): readonly string[] {
  return emulator
    .takeRequests()
    .map(({ path }) => path)
    .filter((path) => pattern.test(path));
}

function fail(): never {
  throw new Error("nothing was wrapped");
}

test("aws, roles of many tenants are assumed at one rate, in turns: the quota of the token service is the vendor's", async () => {
  const { credentials, ...connection } = aws.connection;
  const given = { ...connection, clock, credentials, vendorAccounts: ["111122223333"], stsEndpoint: aws.url };
  const opener = awsTenantKeys({ ...given, rolesPerSecond: 2 });
  const tenants = ["a", "b", "c", "d"].map((tenant) => ({ ...IDENTITY, tenant, externalId: `${tenant}-0123456789abcdef0123456789a` }));
  for (const { tenant, externalId } of tenants) aws.addRole(`${ROLE}-${tenant}`, { externalId });
  const wraps = tenants.map((identity) => {
    const key = opener.open(
      { kind: opener.kind, key: awsKeys[0] ?? "", settings: {} },
      { ...identity, settings: { roleArn: `${ROLE}-${identity.tenant}` } },
    );
    return key.wrap(DEK, OPTIONS);
  });
  awsLogins();
  await Promise.all(wraps.slice(0, 2));
  expect(awsLogins()).toEqual(["POST /AssumeRole", "POST /AssumeRole"]);
  await clock.advance(500);
  await wraps[2];
  expect(awsLogins()).toEqual(["POST /AssumeRole"]);
  await clock.advance(500);
  await wraps[3];
  for (const rolesPerSecond of [0, Number.NaN]) expect(() => awsTenantKeys({ ...given, rolesPerSecond })).toThrow("rolesPerSecond");
});
