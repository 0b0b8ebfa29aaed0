// node workers-program.mjs FILE COUNT: threads that are terminated, one after the other, with calls of the package in flight. The process
// then ends while the last are at work.
import { once } from "node:events";
import { createRequire } from "node:module";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

if (isMainThread) {
  const [file, count = "6"] = process.argv.slice(2);
  for (let at = 0; at < Number(count); at++) {
    const workers = Array.from({ length: 3 }, () => new Worker(new URL(import.meta.url), { workerData: file }));
    await Promise.all(workers.map((worker) => once(worker, "message"))); // each is in its loop now
    if (at === Number(count) - 1) {
      console.log("ended");
      process.exit(0);
    }
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
} else {
  const native = createRequire(import.meta.url)(workerData);
  const kept = new Uint8Array(64);
  native.prepare(kept);
  const plaintext = new Uint8Array(2 ** 20);
  const body = new Uint8Array(2 ** 20 + 72 + 16 * 64);
  for (let turn = 0; ; turn++) {
    native.sealBody(100, plaintext, body, 0);
    native.sealChunks(turn, plaintext, true, body, 0);
    native.openBody(100, body, plaintext.subarray(0, 2 ** 20));
    native.openText(kept, 10, 17, native.sealText(kept, 10, 17, "text"));
    if (turn === 1) parentPort.postMessage("at work");
  }
}
