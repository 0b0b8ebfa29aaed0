import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { keysetProviders } from "../../providers/local/index.ts";
import { readKeysetFile } from "../../providers/local/keyset-file.ts";
import { azureBlobs } from "../../src/blobs/azure/index.ts";
import { fileBlobs } from "../../src/blobs/files/index.ts";
import { encryptedStore } from "../../src/blobs/index.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { noise } from "../support/arbitraries.ts";
import { startAzurite } from "../support/azurite.ts";
import { ok, refused, run, scratch } from "./runner.ts";

const { at } = scratch();
const azurite = await startAzurite();
afterAll(() => azurite.close());
const container = await azurite.createContainer();
const sas = azurite.sas(container);
const env = { ...process.env, AZURE_STORAGE_SAS_TOKEN: sas };
const [oldKeys, newKeys] = [at("old.json"), at("new.json")];
const STORES = [
  { name: "a folder", args: [`dir:${at("blobs")}`], open: () => fileBlobs(at("blobs")) },
  {
    name: "a container",
    args: [`az://devstoreaccount1/${container}`, "--endpoint", azurite.url],
    open: () => azureBlobs({ url: `${azurite.url}/${container}`, sas }),
  },
] as const;

beforeAll(async () => {
  for (const keys of [oldKeys, newKeys]) await ok(["keygen", keys]);
  const keyring = new Keyring({ wrapWith: keysetProviders(await readKeysetFile(oldKeys)).slice(0, 1) });
  for (const { open } of STORES) {
    const store = encryptedStore(keyring, open(), { context: (name) => ({ tenant: "acme", object: name }) });
    for (const name of ["2026/1", "2026/2", "2027/3"]) await store.put(name, noise(1000, name));
  }
});

describe.each(STORES)("blobs in $name", ({ args }) => {
  const withEnv = { env: Object.fromEntries(Object.entries(env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]))) };
  const [place = "", ...more] = args;
  const contextOf = ["--context", "tenant=acme"];

  test("list shows names and lengths, without any key", async () => {
    const { text } = await run(["blobs", "list", place, ...more, "--prefix", "2026/"], undefined, withEnv);
    expect(text).toMatch(/^name +stored\n2026\/1 +1,\d+ bytes\n2026\/2 +1,\d+ bytes\n$/);
  });

  test("rewrap moves what is stale, and only that", async () => {
    const keys = ["--key", newKeys, "--key", oldKeys];
    const dry = await run(["blobs", "rewrap", place, ...more, ...keys, "--dry-run", "--after", "2026/1"], undefined, withEnv);
    expect([dry.exitCode, dry.text]).toEqual([0, "2026/2\n2027/3\n"]);
    const moved = await run(["blobs", "rewrap", place, ...more, ...keys], undefined, withEnv);
    expect([moved.exitCode, moved.stderr]).toEqual([0, ""]);
    expect(moved.text).toMatch(/^rewrapped +3\n/);
    const again = await run(["blobs", "rewrap", place, ...more, ...keys], undefined, withEnv);
    expect(again.text).toMatch(/^rewrapped +0\n/);
  });

  test("verify opens all of them, and tells of those that do not open", async () => {
    const opened = await run(["blobs", "verify", place, ...more, "--key", newKeys, ...contextOf, "--all"], undefined, withEnv);
    expect([opened.exitCode, opened.text.split("\n").length]).toEqual([0, 5]);
    const on = await run(
      ["blobs", "verify", place, ...more, "--key", newKeys, ...contextOf, "--after", "2026/1", "--json"],
      undefined,
      withEnv,
    );
    expect(JSON.parse(on.text).map(({ name }: { readonly name: string }) => name)).toEqual(["2026/2", "2027/3"]);
    const foreign = await run(["blobs", "verify", place, ...more, "--key", newKeys, "--context", "tenant=other"], undefined, withEnv);
    expect(foreign.exitCode).toBe(1);
    expect(foreign.stderr).toMatch(/envelock: authentication-failed: 2026\/1/);
  });
});

test.each(STORES)("blobs in $name are the table of a job, with two workers at once", async ({ name, args }) => {
  const withEnv = { env: Object.fromEntries(Object.entries(env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]))) };
  const [place = "", ...more] = args;
  const newest = at(`${name}.json`);
  await ok(["keygen", newest]);
  const worker = [
    "--jobs",
    `file:${at(`${name}-jobs.json`)}`,
    "--blobs",
    place,
    ...more,
    "--key",
    newest,
    "--key",
    newKeys,
    "--prefix",
    "202",
  ];
  const terms = ["--context", "tenant=acme", "--unwrap"];
  const planned = await run(["jobs", "plan", "blobs", ...worker, ...terms, "--create", "--partitions", "3"], undefined, withEnv);
  expect([planned.exitCode, planned.stderr]).toEqual([0, ""]);
  const ends = await Promise.all([1, 2].map(() => run(["jobs", "work", "blobs", ...worker, ...terms, "--json"], undefined, withEnv)));
  for (const { text, exitCode } of ends) {
    expect(exitCode).toBe(0);
    expect(JSON.parse(text)).toMatchObject({ state: "done", report: { counts: { rows: 3, rewrapped: 3, failed: 0 } } });
    expect(JSON.parse(text).kind).toMatch(/^rewrap-blobs\/1\+unwrap:(dir:\/|az:\/\/devstoreaccount1\/).* 202$/);
  }
  const other = await run(["jobs", "work", "blobs", ...worker.slice(0, -2), ...terms], undefined, withEnv); // another table
  expect([other.exitCode, other.stderr]).toEqual([1, expect.stringContaining("Give another id to another job")]);
});

test("what names no store is refused, and a SAS is taken from the environment alone", async () => {
  expect((await refused(2, "invalid-argument", ["blobs", "list", "s4://x/y"])).stderr).toContain("az://<account>/<container>");
  const { PATH = "" } = process.env;
  const { exitCode, stderr } = await run(["blobs", "list", "az://acme/invoices"], undefined, { env: { PATH } });
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining("AZURE_STORAGE_SAS_TOKEN")]);
});
