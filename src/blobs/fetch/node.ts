import type { RuntimeFetch } from "./fetch.ts";

/**
 * Node's `fetch` copies bytes that it is given, 32 MiB for four blocks in flight, and sends those of a stream as they are. With a stated
 * length it sends them without chunked encoding, which stores refuse. Other runtimes that take this file get the bytes.
 */
export const runtimeFetch: RuntimeFetch = (url, request) => {
  const { body, headers } = request;
  if (body === undefined || body.length < LEAST_BYTES || !IS_NODE) return globalThis.fetch(url, request);
  const sent: NodeRequest = {
    ...request,
    headers: { ...headers, "content-length": `${body.length}` },
    body: piecesOf(body),
    duplex: "half",
  };
  return globalThis.fetch(url, sent);
};

/** The types of browsers lack what Node asks for. */
interface NodeRequest extends RequestInit {
  readonly duplex: "half";
}

function piecesOf(bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream(
    {
      pull(controller) {
        if (at >= bytes.length) return controller.close();
        controller.enqueue(bytes.subarray(at, at + PIECE_BYTES));
        at += PIECE_BYTES;
      },
    },
    { highWaterMark: 0 },
  );
}

const IS_NODE = process.release?.name === "node" && !("bun" in process.versions) && !("deno" in process.versions);
/** Below it a copy costs less than a stream. */
const LEAST_BYTES = 65_536;
const PIECE_BYTES = 262_144;
