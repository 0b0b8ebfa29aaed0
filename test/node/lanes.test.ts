import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { engine } from "#engine";
import { workerFile } from "../../src/core/base/worker-file.ts";
import { deriveBodyKeys } from "../../src/core/crypto/cobblestone.ts";
import { chunkJob } from "../../src/core/stream/chunk-job.ts";
import type { LaneCount, LanePool } from "../../src/core/stream/lanes/lanes.ts";
import { createLanePool, type LanePoolOptions } from "../../src/core/stream/lanes/node.ts";
import { pumpChunks } from "../../src/core/stream/pump.ts";
import { collect, collectUntilFailure, patterned, piecesOf } from "../support/pieces.ts";
import { refusal, refusalCode } from "../support/refusal.ts";

// the worker is a bundled entry: `npm run build` comes before

const CHUNK = 16384;
const SIZE = 700 * CHUNK + 11;
const plaintext = patterned(SIZE);
const keys = deriveBodyKeys(new Uint8Array(32).fill(3), new Uint8Array(24).fill(4), new Uint8Array(0));

describe("lanes", () => {
  test("one, two or three give the same bytes, whatever the pieces", async () => {
    const alone = await seal(newPool(), 1);
    expect(workers.started).toBe(0);
    const pool = newPool();
    await warmUp(pool, 3);
    for (const lanes of [2, 3]) {
      const cuts = [5, CHUNK + 1, 100 * CHUNK, 300 * CHUNK - 7, 300 * CHUNK, 690 * CHUNK + 1];
      expect(Buffer.compare(await seal(pool, lanes, cuts), alone)).toBe(0);
      expect(Buffer.compare(await collect(open(pool, lanes, alone, cuts)), plaintext)).toBe(0);
    }
    expect(workers.started).toBe(2);
  });

  test("work really goes to the workers", async () => {
    const pool = newPool({ worker: await workerThat("answers that nothing fits") });
    await warmUp(pool, 2);
    expect(await refusalCode(() => seal(pool, 2))).toBe("authentication-failed");
  });

  test("a changed chunk in a worker's batch fails, and what comes before is a true prefix", async () => {
    const pool = newPool();
    const sealed = await seal(pool, 1);
    await warmUp(pool, 2);
    for (const chunk of [0, 70, 200, 500, 700]) {
      const changed = sealed.slice();
      changed[chunk * 16400 + 3] = (changed[chunk * 16400 + 3] ?? 0) ^ 1;
      const { bytes, error } = await collectUntilFailure(open(pool, 2, changed));
      expect(error).toMatchObject({ code: "authentication-failed" });
      expect(bytes.length).toBeLessThanOrEqual(chunk * CHUNK);
      expect(Buffer.compare(bytes, plaintext.subarray(0, bytes.length))).toBe(0);
    }
  });

  test("streams share the workers and do not cross", async () => {
    const pool = newPool();
    const alone = await seal(pool, 1);
    await warmUp(pool, 2);
    const all = await Promise.all([seal(pool, 2), seal(pool, 2, [77]), seal(pool, 2, [CHUNK * 3]), collect(open(pool, 2, alone))]);
    for (const sealed of all.slice(0, 3)) expect(Buffer.compare(sealed, alone)).toBe(0);
    expect(Buffer.compare(all[3], plaintext)).toBe(0);
    expect(workers.started).toBe(1);
  });

  test("idle workers end, and come back when they are needed", async () => {
    const pool = newPool({ idleMs: 1 });
    await warmUp(pool, 2);
    await workers.gone();
    await warmUp(pool, 2);
    expect(workers.started).toBe(2);
    expect((await seal(pool, 2)).length).toBeGreaterThan(SIZE);
    await workers.gone();
  });

  test("`auto` starts none for a small stream", async () => {
    const pool = newPool();
    const job = chunkJob("seal", keys);
    await collect(pumpChunks(piecesOf(plaintext), job, pool.join(job, keys, { lanes: "auto" })));
    expect(workers.started).toBe(0);
  });

  test("`auto` starts some for a stream that says or shows that it is large", async () => {
    const expected = 2;
    const pool = newPool({ processors: 3 });
    const job = chunkJob("seal", keys);
    pool.join(job, keys, { lanes: "auto", plaintextBytes: 1 << 30 }).leave();
    await pool.close();
    expect(workers.started).toBe(expected);
    const shown = newPool({ processors: 3 });
    const lanes = shown.join(job, keys, { lanes: "auto" });
    for (let chunks = 0; chunks < 4096; chunks += lanes.batchChunks) lanes.reserve()?.abandon();
    lanes.leave();
    await shown.close();
    expect(workers.started).toBe(2 * expected);
  });

  test("`auto` starts none where no thread gains anything: with two processors, and where the native package seals", async () => {
    const job = chunkJob("seal", keys);
    const large = { lanes: "auto", plaintextBytes: 1 << 30 } as const;
    newPool({ processors: 2 }).join(job, keys, large).leave();
    const native = { version: "1.2.3", platform: "linux-x64", openssl: "3.0.0", isFips: false };
    const info = vi.spyOn(engine, "info").mockReturnValue({ name: "node-native", native });
    newPool({ processors: 16 }).join(job, keys, large).leave();
    info.mockRestore();
    expect(workers.started).toBe(0);
  });
});

describe("streams on their callers' thread", () => {
  test("leave turns of the loop to others, even where the source never waits", async () => {
    let turns = 0;
    let next = setImmediate(function turn() {
      turns++;
      next = setImmediate(turn);
    });
    const sealed = await seal(newPool(), 1, [CHUNK * 128]);
    await collect(open(newPool(), 1, sealed));
    clearImmediate(next);
    expect(turns).toBeGreaterThanOrEqual(2 * Math.floor(SIZE / (64 * CHUNK)));
  });

  test("work in smaller batches while many are open, also of other keyrings, and in large ones after", async () => {
    const job = chunkJob("seal", keys);
    const batchesOf = (count: number): { chunks: number; end(): void } => {
      const streams = Array.from({ length: count }, () => newPool().join(job, keys, { lanes: 1 }));
      return { chunks: streams[0]?.batchChunks ?? 0, end: () => streams.map((stream) => stream.leave()) };
    };
    for (const [count, chunks] of [
      [1, 64],
      [8, 64],
      [9, 56],
      [64, 8],
      [500, 8],
      [1, 64],
    ] as const) {
      const open = batchesOf(count);
      expect([count, open.chunks]).toEqual([count, chunks]);
      open.end();
      open.end(); // a stream is counted out once
    }
  });
});

describe("lanes that fail", () => {
  test("a worker that dies in the middle: a clean error, and the next stream has a new one", async () => {
    const pool = newPool({ worker: await workerThat("dies at the third batch") });
    await warmUp(pool, 2);
    expect(await refusalCode(() => seal(pool, 2))).toBe("unavailable");
    await workers.gone();
    await warmUp(pool, 2);
    expect(workers.started).toBe(2);
  });

  test("a worker that throws: the same", async () => {
    const pool = newPool({ worker: await workerThat("throws at the third batch") });
    await warmUp(pool, 2);
    expect(await refusalCode(() => seal(pool, 2))).toBe("unavailable");
    await workers.gone();
  });

  test("a worker that says `done` for what it did not do: nothing of its memory comes out", async () => {
    for (const does of ["says done for nothing", "says done for a part"]) {
      const pool = newPool({ worker: await workerThat(does) });
      await warmUp(pool, 2);
      expect(await refusalCode(() => seal(pool, 2))).toBe("invalid-argument");
      await pool.close();
    }
  });

  test("a stream that has left gives nothing more, whatever was reserved before", async () => {
    const pool = newPool();
    await warmUp(pool, 2);
    const job = chunkJob("seal", keys);
    const lanes = pool.join(job, keys, { lanes: 2 });
    const [used, late] = [lanes.reserve(), lanes.reserve()];
    if (used === undefined || late === undefined) throw new Error("no worker is ready");
    late.input.set(plaintext.subarray(0, late.input.length));
    const under = refusalCode(() => used.run(0, 64 * CHUNK, false));
    lanes.leave();
    expect(await under).toBe("closed");
    expect(await refusalCode(() => late.run(64, 64 * CHUNK, false))).toBe("closed");
    expect(late.input.every((byte) => byte === 0)).toBe(true);
    expect(Buffer.compare(await seal(pool, 2), await seal(newPool(), 1))).toBe(0); // its places are free again
  });

  test("a batch for a stream that the worker does not know is never `done`", async () => {
    const { Worker } = await import("node:worker_threads");
    const worker = new Worker(new URL("../../dist/lanes/worker.js", import.meta.url));
    const answers: unknown[] = [];
    worker.on("message", (answer) => answers.push(answer));
    worker.postMessage({
      kind: "batch",
      stream: 77,
      firstChunk: 0,
      isEnd: false,
      input: new ArrayBuffer(CHUNK),
      inputBytes: CHUNK,
      output: new ArrayBuffer(CHUNK + 16),
    });
    await expect.poll(() => answers.length, { timeout: 10_000 }).toBe(2);
    expect(answers).toEqual([{ kind: "ready" }, { kind: "unknown-stream" }]);
    await worker.terminate();
  });

  test("an abort in the very turn in which a reserved batch is filled ends the stream, and nothing false comes before", async () => {
    const pool = newPool();
    const sealed = await seal(pool, 1);
    await warmUp(pool, 2);
    for (let turns = 0; turns < 4; turns++) {
      const abort = new AbortController();
      const stop = new Error("the client went away");
      const job = chunkJob("open", keys);
      const pieces = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
        for (let at = 0, batch = 0; at < sealed.length; batch++) {
          const end = Math.min(sealed.length, at + 64 * (CHUNK + 16));
          yield sealed.subarray(at, end - 1);
          await new Promise((resolve) => setTimeout(resolve, 2));
          if (batch === 8) {
            let turn = Promise.resolve();
            for (let count = 0; count < turns; count++) turn = turn.then(() => undefined);
            turn.then(() => abort.abort(stop));
          }
          yield sealed.subarray(end - 1, end);
          at = end;
        }
      };
      const lanes = pool.join(job, keys, { lanes: 2 });
      const { bytes, error } = await collectUntilFailure(pumpChunks(pieces(), job, lanes, abort));
      expect(error).toBe(stop);
      expect(Buffer.compare(bytes, plaintext.subarray(0, bytes.length))).toBe(0);
    }
  });

  test("a worker that hangs does not hold up an abort", async () => {
    const pool = newPool({ worker: await workerThat("hangs at the third batch") });
    await warmUp(pool, 2);
    const abort = new AbortController();
    const stop = new Error("stop");
    const job = chunkJob("seal", keys);
    const sealing = collectUntilFailure(pumpChunks(piecesOf(plaintext), job, pool.join(job, keys, { lanes: 2 }), abort));
    setTimeout(() => abort.abort(stop), 50);
    const { error } = await sealing;
    expect(error).toBe(stop);
    await pool.close();
    await workers.gone();
  });

  test("a worker that cannot start: a number of lanes is refused, and `auto` does it all alone", async () => {
    const pool = newPool({ worker: pathToFileURL("/nowhere/worker.js") });
    const alone = await seal(newPool(), 1);
    const job = chunkJob("seal", keys);
    const stream = pool.join(job, keys, { lanes: 2 });
    await expect.poll(() => workers.started).toBe(1);
    await workers.gone();
    const late = await refusal(() => stream.reserve());
    stream.leave();
    const next = await refusal(() => seal(pool, 2));
    for (const { code, detail, retryable } of [late, next]) {
      expect([code, detail, retryable]).toEqual(["unavailable", "no-worker", false]);
    }
    expect(late.cause).toBeInstanceOf(Error);
    for (const lanes of ["auto", 1] as const) expect(Buffer.compare(await seal(pool, lanes), alone)).toBe(0);
    expect(workers.started).toBe(1); // it is not tried again and again
  });

  test("a module that does not know where it stands, as in a bundle of CommonJS, has no worker file", async () => {
    for (const moduleUrl of [undefined, pathToFileURL("/nowhere/bundle.js").href]) {
      const { code, detail, hint } = await refusal(() => workerFile("worker.js", moduleUrl, "a test"));
      expect([code, detail]).toEqual(["unavailable", "no-worker"]);
      expect(hint).toContain("external");
    }
    expect(workerFile("lanes.test.ts", import.meta.url, "a test")).toBeInstanceOf(URL);
  });

  test("closing the pool lets what is under way finish; then the workers end, and later streams are refused", async () => {
    const pool = newPool();
    await warmUp(pool, 2);
    const sealing = seal(pool, 2);
    await pool.close();
    await pool.close();
    expect(await refusalCode(() => seal(pool, 2))).toBe("closed");
    expect(Buffer.compare(await sealing, await seal(newPool(), 1))).toBe(0);
    await workers.gone();
  });

  test("a consumer that leaves early leaves no worker busy", async () => {
    const pool = newPool({ idleMs: 1 });
    await warmUp(pool, 2);
    const job = chunkJob("seal", keys);
    for await (const batch of pumpChunks(piecesOf(plaintext), job, pool.join(job, keys, { lanes: 2 }))) {
      if (batch.length > 0) break;
    }
    await workers.gone();
  });
});

test("a process with idle workers ends by itself", async () => {
  const { stdout } = await run(process.execPath, [await written("program.mjs", programWith("2"))], { timeout: 60_000 });
  expect(stdout.trim()).toBe("round trip, 1 worker");
});

test.each([
  "es",
  "cjs",
] as const)("bundled into one file (%s), `auto` does without workers, and a number of lanes is refused", async (format) => {
  const { rolldown } = await import("rolldown");
  for (const [lanes, outcome] of [
    ["1", "round trip, 0 workers"],
    ['"auto"', "round trip, 0 workers"],
    ["2", "unavailable no-worker"],
  ] as const) {
    const input = await written("bundle-me.mjs", programWith(lanes));
    const bundle = await rolldown({ input, platform: "node", resolve: { conditionNames: ["node"] }, logLevel: "silent" });
    const file = join(input, "..", "out", format === "es" ? "bundle.mjs" : "bundle.cjs");
    await bundle.write({ file, format, codeSplitting: false });
    await bundle.close();
    const { stdout } = await run(process.execPath, [file], { timeout: 60_000 });
    expect(stdout.trim()).toBe(outcome);
  }
});

const run = promisify(execFile);

/** A program that encrypts and decrypts 80 MiB. */
function programWith(lanes: string): string {
  const dist = (path: string): string => JSON.stringify(fileURLToPath(new URL(`../../dist/${path}`, import.meta.url)));
  return `
import { Keyring } from ${dist("index.js")};
import { localKey } from ${dist("providers/local.js")};
let started = 0;
process.on("worker", () => started++);
const keyring = new Keyring(localKey({ keyId: "k", key: new Uint8Array(32) }));
const piece = new Uint8Array(1 << 20);
async function* pieces(count) { for (let n = 0; n < count; n++) { yield piece; await new Promise((resolve) => setTimeout(resolve, 5)); } }
async function main() {
  let bytes = 0;
  const lanes = ${lanes};
  for await (const batch of keyring.decryptPieces(keyring.encryptPieces(pieces(80), { lanes }), { lanes })) bytes += batch.length;
  console.log(bytes === 80 << 20 ? "round trip," : "lost bytes,", started, "worker" + (started === 1 ? "" : "s"));
}
main().catch((error) => console.log(error.code, error.detail));
`;
}

/** A file in a folder of its own. */
async function written(name: string, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "envelock-lanes-"));
  folders.push(folder);
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

/** The workers that this process has started and that have ended. */
const workers = {
  started: 0,
  alive: new Set<Worker>(),
  count(worker: Worker): void {
    workers.started++;
    workers.alive.add(worker);
    worker.once("exit", () => workers.alive.delete(worker));
  },
  async gone(): Promise<void> {
    await expect.poll(() => workers.alive.size, { timeout: 10_000 }).toBe(0);
  },
};
const pools: LanePool[] = [];
const folders: string[] = [];

beforeEach(() => {
  workers.started = 0;
  process.on("worker", workers.count);
});

afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close();
  await workers.gone();
  process.off("worker", workers.count);
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

function newPool(options: LanePoolOptions = {}): LanePool {
  const pool = createLanePool({ worker: new URL("../../dist/lanes/worker.js", import.meta.url), idleMs: 60_000, ...options });
  pools.push(pool);
  return pool;
}

/** Waits until as many workers as `lanes` asks for take work. */
async function warmUp(pool: LanePool, lanes: number): Promise<void> {
  const job = chunkJob("seal", keys);
  const stream = pool.join(job, keys, { lanes });
  await expect.poll(() => stream.maxInFlight, { timeout: 10_000 }).toBeGreaterThanOrEqual((lanes - 1) * 2 + 1);
  stream.leave();
}

function seal(pool: LanePool, lanes: LaneCount, cuts: readonly number[] = []): Promise<Uint8Array> {
  const job = chunkJob("seal", keys);
  return (async () => await collect(pumpChunks(piecesOf(plaintext, cuts), job, pool.join(job, keys, { lanes }))))();
}

function open(pool: LanePool, lanes: number, sealed: Uint8Array, cuts: readonly number[] = []): AsyncIterable<Uint8Array> {
  const job = chunkJob("open", keys);
  return pumpChunks(piecesOf(sealed, cuts), job, pool.join(job, keys, { lanes }));
}

/** A worker that misbehaves. */
async function workerThat(does: string): Promise<URL> {
  const folder = await mkdtemp(join(tmpdir(), "envelock-worker-"));
  folders.push(folder);
  const misdeed = does.startsWith("dies") ? "process.exit(1)" : does.startsWith("throws") ? "throw new Error('broken')" : "return";
  const written = does.endsWith("for nothing") ? "0" : does.endsWith("for a part") ? "1000" : "order.output.byteLength";
  const answer = does.startsWith("answers")
    ? "parentPort.postMessage({ kind: 'refused' })"
    : does.startsWith("says")
      ? `parentPort.postMessage({ kind: "done", writtenBytes: ${written}, input: order.input, output: order.output }, [order.input, order.output])`
      : `if (++batches >= 3) { ${misdeed}; } parentPort.postMessage({ kind: "done", writtenBytes: ${written}, input: order.input, output: order.output }, [order.input, order.output])`;
  const path = join(folder, "worker.mjs");
  await writeFile(
    path,
    `import { parentPort } from "node:worker_threads";
    let batches = 0;
    parentPort.on("message", (order) => { if (order.kind !== "batch") return; ${answer}; });
    parentPort.postMessage({ kind: "ready" });`,
  );
  return pathToFileURL(path);
}
