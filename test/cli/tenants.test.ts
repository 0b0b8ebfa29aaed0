import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { awsTenantKeys } from "../../providers/aws-kms/index.ts";
import { keysetProviders } from "../../providers/local/index.ts";
import { readKeysetFile } from "../../providers/local/keyset-file.ts";
import { fileStore, fileTenantStore } from "../../src/stores/file.ts";
import { Tenants } from "../../src/tenants/index.ts";
import { AwsKmsEmulator } from "../../src/testing/aws-kms-emulator/index.ts";
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

/** What the application does with its tenants, under the same stores and keys. */
async function application<T>(use: (tenants: Tenants) => Promise<T>): Promise<T> {
  const { fetch, credentials, endpoint } = emulator.connection;
  const open = awsTenantKeys({ fetch, credentials, endpoint, stsEndpoint: emulator.url, vendorAccounts: ["111122223333"] });
  const all = new Tenants({
    store: fileTenantStore(records),
    dataKeyStore: fileStore(dataKeys),
    open,
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
    await application(async (all) => await all.unstage("acme")); // the pause between two checks is the record's
    await done(["stage", "acme", "aws-kms", KEY, ...KEYS]);
    await expect.poll(async () => (await tenants(["verify", "acme", ...KEYS])).exitCode, { timeout: 20_000, interval: 1000 }).toBe(0);
  });

  test("move ends where others have to learn of the key, and goes on", async () => {
    expect(await done(["move", "acme", ...KEYS, "--no-wait"])).toMatch(/^dual: 0 keys wrapped anew; run it again in \d+ s$/m);
    expect(await done(["show", "acme", ...STORE])).toMatch(/^move +.*dual since/m);
    await refusedWith("invalid-argument", ["move", "acme", ...STORE, "--openers", openers]);
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

  test("health shows the bound of a revocation", async () => {
    expect(await done(["health", "acme", ...KEYS, "--check"])).toMatch(/^acme +active .* \d+ s +/m);
    const [report]: readonly { revocationBoundMs: number }[] = JSON.parse(await done(["health", ...KEYS, "--json"]));
    expect(report?.revocationBoundMs).toBeGreaterThan(0);
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
