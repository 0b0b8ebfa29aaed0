import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "./imports.ts";
import { ENTRIES, MANIFEST } from "./manifest.ts";
import { pack } from "./packed.ts";

// A project of a user, with the packed package in its node_modules.
const project = mkdtempSync(join(tmpdir(), "envelock-consumer-"));
let packed: readonly string[] = [];

beforeAll(() => {
  const modules = join(project, "node_modules");
  mkdirSync(join(modules, "envelock"), { recursive: true });
  const { filename, files } = pack(project);
  packed = files;
  run("tar", ["-xzf", join(project, filename), "-C", join(modules, "envelock"), "--strip-components=1"], project);
  for (const name of [...Object.keys(MANIFEST.dependencies), "@types/node", "undici-types"]) link(name, modules);
  writeFileSync(join(project, "package.json"), JSON.stringify({ type: "module" }));
  writeFileSync(join(project, "main.ts"), PROGRAM);
});
afterAll(() => rmSync(project, { recursive: true }));

test("the package holds what it needs and no more", () => {
  const expected = [...ENTRIES.flatMap((entry) => [entry.types, entry.default]), ...Object.values(MANIFEST.bin)].map((path) =>
    path.slice(2),
  );
  expect(packed).toEqual(expect.arrayContaining([...expected, "LICENSE", "README.md", "package.json"]));
  expect(packed.filter((path) => !/^(dist|docs)\/|^(package\.json|LICENSE|[A-Z]+\.md|(bench|providers)\/README\.md)$/.test(path))).toEqual(
    [],
  );
});

test.each([
  { module: "nodenext", moduleResolution: "nodenext", lib: ["es2022"], types: ["node"] },
  { module: "esnext", moduleResolution: "bundler", lib: ["es2022", "dom", "dom.iterable"], types: [] },
])("a user compiles against it with moduleResolution $moduleResolution", (options) => {
  const compilerOptions = {
    ...options,
    target: "es2022",
    outDir: "out",
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
  };
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["main.ts"] }));
  expect(run(process.execPath, [TSC, "-p", project, "--pretty", "false"], project)).toMatchObject({ status: 0, stdout: "" });
});

test("what the user compiled runs", () => {
  expect(run(process.execPath, ["out/main.js"], project)).toMatchObject({ status: 0, stdout: "net 30 days, 72 wrapped bytes\n" });
});

test("a user's test takes a tenant's key away, with the testing kit of the package", () => {
  writeFileSync(join(project, "tenants.mjs"), TENANTS_PROGRAM);
  expect(run(process.execPath, ["tenants.mjs"], project)).toMatchObject({ status: 0, stdout: "acme is revoked, globex is active\n" });
});

function run(command: string, args: readonly string[], cwd: string): { readonly status: number | null; readonly stdout: string } {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" });
  return { status, stdout: status === 0 ? stdout : stdout + stderr };
}

function link(name: string, modules: string): void {
  mkdirSync(dirname(join(modules, name)), { recursive: true });
  symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
}

const TSC: string = join(ROOT, "node_modules/typescript/bin/tsc");
const PROGRAM = `
import { type Context, EnvelockError, type ErrorCode, inspect, type KeyProvider, Keyring } from "envelock";
import { type ConformanceHarness, conformance } from "envelock/providers/conformance";
import { localKey } from "envelock/providers/local";

const provider: KeyProvider = localKey({ keyId: "orders", key: new Uint8Array(32) });
const keyring = new Keyring(provider);
const context: Context = { object: "invoices/7" };
const envelope: Uint8Array<ArrayBuffer> = await keyring.encrypt(new TextEncoder().encode("net 30 days"), { context });
const plaintext = await keyring.decrypt(envelope, { context });

const inspected = inspect(envelope);
const recipients = inspected.kind === "envelope" ? inspected.recipients : [];
const codes: ErrorCode[] = [];
await keyring.decrypt(envelope).catch((error: unknown) => {
  if (error instanceof EnvelockError) codes.push(error.code);
});

const stream = new Blob([plaintext]).stream().pipeThrough(keyring.encryptStream({ context })).pipeThrough(keyring.decryptStream({ context }));
const streamed = await new Response(stream).text();

const harness: ConformanceHarness = { bindsContext: true, open: () => provider, openOther: () => provider };
const names: readonly string[] = conformance(harness).map(({ name }) => name);
if (names.length === 0 || streamed !== "net 30 days" || codes[0] !== "authentication-failed") throw new Error("not what was expected");
console.log(\`\${new TextDecoder().decode(plaintext)}, \${recipients[0]?.wrappedBytes} wrapped bytes\`);
`;
const TENANTS_PROGRAM = `
import { FakeTenants } from "envelock/testing/tenants";

const fake = await FakeTenants.start({ tenants: { acme: "healthy", globex: "healthy" } });
fake.anotherProcess();
const { closedAfterMs, boundMs } = await fake.requireRevoked("acme", "disabled");
const states = [];
for (const id of fake.ids) states.push(\`\${id} is \${(await fake.tenants.show(id)).state}\`);
if (closedAfterMs <= boundMs) console.log(states.join(", "));
await fake.close();
`;
