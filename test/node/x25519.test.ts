import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));

// In a process of its own: one whose collector waits for a lock that it holds itself can only be killed.
test("50,000 ephemeral keys are made, with a collection in between each few", () => {
  const program = `
    const { engine } = await import("./dist/engine/node.js");
    let bytes = 0;
    for (let at = 0; at < 50_000; at++) bytes += engine.x25519.keyPair().publicKey.length;
    console.log(bytes);`;
  const flags = ["--max-semi-space-size=1", "--input-type=module", "--eval", program];
  const { stdout, signal } = spawnSync(process.execPath, flags, { cwd: PROJECT, encoding: "utf8", timeout: 50_000, killSignal: "SIGKILL" });
  expect(signal, "the process stood still").toBeNull();
  expect(stdout.trim()).toBe(`${50_000 * 32}`);
});
