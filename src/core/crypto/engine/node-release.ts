import type { MessagePort } from "node:worker_threads";

/**
 * Frees the memory of a cipher's output that has been copied, so that the next output is made in memory that is still in the
 * processor's cache. Left to the garbage collector, tens of MiB pile up between two of its runs.
 */
export function release(output: Uint8Array): void {
  if (output.length < RELEASED_BYTES) return;
  const { buffer } = output;
  if (!(buffer instanceof ArrayBuffer) || output.length !== buffer.byteLength) return;
  if (typeof TRANSFER === "function") {
    Reflect.apply(TRANSFER, buffer, [0]);
  } else {
    nowhere ??= closedPort();
    nowhere.postMessage(undefined, [buffer]);
  }
}

/** What is transferred to a port that has been closed is detached and dropped at once. */
function closedPort(): MessagePort {
  const threads = process.getBuiltinModule("node:worker_threads"); // loaded here, because few importers of the package have large bodies
  const { port1 } = new threads.MessageChannel();
  port1.close();
  return port1;
}

const RELEASED_BYTES = 4096; // what is smaller is cheaper left to the garbage collector
const TRANSFER: unknown = Reflect.get(ArrayBuffer.prototype, "transfer"); // from Node 21 on
let nowhere: MessagePort | undefined;
