import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, statSync, symlinkSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { ok, refused, run, scratch } from "./runner.ts";

const { at, read, write, names } = scratch();
const keys = at("keys.json");
const plaintext = Uint8Array.from(randomBytes(100_000));
const file = write("plain.bin", plaintext);
const context = ["--context", "object=plain.bin", "--context", "tenant="];

beforeAll(async () => {
  await ok(["keygen", keys, "--key-id", "v1"]);
  await ok(["encrypt", file, "--key", keys, ...context, "--out", at("envelope")]);
});

describe("what was encrypted is decrypted", () => {
  test("from file to file", async () => {
    await ok(["decrypt", at("envelope"), "--key", keys, ...context, "--out", at("back.bin")]);
    expect(read("back.bin")).toEqual(plaintext);
    expect(statSync(at("back.bin")).mode & 0o777).toBe(0o600);
  });

  test.each<readonly [string, readonly string[]]>([
    ["without a file name", []],
    ["where - stands for both", ["-", "--out", "-"]],
  ])("from pipe to pipe, %s", async (_what, names) => {
    const { stdout: envelope } = await ok(["encrypt", ...names, "--key", keys], plaintext);
    const { stdout } = await ok(["decrypt", ...names, "--key", keys], envelope);
    expect(stdout).toEqual(plaintext);
  });

  test("of no bytes at all", async () => {
    const { stdout: envelope } = await ok(["encrypt", "--key", keys], new Uint8Array(0));
    expect((await ok(["decrypt", "--key", keys], envelope)).stdout).toHaveLength(0);
  });

  test("whatever the order of the context", async () => {
    const { stdout } = await ok(["decrypt", at("envelope"), "--key", keys, "--context", "tenant=", "--context", "object=plain.bin"]);
    expect(stdout).toEqual(plaintext);
  });

  test("with a context whose key is __proto__ and whose value holds =", async () => {
    const odd = ["--context", "__proto__=a=b"];
    const { stdout: envelope } = await ok(["encrypt", file, "--key", keys, ...odd]);
    expect((await ok(["decrypt", "--key", keys, ...odd], envelope)).stdout).toEqual(plaintext);
    await refused(1, "authentication-failed", ["decrypt", "--key", keys], envelope);
  });

  test("under a key context, which is not the same as a context", async () => {
    const { stdout: envelope } = await ok(["encrypt", file, "--key", keys, "--key-context", "tenant=acme"]);
    expect((await ok(["decrypt", "--key", keys, "--key-context", "tenant=acme"], envelope)).stdout).toEqual(plaintext);
    await refused(1, "authentication-failed", ["decrypt", "--key", keys, "--context", "tenant=acme"], envelope);
    await refused(1, "authentication-failed", ["decrypt", "--key", keys], envelope);
  });

  test("by each of several recipients, one of which gave a public half alone", async () => {
    await ok(["keygen", at("team.json"), "--type", "x25519"]);
    await ok(["keygen", at("team.json"), "--public", "--out", at("team.pub.json")]);
    await ok(["encrypt", file, "--key", keys, "--recipient", at("team.pub.json"), "--out", at("shared")]);
    for (const key of [keys, at("team.json")]) expect((await ok(["decrypt", at("shared"), "--key", key])).stdout).toEqual(plaintext);
  });

  test("with whichever of several keysets fits", async () => {
    await ok(["keygen", at("unrelated.json")]);
    const { stdout } = await ok(["decrypt", at("envelope"), "--key", at("unrelated.json"), "--key", keys, ...context]);
    expect(stdout).toEqual(plaintext);
  });
});

describe("nothing is written, and the code says why", () => {
  const flipped = (offset: number): Uint8Array => {
    const envelope = read("envelope");
    envelope.set([(envelope.at(offset) ?? 0) ^ 1], offset < 0 ? envelope.length + offset : offset);
    return envelope;
  };
  const cases: readonly (readonly [string, string, () => Uint8Array, readonly string[]])[] = [
    ["another context", "authentication-failed", () => read("envelope"), ["--context", "object=other.bin", "--context", "tenant="]],
    ["no context", "authentication-failed", () => read("envelope"), []],
    ["a flipped byte in the wrapped key", "authentication-failed", () => flipped(120), context],
    ["a flipped byte in the body", "authentication-failed", () => flipped(50_000), context],
    ["a flipped byte at the end", "authentication-failed", () => flipped(-1), context],
    ["an envelope cut in its body", "authentication-failed", () => read("envelope").subarray(0, -20_000), context],
    ["an envelope cut in its header", "malformed-envelope", () => read("envelope").subarray(0, 20), context],
    ["a newer format", "unsupported-version", () => flipped(1), context],
    ["plaintext", "malformed-envelope", () => plaintext.map((byte, at) => (at === 0 ? 0 : byte)), context],
    ["nothing", "malformed-envelope", () => new Uint8Array(0), context],
  ];
  test.each(cases)("for %s: %s", async (_what, code, envelope, options) => {
    const args = ["decrypt", "--key", keys, ...options];
    await refused(1, code, args, envelope());
    await refused(1, code, [...args, "--out", at("refused.bin")], envelope());
    expect(names().filter((name) => name.startsWith("refused") || name.startsWith("."))).toEqual([]);
  });

  test("for a missing key: no-matching-provider, and a hint", async () => {
    await ok(["keygen", at("stranger.json")]);
    const { stderr } = await refused(1, "no-matching-provider", ["decrypt", at("envelope"), "--key", at("stranger.json"), ...context]);
    expect(stderr).toMatch(/^hint: .*envelock inspect/m);
  });

  test("for a public half, which cannot unwrap", async () => {
    await ok(["keygen", at("half.json"), "--type", "x25519"]);
    await ok(["keygen", at("half.json"), "--public", "--out", at("half.pub.json")]);
    const { stdout: envelope } = await ok(["encrypt", file, "--key", at("half.pub.json")]);
    const { exitCode, stdout } = await run(["decrypt", "--key", at("half.pub.json")], envelope);
    expect(exitCode).toBe(1);
    expect(stdout).toHaveLength(0);
    expect((await ok(["decrypt", "--key", at("half.json")], envelope)).stdout).toEqual(plaintext);
  });

  test("for a keyset that others may read: access-denied", async () => {
    write("open.json", read("keys.json"));
    chmodSync(at("open.json"), 0o644);
    for (const verb of ["encrypt", "decrypt"]) await refused(1, "access-denied", [verb, at("envelope"), "--key", at("open.json")]);
  });

  test.each<readonly [string, string, string]>([
    ["missing", "key-not-found", "no-such.json"],
    ["no keyset", "invalid-argument", "plain.bin"],
  ])("for a keyset that is %s: %s", async (_what, code, name) => {
    await refused(1, code, ["encrypt", file, "--key", at(name)]);
  });

  test.each(["no-such-file", "."])("for an input that cannot be read: %s", async (name) => {
    for (const verb of ["encrypt", "decrypt"]) await refused(1, "invalid-argument", [verb, at(name), "--key", keys]);
  });
});

describe("an existing target", () => {
  const verbs: readonly (readonly [string, readonly string[], Uint8Array | undefined])[] = [
    ["encrypt", ["encrypt", file, "--key", keys], undefined],
    ["decrypt", ["decrypt", at("envelope"), "--key", keys, ...context], plaintext],
  ];
  test.each(verbs)("of %s stays without --force and is replaced with it", async (verb, args, expected) => {
    const name = `taken-${verb}`;
    write(name, "taken");
    const { stderr } = await refused(1, "invalid-argument", [...args, "--out", at(name)]);
    expect(stderr).toMatch(/^hint: --force/m);
    expect(new TextDecoder().decode(read(name))).toBe("taken");
    await ok([...args, "--out", at(name), "--force"]);
    expect(read(name).length).toBeGreaterThan(99_999);
    if (expected !== undefined) expect(read(name)).toEqual(expected);
  });

  test("stays with --force too if the envelope does not open", async () => {
    write("survivor", "still here");
    await refused(1, "authentication-failed", ["decrypt", at("envelope"), "--key", keys, "--out", at("survivor"), "--force"]);
    expect(new TextDecoder().decode(read("survivor"))).toBe("still here");
  });

  test("that is a link is replaced itself, not what it points to", async () => {
    write("pointed-to", "untouched");
    symlinkSync(at("pointed-to"), at("link"));
    const args = ["decrypt", at("envelope"), "--key", keys, ...context, "--out", at("link")];
    await refused(1, "invalid-argument", args);
    await ok([...args, "--force"]);
    expect(read("link")).toEqual(plaintext);
    expect(new TextDecoder().decode(read("pointed-to"))).toBe("untouched");
  });

  test("that is no regular file is refused even with --force", async () => {
    mkdirSync(at("folder"));
    for (const target of [at("folder"), "/dev/null"]) {
      await refused(1, "invalid-argument", ["encrypt", file, "--key", keys, "--out", target, "--force"]);
    }
  });
});

describe("a wrong command line", () => {
  test.each<readonly [string, readonly string[]]>([
    ["no --key", ["encrypt", file]],
    ["two --key to encrypt, of which one would do nothing", ["encrypt", file, "--key", keys, "--key", keys]],
    ["a context without =", ["encrypt", file, "--key", keys, "--context", "object"]],
    ["a context without a key", ["encrypt", file, "--key", keys, "--context", "=7"]],
    ["a context key given twice", ["decrypt", file, "--key", keys, "--context", "a=1", "--context", "a=1"]],
    ["a key of an unknown kind", ["encrypt", file, "--key", "azure-key-vault:name/key"]],
    ["an unknown option", ["decrypt", file, "--key", keys, "--contxt", "a=1"]],
    ["standard input beside a file", ["decrypt", file, "-", "--key", keys]],
  ])("is %s", async (_what, args) => {
    await refused(2, "invalid-argument", args);
  });
});
