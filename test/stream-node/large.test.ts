import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

// 5 GiB, generated, encrypted, decrypted, counted and discarded; a process of its own, whose peak memory is compared with an idle one's

// A second thread brings a heap of its own, whose garbage outside of it Node collects only past some 60 MiB.
test.each([
  [1, 120],
  [2, 200],
])("5 GiB there and back, lanes: %i, in at most %i MiB over an idle process", { timeout: 900_000 }, async (lanes, limitMiB) => {
  const idle = await child("idle");
  const busy = await child(`${lanes}`);
  expect(busy.bytes).toBe(5 * 2 ** 30);
  expect(busy.isIntact).toBe(true);
  expect((busy.peakBytes - idle.peakBytes) / 2 ** 20).toBeLessThan(limitMiB);
});

async function child(mode: string): Promise<{ bytes: number; isIntact: boolean; peakBytes: number }> {
  const dist = fileURLToPath(new URL("../../dist/", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", PROGRAM, dist, mode]);
  return JSON.parse(stdout);
}

const PROGRAM = `
const [, dist, mode] = process.argv;
let bytes = 0;
let isIntact = true;
if (mode !== "idle") {
  const { Keyring } = await import(dist + "index.js");
  const { localKey } = await import(dist + "providers/local.js");
  const keyring = new Keyring(localKey({ keyId: "large", key: new Uint8Array(32) }));
  const lanes = Number(mode);
  const piece = new Uint8Array(1 << 20).map((_, at) => at * 31);
  const marks = new DataView(piece.buffer);
  // every MiB carries its number, so that none may be lost, doubled or moved
  async function* pieces() {
    for (let number = 0; number < 5 * 1024; number++) {
      marks.setUint32(0, number);
      yield piece;
    }
  }
  for await (const batch of keyring.decryptPieces(keyring.encryptPieces(pieces(), { lanes }), { lanes })) {
    for (let at = (1 << 20) - 1 - ((bytes + (1 << 20) - 1) % (1 << 20)); at < batch.length; at += 1 << 20) {
      const number = new DataView(batch.buffer).getUint32(at);
      if (number !== (bytes + at) / (1 << 20)) isIntact = false;
    }
    bytes += batch.length;
  }
}
console.log(JSON.stringify({ bytes, isIntact, peakBytes: process.resourceUsage().maxRSS * 1024 }));
`;
