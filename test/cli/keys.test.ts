import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { keysetProviders } from "../../providers/local/index.ts";
import { readKeysetFile } from "../../providers/local/keyset-file.ts";
import { scopeLine } from "../../src/cli/keys/describe.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { DataKeys } from "../../src/fields/data-keys.ts";
import { fileStore } from "../../src/stores/file.ts";
import { ok, refused, run, scratch } from "./runner.ts";

const { at, read, write, names } = scratch();
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

describe("a bad row", () => {
  test.each<readonly [string, object, RegExp]>([
    ["a time that no date has", { createdAtMs: 9e15 }, /^envelock: malformed-envelope: tenant=\w+ version 9: its time/],
    ["a record that is none", { record: "ff" }, /^envelock: malformed-envelope: tenant=\w+ version 9: not a key record/],
    ["a state that is none", { state: "asleep" }, /^envelock: malformed-envelope: tenant=\w+ version 9: the row cannot be read/],
    ["a scope that is none", { scope: "!!!" }, /^envelock: malformed-envelope: \? version 9: the text of its scope/],
  ])("with %s is reported, and the others are listed", async (_what, damage, said) => {
    const content: { rows: object[] } = JSON.parse(new TextDecoder().decode(read("data-keys.json")));
    const row = { ...content.rows[0], version: 9, kid: "0".repeat(32), ...damage };
    const file = write("bad-row.json", JSON.stringify({ ...content, rows: [...content.rows, row] }));
    const { exitCode, text, stderr } = await run(["keys", "list", "--store", `file:${file}`]);
    expect(exitCode).toBe(1);
    expect(text.trimEnd().split("\n")).toHaveLength(5);
    expect(stderr).toMatch(said);
  });
});

test("no two scopes are written alike", () => {
  const text = fc.stringMatching(/^[ab,=\\\n\u200b{}u]{0,6}$/);
  const context = fc.dictionary(
    text.filter((key) => key !== ""),
    text,
    { maxKeys: 3 },
  );
  fc.assert(
    fc.property(context, context, (one, other) => {
      const same = JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(other).sort());
      expect(scopeLine(one) === scopeLine(other)).toBe(same);
    }),
    { numRuns: 2000 },
  );
  expect(scopeLine({ tenant: "a,region=b" })).not.toBe(scopeLine({ tenant: "a", region: "b" }));
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
    expect(report).toHaveProperty(
      "failures",
      expect.arrayContaining([{ scope: { tenant: "crux" }, purpose: "fields", version: 1, error }]),
    );
  });
});

describe("keys prove", () => {
  test("writes the proofs that rows lack, once, and verify takes the rows then", async () => {
    const own = ["--store", `file:${at("unproven.json")}`, "--key", keys];
    for (const more of [["--create"], []]) await ok(["keys", "rotate", ...own, "--scope", "tenant=acme", ...more]);
    const content: { rows: object[] } = JSON.parse(new TextDecoder().decode(read("unproven.json")));
    write("unproven.json", JSON.stringify({ ...content, rows: content.rows.map((row) => ({ ...row, proof: null })) }));

    expect((await run(["keys", "verify", ...own])).exitCode).toBe(1);
    expect((await ok(["keys", "prove", ...own])).text).toMatch(/\nproven +[1-9]\nshredded +0\nforeign +0\nfailed +0\n$/);
    expect(JSON.parse((await ok(["keys", "prove", ...own, "--json"])).text)).toMatchObject({ proven: 0, failed: 0 });
    await ok(["keys", "verify", ...own]);
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

describe("a scope that has no data key", () => {
  const files = (): string => new TextDecoder().decode(read("data-keys.json"));

  test.each([
    ["rotate", ["--scope", "tenant=acmee"], "did you mean tenant=acme?"],
    ["rotate", ["--scope", "tennant=acme"], "did you mean tenant=acme?"],
    ["rotate", [], "`envelock keys list` shows the scopes"],
    ["shred", ["--scope", "tenant=acmee", "--dry-run"], "did you mean tenant=acme?"],
    ["shred", ["--scope", "tenant=acmee"], "did you mean tenant=acme?"],
  ])("is not made by %s %j", async (verb, options, hint) => {
    const before = files();
    const { stderr } = await refused(1, "key-not-found", ["keys", verb, ...WITH_KEY, ...options]);
    expect(stderr).toContain(hint);
    expect(files()).toBe(before);
  });

  test("is made by rotate --create, the file of the store too", async () => {
    const made = ["--store", `file:${at("made.json")}`, "--key", keys, "--scope", "tenant=new"];
    await refused(1, "key-not-found", ["keys", "rotate", ...made]);
    expect((await ok(["keys", "rotate", ...made, "--create"])).text).toContain("tenant=new");
  });

  test.each(["list", "verify", "prove", "rewrap"])("keys %s of a mistyped file is no success", async (verb) => {
    const key = verb === "list" ? [] : ["--key", keys];
    const { stderr } = await refused(1, "key-not-found", ["keys", verb, "--store", `file:${at("data-key.json")}`, ...key]);
    expect(stderr).toContain("did you mean data-keys.json?");
    expect(names()).not.toContain("data-key.json");
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

  test("of a scope that is shredded asks nothing, and says so", async () => {
    for (const more of [[], ["--dry-run"]])
      expect((await ok([...SHRED, ...more])).text).toBe("tenant=crux was shredded before: there is nothing left to destroy\n");
    expect(JSON.parse((await ok([...SHRED, "--json"])).text)).toEqual({ scope: { tenant: "crux" }, live: 0, shredded: 0 });
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

  test.each([
    "postgress://app:hunter2@db.example/app",
    "app:hunter2@db.example/app",
    "postgres://app:hunter2@[/x",
    "hunter2",
  ])("%s: its password is in no message", async (argument) => {
    const { stderr } = await refused(2, "invalid-argument", ["keys", "list", "--store", argument, "--debug"]);
    expect(stderr).not.toContain("hunter2");
    expect(stderr).toMatch(/^hint: .*postgres:/m);
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
