import { mkdirSync } from "node:fs";
import { createServer, request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { keysetProviders } from "../../providers/local/index.ts";
import { readKeysetFile } from "../../providers/local/keyset-file.ts";
import { azureBlobs } from "../../src/blobs/azure/index.ts";
import { fileBlobs } from "../../src/blobs/files/index.ts";
import { encryptedStore } from "../../src/blobs/index.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { noise } from "../support/arbitraries.ts";
import { startAzurite } from "../support/azurite.ts";
import { originOf } from "../support/serving.ts";
import { expectOneBar, ok, onSlowTerminal, refused, run, scratch, start } from "./runner.ts";

const { at, write } = scratch();
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
  const withEnv = { env: stringsOf(env) };
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
  const withEnv = { env: stringsOf(env) };
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

test("each verb over the blobs of a container shows one bar on a terminal", async () => {
  const place = `az://devstoreaccount1/${await azurite.createContainer()}/`;
  const more = ["--endpoint", azurite.url, "--parallel", "3"];
  const withSas = { ...env, AZURE_STORAGE_SAS_TOKEN: azurite.sas(place.split("/")[3] ?? "") };
  for (const folder of ["many", "opened"]) mkdirSync(at(folder));
  for (const name of ["one", "two", "three"]) write(`many/${name}`, noise(200_000));
  const shown = (args: readonly string[]): string => {
    const text = onSlowTerminal([...args, ...more], withSas);
    expectOneBar(text);
    return text;
  };
  expect(shown(["encrypt", "--recursive", at("many"), "--key", oldKeys, "--out", place])).toContain("3 encrypted");
  expect(shown(["verify", `${place}*`, "--key", oldKeys])).toContain("3 verified");
  expect(shown(["verify", `${place}*`, "--key", oldKeys, "--all"])).toContain("3 verified");
  expect(shown(["decrypt", `${place}*`, "--key", oldKeys, "--out", at("opened")])).toContain("3 decrypted");
  for (const lanes of ["2", "auto"]) {
    const { stdout } = await run(["decrypt", `${place}one`, "--key", oldKeys, "--lanes", lanes, ...more], undefined, {
      env: stringsOf(withSas),
    });
    expect(stdout).toEqual(noise(200_000));
  }
  expect(shown(["rewrap", `${place}*`, "--key", newKeys, "--key", oldKeys])).toContain("3 rewrapped");
  const verbs = [
    ["verify", "--all", "--key", newKeys],
    ["rewrap", "--key", oldKeys, "--key", newKeys],
  ];
  for (const [verb = "", ...given] of verbs) {
    const text = onSlowTerminal(["blobs", verb, place, ...more.slice(0, 2), ...given], withSas);
    expect(text.match(/\r\d+ blobs? /g)).toEqual(["\r1 blob ", "\r2 blobs ", "\r3 blobs "]);
  }
});

test("verify that is killed goes on after the last blob that it printed", async () => {
  const names = Array.from({ length: 8 }, (_, at) => `long/${at}`);
  const keyring = new Keyring({ wrapWith: keysetProviders(await readKeysetFile(newKeys)).slice(0, 1) });
  const store = encryptedStore(keyring, azureBlobs({ url: `${azurite.url}/${container}`, sas }), { context: (name) => ({ object: name }) });
  for (const name of names) await store.put(name, noise(1000, name));
  await using between = await holding(azurite.url, "/long/5");
  const args = ["blobs", "verify", `az://devstoreaccount1/${container}/long/`, "--endpoint", between.url, "--key", newKeys, "--all"];
  const running = start([...args, "--parallel", "2"], { env: stringsOf(env) });
  await between.isHeld;
  await running.hasPrinted(/long\/3 /); // what comes before the blob that hangs, and the other one in flight
  running.kill("SIGKILL");
  const killed = await running.done;
  expect(killed.signal).toBe("SIGKILL");
  const before = printedNames(killed.text);
  between.letGo();
  const on = await run([...args, "--after", before.at(-1) ?? ""], undefined, { env: stringsOf(env) });
  expect([on.exitCode, on.stderr]).toEqual([0, ""]);
  expect(before.length).toBeGreaterThanOrEqual(4);
  expect([...before, ...printedNames(on.text)]).toEqual(names);
});

function stringsOf(variables: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(variables).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
}

/** Stands before a store, and leaves requests unanswered whose path ends so, until it lets go. */
async function holding(url: string, ending: string): Promise<AsyncDisposable & { url: string; isHeld: Promise<void>; letGo(): void }> {
  const store = new URL(url);
  let holds = true;
  let tell = (): void => undefined;
  const isHeld = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const server = createServer((asked, answer) => {
    const { url: path = "/", method, headers } = asked;
    if (holds && new URL(path, store).pathname.endsWith(ending)) return tell();
    const passed = request({ host: store.hostname, port: store.port, path, method, headers }, (given) => {
      answer.writeHead(given.statusCode ?? 500, given.headers);
      given.pipe(answer);
    });
    passed.on("error", () => answer.destroy());
    asked.pipe(passed);
  });
  return {
    url: `${await originOf(server)}${store.pathname}`,
    isHeld,
    letGo() {
      holds = false;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function printedNames(text: string): readonly string[] {
  return [...text.matchAll(/^(long\/\d) /gm)].map(([, name = ""]) => name);
}

test("what names no store is refused, and a SAS is taken from the environment alone", async () => {
  expect((await refused(2, "invalid-argument", ["blobs", "list", "s4://x/y"])).stderr).toContain("az://<account>/<container>");
  const { PATH = "" } = process.env;
  const { exitCode, stderr } = await run(["blobs", "list", "az://acme/invoices"], undefined, { env: { PATH } });
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining("AZURE_STORAGE_SAS_TOKEN")]);
});
