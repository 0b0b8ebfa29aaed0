import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, statSync } from "node:fs";
import { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { generated, PIECE_BYTES, timedRun } from "./runs.ts";
import { CONTESTANTS } from "./stream-contestants.ts";

// One run of one contestant in a process of its own: `encrypt` or `decrypt` to a null sink, `make` to a file, `idle` for nothing.

const WARM_UP_BYTES = 2 ** 25;

const [, , mode = "", name = "", path = "", bytes = "0"] = process.argv;
const total = Number(bytes);

if (mode === "idle") {
  await report(async () => undefined);
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
    await report(async () => {
      if (mode === "encrypt") await contestant.encrypt(generated(total), nullSink());
      else await contestant.decrypt(createReadStream(path, { highWaterMark: PIECE_BYTES }), nullSink(), statSync(path).size);
    });
  }
}

async function report(work: () => Promise<void>): Promise<void> {
  console.log(JSON.stringify(await timedRun(work)));
}

function nullSink(): Writable {
  return new Writable({ highWaterMark: 2 ** 20, write: (_piece, _encoding, done) => done() });
}
