import type { OwnedBytes } from "../base/bytes.ts";
import { Duct, type Transform } from "./duct.ts";
import type { LentOutputs } from "./lent-outputs.ts";

/** A transform stream that `pipeThrough` takes, of the web, of Node and of every runtime that has them. */
export interface ByteTransform {
  /**
   * A byte stream. A reader that brings its own memory (`getReader({ mode: "byob" })`) gets whole chunks of 16 KiB written straight into it,
   * as many as fit, where this thread does the work.
   */
  readonly readable: ReadableStream<OwnedBytes>;
  readonly writable: WritableStream<Uint8Array>;
}

/**
 * Turns a transform of iterables into a pair of web streams. Neither side buffers: a write waits until its bytes are used.
 *
 * @param outputs given to the transform too. A reader's own memory is lent to it (`getReader({ mode: "byob" })`)
 */
export function webStream<Output extends AsyncIterableIterator<OwnedBytes>>(
  transform: Transform<Output>,
  outputs: LentOutputs,
  signal: AbortSignal | undefined,
): ByteTransform & { readonly output: Output } {
  let input: WritableStreamDefaultController | undefined;
  let output: ReadableByteStreamController | undefined;
  const duct = new Duct(transform, signal, (reason) => {
    input?.error(reason);
    output?.error(reason);
  });
  const writable = new WritableStream<Uint8Array>(
    {
      start(controller) {
        input = controller;
        // `abort` below waits for a write under way, which may wait for a reader that is gone. Not at once: Node 20 does not expect its
        // stream to fail from within this event.
        controller.signal.addEventListener("abort", () => queueMicrotask(() => duct.fail(controller.signal.reason)));
      },
      write: (piece) => duct.write([piece]),
      close: () => duct.end(),
      abort: (reason) => duct.fail(reason),
    },
    { highWaterMark: 1 },
  );
  const readable: ReadableStream<OwnedBytes> = new ReadableStream(
    {
      type: "bytes",
      start(controller) {
        output = controller;
      },
      pull: (controller) => pullBatch(controller, outputs, () => duct.read()),
      cancel: (reason) => duct.fail(reason),
    },
    { highWaterMark: 0 },
  );
  return { readable, writable, output: duct.output };
}

/**
 * Gives a byte stream its next batch: in the reader's own memory, if it has brought some and the batch was written there.
 *
 * @param next gives the batch, not empty, with `outputs` for its memory; undefined at the end
 */
export async function pullBatch(
  controller: ReadableByteStreamController,
  outputs: LentOutputs,
  next: () => Promise<OwnedBytes | undefined>,
): Promise<void> {
  const request = controller.byobRequest;
  const memory = request?.view;
  if (memory?.buffer instanceof ArrayBuffer) outputs.lend(new Uint8Array(memory.buffer, memory.byteOffset, memory.byteLength));
  const batch = await next();
  const isLent = outputs.takeBack(batch);
  if (batch === undefined) {
    controller.close();
    request?.respond(0);
  } else if (isLent) request?.respond(batch.length);
  else controller.enqueue(batch);
}
