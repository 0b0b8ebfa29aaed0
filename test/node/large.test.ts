import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

// Generated, encrypted, decrypted, counted and discarded in a process of its own, whose peak memory is compared with an idle one's.
// 5 GiB on one lane, because that is past 2^32 bytes; two lanes bound their memory the same at a smaller size.

const { ENVELOCK_TWO_LANES_GIB = "1" } = process.env;
const LANE_GIB = 5;
const TWO_LANES_GIB = Number(ENVELOCK_TWO_LANES_GIB);

test.each([
  [1, LANE_GIB, 120],
  [2, TWO_LANES_GIB, 120],
])("lanes: %i, %i GiB there and back in at most %i MiB over an idle process", { timeout: 900_000 }, async (lanes, gibibytes, limitMiB) => {
  const idle = await child("idle", 0);
  const busy = await child(`${lanes}`, gibibytes);
  expect(busy.bytes).toBe(gibibytes * 2 ** 30);
  expect(busy.isIntact).toBe(true);
  expect((busy.peakBytes - idle.peakBytes) / 2 ** 20).toBeLessThan(limitMiB);
});

async function child(mode: string, gibibytes: number): Promise<{ bytes: number; isIntact: boolean; peakBytes: number }> {
  const dist = fileURLToPath(new URL("../../dist/", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", PROGRAM, dist, mode, `${gibibytes}`]);
  return JSON.parse(stdout);
}

const PROGRAM = `
const [, dist, mode, gibibytes] = process.argv;
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
    for (let number = 0; number < gibibytes * 1024; number++) {
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
