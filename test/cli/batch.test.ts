import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { ok, refused, run, scratch } from "./runner.ts";

const { at, read, write, names } = scratch();
const keys = at("keys.json");
const KEY = ["--key", keys];

beforeAll(async () => {
  await ok(["keygen", keys, "--key-id", "v1"]);
});

/** A folder with two files, one in a folder below, a link and a pipe. */
function tree(name: string): string {
  mkdirSync(at(`${name}/below`), { recursive: true });
  write(`${name}/one`, "one");
  write(`${name}/below/two`, "two");
  symlinkSync(keys, at(`${name}/link`));
  execFileSync("mkfifo", [at(`${name}/pipe`)]);
  return at(name);
}

describe("encrypt and decrypt", () => {
  test("several files: each beside its own, with a line for each and a summary", async () => {
    const [a, b] = [write("a", "1"), write("b", "2")];
    expect((await ok(["encrypt", a, b, ...KEY])).text).toBe(
      `encrypted  ${a} -> ${a}.envelock\nencrypted  ${b} -> ${b}.envelock\n2 encrypted\n`,
    );
    const { exitCode, text, stderr } = await run(["decrypt", `${a}.envelock`, `${b}.envelock`, ...KEY]);
    expect([exitCode, text]).toEqual([1, "2 failed\n"]);
    expect(stderr.match(/^hint: --force replaces it$/gm)).toHaveLength(1); // one hint once
    await ok(["decrypt", `${a}.envelock`, `${b}.envelock`, ...KEY, "--force"]);
    expect(new TextDecoder().decode(read("b"))).toBe("2");
  });

  test("a folder and what is below it, to another folder and back; links and pipes are left out", async () => {
    const source = tree("source");
    for (const name of ["sealed", "opened"]) mkdirSync(at(name));
    expect((await ok(["encrypt", "--recursive", source, ...KEY, "--out", at("sealed")])).text).toMatch(/\n2 encrypted\n$/);
    expect(names("sealed")).toEqual(["below", "one.envelock"]);
    expect((await ok(["decrypt", "--recursive", at("sealed"), ...KEY, "--out", at("opened")])).text).toMatch(/\n2 decrypted\n$/);
    expect(new TextDecoder().decode(read("opened/below/two"))).toBe("two");
    expect(names("source")).toEqual(["below", "link", "one", "pipe"]);
  });

  test("run twice over a folder encrypts no envelope again", async () => {
    const twice = tree("twice");
    await ok(["encrypt", "--recursive", twice, ...KEY]);
    expect((await ok(["encrypt", "--recursive", twice, ...KEY, "--force"])).text).toMatch(/\n2 encrypted\n$/);
    expect(names("twice")).toEqual(["below", "link", "one", "one.envelock", "pipe"]);
  });

  test("a bad file does not end the batch, and the exit code says so", async () => {
    const mixed = at("mixed");
    mkdirSync(mixed);
    for (const name of ["good", "late"]) await ok(["encrypt", write(name, name), ...KEY, "--out", at(`mixed/${name}.envelock`)]);
    write("mixed/half.envelock", read("mixed/good.envelock").subarray(0, 100));
    const { exitCode, text, stderr } = await run(["decrypt", "--recursive", mixed, ...KEY]);
    expect(exitCode).toBe(1);
    expect(text).toMatch(/\n2 decrypted, 1 failed\n$/);
    expect(stderr).toMatch(/^envelock: malformed-envelope: .*half\.envelock/);
    expect(names("mixed")).toEqual(["good", "good.envelock", "half.envelock", "late", "late.envelock"]);
  });

  test.each<readonly [string, readonly string[], string]>([
    ["a file as --out of several", ["encrypt", "a", "b", "--out", "c"], "make it first"],
    ["standard input beside a file", ["encrypt", "a", "-"], "name the files without -"],
    ["a range of several", ["decrypt", "a", "b", "--range", "0-1"], "name one envelope"],
  ])("%s is a wrong command line", async (_what, args, hint) => {
    expect((await refused(2, "invalid-argument", [...args, ...KEY])).stderr).toContain(hint);
  });

  test("a folder without --recursive, and an envelope without its ending, say what to do", async () => {
    const lone = tree("lone");
    expect((await refused(1, "invalid-argument", ["encrypt", lone, ...KEY])).stderr).toContain("hint: name a file; --recursive");
    const { stderr } = await run(["decrypt", at("a"), at("b"), ...KEY]);
    expect(stderr).toContain("hint: decrypt it alone, with --out <file>");
  });
});

describe("rewrap and inspect", () => {
  test("take the envelopes of a folder", async () => {
    const folder = tree("moved");
    await ok(["encrypt", "--recursive", folder, ...KEY]);
    await ok(["keygen", keys, "--add", "--set-primary", "--key-id", "v2"]);
    const checked = await run(["rewrap", "--recursive", folder, ...KEY, "--check"]);
    expect([checked.exitCode, checked.text.split("\n").at(-2)]).toEqual([1, "2 stale"]);
    expect((await ok(["rewrap", "--recursive", folder, ...KEY])).text).toMatch(/\n2 rewrapped\n$/);
    expect((await ok(["rewrap", "--recursive", folder, ...KEY, "--check"])).text).toMatch(/\n2 current\n$/);
    const { text } = await ok(["inspect", "--recursive", folder, "--json"]);
    expect(JSON.parse(text)).toMatchObject([
      { file: `${folder}/below/two.envelock`, kind: "envelope", recipients: [{ keyId: "v2" }] },
      { file: `${folder}/one.envelock` },
    ]);
    expect((await ok(["inspect", "--recursive", folder])).text).toMatch(/\n2 envelope\n$/);
  });
});
