import type { KnipConfig } from "knip";
import { ENTRIES, INTERNAL, PROGRAMS } from "./entries.mjs";

const shipped = [
  ...Object.values(ENTRIES),
  ...Object.values(PROGRAMS),
  ...Object.values(INTERNAL).flatMap(({ types: _, ...by }) => Object.values(by)),
];

const config: KnipConfig = {
  entry: [
    ...shipped.map((path) => `${path}!`),
    "bench/*.ts",
    "test/**/*.test.ts",
    "test/mutants/{mutate,mutant-runner}.ts",
    "test/browser/page.ts",
    "test/blobs/{job,rewrap}-process.ts",
    "test/providers/pkcs11/token-program.mjs",
    "test/native/*.{mjs,ts}",
    "docs/**/*.ts",
    ".config/*.{mjs,ts}",
  ],
  project: ["{src,providers,test,bench,docs,.config}/**/*.{ts,mjs}"],
  ignore: ["src/core/crypto/engine/wasm/source/*.ts"], // AssemblyScript
  ignoreBinaries: [/^x86_64-w64-mingw32-/, "dpkg-query", "flock", "gcc", "mkfifo", "redis-server", "script", "softhsm2-util", "unshare"],
  ignoreExportsUsedInFile: true,
};
export default config;
