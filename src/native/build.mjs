// Compiles envelock.c to one file for each platform that is named, or for this one: node build.mjs [--out FOLDER] [linux-arm64 ...]
// Nothing runs this when the package is installed. README.md says what each platform needs.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HERE = dirname(fileURLToPath(import.meta.url));

// Node-API 8, and of OpenSSL what 3.0 has and later versions have not deprecated. Warnings are errors.
const EVERYWHERE = [
  "-std=c11",
  "-O2",
  ...["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"],
  ...["-DNAPI_VERSION=8", "-DOPENSSL_API_COMPAT=30000", "-DOPENSSL_NO_DEPRECATED"],
];

// Without a C library of its own: what it needs of one, the running Node has, be it glibc's or musl's. So one file is right for both.
// `-z now` is a must. Runtimes that export no OpenSSL (Bun, Deno) must fail to load this, and not die at its first call.
const ELF = [
  ...["-shared", "-fPIC", "-fvisibility=hidden", "-fstack-protector-strong", "-U_FORTIFY_SOURCE"],
  ...["-nostdlib", "-s", "-Wl,-z,now", "-Wl,-z,relro", "-Wl,-z,noexecstack", "-Wl,--build-id=none"],
];
// `bind_at_load` is what `-z now` is elsewhere.
const MACH_O = [
  "-bundle",
  "-fvisibility=hidden",
  "-fstack-protector-strong",
  "-undefined",
  "dynamic_lookup",
  "-Wl,-bind_at_load",
  "-Wl,-x",
];
const SANITIZED = [
  ...["-shared", "-fPIC", "-fvisibility=hidden", "-g", "-fno-omit-frame-pointer", "-Wl,-z,now"],
  ...["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
];

const TARGETS = {
  "linux-x64": { compilers: ["x86_64-linux-gnu-gcc", "gcc"], flags: ELF, debian: "gcc" },
  "linux-arm64": { compilers: ["aarch64-linux-gnu-gcc"], flags: ELF, debian: "gcc-aarch64-linux-gnu" },
  "win32-x64": { compilers: ["x86_64-w64-mingw32-gcc"], flags: ["-shared", "-s", "-static-libgcc"], debian: "gcc-mingw-w64-x86-64" },
  "darwin-x64": { compilers: ["clang"], flags: ["-arch", "x86_64", "-mmacosx-version-min=11.0", ...MACH_O] },
  "darwin-arm64": { compilers: ["clang"], flags: ["-arch", "arm64", "-mmacosx-version-min=11.0", ...MACH_O] },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** The folder in which each platform gets its own. */
    out: { type: "string", default: HERE },
    /** With AddressSanitizer and UndefinedBehaviorSanitizer, for tests. */
    sanitize: { type: "boolean", default: false },
    /** Node's headers, which hold OpenSSL's. Those of this Node, unless told. */
    headers: { type: "string", default: join(dirname(process.execPath), "../include/node") },
    /** Compiles nothing, and prints the platforms that there are. */
    list: { type: "boolean", default: false },
    /** Another source, for tests of what must not be loaded. */
    source: { type: "string", default: join(HERE, "envelock.c") },
  },
});

if (values.list) {
  for (const platform of Object.keys(TARGETS)) console.log(platform);
  process.exit();
}
const { version } = JSON.parse(readFileSync(join(HERE, "package.json"), "utf8"));
if (!existsSync(join(values.headers, "openssl/evp.h"))) {
  throw new Error(`no headers of Node with OpenSSL's in ${values.headers}: name their folder with --headers`);
}
for (const platform of positionals.length > 0 ? positionals : [`${process.platform}-${process.arch}`]) build(platform);

function build(platform) {
  const target = TARGETS[platform];
  if (target === undefined) throw new Error(`no such platform: ${platform}; there are ${Object.keys(TARGETS).join(", ")}`);
  const compiler = target.compilers.find(isThere);
  if (compiler === undefined) {
    const advice = target.debian === undefined ? "it takes a Mac" : `on Debian: apt-get install ${target.debian}`;
    throw new Error(`${platform} needs ${target.compilers.join(" or ")} (${advice})`);
  }
  const file = join(values.out, platform, "envelock.node");
  mkdirSync(dirname(file), { recursive: true });
  const flags = values.sanitize ? SANITIZED : target.flags;
  const command = [...EVERYWHERE, ...flags, `-DENVELOCK_VERSION="${version}"`, `-I${values.headers}`, "-o", file, values.source];
  if (platform === "win32-x64") withImportLibrary(command, (library) => execFileSync(compiler, [...command, library]));
  else execFileSync(compiler, command);
}

/** Makes the library through which Windows links to what node.exe exports: of the functions that the source calls, by their names. */
function withImportLibrary(command, use) {
  const folder = mkdtempSync(join(tmpdir(), "envelock-native-"));
  try {
    const [object, definition, library] = ["envelock.o", "node.def", "node.lib"].map((name) => join(folder, name));
    const compile = [...command.slice(0, command.indexOf("-o")), "-c", "-o", object, values.source];
    execFileSync(
      "x86_64-w64-mingw32-gcc",
      compile.filter((flag) => flag !== "-shared" && flag !== "-s"),
    );
    const undefinedNames = execFileSync("x86_64-w64-mingw32-nm", ["--undefined-only", "--format=posix", object], { encoding: "utf8" });
    const names = undefinedNames.split("\n").map((line) => (line.split(" ")[0] ?? "").replace(/^__imp_/, ""));
    const ofNode = [...new Set(names.filter((name) => /^(napi_|node_api_|EVP_|ERR_|RAND_|CRYPTO_|OPENSSL_|OpenSSL_)/.test(name)))].sort();
    writeFileSync(definition, `LIBRARY node.exe\nEXPORTS\n${ofNode.map((name) => `  ${name}\n`).join("")}`);
    execFileSync("x86_64-w64-mingw32-dlltool", ["--input-def", definition, "--output-lib", library]);
    use(library);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function isThere(name) {
  return (process.env.PATH ?? "").split(process.platform === "win32" ? ";" : ":").some((folder) => existsSync(join(folder, name)));
}
