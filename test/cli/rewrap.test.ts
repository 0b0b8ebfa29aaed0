import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, statSync, symlinkSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { type InspectedEnvelope, inspect } from "../../src/core/keyring/inspect.ts";
import { ok, refused, run, scratch } from "./runner.ts";

const { at, read, write, names } = scratch();
const keys = at("keys.json");
const oldKeys = at("old.json");
const plaintext = Uint8Array.from({ length: 50_000 }, (_, at) => at % 251); // no first byte of an envelope
const context = ["--context", "object=7"];

beforeAll(async () => {
  await ok(["keygen", keys, "--key-id", "v1"]);
  copyFileSync(keys, oldKeys);
  await ok(["encrypt", write("plain", plaintext), "--key", keys, ...context, "--out", at("stale")]);
  await ok(["keygen", keys, "--add", "--set-primary", "--key-id", "v2"]);
  await ok(["encrypt", at("plain"), "--key", keys, ...context, "--out", at("current")]);
});

describe("in place", () => {
  test("moves a stale envelope to the primary key, and leaves every byte of the body as it was", async () => {
    const file = write("moved", read("stale"));
    chmodSync(file, 0o604);
    const { text } = await ok(["rewrap", file, "--key", keys]);
    expect(text).toBe(`rewrapped  ${file}\n`);
    expect(keyIdsOf(read("moved"))).toEqual(["v2"]);
    expect(bodyOf(read("moved"))).toEqual(bodyOf(read("stale")));
    expect(statSync(file).mode & 0o777).toBe(0o604);
    expect((await ok(["decrypt", file, "--key", keys, ...context])).stdout).toEqual(plaintext);
    await refused(1, "no-matching-provider", ["decrypt", file, "--key", oldKeys, ...context]);
  });

  test("leaves a current envelope alone", async () => {
    const file = write("alone", read("current"));
    const { text } = await ok(["rewrap", file, "--key", keys]);
    expect(text).toBe(`current    ${file}\n`);
    expect(read("alone")).toEqual(read("current"));
  });

  test("adds a recipient", async () => {
    await ok(["keygen", at("backup.json"), "--type", "x25519", "--key-id", "backup"]);
    await ok(["keygen", at("backup.json"), "--public", "--out", at("backup.pub.json")]);
    const file = write("widened", read("current"));
    await ok(["rewrap", file, "--key", keys, "--recipient", at("backup.pub.json")]);
    expect(keyIdsOf(read("widened"))).toEqual(["v2", "backup"]);
    expect((await ok(["decrypt", file, "--key", at("backup.json"), ...context])).stdout).toEqual(plaintext);
  });

  test("moves from one keyset to another: the first --key wraps, the second only opens", async () => {
    await ok(["keygen", at("new.json"), "--key-id", "new-1"]);
    const file = write("between", read("current"));
    await ok(["rewrap", file, "--key", at("new.json"), "--key", keys]);
    expect(keyIdsOf(read("between"))).toEqual(["new-1"]);
  });

  test("refuses a link and a pipe, and says what to name instead", async () => {
    write("linked", read("stale"));
    symlinkSync(at("linked"), at("a-link"));
    const link = await refused(1, "invalid-argument", ["rewrap", at("a-link"), "--key", keys]);
    expect(link.stderr).toContain("hint: name the file itself, not a link to it");
    expect(keyIdsOf(read("linked"))).toEqual(["v1"]);
    execFileSync("mkfifo", [at("a-pipe")]);
    const pipe = await refused(1, "invalid-argument", ["rewrap", at("a-pipe"), "--key", keys]);
    expect(pipe.stderr).toContain("not a regular file");
  });

  test("needs the key context, and no other", async () => {
    const tenant = ["--key-context", "tenant=acme"];
    await ok(["encrypt", at("plain"), "--key", oldKeys, ...tenant, ...context, "--out", at("tenant")]);
    await refusedInPlace("tenant", "authentication-failed", ["--key", keys]);
    await ok(["rewrap", at("tenant"), "--key", keys, ...tenant]);
    expect((await ok(["decrypt", at("tenant"), "--key", keys, ...tenant, ...context])).stdout).toEqual(plaintext);
  });

  test("takes a detached header", async () => {
    const envelope = read("stale");
    write("header", envelope.subarray(0, envelope.length - bodyOf(envelope).length));
    await ok(["rewrap", at("header"), "--key", keys]);
    expect(keyIdsOf(read("header"))).toEqual(["v2"]);
  });

  test("goes on after an envelope that fails, and names each one that does", async () => {
    const [bad, good] = [write("bad", "no envelope"), write("good", read("stale"))];
    const { exitCode, text, stderr } = await run(["rewrap", bad, at("missing"), good, "--key", keys]);
    expect(exitCode).toBe(1);
    expect(text).toBe(`rewrapped  ${good}\n1 rewrapped, 2 failed\n`);
    expect(stderr).toContain(`envelock: malformed-envelope: ${bad} is not an envelope: it looks like text\n`);
    expect(stderr).toContain(`envelock: invalid-argument: cannot read ${at("missing")}: `);
    expect(new TextDecoder().decode(read("bad"))).toBe("no envelope");
  });

  test("replaces nothing by an envelope that is cut short", async () => {
    const envelope = read("stale");
    const secondTag = 56 + 16_400; // docs/format.md §6: no body ends within a tag
    write("cut", envelope.subarray(0, envelopeOf(envelope).headerBytes + secondTag + 8));
    await refusedInPlace("cut", "malformed-envelope", ["--key", keys]);
  });

  test("replaces nothing if the data key is not the one that the header commits to", async () => {
    const envelope = read("stale");
    envelope.set([(envelope[20] ?? 0) ^ 1], 20);
    write("uncommitted", envelope);
    await refusedInPlace("uncommitted", "authentication-failed", ["--key", keys]);
  });
});

describe("elsewhere", () => {
  test("from standard input to standard output", async () => {
    const { stdout } = await ok(["rewrap", "-", "--key", keys], read("stale"));
    expect(keyIdsOf(stdout)).toEqual(["v2"]);
    expect(bodyOf(stdout)).toEqual(bodyOf(read("stale")));
  });

  test("to a new file; to an existing one with --force", async () => {
    const before = read("stale");
    const args = ["rewrap", at("stale"), "--key", keys, "--out", at("elsewhere")];
    await ok(args);
    expect(keyIdsOf(read("elsewhere"))).toEqual(["v2"]);
    const first = read("elsewhere");
    await refused(1, "invalid-argument", args);
    expect(read("elsewhere")).toEqual(first);
    await ok([...args, "--force"]);
    expect(read("elsewhere")).not.toEqual(first);
    expect(read("stale")).toEqual(before);
  });
});

describe("--check", () => {
  test("says which envelopes are stale, changes nothing, exits with 1", async () => {
    const before = read("stale");
    const { exitCode, text, stderr } = await run(["rewrap", at("stale"), at("current"), "--key", keys, "--check"]);
    expect({ exitCode, text, stderr }).toEqual({
      exitCode: 1,
      text: `stale    ${at("stale")}\ncurrent  ${at("current")}\n1 stale, 1 current\n`,
      stderr: "",
    });
    expect(read("stale")).toEqual(before);
  });

  test("exits with 0 if none is", async () => {
    const { text } = await ok(["rewrap", at("current"), "--key", keys, "--check"]);
    expect(text).toBe(`current  ${at("current")}\n`);
  });

  test("exits with 1 if an envelope cannot be read, and names it", async () => {
    const { exitCode, stderr } = await run(["rewrap", at("current"), at("plain"), "--key", keys, "--check"]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`envelock: malformed-envelope: ${at("plain")} is not an envelope: `);
  });

  test("reads standard input", async () => {
    expect((await run(["rewrap", "-", "--key", keys, "--check"], read("stale"))).text).toBe("stale    -\n");
  });
});

test.each<readonly [string, readonly string[]]>([
  ["no envelope", []],
  ["--out for two envelopes", ["a", "b", "--out", "c"]],
  ["standard input beside a file", ["a", "-"]],
  ["--check with --out", ["a", "--check", "--out", "c"]],
])("%s is a wrong command line", async (_what, args) => {
  await refused(2, "invalid-argument", ["rewrap", ...args, "--key", keys]);
});

/** Refused, and neither the file changed nor another left beside it. */
async function refusedInPlace(name: string, code: string, options: readonly string[]): Promise<void> {
  const before = { bytes: read(name), names: names() };
  await refused(1, code, ["rewrap", at(name), ...options]);
  expect({ bytes: read(name), names: names() }).toEqual(before);
}

function envelopeOf(bytes: Uint8Array): Pick<InspectedEnvelope, "headerBytes" | "recipients"> {
  const inspection = inspect(bytes);
  return "headerBytes" in inspection ? inspection : expect.unreachable("not an envelope");
}

function keyIdsOf(envelope: Uint8Array): readonly string[] {
  return envelopeOf(envelope).recipients.map(({ keyId }) => keyId);
}

function bodyOf(envelope: Uint8Array): Uint8Array {
  return envelope.subarray(envelopeOf(envelope).headerBytes);
}
