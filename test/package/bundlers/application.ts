import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import type { TestProject } from "vitest/node";
import { pack } from "../packed.ts";

// An application of a user, in which npm installed the packed package and what it depends on, and no optional peer.

declare module "vitest" {
  interface ProvidedContext {
    readonly application: string;
  }
}

/** The global set-up of the matrix. @returns its end */
export default function setup(project: TestProject): () => void {
  const folder = mkdtempSync(join(tmpdir(), "envelock-application-"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  execFileSync("npm", ["install", "--no-audit", "--no-fund", `./${pack(folder).filename}`], { cwd: folder, stdio: "pipe" });
  project.provide("application", folder);
  return () => rmSync(folder, { recursive: true, force: true });
}

/** The application's folder. */
export function application(): string {
  return inject("application");
}

/** Writes a file of the application. @returns its path */
export function write(name: string, text: string): string {
  const path = join(application(), name);
  writeFileSync(path, text);
  return path;
}

/** What a command printed. @throws with all that it said if it failed */
export function output(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: application(), encoding: "utf8", ...options });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(" ").slice(0, 200)} ended with ${status}\n${shortened(stdout + stderr)}`);
  return stdout;
}

/** Without the long lines of minified code. */
function shortened(said: string): string {
  const lines = said.split("\n").map((line) => line.slice(0, 240));
  return lines.slice(-40).join("\n");
}
