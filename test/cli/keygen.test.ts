import { spawnSync } from "node:child_process";
import { chmodSync, statSync, symlinkSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Keyset, parseKeyset } from "../../providers/local/index.ts";
import { CLI, ok, refused, scratch } from "./runner.ts";

const { at, read, write, names } = scratch();

const keysetIn = (name: string): Keyset => parseKeyset(new TextDecoder().decode(read(name)));
const modeOf = (name: string): number => statSync(at(name)).mode & 0o777;

describe("a new keyset", () => {
  test.each(["aes-256", "x25519", "mlkem768-x25519"])("of one %s key, for its owner alone", async (type) => {
    const name = `new-${type}.json`;
    const { text } = await ok(["keygen", at(name), "--type", type]);
    const { primary, keys } = keysetIn(name);
    expect(keys.map((key) => key.type)).toEqual([type]);
    expect(keys.map((key) => key.keyId)).toEqual([primary]);
    expect(text).toMatch(new RegExp(`^primary +${type} .* ${primary}$`, "m"));
    expect(modeOf(name)).toBe(0o600);
  });

  test("is of type aes-256 unless told, under a name that is told", async () => {
    await ok(["keygen", at("named.json"), "--key-id", "orders-1"]);
    const { primary, keys } = keysetIn("named.json");
    expect(primary).toBe("orders-1");
    expect(keys[0]?.type).toBe("aes-256");
  });

  test("names its keys differently each time", async () => {
    await ok(["keygen", at("one.json")]);
    await ok(["keygen", at("two.json")]);
    expect(keysetIn("one.json").primary).not.toBe(keysetIn("two.json").primary);
  });

  test("never replaces a file", async () => {
    write("precious.json", "keep me");
    const { stderr } = await refused(1, "invalid-argument", ["keygen", at("precious.json")]);
    expect(stderr).toContain("hint: --add");
    await refused(2, "invalid-argument", ["keygen", at("precious.json"), "--force"]);
    expect(new TextDecoder().decode(read("precious.json"))).toBe("keep me");
  });

  test("shows no secret", async () => {
    const { text } = await ok(["keygen", at("silent.json")]);
    expect(text).not.toContain(secretTextIn("silent.json"));
  });
});

test("works under Node's permission model, which lets no path through a handle of a folder be written", () => {
  const flag = process.allowedNodeEnvironmentFlags.has("--permission") ? "--permission" : "--experimental-permission";
  const allowed = [flag, "--allow-fs-read=*", `--allow-fs-write=${at("")}*`];
  const { status, stderr } = spawnSync(process.execPath, [...allowed, CLI, "keygen", at("permitted.json")], { encoding: "utf8" });
  expect([status, stderr.replace(/^\(.*\n?/gm, "")]).toEqual([0, ""]);
  expect(keysetIn("permitted.json").keys).toHaveLength(1);
});

describe("an existing keyset", () => {
  test("gets a version that only unwraps, of the primary's type, until it is made the primary", async () => {
    await ok(["keygen", at("grown.json"), "--type", "x25519", "--key-id", "v1"]);
    await ok(["keygen", at("grown.json"), "--add", "--key-id", "v2"]);
    expect(keysetIn("grown.json").primary).toBe("v1");
    expect(keysetIn("grown.json").keys.map(({ keyId, type }) => [keyId, type])).toEqual([
      ["v1", "x25519"],
      ["v2", "x25519"],
    ]);
    await ok(["keygen", at("grown.json"), "--set-primary", "--key-id", "v2"]);
    expect(keysetIn("grown.json").primary).toBe("v2");
    expect(modeOf("grown.json")).toBe(0o600);
  });

  test("gets a version that is the primary at once", async () => {
    await ok(["keygen", at("at-once.json"), "--key-id", "v1"]);
    const { text } = await ok(["keygen", at("at-once.json"), "--add", "--set-primary", "--type", "x25519", "--key-id", "v2"]);
    expect(keysetIn("at-once.json").primary).toBe("v2");
    expect(text).toMatch(/^unwraps +aes-256 .* v1$/m);
    expect(text).toMatch(/^primary +x25519 .* v2$/m);
  });

  test.each<readonly [string, readonly string[]]>([
    ["a key id that it has already", ["--add", "--key-id", "v1"]],
    ["a primary that it has not", ["--set-primary", "--key-id", "v9"]],
  ])("refuses %s and stays as it is", async (_what, options) => {
    const name = `kept${options[0]}.json`;
    await ok(["keygen", at(name), "--key-id", "v1"]);
    const before = read(name);
    await refused(1, "invalid-argument", ["keygen", at(name), ...options]);
    expect(read(name)).toEqual(before);
  });

  test("keeps every key of many that are added at once", async () => {
    await ok(["keygen", at("crowd.json"), "--key-id", "first"]);
    const added = Array.from({ length: 6 }, (_, number) => `added-${number}`);
    await Promise.all(added.map((name) => ok(["keygen", at("crowd.json"), "--add", "--key-id", name])));
    expect(
      keysetIn("crowd.json")
        .keys.map(({ keyId }) => keyId)
        .sort(),
    ).toEqual([...added, "first"]);
    expect(names().filter((name) => name.includes("crowd"))).toEqual(["crowd.json"]);
  });

  test("is changed where a link points to", async () => {
    await ok(["keygen", at("real.json")]);
    symlinkSync(at("real.json"), at("link.json"));
    await ok(["keygen", at("link.json"), "--add"]);
    expect(keysetIn("real.json").keys).toHaveLength(2);
  });

  test.each(["--add", "--public"])("must be there for %s", async (option) => {
    await refused(1, "key-not-found", ["keygen", at("missing.json"), option]);
    expect(names()).not.toContain("missing.json");
  });

  test("that others may read is refused", async () => {
    await ok(["keygen", at("open.json")]);
    chmodSync(at("open.json"), 0o644);
    const { stderr } = await refused(1, "access-denied", ["keygen", at("open.json"), "--add"]);
    expect(stderr).toContain("hint: chmod 600");
  });
});

describe("the public half", () => {
  test.each(["x25519", "mlkem768-x25519"])("of %s holds no secret, goes to standard output or a file", async (type) => {
    const name = `pair-${type}.json`;
    await ok(["keygen", at(name), "--type", type]);
    const { text } = await ok(["keygen", at(name), "--public"]);
    const [key] = parseKeyset(text).keys;
    expect(key?.keyId).toBe(keysetIn(name).primary);
    expect(key).not.toHaveProperty("secret");
    expect(text).not.toContain(secretTextIn(name));
    await ok(["keygen", at(name), "--public", "--out", at(`public-${type}.json`)]);
    expect(keysetIn(`public-${type}.json`)).toEqual(parseKeyset(text));
    expect(modeOf(`public-${type}.json`) & 0o022).toBe(0);
  });

  test("does not exist of an AES key", async () => {
    await ok(["keygen", at("aes.json")]);
    await refused(1, "invalid-argument", ["keygen", at("aes.json"), "--public"]);
  });

  test("replaces a file only with --force", async () => {
    await ok(["keygen", at("pair.json"), "--type", "x25519"]);
    write("taken.json", "taken");
    await refused(1, "invalid-argument", ["keygen", at("pair.json"), "--public", "--out", at("taken.json")]);
    await ok(["keygen", at("pair.json"), "--public", "--out", at("taken.json"), "--force"]);
    expect(keysetIn("taken.json").primary).toBe(keysetIn("pair.json").primary);
  });
});

test.each<readonly [string, readonly string[]]>([
  ["--set-primary without a key", ["--set-primary"]],
  ["--set-primary of a type", ["--set-primary", "--key-id", "v1", "--type", "x25519"]],
  ["--out without --public", ["--out", "x"]],
  ["--public with --add", ["--public", "--add"]],
  ["an unknown type", ["--type", "rsa"]],
])("%s is a wrong command line", async (_what, options) => {
  await refused(2, "invalid-argument", ["keygen", at("unused.json"), ...options]);
  expect(names()).not.toContain("unused.json");
});

/** The secret of the first key, as it stands in the file. */
function secretTextIn(name: string): string {
  const [key] = keysetIn(name).keys;
  return Buffer.from(key?.secret ?? new Uint8Array(1)).toString("base64url");
}
