import { createCipheriv } from "node:crypto";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Keyring } from "envelock";
import { localKey } from "envelock/providers/local";
import { PIECE_BYTES, timedRun } from "./runs.ts";

// Many streams at once in a process of its own: `by-hand` or `envelock`, their number, and the bytes of all together.

const WARM_UP_BYTES = 2 ** 24;
const KEY = Buffer.alloc(32, 7);
const PIECE = Buffer.alloc(PIECE_BYTES, "envelock");

const [, , contestant, streams = "1", total = "0"] = process.argv;
const keyring = new Keyring(localKey({ keyId: "bench", key: KEY }));
const encrypt = contestant === "envelock" ? envelock : byHand;

await encrypt(WARM_UP_BYTES);
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
const run = await timedRun(() => Promise.all(Array.from({ length: Number(streams) }, () => encrypt(Number(total) / Number(streams)))));
console.log(JSON.stringify({ ...run, delayMs: delay.percentile(99) / 1e6 }));

async function envelock(bytes: number): Promise<void> {
  for await (const _batch of keyring.encryptPieces(pieces(bytes)));
}

async function byHand(bytes: number): Promise<void> {
  const cipher = createCipheriv("aes-256-gcm", KEY, Buffer.alloc(12));
  for await (const piece of pieces(bytes)) cipher.update(piece);
  cipher.final();
}

/** A piece for each turn of the loop, as sockets give them. */
async function* pieces(bytes: number): AsyncGenerator<Uint8Array> {
  for (let left = bytes; left > 0; left -= PIECE_BYTES) {
    await new Promise((resolve) => setImmediate(resolve));
    yield PIECE;
  }
}
