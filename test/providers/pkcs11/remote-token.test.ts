import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, expect, test } from "vitest";
import { pkcs11Key } from "../../../providers/pkcs11/index.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { noise } from "../../support/arbitraries.ts";
import { hexOf } from "../../support/bytes.ts";
import { fileOfPackages } from "../../support/debian-packages.ts";
import { refusal } from "../../support/refusal.ts";
import { softHsmTokens } from "./tokens.ts";

// A token behind a socket: p11-kit's server starts a process for each client, and killing that takes the device away.
// It passes on few mechanisms, RSA-OAEP among them.

const softHsm = softHsmTokens("remote");
const [token] = softHsm.tokens;
token.addKey({ label: "kek", id: "01", rsa: generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey });
const socket = join(softHsm.folder, "socket");
const server = await startServer();
Object.assign(process.env, { P11_KIT_SERVER_ADDRESS: `unix:path=${socket}` });
afterAll(() => {
  server.kill();
  softHsm.remove();
});

test("a token whose process is killed is unavailable, and found again", async () => {
  const key = pkcs11Key({
    module: fileOfPackages(
      ["/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so", "/usr/lib/aarch64-linux-gnu/pkcs11/p11-kit-client.so"],
      ["p11-kit-modules"],
    ),
    token: { label: "remote" },
    key: { label: "kek" },
    pin: () => token.pin,
  });
  const plaintext = noise(100, "plaintext");
  const once = new Keyring({ wrapWith: [key], retry: false });
  const envelope = await once.encrypt(plaintext);

  killDevice();
  const { code, retryable } = await refusal(() => once.decrypt(envelope));
  expect([code, retryable]).toEqual(["unavailable", true]);
  expect(hexOf(await once.decrypt(envelope))).toBe(hexOf(plaintext));

  killDevice();
  const keyring = new Keyring({ wrapWith: [key], retry: { delaysMs: [1, 1] } });
  expect(hexOf(await keyring.decrypt(envelope))).toBe(hexOf(plaintext));
  await key.close();
});

/** Resolves once it listens. */
async function startServer(): Promise<ChildProcess> {
  const p11Kit = fileOfPackages(["/usr/bin/p11-kit"], ["p11-kit"]);
  const args = ["server", "--foreground", "--name", socket, "--provider", token.module, "pkcs11:token=remote"];
  const child = spawn(p11Kit, args, { stdio: ["ignore", "pipe", "ignore"] });
  for await (const line of createInterface(child.stdout)) if (line.includes("P11_KIT_SERVER_ADDRESS")) return child;
  throw new Error("p11-kit server ended");
}

/** Kills the processes that the server has started. */
function killDevice(): void {
  const ofServer = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && parentOf(pid) === `${server.pid}`);
  expect(ofServer).toHaveLength(1);
  for (const pid of ofServer) process.kill(Number(pid), "SIGKILL");
}

function parentOf(pid: string): string | undefined {
  try {
    return /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  } catch {
    return undefined; // it has ended meanwhile
  }
}
