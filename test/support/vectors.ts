import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

/**
 * A suite over the public vectors. Where they are absent it reports itself as skipped, by name; in CI their absence is a failure.
 * Read files inside `test`, for the body runs either way.
 */
export function describeVectors(name: string, suite: () => void): void {
  if (FOLDER_EXISTS) {
    describe(name, suite);
    return;
  }
  describe.skipIf(!IS_CI)(`${name} (no vectors at ../shared/vectors, nor where ENVELOCK_VECTORS points)`, () => {
    test("the vectors are there", () => expect(existsSync(FOLDER)).toBe(true));
  });
}

/** The JSON file at `path` in the folder of public vectors, such as `wycheproof/aes_wrap_test.json`. */
export function vectors<T>(path: string): T {
  return JSON.parse(readFileSync(`${FOLDER}/${path}`, "utf8"));
}

/** A file of Wycheproof, flattened: every test with the properties of its group. */
export function wycheproof<Test, Group = unknown>(name: string): (Test & Omit<Group, "tests">)[] {
  const file = vectors<{ numberOfTests: number; testGroups: (Group & { tests: Test[] })[] }>(`wycheproof/${name}_test.json`);
  const flat = file.testGroups.flatMap(({ tests, ...group }) => tests.map((each) => ({ ...group, ...each })));
  expect(flat, name).toHaveLength(file.numberOfTests);
  return flat;
}

/** What every test of Wycheproof says of itself. */
export interface WycheproofTest {
  readonly tcId: number;
  readonly comment: string;
  readonly flags: readonly string[];
  readonly result: "valid" | "invalid" | "acceptable";
}

/** A plain Uint8Array, as the library's own. */
export function hex(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text, "hex"));
}

const { ENVELOCK_VECTORS, CI } = process.env;
const FOLDER: string = ENVELOCK_VECTORS ?? fileURLToPath(new URL("../../../shared/vectors", import.meta.url));
const FOLDER_EXISTS: boolean = existsSync(FOLDER);
const IS_CI: boolean = CI === "true";
