import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, statSync } from "node:fs";
import { Readable, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { CONTESTANTS } from "./stream-contestants.ts";

// One run of one contestant in a process of its own: `encrypt` or `decrypt` to a null sink, `make` to a file, `idle` for nothing.

const PIECE_BYTES = 65_536;
const WARM_UP_BYTES = 2 ** 25;

const [, , mode = "", name = "", path = "", bytes = "0"] = process.argv;
const total = Number(bytes);

if (mode === "idle") {
  report(0, 0);
} else {
  const contestant = CONTESTANTS.find((each) => each.name === name);
  if (contestant === undefined) throw new Error(`no such contestant: ${name}`);
  if (mode === "make") {
    const file = createWriteStream(path);
    await contestant.encrypt(generated(total), file);
    file.end();
    await finished(file);
  } else if (mode === "prove") {
    const hash = createHash("sha256");
    const sink = new Writable({ write: (piece, _encoding, done) => done(void hash.update(piece)) });
    await contestant.decrypt(createReadStream(path), sink, statSync(path).size);
    const expected = createHash("sha256");
    for await (const piece of generated(total)) expected.update(piece);
    if (hash.digest("hex") !== expected.digest("hex")) throw new Error(`${name} does not give back what it was given`);
  } else {
    const warm = mode === "encrypt" ? generated(WARM_UP_BYTES) : undefined;
    if (warm !== undefined) await contestant.encrypt(warm, nullSink());
    const cpu = process.cpuUsage();
    const start = performance.now();
    if (mode === "encrypt") await contestant.encrypt(generated(total), nullSink());
    else await contestant.decrypt(createReadStream(path, { highWaterMark: PIECE_BYTES }), nullSink(), statSync(path).size);
    const { user, system } = process.cpuUsage(cpu);
    report((performance.now() - start) / 1000, (user + system) / 1e6);
  }
}

function report(seconds: number, cpuSeconds: number): void {
  console.log(JSON.stringify({ seconds, cpuSeconds, rssBytes: process.resourceUsage().maxRSS * 1024 }));
}

/** The same pieces for everybody. */
function generated(length: number): Readable {
  const piece = Buffer.alloc(PIECE_BYTES, "envelock");
  let left = length;
  return new Readable({
    highWaterMark: PIECE_BYTES,
    read() {
      const bytes = Math.min(left, PIECE_BYTES);
      left -= bytes;
      this.push(bytes === 0 ? null : piece.subarray(0, bytes));
    },
  });
}

function nullSink(): Writable {
  return new Writable({ highWaterMark: 2 ** 20, write: (_piece, _encoding, done) => done() });
}
