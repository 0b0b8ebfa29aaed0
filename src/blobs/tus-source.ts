import type { OwnedBytes } from "../core/base/bytes.ts";
import type { Context } from "../core/base/context.ts";
import { invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import { type Keyring, requireKeyring } from "../core/keyring/keyring.ts";
import { checkedBytes } from "../core/resilience/checks.ts";
import { encryptedBytes } from "../core/stream/streams.ts";
import { type BlobSource, knownBytesOf, sealUpload } from "./seal-upload.ts";

export interface TusSourceOptions {
  /** What the blob belongs to, as for `keyring.encryptStream`. */
  readonly context?: Context;
  /** The exact length, if the source does not say it, as a Blob does. */
  readonly expectedBytes?: number;
}

/** What a tus client uploads. */
export interface TusSource {
  /** The encrypted bytes, for `new Upload(reader, …)`. */
  readonly reader: ReadableStreamDefaultReader<OwnedBytes>;
  /** The exact length of the envelope, for the option `uploadSize`. */
  readonly uploadSize: number;
}

/**
 * Makes what `tus-js-client` uploads: a reader of the envelope and its length. A retry within a page goes on; a page that was closed
 * starts anew, because an envelope is never made twice.
 *
 * @throws `invalid-argument` for bad options, and for a source of unknown length; as `Keyring.encrypt`
 * @example
 * ```ts
 * import type { Keyring } from "envelock";
 * import { tusSource } from "envelock/blobs";
 *
 * export async function uploadOf(keyring: Keyring, file: File, id: string) {
 *   const { reader, uploadSize } = await tusSource(keyring, file, { context: { object: id } });
 *   return { reader, options: { endpoint: "/files", uploadSize, chunkSize: 8 * 1024 * 1024 } }; // new tus.Upload(reader, options)
 * }
 * ```
 */
export async function tusSource(keyring: Keyring, source: BlobSource, options: TusSourceOptions = {}): Promise<TusSource> {
  refuseUnknown(options, OPTIONS, "tusSource");
  const { context, expectedBytes } = options;
  const plaintextBytes = checkedBytes(expectedBytes, "expectedBytes") ?? knownBytesOf(source);
  if (plaintextBytes === undefined) throw invalidArgument("tus needs the length of the source", "state expectedBytes");
  const own = requireKeyring(keyring, "keyring");
  const pieces = sealUpload(source, { expectedBytes: plaintextBytes });
  const encrypted = own.encryptPieces(pieces, { plaintextBytes, ...(context !== undefined && { context }) });
  const uploadSize = encryptedBytes(plaintextBytes, await encrypted.header());
  const stream = new ReadableStream<OwnedBytes>(
    {
      async pull(controller) {
        const { done, value } = await encrypted.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await encrypted.return();
      },
    },
    { highWaterMark: 0 },
  );
  return { reader: stream.getReader(), uploadSize };
}

const OPTIONS: OptionNames<TusSourceOptions> = { context: true, expectedBytes: true };
