import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { ROOT, scratch } from "./runner.ts";

const { at, write } = scratch();

test("the quickstart on a small file says what came of each step, and leaves nothing behind", async () => {
  const content = "a small file";
  const file = write("small.txt", content);
  mkdirSync(at("tmp"));
  const tsx = join(ROOT, "node_modules/tsx/dist/cli.mjs");
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [tsx, "--tsconfig", ".config/tsconfig.run.json", "docs/quickstart.ts", file],
    { cwd: ROOT, env: { ...process.env, TMPDIR: at("tmp"), TEMP: at("tmp"), TMP: at("tmp") } },
  );
  const hash = createHash("sha256").update(content).digest("hex");
  for (const line of [
    /^ {3}size +12 bytes$/m,
    /^ {3}context +file=small\.txt$/m,
    /^ {3}plaintext +12 bytes/m,
    /^ {3}1 +local +XAES-256-GCM +72 bytes +quickstart-1$/m,
    /^ {3}1 +local +XAES-256-GCM +72 bytes +quickstart-2$/m,
    /^ {3}stale +before yes, after no$/m,
    /^ {3}body before +([0-9a-f]{64})\n {3}body after +\1\n +equal: /m,
    new RegExp(`^ {3}SHA-256 +${hash}\n +equal to that of the file$`, "m"),
    /^ {3}one bit flipped in the body +refused: authentication-failed$/m,
    /^ {3}another context +refused: authentication-failed$/m,
    /^ {3}the header of another envelope +refused: authentication-failed$/m,
    /^ {3}the last byte cut off +refused: (authentication-failed|malformed-envelope)$/m,
    /^ {3}somebody else's keyset +refused: no-matching-provider$/m,
    /^Done\./m,
  ]) {
    expect(stdout).toMatch(line);
  }
  expect(stdout).not.toContain("\u001b"); // no colours into a pipe
  expect(readdirSync(at("tmp")).filter((name) => name.startsWith("envelock"))).toEqual([]);
});
