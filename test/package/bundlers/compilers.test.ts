import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { installed } from "../../support/npm-tools.ts";
import { exportedNames } from "../declarations.ts";
import { ROOT } from "../imports.ts";
import { ENTRIES, MANIFEST } from "../manifest.ts";
import { application, output } from "./application.ts";

/** The oldest that is supported, the last one that is written in JavaScript, and the one that the library is made with. */
const COMPILERS = {
  "TypeScript 5.4": () => join(installed("bundlers", ["typescript@5.4.5"]), "typescript/bin/tsc"),
  "TypeScript 5.9": () => join(installed("bundlers", ["typescript@5.9.3"]), "typescript/bin/tsc"),
  "TypeScript 7": () => join(ROOT, "node_modules/typescript/bin/tsc"),
};

const MODULES = [
  { module: "node16", moduleResolution: "node16" },
  { module: "nodenext", moduleResolution: "nodenext" },
  { module: "esnext", moduleResolution: "bundler" },
];

/** A copy of the application that has the peers too, which the other test files must not find. */
const FOLDER = mkdtempSync(join(tmpdir(), "envelock-compilers-"));
afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));

beforeAll(() => {
  const modules = join(FOLDER, "node_modules");
  cpSync(join(application(), "node_modules"), modules, { recursive: true });
  writeFileSync(join(FOLDER, "package.json"), JSON.stringify({ private: true, type: "module" }));
  const peers = Object.keys(MANIFEST.peerDependencies);
  for (const name of ["@types/node", "undici-types", "@types/pg", "pg-types", "pg-protocol", ...peers]) link(name, modules);
  writeFileSync(join(FOLDER, "program.ts"), program());
});

for (const [name, compiler] of Object.entries(COMPILERS)) {
  describe(name, () => {
    test.each(MODULES)("module $module, resolution $moduleResolution: types of every entry, and none is any", (options) => {
      expect(compiled(compiler(), { ...options, skipLibCheck: true })).toBe("");
    });
  });
}

test("TypeScript 5.4 finds no fault in the declarations of what needs no other package", () => {
  writeFileSync(join(FOLDER, "program.ts"), program(ENTRIES.filter(({ name }) => !NEEDS_PEERS.test(name))));
  expect(compiled(COMPILERS["TypeScript 5.4"](), { module: "nodenext", moduleResolution: "nodenext", skipLibCheck: false })).toBe("");
});

/** What the compiler says. */
function compiled(compiler: string, options: object): string {
  const compilerOptions = {
    ...options,
    target: "es2022",
    lib: ["es2022", "dom", "dom.iterable", "esnext.disposable"],
    types: ["node"],
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
  };
  writeFileSync(join(FOLDER, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["program.ts"] }));
  return output(process.execPath, [compiler, "-p", ".", "--pretty", "false"], { cwd: FOLDER });
}

/** Names everything that the entries export, and fails to compile where a value is `any`, as what does not resolve is. */
function program(entries: typeof ENTRIES = ENTRIES): string {
  const values = new Set(readFileSync(join(ROOT, "test/package/public-names.txt"), "utf8").match(/(?<=^ {2}value )\w+/gm));
  const lines = entries.flatMap(({ name, types }, at) => {
    const names = exportedNames(join(ROOT, types));
    return [
      `import type * as entry${at} from "${name}";`,
      ...names.map((exported) => `export type { ${exported} as e${at}_${exported} } from "${name}";`),
      ...names
        .filter((exported) => values.has(exported))
        .map((value) => `export const is${at}_${value}: IsAny<typeof entry${at}.${value}> = false;`),
    ];
  });
  return [...lines, "type IsAny<T> = 0 extends 1 & T ? true : false;", USES].join("\n");
}

function link(name: string, modules: string): void {
  mkdirSync(dirname(join(modules, name)), { recursive: true });
  symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
}

const NEEDS_PEERS = /azure|pkcs11|drizzle|kysely|prisma|typeorm|open-telemetry|postgres/;
const USES = `
import { type Context, EnvelockError, type KeyProvider, Keyring } from "envelock";
import { localKey } from "envelock/providers/local";
const provider: KeyProvider = localKey({ keyId: "orders", key: new Uint8Array(32) });
const keyring = new Keyring({ wrapWith: [provider], context: { tenant: "acme" } });
export async function use(context: Context): Promise<Uint8Array> {
  // any where the compiler does not know Uint8Array<ArrayBuffer>
  const bytes: IsAny<Awaited<ReturnType<Keyring["encrypt"]>>> = false;
  const envelope: Uint8Array = await keyring.encrypt(new Uint8Array(1), { context });
  try {
    return await keyring.decrypt(envelope, { context });
  } catch (error) {
    if (error instanceof EnvelockError && !bytes) return new Uint8Array(error.code.length);
    throw error;
  }
}
`;
