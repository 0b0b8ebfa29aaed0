import type { OwnedBytes } from "../base/bytes.ts";
import { Duct, type Transform } from "./duct.ts";

/** A transform stream that `pipeThrough` takes, of the web, of Node and of every runtime that has them. */
export interface ByteTransform {
  readonly readable: ReadableStream<OwnedBytes>;
  readonly writable: WritableStream<Uint8Array>;
}

/** Turns a transform of iterables into a pair of web streams. Neither side buffers: a write waits until its bytes are used. */
export function webStream<Output extends AsyncIterableIterator<OwnedBytes>>(
  transform: Transform<Output>,
  signal: AbortSignal | undefined,
): ByteTransform & { readonly output: Output } {
  let input: WritableStreamDefaultController | undefined;
  let output: ReadableStreamDefaultController<OwnedBytes> | undefined;
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
  const readable = new ReadableStream<OwnedBytes>(
    {
      start(controller) {
        output = controller;
      },
      async pull(controller) {
        const batch = await duct.read();
        if (batch === undefined) controller.close();
        else controller.enqueue(batch);
      },
      cancel: (reason) => duct.fail(reason),
    },
    { highWaterMark: 0 },
  );
  return { readable, writable, output: duct.output };
}
