import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "vitest";
import { ROOT } from "./code-blocks.ts";

/** What each program must print: it says so only after it has checked the rest itself. */
export const SAYS: Readonly<Record<string, readonly RegExp[]>> = {
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

/** Runs an example on the built package and expects what it must print. @param more environment variables */
export async function expectExampleRuns(name: string, more: Readonly<Record<string, string>> = {}): Promise<void> {
  const tsx = join(ROOT, "node_modules/tsx/dist/cli.mjs");
  const program = [tsx, "--tsconfig", ".config/tsconfig.run.json", `docs/examples/${name}`];
  const { stdout } = await promisify(execFile)(process.execPath, program, { cwd: ROOT, env: { ...process.env, ...more } });
  const lines = SAYS[name] ?? [];
  expect(lines.length).toBeGreaterThan(0);
  for (const line of lines) expect(stdout).toMatch(line);
}
