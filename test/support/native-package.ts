import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";
import { fileOfPackages } from "./debian-packages.ts";

// The package `@envelock/native`, compiled from source in a second, for tests: it is never installed in this repository.

declare module "vitest" {
  interface ProvidedContext {
    /** A folder where the package is installed. */
    readonly nativeApplication: string;
  }
}

/** The global set-up of the project "node-native". @returns its end */
export default function setup(project: TestProject): () => void {
  const application = applicationWithNative();
  project.provide("nativeApplication", application);
  return () => rmSync(application, { recursive: true });
}

/**
 * Makes a folder where the package is installed. The caller removes it.
 *
 * @param flags for src/native/build.mjs
 */
export function applicationWithNative(flags: readonly string[] = []): string {
  const application = mkdtempSync(join(tmpdir(), "envelock-native-"));
  installNative(application, flags);
  return application;
}

/** Puts the package where the application's modules find it. */
export function installNative(application: string, flags: readonly string[] = []): void {
  const folder = packageIn(application);
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(SOURCE, "package.json"), join(folder, "package.json"));
  buildNative(folder, flags);
}

/** Compiles into the folder of each platform: of this one, unless `flags` name others. */
export function buildNative(folder: string, flags: readonly string[] = []): void {
  fileOfPackages(["/usr/bin/gcc"], ["gcc", "libc6-dev"]);
  execFileSync(process.execPath, [join(SOURCE, "build.mjs"), "--out", folder, ...flags], { stdio: "pipe" });
}

export function packageIn(application: string): string {
  return join(application, "node_modules/@envelock/native");
}

/** What `loadNative` takes for the module that asks. */
export function moduleIn(application: string): string {
  return join(application, "index.js");
}

/** The file of this platform. */
export function nativeFileIn(application: string): string {
  return join(packageIn(application), `${process.platform}-${process.arch}`, "envelock.node");
}

/** Writes the source with one place changed, for `--source`. @throws Error if that place is not there just once */
export function alteredSource(folder: string, before: string, after: string): string {
  const [start, end, ...more] = readFileSync(join(SOURCE, "envelock.c"), "utf8").split(before);
  if (start === undefined || end === undefined || more.length > 0) throw new Error(`not there once: ${before}`);
  const path = join(folder, "altered.c");
  writeFileSync(path, start + after + end);
  return path;
}

const SOURCE: string = fileURLToPath(new URL("../../src/native", import.meta.url));
