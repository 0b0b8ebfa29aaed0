import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { ROOT } from "./code-blocks.ts";

/** What each program must print: it says so only after it has checked the rest itself. */
const SAYS: Readonly<Record<string, readonly RegExp[]>> = {
  "files.ts": [/^wrapped by reports-1 before and by reports-2 after the rewrap$/m, /^under another context it does not open$/m],
  "columns.ts": [/^found by its index: ada@example\.org 36$/m, /^what the database holds: \S{40,}$/m],
  "upload-and-ranges.ts": [/^a range: bytes 2000000-2000099\/5000000$/m, /^the whole equals what was uploaded$/m],
  "azure.ts": [/^decrypted, after one refusal of the service$/m, /^revoked: key-disabled - /m],
  "tenants.ts": [
    /^acme closed within its bound: 423 \S+ \(tenant\)$/m,
    /^bolt moved: retired, 1 data key wrapped anew$/m,
    /^bolt reads and writes under its own key$/m,
  ],
  "hsm.ts": [/^wrapped with AES-GCM by pkcs11:token=orders-token;object=orders$/m, /^decrypted by the token$/m],
};

const FOLDER = join(ROOT, "docs/examples");
const PROGRAMS = readdirSync(FOLDER).filter((name) => name.endsWith(".ts"));

test("every example is run, and has its row on the page", () => {
  expect(PROGRAMS.toSorted()).toEqual(Object.keys(SAYS).toSorted());
  const page = readFileSync(join(FOLDER, "README.md"), "utf8");
  expect(PROGRAMS.filter((name) => !page.includes(`| [${name}](${name}) |`))).toEqual([]);
});

test.each(PROGRAMS)("%s imports what an application imports, and nothing of this repository", (name) => {
  const specifiers = [...readFileSync(join(FOLDER, name), "utf8").matchAll(/ from "([^"]+)"/g)].map(([, specifier]) => specifier);
  expect(specifiers.length).toBeGreaterThan(0);
  expect(specifiers.filter((specifier) => specifier?.startsWith("."))).toEqual([]);
});

test.each(Object.entries(SAYS))(
  "%s runs on the built package",
  async (name, lines) => {
    const tsx = join(ROOT, "node_modules/tsx/dist/cli.mjs");
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [tsx, "--tsconfig", ".config/tsconfig.run.json", `docs/examples/${name}`],
      {
        cwd: ROOT,
      },
    );
    for (const line of lines) expect(stdout).toMatch(line);
  },
  180_000,
);
