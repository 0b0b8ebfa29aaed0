import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { awsTenantKeys } from "../../providers/aws-kms/index.ts";
import { keysetProviders } from "../../providers/local/index.ts";
import { readKeysetFile } from "../../providers/local/keyset-file.ts";
import { policyOfPairs } from "../../src/cli/tenants/policy-pairs.ts";
import { fileStore, fileTenantStore } from "../../src/stores/file.ts";
import { Tenants } from "../../src/tenants/index.ts";
import { AwsKmsEmulator } from "../../src/testing/aws-kms-emulator/index.ts";
import { refusalCode } from "../support/refusal.ts";
import { type Run, run, scratch } from "./runner.ts";

const { at, read, write } = scratch();
const emulator = await AwsKmsEmulator.start();
afterAll(() => emulator.close());
beforeEach(() => void emulator.takeRequests());

const ACCOUNT = "444455556666";
const ROLE = `arn:aws:iam::${ACCOUNT}:role/envelock`;
const KEY = emulator.createKey({ account: ACCOUNT });
const VENDOR_KEY = emulator.createKey();
const [records, dataKeys, platform] = [at("tenants.json"), at("data-keys.json"), at("platform.json")];
const STORE = ["--store", `file:${records}`];
const openers = write("openers.json", JSON.stringify({ aws: { vendorAccounts: ["111122223333"], regions: ["eu-central-1"] } }));
const KEYS = [...STORE, "--openers", openers, "--platform", platform, "--data-keys", `file:${dataKeys}`];
const { PATH: path = "" } = process.env;
const ENV: Readonly<Record<string, string>> = {
  PATH: path,
  AWS_ACCESS_KEY_ID: emulator.credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: emulator.credentials.secretAccessKey,
  AWS_ENDPOINT_URL: emulator.url,
  AWS_CA_BUNDLE: write("authority.pem", emulator.ca),
};

const tenants = (args: readonly string[], input?: string): Promise<Run> =>
  run(["tenants", ...args], input === undefined ? undefined : new TextEncoder().encode(input), { env: ENV });
async function done(args: readonly string[], input?: string): Promise<string> {
  const { exitCode, stderr, text } = await tenants(args, input);
  expect(`${exitCode} ${stderr}`).toMatch(/^0 /);
  return text;
}
async function refusedWith(code: string, args: readonly string[], input?: string): Promise<string> {
  const { exitCode, stderr } = await tenants(args, input);
  expect(exitCode).toBeGreaterThan(0);
  expect(stderr).toMatch(new RegExp(`envelock: ${code}: `));
  return stderr;
}

/** Verifies the key of `acme` as soon as ten seconds have gone by since the last time. */
async function verified(): Promise<void> {
  await expect.poll(async () => (await tenants(["verify", "acme", ...KEYS])).exitCode, { timeout: 40_000, interval: 1000 }).toBe(0);
}

/** What the application does with its tenants, under the same stores and keys. */
async function application<T>(use: (tenants: Tenants) => Promise<T>): Promise<T> {
  const { fetch, credentials, endpoint } = emulator.connection;
  const open = awsTenantKeys({ fetch, credentials, endpoint, stsEndpoint: emulator.url, vendorAccounts: ["111122223333"] });
  const all = new Tenants({
    store: fileTenantStore(records),
    dataKeyStore: fileStore(dataKeys),
    open,
    refreshMs: 1000,
    platform: keysetProviders(await readKeysetFile(platform)).slice(0, 1),
  });
  return await use(all).finally(() => all.close());
}

beforeAll(async () => {
  expect((await run(["keygen", platform])).exitCode).toBe(0);
});

describe("the life of a tenant at a shell", () => {
  let token = "";

  test("invite makes a store when asked, and an external id for the tenant's role", async () => {
    expect(await refusedWith("key-not-found", ["invite", "acme", ...STORE])).toContain("--create");
    const record: { externalId: string } = JSON.parse(
      await done(["invite", "acme", ...STORE, "--create", "--identity", `roleArn=${ROLE}`, "--json"]),
    );
    expect(record).toMatchObject({ id: "acme", state: "invited", identity: { roleArn: ROLE } });
    expect(record.externalId).toMatch(/^[\w-]{32}$/);
    emulator.addRole(ROLE, { externalId: record.externalId });
    await refusedWith("invalid-argument", ["invite", "acme", ...STORE]);
  });

  test("a tenant under the platform's key has data", async () => {
    await done(["activate", "acme", ...KEYS]);
    token = await application(async (all) => {
      const cipher = await (await all.dataKeys("acme")).field({ table: "users", column: "email" });
      return cipher.encrypt("ada@acme.example");
    });
    expect(await done(["list", ...STORE, "--state", "active"])).toMatch(/^acme +active +\d{4}-\d\d-\d\d +\d+ +platform +- +-$/m);
  });

  test("stage refuses what the vendor does not allow, and calls no key", async () => {
    await refusedWith("access-denied", ["stage", "acme", "aws-kms", VENDOR_KEY, ...KEYS]);
    await refusedWith("invalid-argument", ["stage", "acme", "aws-kms", ...KEYS]);
    await refusedWith("invalid-argument", ["stage", "acme", "gcp-kms", "projects/x", ...KEYS]);
    expect(await done(["stage", "acme", "aws-kms", KEY, ...KEYS])).toContain(KEY);
    expect(emulator.takeRequests()).toEqual([]);
  });

  test("verify tells whose a failure is, and fails", async () => {
    emulator.setState(KEY, "Disabled");
    const failed = await tenants(["verify", "acme", ...KEYS]);
    expect(failed.exitCode).toBe(1);
    expect(failed.text).toMatch(/^failed +\S+ +tenant +/m);
    emulator.setState(KEY, "Enabled");
    expect(await done(["unstage", "acme", ...STORE])).toMatch(/^acme is active/);
    await refusedWith("invalid-argument", ["unstage", "acme", ...STORE]);
    await refusedWith("invalid-argument", ["stage", "acme", "aws-kms", KEY, ...KEYS, "--label", "two\nlines"]);
    await done(["stage", "acme", "aws-kms", KEY, ...KEYS, "--label", "EU 2026"]);
    expect(await done(["show", "acme", ...STORE])).toMatch(/^staged +.* "EU 2026"$/m);
    await verified();
  });

  test("move ends where others have to learn of the key, and goes on", async () => {
    expect(await done(["move", "acme", ...KEYS, "--no-wait"])).toMatch(/^dual: 0 keys wrapped anew; run it again in \d+ s$/m);
    expect(await done(["show", "acme", ...STORE])).toMatch(/^move +.*dual since/m);
    await refusedWith("invalid-argument", ["move", "acme", ...STORE, "--openers", openers]);
  });

  test("set-policy bounds a tenant, and refuses what nothing would enforce", async () => {
    const set = ["set-policy", "acme", ...KEYS];
    expect(await done([...set, "cacheMaxAgeMs=60000", "autoRestore=true", "regions=eu-west-1,eu-central-1"])).toBe(
      [
        "cacheMaxAgeMs   60000",
        "reuseMaxAgeMs   default",
        "autoRestore     true",
        "maxConcurrent   default",
        "callsPerSecond  default",
        "regions         eu-central-1,eu-west-1",
        "",
      ].join("\n"),
    );
    expect(await done(["show", "acme", ...STORE])).toMatch(
      /^policy +cacheMaxAgeMs=60000\n +autoRestore=true\n +regions=eu-central-1,eu-west-1$/m,
    );
    expect(await refusedWith("access-denied", [...set, "regions=us-east-1"])).toContain("eu-central-1");
    expect(await refusedWith("invalid-argument", ["set-policy", "acme", ...STORE, "regions=eu-central-1"])).toContain("--openers");
    expect(await refusedWith("invalid-argument", [...set, "escrow=platform"])).toContain("nothing would enforce it");
    expect(await refusedWith("invalid-argument", [...set, "cacheMaxAge=1"])).toContain("did you mean `cacheMaxAgeMs`");
    const reset: unknown = JSON.parse(await done([...set, "regions=default", "autoRestore=false", "--json"]));
    expect(reset).toMatchObject({ policy: { cacheMaxAgeMs: 60_000, autoRestore: false, regions: null } });
    expect(emulator.takeRequests()).toEqual([]);
  });

  test("suspend and revoke call no key, restore asks it", async () => {
    expect(await done(["suspend", "acme", ...STORE, "--reason", "invoice 7"])).toMatch(/^acme is suspended/);
    expect(emulator.takeRequests()).toEqual([]);
    const refusal = await application((all) => all.dataKeys("acme").then(String, (error: { code: string }) => error.code));
    expect(refusal).toBe("access-denied");
    expect(await done(["restore", "acme", ...KEYS])).toMatch(/^acme is active/);
    expect(await done(["revoke", "acme", ...STORE])).toMatch(/^acme is revoked/);
    emulator.setState(KEY, "Disabled");
    await refusedWith("key-disabled", ["restore", "acme", ...KEYS]);
    emulator.setState(KEY, "Enabled");
    await done(["restore", "acme", ...KEYS]);
    const opened = await application(async (all) =>
      (await (await all.dataKeys("acme")).field({ table: "users", column: "email" })).decrypt(token),
    );
    expect(opened).toBe("ada@acme.example");
  });

  test("health shows the bound of a revocation, and the key versions that data keys name", async () => {
    expect(await done(["health", "acme", ...KEYS, "--check"])).toMatch(/^acme +active .* \d+ s +/m);
    await refusedWith("invalid-argument", ["health", ...KEYS, "--check"]);
    expect(await done(["health", ...KEYS, "--count-records"])).toMatch(/^tenant +data keys +provider +wrapped by\nacme +1 +local +\S+$/m);
    expect(await done(["health", "acme", ...KEYS, "--count-records", "--max-rows", "1"])).toMatch(/^acme +>=1 +local +/m);
    await refusedWith("invalid-argument", ["health", ...STORE, "--count-records"]);
    const [report]: readonly { revocationBoundMs: number }[] = JSON.parse(await done(["health", ...KEYS, "--json"]));
    expect(report?.revocationBoundMs).toBeGreaterThan(0);
  });

  test("cancel-move goes back, and the same key can be staged again", async () => {
    expect(await done(["cancel-move", "acme", ...STORE])).toMatch(/^acme is active, generation 3$/m);
    expect(await refusedWith("invalid-argument", ["cancel-move", "acme", ...STORE])).toContain("moves to no other key");
    expect(await done(["show", "acme", ...STORE])).not.toMatch(/^move/m);
    await done(["stage", "acme", "aws-kms", KEY, ...KEYS]);
    await verified();
  });

  test("retire and forget ask for the id where data may be lost", async () => {
    await refusedWith("invalid-argument", ["retire", "acme", ...STORE]);
    await application(async (all) => {
      while ((await all.move("acme", { wait: false })).step !== "announced") await new Promise((resolve) => setTimeout(resolve, 200));
    });
    expect(await refusedWith("invalid-argument", ["retire", "acme", ...STORE])).toContain("--force");
    await refusedWith("invalid-argument", ["retire", "acme", ...STORE, "--force"], "acne\n");
    await refusedWith("invalid-argument", ["forget", "acme", ...STORE], "acme\n");
    expect(await done(["retire", "acme", ...STORE, "--force"], "acme\n")).toMatch(/^acme is active, generation 5$/m);
    await refusedWith("invalid-argument", ["cancel-move", "acme", ...STORE]);
    await refusedWith("invalid-argument", ["forget", "acme", ...STORE], "");
    expect(await done(["forget", "acme", ...STORE], "acme\n")).toMatch(/^acme is active, generation 6$/m);
    expect(await done(["show", "acme", ...STORE])).not.toContain("platform");
  });

  test("offboard and shred ask for the id again, and destroy no key that the vendor did not make", async () => {
    await refusedWith("invalid-argument", ["shred", "acme", ...KEYS], "acme\n");
    await refusedWith("invalid-argument", ["offboard", "acme", ...STORE], "acne\n");
    await refusedWith("invalid-argument", ["offboard", "acme", ...STORE], "");
    expect(await done(["offboard", "acme", ...STORE], "acme\n")).toMatch(/^acme is offboarding/);
    await refusedWith("invalid-argument", ["shred", "acme", ...KEYS], "bolt\n");
    expect(await done(["shred", "acme", ...KEYS], "acme\n")).toMatch(/^acme is shredded.*; 1 key destroyed$/m);
    expect(new TextDecoder().decode(read("data-keys.json"))).not.toContain('"active"');
    expect(emulator.takeRequests().map(({ path }) => path)).not.toContain("POST /ScheduleKeyDeletion");
    await refusedWith("key-shredded", ["suspend", "acme", ...STORE]);
  });
});

test.each([
  { cacheMaxAgeMs: "1e3" },
  { reuseMaxAgeMs: "" },
  { maxConcurrent: "-1" },
  { callsPerSecond: "5.5" },
  { autoRestore: "yes" },
  { autoRestore: "default" },
  { cacheMaxAge: "1" },
])("%o is no part of a policy", async (pairs) => {
  expect(await refusalCode(async () => policyOfPairs(pairs))).toBe("invalid-argument");
});

test("a record that cannot be read hides no other, and fails", async () => {
  const store = at("broken.json");
  await done(["invite", "bolt", "--store", `file:${store}`, "--create", "--policy", "autoRestore=true"]);
  await fileTenantStore(store).insertIfAbsent({ kind: "tenant", id: "broken", revision: 1, document: "{}" });
  for (const verb of ["list", "health"]) {
    const { exitCode, stderr, text } = await tenants([verb, "--store", `file:${store}`]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^envelock: provider-failure: broken: /);
    expect(text).toMatch(/^bolt +invited/m);
  }
  expect(await done(["show", "bolt", "--store", `file:${store}`])).toMatch(/^policy +autoRestore=true$/m);
});

describe("a file of openers", () => {
  test.each<readonly [string, unknown, RegExp]>([
    ["no JSON", "aws", /must be a JSON object/],
    ["nothing", {}, /has no opener/],
    ["a misspelt kind", { awz: {} }, /no option `awz`[\s\S]*did you mean `aws`/],
    ["a misspelt setting", { aws: { vendorAcounts: [] } }, /did you mean `vendorAccounts`/],
    ["no account of the vendor", { aws: {} }, /needs vendorAccounts/],
    ["an account that is none", { aws: { vendorAccounts: ["12"] } }, /12 digits/],
    ["a number for a list", { aws: { vendorAccounts: ["111122223333"], regions: 5 } }, /list of texts/],
    ["no project of the vendor", { gcp: {} }, /needs vendorProjects/],
    ["one mount for all", { vault: { address: "https://vault.example:8200" } }, /\{tenant\}/],
    ["one token for all", { pkcs11: { module: "/usr/lib/softhsm/libsofthsm2.so", token: "hsm" } }, /\{tenant\}/],
    ["a library that is searched for", { pkcs11: { module: "softhsm2.so", token: "{tenant}" } }, /absolute path/],
    ["no address", { vault: { mount: "{tenant}/transit" } }, /lacks address/],
  ])("with %s is refused", async (_what, content, said) => {
    const file = write("bad-openers.json", typeof content === "string" ? content : JSON.stringify(content));
    const { exitCode, stderr } = await tenants(["verify", "acme", ...STORE, "--openers", file]);
    expect(exitCode).toBeGreaterThan(0);
    expect(stderr).toMatch(/envelock: invalid-argument: /);
    expect(stderr).toMatch(said);
  });

  test("that is not there is named, with one like it", async () => {
    const stderr = await refusedWith("key-not-found", ["verify", "acme", ...STORE, "--openers", at("opener.json")]);
    expect(stderr).toContain("openers.json");
  });
});
