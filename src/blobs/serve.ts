import { invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown, shownValue } from "../core/base/options.ts";
import { whenAborted } from "../core/base/when-aborted.ts";
import { httpRangeHandler, requireRequest } from "../core/stream/range-handler.ts";
import type { EncryptedBlob } from "./encrypted-blob.ts";
import { isBlobMissing } from "./failures.ts";
import { isBlobName } from "./name.ts";

export interface BlobHandlerOptions {
  /** Finds the blob that a request asks for. Undefined answers 404. What a user may see is decided here. */
  readonly name: (request: Request) => string | undefined | Promise<string | undefined>;
  /** The media type. Defaults to that of the description, else `application/octet-stream`. */
  readonly contentType?: string;
  /** How a browser treats the blob. Defaults to `attachment`: a type that an uploader chose must not run as a page of the site. */
  readonly disposition?: "attachment" | "inline";
}

/** Makes a handler that opens the blob of each request, and closes it when the answer has gone out. */
export function blobHandler(
  open: (name: string, signal: AbortSignal) => Promise<EncryptedBlob>,
  options: BlobHandlerOptions,
): (request: Request) => Promise<Response> {
  refuseUnknown(options, OPTIONS, "httpHandler");
  const { name: nameOf, contentType, disposition = "attachment" } = options;
  if (typeof nameOf !== "function") throw invalidArgument("name must be a function that finds the blob of a request");
  if (disposition !== "attachment" && disposition !== "inline") {
    throw invalidArgument(`disposition is "attachment" or "inline", not ${shownValue(disposition)}`);
  }
  if (contentType !== undefined && !(typeof contentType === "string" && HEADER_TEXT.test(contentType))) {
    throw invalidArgument("contentType must be the text of a header");
  }
  return async (request) => {
    requireRequest(request);
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response(null, { status: 405, headers: { ...SAFE, allow: "GET, HEAD" } }); // no key service is asked for it
    }
    const name = await nameOf(request);
    const blob = isBlobName(name) ? await open(name, request.signal).catch(missing) : undefined;
    if (blob === undefined) return new Response(null, { status: 404, headers: SAFE });
    try {
      const { type, name: fileName } = blob.description ?? {};
      const answer = httpRangeHandler(blob, { contentType: contentType ?? type ?? "application/octet-stream", etag: blob.contentTag });
      const { status, headers, body } = await answer(request);
      for (const [header, value] of Object.entries(SAFE)) headers.set(header, value);
      headers.set("content-disposition", dispositionOf(disposition, fileName));
      return new Response(closingAfter(body, blob, request.signal), { status, headers });
    } catch (error) {
      blob.close();
      throw error;
    }
  };
}

function missing(error: unknown): undefined {
  if (isBlobMissing(error)) return undefined;
  throw error;
}

// RFC 6266 §4.3, RFC 8187 §3.2
function dispositionOf(disposition: string, fileName: string | undefined): string {
  if (fileName === undefined) return disposition;
  const escaped = encodeURIComponent(fileName).replaceAll(/['()*]/g, (found) => `%${found.charCodeAt(0).toString(16).toUpperCase()}`);
  return `${disposition}; filename*=UTF-8''${escaped}`;
}

/** A client that goes away may leave a body that the server never reads: then the signal of the request closes the blob. */
function closingAfter(
  body: ReadableStream<Uint8Array> | null,
  blob: EncryptedBlob,
  signal: AbortSignal | undefined,
): ReadableStream<Uint8Array> | null {
  if (body === null || signal?.aborted === true) {
    blob.close();
    return body;
  }
  const stopListening = whenAborted(signal, () => blob.close());
  const close = (): void => {
    stopListening();
    blob.close();
  };
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (!done) return controller.enqueue(value);
          close();
          controller.close();
        } catch (error) {
          close();
          throw error;
        }
      },
      async cancel(reason) {
        close();
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

const HEADER_TEXT = /^[\x20-\x7e]+$/;
const OPTIONS: OptionNames<BlobHandlerOptions> = { name: true, contentType: true, disposition: true };
const SAFE: Readonly<Record<string, string>> = { "x-content-type-options": "nosniff" };
