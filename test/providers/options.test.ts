import { describe, expect, test } from "vitest";
import * as aws from "../../providers/aws-kms/index.ts";
import * as azure from "../../providers/azure/index.ts";
import * as gcp from "../../providers/gcp-kms/index.ts";
import * as hybrid from "../../providers/local/hybrid.ts";
import * as local from "../../providers/local/index.ts";
import * as vault from "../../providers/vault/index.ts";
import { AzureEmulator } from "../../src/testing/azure-emulator/index.ts";
import { refusal } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";

const call = (callee: unknown): ((options: unknown) => unknown) => untyped(callee);
const CREDENTIAL = { getToken: async () => null };
const KEY_URL = "https://vault.vault.azure.net/keys/orders";
const KEY = new Uint8Array(32);
const ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const AWS = { keyArn: ARN, credentials: { accessKeyId: "a", secretAccessKey: "b" } };
const ROLE = { roleArn: "arn:aws:iam::111122223333:role/orders" };
const GCP = { key: "projects/acme/locations/europe-west3/keyRings/main/cryptoKeys/orders", token: async () => ({ token: "t" }) };
const VAULT = { address: "https://vault.example:8200", token: "t", key: "orders" };

/** Each public function that takes options, the options that it needs, and one of them misspelt. */
const FUNCTIONS: readonly [string, (options: unknown) => unknown, object, string, string][] = [
  ["localKey", untyped(local.localKey), { keyId: "a", key: KEY }, "keyID", "keyId"],
  ["localKeyset", untyped(local.localKeyset), { keys: [{ keyId: "a", key: KEY }], primary: "a" }, "primry", "primary"],
  ["localKeyPair", untyped(local.localKeyPair), { keyId: "a", publicKey: KEY }, "privatekey", "privateKey"],
  ["localKeyPairs", untyped(local.localKeyPairs), { keyPairs: [], primary: "a" }, "keypairs", "keyPairs"],
  ["localHybridKeyPair", untyped(hybrid.localHybridKeyPair), { keyId: "a", publicKey: KEY }, "publickey", "publicKey"],
  ["localHybridKeyPairs", untyped(hybrid.localHybridKeyPairs), { keyPairs: [], primary: "a" }, "primari", "primary"],
  ["azureKey", untyped(azure.azureKey), { keyUrl: KEY_URL, credential: CREDENTIAL }, "versionCacheMS", "versionCacheMs"],
  ["azureSecretKey", untyped(azure.azureSecretKey), { secretUrl: KEY_URL, credential: CREDENTIAL }, "unwrapVersion", "unwrapVersions"],
  [
    "managedHsmRandom",
    untyped(azure.managedHsmRandom),
    { hsmUrl: "https://a.managedhsm.azure.net", credential: CREDENTIAL },
    "timeout",
    "timeoutMs",
  ],
  ["diagnoseAzureKey", untyped(azure.diagnoseAzureKey), { keyUrl: KEY_URL, credential: CREDENTIAL }, "allowedHost", "allowedHosts"],
  ["azureCapacity", untyped(azure.azureCapacity), { service: "vault", keyType: "RSA", bits: 2048 }, "wrapPerSecond", "wrapsPerSecond"],
  ["awsKmsKey", untyped(aws.awsKmsKey), AWS, "keyARN", "keyArn"],
  ["awsKmsDecrypter", untyped(aws.awsKmsDecrypter), AWS, "credential", "credentials"],
  ["awsKmsRandom", untyped(aws.awsKmsRandom), { region: "eu-central-1", credentials: AWS.credentials }, "regions", "region"],
  ["diagnoseAwsKmsKey", untyped(aws.diagnoseAwsKmsKey), AWS, "keyContex", "keyContext"],
  ["assumeRole", untyped(aws.assumeRole), { ...ROLE, source: AWS.credentials }, "externalID", "externalId"],
  ["webIdentity", untyped(aws.webIdentity), { ...ROLE, token: async () => "t" }, "durationSecond", "durationSeconds"],
  ["containerCredentials", untyped(aws.containerCredentials), { uri: "/a" }, "authorisation", "authorization"],
  [
    "awsTenantKeys",
    untyped(aws.awsTenantKeys),
    { credentials: AWS.credentials, vendorAccounts: ["111122223333"] },
    "vendorAccount",
    "vendorAccounts",
  ],
  ["gcpKmsKey", untyped(gcp.gcpKmsKey), GCP, "verifyVersions", "verifyVersion"],
  ["gcpKmsRandom", untyped(gcp.gcpKmsRandom), { location: "projects/a/locations/b", token: GCP.token }, "locations", "location"],
  ["diagnoseGcpKey", untyped(gcp.diagnoseGcpKey), GCP, "keytype", "keyType"],
  ["serviceAccountKey", untyped(gcp.serviceAccountKey), { keyFile: "{}" }, "keyfile", "keyFile"],
  ["impersonated", untyped(gcp.impersonated), { source: GCP.token, serviceAccount: "a@b.example" }, "delegate", "delegates"],
  ["gcpTenantKeys", untyped(gcp.gcpTenantKeys), { token: GCP.token, vendorProjects: ["acme"] }, "location", "locations"],
  ["vaultTransitKey", untyped(vault.vaultTransitKey), VAULT, "adress", "address"],
  ["vaultRandom", untyped(vault.vaultRandom), { address: VAULT.address, token: "t" }, "mont", "mount"],
  ["diagnoseVaultKey", untyped(vault.diagnoseVaultKey), VAULT, "namespaces", "namespace"],
  ["appRole", untyped(vault.appRole), { roleId: "a", secretId: "b" }, "secretID", "secretId"],
  ["kubernetesLogin", untyped(vault.kubernetesLogin), { role: "a", jwt: async () => "t" }, "roles", "role"],
  ["jwtLogin", untyped(vault.jwtLogin), { role: "a", jwt: async () => "t" }, "jwts", "jwt"],
  ["vaultTenantKeys", untyped(vault.vaultTenantKeys), { clusters: {} }, "cluster", "clusters"],
  ["AzureEmulator.start", untyped(AzureEmulator.start), {}, "flavor", "flavour"],
];

describe("an option that is misspelt is refused, and the right name is told", () => {
  test.each(FUNCTIONS)("%s", async (name, call, needed, misspelt, right) => {
    expect(await refusal(async () => await call({ ...needed, [misspelt]: undefined }))).toMatchObject({
      code: "invalid-argument",
      message: `${name} has no option \`${misspelt}\``,
      hint: `did you mean \`${right}\`?`,
    });
  });
});

test("options of a member are checked too", async () => {
  const client = { tlsOption: {} };
  expect(await refusal(() => call(azure.azureKey)({ keyUrl: KEY_URL, credential: CREDENTIAL, client }))).toMatchObject({
    hint: "did you mean `tlsOptions`?",
  });
  expect(await refusal(() => call(local.localKeyset)({ keys: [{ keyId: "a", secret: KEY }], primary: "a" }))).toMatchObject({
    message: "localKeyset has no option `secret`",
  });
});

describe("options that are none are refused with a code", () => {
  test.each(FUNCTIONS.filter(([name]) => name !== "AzureEmulator.start"))("%s", async (_name, call) => {
    for (const wrong of [undefined, null, "text", 7])
      expect(await refusal(async () => await call(wrong))).toMatchObject({ code: "invalid-argument" });
    expect(await refusal(async () => await call({}))).toMatchObject({ code: "invalid-argument" });
  });
});

const KEY_ID = ARN.slice(ARN.lastIndexOf("/") + 1);
const ALIAS = ARN.replace(/key\/.*/, "alias/orders");
const WRONG_FORMS: readonly [string, (name: unknown) => unknown, readonly [name: unknown, hint: RegExp][]][] = [
  [
    "awsKmsKey",
    (keyArn) => call(aws.awsKmsKey)({ ...AWS, keyArn }),
    [
      ["alias/orders", /alias can be moved/],
      [ALIAS, /alias can be moved/],
      [KEY_ID, /no region and account/],
      [`key/${KEY_ID}`, /no region and account/],
      [`mrk-${"a".repeat(32)}`, /no region and account/],
      [` ${ARN}`, /white space/],
      [`${ARN}\n`, /white space/],
      [`aws-kms:${ARN}`, /prefix before the first colon/],
      [`${ARN}#${"a".repeat(64)}`, /leave out `#`/],
      ["arn:aws:s3:::orders", /ARN of something else/],
      [ARN.replace("eu-central-1", ""), /region is missing/],
      [ARN.toUpperCase(), /describe-key/],
      ["", /describe-key/],
      [undefined, /describe-key/],
      [{}, /describe-key/],
      ["a".repeat(100_000), /describe-key/],
    ],
  ],
  [
    "awsTenantKeys' and assumeRole's role",
    (roleArn) => call(aws.assumeRole)({ source: AWS.credentials, roleArn }),
    [
      ["arn:aws:iam::111122223333:user/orders", /only a role/],
      ["arn:aws:sts::111122223333:assumed-role/orders/session", /session of a role/],
      ["orders", /get-role/],
      [undefined, /get-role/],
    ],
  ],
  [
    "gcpKmsKey",
    (key) => call(gcp.gcpKmsKey)({ ...GCP, key }),
    [
      [`${GCP.key}/cryptoKeyVersions/1`, /leave the version out/],
      [`//cloudkms.googleapis.com/v1/${GCP.key}`, /leave out the host/],
      [`https://cloudkms.googleapis.com/v1/${GCP.key}`, /leave out the host/],
      [`/${GCP.key}`, /slash/],
      [`${GCP.key}/`, /slash/],
      [GCP.key.replace(/\/cryptoKeys.*/, ""), /this is a key ring/],
      [GCP.key.replace("acme", "Acme Shop"), /display name/],
      [`gcp-kms:${GCP.key}`, /prefix before the first colon/],
      ["orders", /gcloud kms keys list/],
      [7, /gcloud kms keys list/],
    ],
  ],
  [
    "vaultTransitKey's key",
    (key) => call(vault.vaultTransitKey)({ ...VAULT, key }),
    [
      ["transit/orders", /as `mount`/],
      ["/orders", /slash/],
      ["https://vault.example:8200/transit/orders", /address of the server/],
      ["orders#1", /server's own command/],
      ["../orders", /server's own command/],
      [undefined, /server's own command/],
    ],
  ],
  [
    "vaultTransitKey's namespace",
    (namespace) => call(vault.vaultTransitKey)({ ...VAULT, namespace }),
    [
      ["team-a/", /slash/],
      ["/team-a", /slash/],
      ["", /server's own command/],
    ],
  ],
  [
    "vaultTransitKey's address",
    (address) => call(vault.vaultTransitKey)({ ...VAULT, address }),
    [
      ["vault.example:8200", /begin it with https/],
      ["https://vault.example:8200/v1", /leave out what follows/],
      ["https://u:p@vault.example:8200", /leave out user/],
      ["http://vault.example:8200", /over TLS/],
      [undefined, /scheme, host and port/],
    ],
  ],
];

describe("a name of a wrong form is refused with the next step", () => {
  test.each(WRONG_FORMS)("%s", async (_what, open, forms) => {
    for (const [name, hint] of forms) {
      const error = await refusal(async () => await open(name));
      expect(error.code, `${name}`).toBe("invalid-argument");
      expect(error.hint, `${name}`.slice(0, 100)).toMatch(hint);
      expect(error.message).not.toContain("u:p@");
    }
  });
});
