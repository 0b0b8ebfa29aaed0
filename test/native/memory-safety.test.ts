import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { alteredSource, applicationWithNative, buildNative, nativeFileIn } from "../support/native-package.ts";

// The C of @envelock/native, as it ships and under AddressSanitizer and UndefinedBehaviorSanitizer. ENVELOCK_NATIVE_CALLS, ENVELOCK_NATIVE_SEED
// and ENVELOCK_NATIVE_WORKERS make it longer.

const { ENVELOCK_NATIVE_CALLS: calls = "4000", ENVELOCK_NATIVE_SEED: seed = "1", ENVELOCK_NATIVE_WORKERS: workers = "4" } = process.env;

let sanitized = "";
beforeAll(() => {
  sanitized = applicationWithNative(["--sanitize"]);
}, 120_000);
afterAll(() => rmSync(sanitized, { recursive: true, force: true }));

const builds = [
  { name: "as it ships", run: (program: string, ...more: string[]) => node(program, nativeFileIn(inject("nativeApplication")), more) },
  { name: "sanitized", run: (program: string, ...more: string[]) => node(program, nativeFileIn(sanitized), more, sanitizer()) },
];

test.each(builds)("every function, with arguments of every kind and collection at random: $name", ({ run }) => {
  expect(run("fuzz-program.mjs", calls, seed)).toMatch(/^\d+ answered, \d+ refused$/);
}, 1_000_000);

test.each(builds)("threads that are terminated with calls in flight, and a process that ends: $name", ({ run }) => {
  expect(run("workers-program.mjs", workers)).toBe("ended");
}, 1_000_000);

test("the programs and the sanitizers find what they are for: a length that the C does not check", () => {
  const before = `if (target.bytes - offset < plaintext.bytes + chunks * TAG) return wrong_argument(env, "the target has no room for the chunks");`;
  const careless = mkdtempSync(join(tmpdir(), "envelock-careless-"));
  try {
    buildNative(careless, ["--sanitize", "--source", alteredSource(careless, before, "")]);
    const file = join(careless, `${process.platform}-${process.arch}`, "envelock.node");
    expect(() => node("fuzz-program.mjs", file, ["4000", seed], sanitizer())).toThrow(
      /AddressSanitizer: heap-buffer-overflow|outside of its array/,
    );
  } finally {
    rmSync(careless, { recursive: true });
  }
}, 120_000);

function node(program: string, file: string, more: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const path = fileURLToPath(new URL(program, import.meta.url));
  return execFileSync(process.execPath, ["--expose-gc", path, file, ...more], {
    encoding: "utf8",
    stdio: "pipe",
    env: { ...process.env, ...env },
  }).trim();
}

/** What Node and V8 leave behind at the end is theirs. */
function sanitizer(): NodeJS.ProcessEnv {
  const library = execFileSync("gcc", ["-print-file-name=libasan.so"], { encoding: "utf8" }).trim();
  return { LD_PRELOAD: library, ASAN_OPTIONS: "detect_leaks=0" };
}
