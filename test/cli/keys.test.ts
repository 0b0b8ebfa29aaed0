import { beforeAll, describe, expect, test } from "vitest";
import { keysetProviders } from "../../providers/local/index.ts";
import { readKeysetFile } from "../../providers/local/keyset-file.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { DataKeys } from "../../src/fields/data-keys.ts";
import { fileStore } from "../../src/stores/file.ts";
import { ok, refused, run, scratch } from "./runner.ts";

const { at, write, names } = scratch();
const [keys, store] = [at("keys.json"), at("data-keys.json")];
const STORE = ["--store", `file:${store}`];
const WITH_KEY = [...STORE, "--key", keys];
let tokens: readonly (readonly [tenant: string, token: string])[] = [];

beforeAll(async () => {
  await ok(["keygen", keys]);
  const dataKeys = await opened();
  tokens = await Promise.all(
    ["acme", "bolt", "crux"].map(async (tenant) => {
      const cipher = await dataKeys.field({ table: "users", column: "email", scope: { tenant } });
      return [tenant, cipher.encrypt(`mail of ${tenant}`)] as const;
    }),
  );
  await dataKeys.close();
});

describe("keys list", () => {
  test("shows each data key, without any key", async () => {
    const { text } = await ok(["keys", "list", ...STORE]);
    const lines = text.trimEnd().split("\n");
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatch(/^scope +for +version +state +created +kid +wrapped by$/);
    expect(lines[1]).toMatch(/^tenant=acme +fields +1 +active +\d{4}-\d\d-\d\d +[0-9a-f]{32} +aes-256-/);
  });

  test("of one scope, as JSON", async () => {
    const { text } = await ok(["keys", "list", ...STORE, "--scope", "tenant=bolt", "--json"]);
    expect(JSON.parse(text)).toMatchObject([
      { scope: { tenant: "bolt" }, purpose: "fields", version: 1, state: "active", recipients: [{ provider: "local" }] },
    ]);
  });
});

describe("keys verify", () => {
  test("opens every data key", async () => {
    expect((await ok(["keys", "verify", ...WITH_KEY])).text).toMatch(
      /^data keys +3 keys\nopened +3\nshredded +0\nforeign +0\nfailed +0\n$/,
    );
  });

  test("tells which do not open, and exits with 1", async () => {
    await ok(["keygen", at("other.json")]);
    const { exitCode, stderr, text } = await run(["keys", "verify", ...STORE, "--key", at("other.json"), "--json"]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("envelock: no-matching-provider: tenant=acme version 1: ");
    const report: unknown = JSON.parse(text);
    expect(report).toMatchObject({ rows: 3, opened: 0, failed: 3 });
    const error = { code: "no-matching-provider", message: expect.any(String), retryable: false };
    expect(report).toHaveProperty("failures", expect.arrayContaining([{ scope: { tenant: "crux" }, version: 1, error }]));
  });
});

describe("keys rewrap", () => {
  test("after a new key version: first what would be done, then the work, then nothing is left", async () => {
    await ok(["keygen", keys, "--add", "--set-primary"]);
    const before = names();
    expect(JSON.parse((await ok(["keys", "rewrap", ...WITH_KEY, "--dry-run", "--json"])).text)).toMatchObject({
      rows: 3,
      stale: 3,
      rewrapped: 0,
      retirable: [],
    });
    const { text } = await ok(["keys", "rewrap", ...WITH_KEY, "--checkpoint", at("progress")]);
    expect(text).toMatch(/rewrapped +3\n/);
    expect(text).toMatch(/^local +aes-256-\S+ +3 +0 +retirable$/m);
    expect(JSON.parse((await ok(["keys", "rewrap", ...WITH_KEY, "--json"])).text)).toMatchObject({ stale: 0, rewrapped: 0 });
    expect(names()).toEqual(before); // a checkpoint of a job that is done is removed
    await expectTokensToOpen(["acme", "bolt", "crux"]);
  });

  test.each([
    ["--dry-run", "--checkpoint", "x"],
    ["--concurrency", "0"],
    ["--table", "x"],
  ])("%s %s %s is a wrong command line", async (...wrong) => {
    await refused(2, "invalid-argument", ["keys", "rewrap", ...WITH_KEY, ...wrong.filter((word) => word !== undefined)]);
  });
});

test("keys rotate adds a version that the next reader finds", async () => {
  const { text } = await ok(["keys", "rotate", ...WITH_KEY, "--scope", "tenant=bolt", "--json"]);
  expect(JSON.parse(text)).toMatchObject({ scope: { tenant: "bolt" }, version: 2, state: "active" });
  expect((await ok(["keys", "rotate", ...WITH_KEY, "--scope", "tenant=bolt"])).text).toMatch(/\ntenant=bolt +3 +active +[0-9a-f]{32}\n$/);
  const states = JSON.parse((await ok(["keys", "list", ...STORE, "--scope", "tenant=bolt", "--json"])).text);
  expect(states).toMatchObject([{ state: "retired" }, { state: "retired" }, { state: "active" }]);
  await expectTokensToOpen(["bolt"]);
});

describe("keys shred", () => {
  const SHRED = ["keys", "shred", ...WITH_KEY, "--scope", "tenant=crux"];

  test.each([
    ["another scope", "tenant=acme\n"],
    ["half of it", "tenant="],
    ["nothing", ""],
    ["a yes", "yes\n"],
  ])("with %s typed again destroys nothing", async (_what, typed) => {
    const { exitCode, stderr } = await run(SHRED, Buffer.from(typed));
    expect(exitCode).toBe(1);
    expect(stderr).toContain("nothing was destroyed");
    await expectTokensToOpen(["crux"]);
  });

  test("without a scope is a wrong command line", async () => {
    await refused(2, "invalid-argument", ["keys", "shred", ...WITH_KEY]);
  });

  test("as a dry run says how many, and asks nothing", async () => {
    expect((await ok([...SHRED, "--dry-run"])).text).toBe("1 key would be destroyed\n");
    await expectTokensToOpen(["crux"]);
  });

  test("with the scope typed again destroys its keys, and no others", async () => {
    const { exitCode, text, stderr } = await run(SHRED, Buffer.from("tenant=crux\n"));
    expect(stderr).toContain("This destroys 1 key of tenant=crux and all that they encrypted, for good.");
    expect([exitCode, text]).toEqual([0, "1 key destroyed\n"]);
    await expect(expectTokensToOpen(["crux"])).rejects.toMatchObject({ code: "key-shredded" });
    await expectTokensToOpen(["acme", "bolt"]);
  });
});

describe("--store", () => {
  test.each(["keys.json", "mysql://host/db", "file"])("%s is none", async (argument) => {
    await refused(2, "invalid-argument", ["keys", "list", "--store", argument]);
  });

  test("a server that does not answer is `unavailable`", async () => {
    await refused(1, "unavailable", ["keys", "list", "--store", "postgres://nobody@127.0.0.1:1/none"]);
  });

  test("a database that is not there is not made", async () => {
    await refused(1, "key-not-found", ["keys", "list", "--store", `sqlite:${at("none.db")}`]);
    expect(names()).not.toContain("none.db");
  });

  test("a file that is no store is refused", async () => {
    await refused(1, "provider-failure", ["keys", "list", "--store", `file:${write("odd.json", "[]")}`]);
  });
});

async function opened(): Promise<DataKeys> {
  const [primary, ...others] = keysetProviders(await readKeysetFile(keys));
  return new DataKeys({ keyring: new Keyring({ wrapWith: [primary], unwrapWith: others }), store: fileStore(store) });
}

async function expectTokensToOpen(tenants: readonly string[]): Promise<void> {
  const dataKeys = await opened();
  for (const [tenant, token] of tokens.filter(([name]) => tenants.includes(name))) {
    const cipher = await dataKeys.field({ table: "users", column: "email", scope: { tenant } });
    expect(cipher.decrypt(token)).toBe(`mail of ${tenant}`);
  }
  await dataKeys.close();
}
