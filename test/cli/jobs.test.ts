import { execFileSync } from "node:child_process";
import { beforeAll, describe, expect, test } from "vitest";
import { keysetProviders } from "../../providers/local/index.ts";
import { readKeysetFile } from "../../providers/local/keyset-file.ts";
import { fleetLine, statusText } from "../../src/cli/jobs/describe.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { DataKeys } from "../../src/fields/data-keys.ts";
import { type JobStatus, jobStatus } from "../../src/jobs/index.ts";
import { fileJobStore, fileStore, fileTenantStore } from "../../src/stores/file.ts";
import { Tenants } from "../../src/tenants/index.ts";
import { runtimeBinary } from "../support/npm-tools.ts";
import { ok, onTerminal, ROOT, refused, run, scratch, start } from "./runner.ts";

const { at, read, write } = scratch();
const [keys, store, jobs] = [at("keys.json"), at("data-keys.json"), at("jobs.json")];
const JOBS = ["--jobs", `file:${jobs}`];
const WORKER = [...JOBS, "--store", `file:${store}`, "--key", keys];
const TENANTS = Array.from({ length: 24 }, (_, at) => `tenant-${at}`);

beforeAll(async () => {
  await ok(["keygen", keys]);
  await using dataKeys = await opened();
  for (const tenant of TENANTS) await dataKeys.value.field({ table: "users", column: "email", scope: { tenant } });
  await ok(["keygen", keys, "--add", "--set-primary"]);
});

describe("a job from plan to report", () => {
  test("is planned, worked on by two processes at once, and done", async () => {
    const planned = await ok(["jobs", "plan", "one", ...WORKER, "--create", "--partitions", "8", "--json"]);
    expect(JSON.parse(planned.text)).toMatchObject({ id: "one", state: "running", phase: "work", counts: {} });
    const before = await ok(["jobs", "status", "one", ...JOBS]);
    expect(before.text).toMatch(/^state +running$/m);
    expect(before.text).toMatch(/^phase +work of round 0$/m);

    const both = await Promise.all([
      ok(["jobs", "work", "one", ...WORKER, "--json"]),
      ok(["jobs", "work", "one", ...WORKER, "--lanes", "2"]),
    ]);
    expect(JSON.parse(both[0].text)).toMatchObject({ state: "done", report: { counts: { rewrapped: TENANTS.length, failed: 0 } } });
    expect(both[1].text).toMatch(/^state +done$/m);
    const after = await ok(["jobs", "status", "one", ...JOBS]);
    expect(after.text).toContain("retirable");
    expect((await ok(["jobs", "status", ...JOBS])).text).toMatch(/^one +done +verify +0 +\d{4}-/m);
  });

  test("a row that fails is told of, and a retry does it once it is put right", async () => {
    const intact = read("data-keys.json");
    const content: { rows: { record: string }[] } = JSON.parse(new TextDecoder().decode(intact));
    write(
      "data-keys.json",
      JSON.stringify({ ...content, rows: content.rows.map((row, at) => (at === 5 ? { ...row, record: "ff" } : row)) }),
    );
    await ok(["jobs", "plan", "two", ...WORKER]);
    const failed = await run(["jobs", "work", "two", ...WORKER, "--retries", "0"]);
    expect(failed.exitCode).toBe(1);
    expect(failed.text).toMatch(/^state +failing/m);
    expect(failed.text).toMatch(/^malformed-envelope +\S+ +1 +1 +not a key record/m);

    write("data-keys.json", intact);
    expect((await ok(["jobs", "retry", "two", ...JOBS, "--json"])).text).toContain('"state": "running"');
    expect((await ok(["jobs", "work", "two", ...WORKER])).text).toMatch(/^state +done$/m);
    await refused(1, "invalid-argument", ["jobs", "retry", "two", ...JOBS]);
  });
});

describe("steering", () => {
  test("a paused job refuses workers, a resumed one takes them, a cancelled one is over", async () => {
    await ok(["jobs", "plan", "three", ...WORKER]);
    expect((await ok(["jobs", "pause", "three", ...JOBS])).text).toBe("job three is paused\n");
    const { stderr } = await refused(1, "invalid-argument", ["jobs", "work", "three", ...WORKER]);
    expect(stderr).toContain("hint: `envelock jobs resume three` lets it go on");
    await ok(["jobs", "resume", "three", ...JOBS]);
    await ok(["jobs", "cancel", "three", ...JOBS]);
    await refused(1, "invalid-argument", ["jobs", "work", "three", ...WORKER]);
    await refused(1, "invalid-argument", ["jobs", "pause", "three", ...JOBS]);
  });

  test("SIGINT ends a worker, and leaves no partition held", async () => {
    await ok(["jobs", "plan", "four", ...WORKER, "--partitions", "24"]);
    const worker = start(["jobs", "work", "four", ...WORKER]);
    const jobStore = fileJobStore(jobs);
    await expect
      .poll(async () => (await jobStatus({ jobs: jobStore, id: "four" })).ranges.reduce((sum, { rows }) => sum + rows, 0), {
        timeout: 20_000,
      })
      .toBeGreaterThan(0);
    worker.kill("SIGINT");
    const { signal, exitCode } = await worker.done;
    expect(signal ?? exitCode).toSatisfy((end: unknown) => end === "SIGINT" || end === 0);
    expect((await jobStatus({ jobs: jobStore, id: "four" })).partitions.held).toBe(0);
  });
});

test("jobs and data keys lie in SQLite, within a budget, and each data key is unwrapped", { timeout: 180_000 }, async () => {
  const node = runtimeBinary("node-22"); // the first with SQLite, which it calls an experiment
  const newer = { node, env: { NODE_NO_WARNINGS: "1" } };
  const [database, file] = [at("app.db"), at("sqlite.json")];
  await ok(["keygen", file]);
  execFileSync(node, ["--no-warnings", "--input-type=module", "--eval", FILL, database, file], {
    stdio: ["ignore", "ignore", "inherit"],
    cwd: ROOT,
  });
  await ok(["keygen", file, "--add", "--set-primary"]);
  const jobsIn = ["--jobs", `sqlite:${database}`, "--jobs-table", "app_jobs"];
  const worker = [...jobsIn, "--store", `sqlite:${database}`, "--key", file, "--calls-per-second", "500", "--unwrap"];
  await ok(["jobs", "plan", "one", ...worker, "--create", "--partitions", "3"], undefined, newer);
  await refused(
    1,
    "invalid-argument",
    ["jobs", "work", "one", ...jobsIn, "--store", `sqlite:${database}`, "--key", file],
    undefined,
    newer,
  );
  const ends = await Promise.all([1, 2].map(() => ok(["jobs", "work", "one", ...worker, "--json"], undefined, newer)));
  for (const { text } of ends)
    expect(JSON.parse(text)).toMatchObject({
      state: "done",
      kind: "rewrap-keys/1+unwrap",
      report: { counts: { rows: 12, rewrapped: 12 } },
    });
  expect((await ok(["jobs", "status", "one", ...jobsIn], undefined, newer)).text).toContain("retirable");
});

/** Writes data keys to a database that the application has. */
const FILL = `
import { DatabaseSync } from "node:sqlite";
import { Keyring } from "envelock";
import { DataKeys } from "envelock/fields";
import { readKeysetFile } from "envelock/keyset-file";
import { keysetProviders } from "envelock/providers/local";
import { sqliteStore } from "envelock/stores/sqlite";
const [path, keys] = process.argv.slice(1);
const database = new DatabaseSync(path);
const store = sqliteStore({ database });
await store.migrate();
const [primary] = keysetProviders(await readKeysetFile(keys));
const dataKeys = new DataKeys({ keyring: new Keyring(primary), store });
for (let at = 0; at < 12; at++) await dataKeys.rotate({ tenant: "t" + at });
await dataKeys.close();
database.close();
`;

test("data keys of tenants are rewrapped under the keys of each, and those of no tenant under --key", async () => {
  const [records, held, first, second, own] = ["tenants", "held", "first", "second", "own"].map((name) => at(`${name}.json`));
  for (const keyset of [first, second, own]) await ok(["keygen", keyset ?? ""]);
  const providers = async (path = ""): Promise<KeyProvider[]> => keysetProviders(await readKeysetFile(path)).slice(0, 1);
  const dataKeyStore = fileStore(held ?? "");
  const tenants = new Tenants({ store: fileTenantStore(records ?? ""), dataKeyStore, platform: await providers(first) });
  for (const id of ["acme", "beta"]) {
    await tenants.invite(id);
    await tenants.activate(id);
    await (await tenants.dataKeys(id)).field({ table: "users", column: "email" });
  }
  await tenants.suspend("beta");
  await tenants.close();
  const vendor = new DataKeys({ keyring: new Keyring({ wrapWith: await providers(first) }), store: dataKeyStore });
  await vendor.field({ table: "settings", column: "secret" });
  await vendor.close();

  const named = [...JOBS, "--store", `file:${held}`, "--tenants", `file:${records}`, "--platform", `${second}`, "--platform", `${first}`];
  await ok(["jobs", "plan", "tenants", ...named, "--tenant-calls-per-second", "500"]);
  await refused(1, "invalid-argument", ["jobs", "work", "tenants", ...named]); // without the budget that it was planned with
  const { text } = await ok(["jobs", "work", "tenants", ...named, "--tenant-calls-per-second", "500", "--json"]);
  expect(JSON.parse(text)).toMatchObject({ state: "done", report: { counts: { rows: 3, rewrapped: 1, skipped: 2, failed: 0 } } });

  const both = [...named, "--key", `${own}`, "--key", `${first}`];
  await ok(["jobs", "plan", "vendor-too", ...both]);
  const all = await ok(["jobs", "work", "vendor-too", ...both, "--json"]);
  expect(JSON.parse(all.text)).toMatchObject({ state: "done", report: { counts: { rows: 3, rewrapped: 1, skipped: 1, failed: 0 } } });
});

test("on a terminal, `work` shows a line of the fleet and `status` a plot", async () => {
  await ok(["jobs", "plan", "plotted", ...WORKER, "--partitions", "8"]);
  expect(onTerminal(["jobs", "status", "plotted", ...JOBS])).toMatch(
    /\r\n\.{8}\r\n# done {2}> held by a worker {2}\. free {2}! with failures\r\n/,
  );
  const worked = onTerminal(["jobs", "work", "plotted", ...WORKER]);
  expect(worked).toMatch(/\r(work|verify) {2}\[#*.*\d+ %.* keys\/s/);
  expect(worked).toMatch(/\r\n#{8}\r\n# done/);
  expect((await ok(["jobs", "status", "plotted", ...JOBS])).text).not.toContain("########");
});

test.each<readonly [what: string, exitCode: 1 | 2, code: string, args: readonly string[], hint: RegExp]>([
  ["a misspelt option", 2, "invalid-argument", ["work", "one", ...WORKER, "--lane", "2"], /--lanes/],
  ["a misspelt verb", 2, "invalid-argument", ["statsu", ...JOBS], /status/],
  ["no store of jobs", 2, "invalid-argument", ["status"], /hint/],
  ["a misspelt kind of store", 2, "invalid-argument", ["status", "--jobs", "sqlte:x.db"], /sqlite:/],
  ["a file that is not there", 1, "key-not-found", ["status", "--jobs", `file:${at("absent.json")}`], /jobs plan --create/],
  ["no call in a second", 2, "invalid-argument", ["work", "one", ...WORKER, "--calls-per-second", "0"], /no limit/],
  ["no table", 2, "invalid-argument", ["work", "one", ...JOBS, "--key", keys], /--store or with --blobs/],
  ["two tables", 2, "invalid-argument", ["work", "one", ...WORKER, "--blobs", "dir:."], /--store or with --blobs/],
  ["no key", 2, "invalid-argument", ["work", "one", ...JOBS, "--store", `file:${store}`], /--key, or the tenants with --tenants/],
  ["no key for blobs", 2, "invalid-argument", ["plan", "one", ...JOBS, "--blobs", "dir:."], /--key/],
  ["openers without tenants", 2, "invalid-argument", ["work", "one", ...WORKER, "--openers", "x.json"], /--tenants/],
  [
    "tenants of blobs",
    2,
    "invalid-argument",
    ["work", "one", ...JOBS, "--blobs", "dir:.", "--key", keys, "--tenants", "file:x"],
    /--store/,
  ],
  ["a prefix of data keys", 2, "invalid-argument", ["work", "one", ...WORKER, "--prefix", "a"], /--blobs/],
  ["too many lanes", 2, "invalid-argument", ["work", "one", ...WORKER, "--lanes", "65"], /1 to 64/],
  ["a job that is not there", 1, "key-not-found", ["work", "absent", ...WORKER], /jobs plan/],
])("refuses %s with a next step", async (_what, exitCode, code, args, hint) => {
  expect((await refused(exitCode, code, ["jobs", ...args])).stderr).toMatch(hint);
});

test("a terminal gets a plot and a line of the fleet", () => {
  const status: JobStatus = {
    id: "one",
    kind: "rewrap-keys/1",
    state: "running",
    round: 0,
    phase: "work",
    partitions: { total: 4, done: 1, held: 1, free: 2 },
    counts: { rows: 250, failed: 1 },
    expectedRows: 1000,
    rowsPerSecond: 50,
    leftMs: 15_000,
    retryInMs: 0,
    failures: [{ code: "access-denied", tenant: "a\u001b[2Jb", entries: 1, tries: 2, message: "no", example: "x" }],
    ranges: [
      { part: "0", state: "done", rows: 100, failed: 0, attempts: 1 },
      { part: "1", state: "held", rows: 100, failed: 0, attempts: 1 },
      { part: "2", state: "free", rows: 0, failed: 0, attempts: 0 },
      { part: "3", state: "free", rows: 50, failed: 1, attempts: 1 },
    ],
    report: null,
  };
  expect(fleetLine(status, 100)).toMatch(/^work {2}\[#+ +\] {3}25 % {2}250 keys of 1,000 keys {2}50 keys\/s {2}0:15 left {2}1 failed$/);
  expect(fleetLine({ ...status, kind: "rewrap-blobs/1:az://acme/invoices", expectedRows: 0 }, 100)).toMatch(/^work {2}250 blobs /);
  expect(fleetLine({ ...status, kind: "reencrypt-table/1:users.email", expectedRows: 0 }, 100)).toMatch(/^work {2}250 rows /);
  const text = statusText(status, 100);
  expect(text).toContain("\n#>.!\n# done");
  expect(text).not.toContain("\u001b");
  expect(statusText(status)).not.toContain("#>.!");
});

async function opened(): Promise<{ readonly value: DataKeys; [Symbol.asyncDispose](): Promise<void> }> {
  const [primary, ...others] = keysetProviders(await readKeysetFile(keys));
  const value = new DataKeys({ keyring: new Keyring({ wrapWith: [primary], unwrapWith: others }), store: fileStore(store) });
  return { value, [Symbol.asyncDispose]: () => value.close() };
}
