import { chmodSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { beforeAll, describe, expect, test } from "vitest";
import { parseKeyset } from "../../providers/local/index.ts";
import { addBlobs } from "../../src/cli/blobs/blobs.ts";
import { completedCommands } from "../../src/cli/completion.ts";
import { addJobs } from "../../src/cli/jobs/jobs.ts";
import { addKeys } from "../../src/cli/keys/keys.ts";
import { addTenants } from "../../src/cli/tenants/tenants.ts";
import { toHex } from "../../src/core/base/bytes.ts";
import { ok, ROOT, refused, run, scratch, start } from "./runner.ts";

const { at, read, write } = scratch();
const cliPage = readFileSync(join(ROOT, "docs/cli.md"), "utf8");

const COMMON = ["--debug", "--help"];
/** How keys in Azure are reached, by whatever verb: described once. */
const AZURE = ["--credential", "--allow-host", "--token-resource"];
/** How blobs in stores are named and reached, by whatever verb: described once. */
const STORES = ["--endpoint", "--s3-mode", "--parallel"];
const NAMES = ["--name-context", "--no-name-context"];
const VERBS: readonly (readonly [string, readonly string[]])[] = [
  ["keygen", ["--type", "--key-id", "--add", "--set-primary", "--public", "--out", "--force"]],
  ["encrypt", ["--key", "--key-context", "--recipient", "--context", "--out", "--force", "--hide-names", "--lanes", "--recursive"]],
  ["decrypt", ["--key", "--key-context", "--context", "--out", "--force", "--range", "--real-names", "--lanes", "--recursive"]],
  ["verify", ["--key", "--key-context", "--context", "--all", "--json", "--recursive"]],
  ["rewrap", ["--key", "--key-context", "--recipient", "--check", "--out", "--force", "--recursive"]],
  ["inspect", ["--json", "--recursive"]],
  ["doctor", ["--azure", "--vault", "--aws", "--gcp", "--engine", "--json"]],
];

describe("help", () => {
  test.each(VERBS)("of %s names its options, all of which stand in docs/cli.md", async (verb, options) => {
    const { text } = await ok([verb, "--help"]);
    expect(text).toMatch(new RegExp(`^Usage: envelock ${verb} \\[options\\]`));
    expect(text).toContain("Examples:\n  ");
    const listed = [...text.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map((match) => match[1]);
    const mayMeetAzure = options.includes("--key") || options.includes("--azure");
    const ofStores = options.includes("--recursive") ? STORES : [];
    const ofNames = options.includes("--context") ? NAMES : [];
    const signsIn = mayMeetAzure ? AZURE : AZURE.slice(0, ofStores.length === 0 ? 0 : 1);
    expect(listed.sort()).toEqual([...options, ...COMMON, ...ofStores, ...ofNames, ...signsIn].sort());
    const section = cliPage.split(/^## /m).find((part) => part.startsWith(verb)) ?? "";
    for (const option of options) expect(section).toContain(`\`${option}`);
    for (const option of [...AZURE, ...STORES, "--name-context"]) expect(cliPage).toContain(`\`${option} `);
    expect(cliPage).toContain("`--no-name-context`");
  });

  test.each([
    ["keys", addKeys],
    ["jobs", addJobs],
    ["blobs", addBlobs],
    ["tenants", addTenants],
  ])("of %s: every verb and option stands in docs/cli.md", (group, add) => {
    const program = new Command("envelock");
    add(program);
    const section = cliPage.split(/^## /m).find((part) => (part.split("\n")[0] ?? "").includes(group)) ?? "";
    const [, ...verbs] = completedCommands(program).filter(({ path }) => path !== "");
    expect(verbs.length).toBeGreaterThan(2);
    for (const { path, options } of verbs) {
      expect(section).toMatch(new RegExp(`\`(envelock )?(${group} )?${path.slice(group.length + 1)}[ \`]`));
      for (const { flags } of options) if (flags[0] !== "--help") expect(cliPage, path).toMatch(new RegExp(`${flags[0]}(?![\\w-])`));
    }
  });

  test("of the command names every verb and the exit codes", async () => {
    const { text } = await ok(["--help"]);
    for (const [verb] of VERBS) expect(text).toMatch(new RegExp(`^  ${verb} `, "m"));
    expect(text).toMatch(/Exit codes: 0 .*1 .*2 /);
  });

  test("goes to standard error, with exit code 2, where a verb is missing", async () => {
    const { exitCode, stdout, stderr } = await run([]);
    expect(exitCode).toBe(2);
    expect(stdout).toHaveLength(0);
    expect(stderr).toMatch(/^Usage: envelock /);
  });

  test("is no failure if nobody reads it", async () => {
    const command = start(["--help"]);
    command.leave();
    expect(await command.done).toMatchObject({ exitCode: 0, stderr: "" });
  });
});

describe("standard error", () => {
  beforeAll(async () => {
    await ok(["keygen", at("keys.json"), "--key-id", "v1"]);
    await ok(["encrypt", write("plain", PLAINTEXT), "--key", at("keys.json"), "--context", "a=1", "--out", at("envelope")]);
    write("broken.json", new TextDecoder().decode(read("keys.json")).replace('"kty"', '"kty'));
    write("short.json", new TextDecoder().decode(read("keys.json")).replace(/"k": "../, '"k": "'));
    for (const name of ["broken.json", "short.json"]) chmodSync(at(name), 0o600);
  });

  const failing = (): readonly (readonly string[])[] => [
    ["decrypt", at("envelope"), "--key", at("keys.json")],
    ["decrypt", at("plain"), "--key", at("keys.json")],
    ["decrypt", at("envelope"), "--key", at("broken.json")],
    ["decrypt", at("envelope"), "--key", at("short.json")],
    ["decrypt", at("envelope"), "--key", at("keys.json"), "--context", "a=1", "--out", at("keys.json")],
    ["keygen", at("broken.json"), "--add"],
    ["keygen", at("keys.json"), "--public"],
    ["inspect", at("keys.json")],
    ["rewrap", at("plain"), "--key", at("keys.json")],
  ];

  test("holds one line for the code, and a stack only with --debug", async () => {
    for (const args of failing()) {
      const [plain, debug] = [await run(args), await run([...args, "--debug"])];
      expect(plain.stderr).toMatch(/^envelock: [a-z-]+: .+\n(hint: .+\n)?$/);
      expect(debug.stderr.startsWith(plain.stderr)).toBe(true);
      expect(debug.stderr).toMatch(/^ {4}at /m);
      expect([plain.exitCode, debug.exitCode]).toEqual([1, 1]);
    }
  });

  test("holds no secret, with --debug neither", async () => {
    const secret = parseKeyset(new TextDecoder().decode(read("keys.json"))).keys[0]?.secret ?? new Uint8Array(0);
    const forms = [toHex(secret), Buffer.from(secret).toString("base64url"), Buffer.from(secret).toString("base64"), PLAINTEXT];
    const parts = forms.map((form) => form.slice(3, 15)); // a part of it would be too much
    for (const args of failing()) {
      const { stderr, text } = await run([...args, "--debug"]);
      for (const part of parts) expect(stderr + text).not.toContain(part);
    }
  });

  test.each<readonly [string, () => readonly string[]]>([
    ["encrypt", () => ["encrypt", at("large"), "--key", at("keys.json")]],
    ["decrypt", () => ["decrypt", at("large.envelope"), "--key", at("keys.json")]],
  ])("says nothing when the reader of %s goes away, and the exit code tells", async (_verb, args) => {
    write("large", new Uint8Array(2 ** 22));
    await ok(["encrypt", at("large"), "--key", at("keys.json"), "--out", at("large.envelope"), "--force"]);
    const command = start(args());
    command.leave();
    expect(await command.done).toMatchObject({ exitCode: 141, stderr: "" });
  });
});

test("--version is that of the package", async () => {
  const manifest: unknown = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const { text } = await ok(["--version"]);
  expect(manifest).toMatchObject({ version: text.trim() });
});

test.each<readonly [readonly string[], string]>([
  [["encrpt"], "encrypt"],
  [["inspect", "--jsn"], "--json"],
  [["encrypt", "a", "--kye", "keys.json"], "--key"],
  [["keys", "rotate", "--stroe", "file:x", "--key", "k"], "--store"],
  [["doctor", "--azrue", "https://a.vault.azure.net/keys/k"], "--azure"],
])("%j: what was meant is suggested", async (args, meant) => {
  const { stderr } = await refused(2, "invalid-argument", args);
  expect(stderr).toMatch(new RegExp(`^hint: .*${meant}`, "m"));
});

const PLAINTEXT = "the plaintext that nobody may see";
