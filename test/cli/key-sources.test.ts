import { execFile, spawn } from "node:child_process";
import { chmodSync } from "node:fs";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { CLI, ok, refused, run, scratch } from "./runner.ts";

const { at, read, write } = scratch();
const keys = at("keys.json");
const plaintext = new TextEncoder().encode("a small file");
let json = "";

beforeAll(async () => {
  await ok(["keygen", keys]);
  await ok(["encrypt", write("plain", plaintext), "--key", keys, "--out", at("envelope")]);
  json = new TextDecoder().decode(read("keys.json"));
});

describe("a keyset", () => {
  test("comes from standard input", async () => {
    expect((await ok(["decrypt", at("envelope"), "--key", "-"], read("keys.json"))).stdout).toEqual(plaintext);
  });

  test("comes from a variable", async () => {
    const env = { ...process.env, MY_KEYS: `\ufeff${json}` };
    const { stdout, stderr } = await run(["decrypt", at("envelope"), "--key", "env:MY_KEYS"], undefined, { env });
    expect(stderr).toBe("");
    expect(stdout).toEqual(plaintext);
  });

  test("comes from a pipe of the shell, however slow", async () => {
    const script = `"$0" "$1" decrypt "$2" --key <(sleep 0.3; cat "$3")`;
    const { stdout } = await promisify(execFile)("bash", ["-c", script, process.execPath, CLI, at("envelope"), keys]);
    expect(stdout).toBe("a small file");
  });

  test("comes from a mount like those of container secrets, and from there alone with that mode", async () => {
    write("world.json", json);
    chmodSync(at("world.json"), 0o444);
    const { stderr } = await refused(1, "access-denied", ["decrypt", at("envelope"), "--key", at("world.json")]);
    expect(stderr).toContain("hint: chmod 600");
    expect(stderr).toContain("read-only");
    const script = `mount -t tmpfs none "$3" && cp "$4" "$3/keys" && chmod 444 "$3/keys" && mount -o remount,ro "$3" && exec "$0" "$1" decrypt "$2" --key "$3/keys"`;
    const { stdout } = await inOwnMounts(script, [process.execPath, CLI, at("envelope"), at("mount"), keys]);
    expect(stdout).toBe("a small file");
  });

  test.each<readonly [string, readonly string[], string]>([
    ["a variable that is not set", ["--key", "env:NONE_SUCH"], "export NONE_SUCH"],
    ["two that are read from standard input", ["--key", "-", "--key", "-"], "name a file in place of one"],
    ["a kind that is none", ["--key", "pksc11:token=x"], "did you mean pkcs11:?"],
    [
      "a URL without its kind",
      ["--key", "https://acme.vault.azure.net/keys/orders"],
      "did you mean azure:https://acme.vault.azure.net/keys/orders?",
    ],
    ["no name", ["--key", ""], "envelock keygen"],
  ])("%s is a wrong command line", async (_what, args, hint) => {
    const { stderr } = await refused(2, "invalid-argument", ["decrypt", at("envelope"), ...args]);
    expect(stderr).toContain(hint);
  });

  test.each([
    "5".repeat(64),
    Buffer.alloc(32, 9).toString("base64"),
    Buffer.alloc(32, 250).toString("base64url"),
  ])("%s is a key and no name of a file, and is not repeated", async (secret) => {
    const { stderr } = await refused(2, "invalid-argument", ["decrypt", at("envelope"), "--key", secret, "--debug"]);
    expect(stderr).toContain("this looks like a key itself");
    expect(stderr).not.toContain(secret.slice(3, 20));
  });

  test("and the input cannot both be standard input", async () => {
    await refused(2, "invalid-argument", ["decrypt", "-", "--key", "-"]);
  });
});

async function inOwnMounts(script: string, args: readonly string[]): Promise<{ readonly stdout: string }> {
  await promisify(execFile)("mkdir", ["-p", at("mount")]);
  const child = spawn("unshare", ["--user", "--map-root-user", "--mount", "bash", "-c", script, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const parts: Buffer[] = [];
  for await (const part of child.stdout) parts.push(part);
  return { stdout: Buffer.concat(parts).toString("utf8") };
}
