import { Duplex } from "node:stream";
import type { OwnedBytes } from "../core/base/bytes.ts";
import { callSignal } from "../core/base/call-options.ts";
import { type Keyring, requireKeyring } from "../core/keyring/keyring.ts";
import { Duct, type Transform } from "../core/stream/duct.ts";
import { ENCRYPT_STREAM_OPTIONS, type EncryptStreamOptions, STREAM_OPTIONS, type StreamOptions } from "../core/stream/options.ts";

/** A Duplex that encrypts. Its header is available before anything is read. */
export interface EncryptDuplex extends Duplex {
  /** @throws as `Keyring.encrypt` */
  header(): Promise<OwnedBytes>;
}

/**
 * Makes `keyring.encryptStream` a Node stream, for `pipeline`.
 *
 * @throws `invalid-argument` for bad options and for what is no keyring of this copy of the package; the stream is destroyed with what `Keyring.encrypt` throws
 * @example
 * ```ts
 * import { createReadStream, createWriteStream } from "node:fs";
 * import { pipeline } from "node:stream/promises";
 * import type { Keyring } from "envelock";
 * import { encryptDuplex } from "envelock/node";
 *
 * export async function store(keyring: Keyring): Promise<void> {
 *   const sealing = encryptDuplex(keyring, { context: { object: "scans/7" } });
 *   await pipeline(createReadStream("scan.tiff"), sealing, createWriteStream("scan.envelock"));
 * }
 * ```
 */
export function encryptDuplex(keyring: Keyring, options: EncryptStreamOptions = {}): EncryptDuplex {
  const given = callSignal(options, ENCRYPT_STREAM_OPTIONS, "encryptDuplex");
  const own = requireKeyring(keyring, "keyring");
  const { stream, output } = pieceDuplex((pieces, signal) => own.encryptPieces(pieces, { ...options, signal }), given);
  return Object.assign(stream, { header: () => output.header() });
}

/**
 * Makes `keyring.decryptStream` a Node stream, for `pipeline`. It gives out verified chunks alone. A fault later in the envelope destroys
 * the stream with an error, so never take the chunks before it for the whole.
 *
 * @throws `invalid-argument` for bad options and for what is no keyring of this copy of the package; the stream is destroyed with what `Keyring.decrypt` throws
 * @example
 * ```ts
 * import { createReadStream, createWriteStream } from "node:fs";
 * import { pipeline } from "node:stream/promises";
 * import type { Keyring } from "envelock";
 * import { decryptDuplex } from "envelock/node";
 *
 * export async function restore(keyring: Keyring): Promise<void> {
 *   const opening = decryptDuplex(keyring, { context: { object: "scans/7" } });
 *   await pipeline(createReadStream("scan.envelock"), opening, createWriteStream("scan.tiff"));
 * }
 * ```
 */
export function decryptDuplex(keyring: Keyring, options: StreamOptions = {}): Duplex {
  const given = callSignal(options, STREAM_OPTIONS, "decryptDuplex");
  const own = requireKeyring(keyring, "keyring");
  return pieceDuplex((pieces, signal) => own.decryptPieces(pieces, { ...options, signal }), given).stream;
}

function pieceDuplex<Output extends AsyncIterableIterator<OwnedBytes>>(
  transform: Transform<Output>,
  signal: AbortSignal | undefined,
): { readonly stream: Duplex; readonly output: Output } {
  const duct = new Duct(transform, signal, (reason) => stream.destroy(asError(reason)));
  const stream = new Duplex({
    readableHighWaterMark: 1, // one batch ahead of the reader
    writableHighWaterMark: GATHERED_BYTES,
    write: (piece: Buffer, _encoding, callback) => settle(duct.write([piece]), callback),
    writev: (chunks: readonly { readonly chunk: Buffer }[], callback) => settle(duct.write(chunks.map(({ chunk }) => chunk)), callback),
    final: (callback) => settle(duct.end(), callback),
    read() {
      duct.read().then(
        (batch) => this.push(batch ?? null),
        () => undefined, // the duct has destroyed the stream
      );
    },
    destroy: (error, callback) => settle(duct.fail(error ?? CLOSED), () => callback(error)),
  });
  return { stream, output: duct.output };
}

function settle(promise: Promise<void>, callback: (error?: Error | null) => void): void {
  promise.then(
    () => callback(),
    (error: unknown) => callback(asError(error)),
  );
}

/** Makes an Error of a reason: a stream is destroyed with an Error, while an abort may have any reason. */
function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new DOMException(String(reason), "AbortError");
}

const CLOSED = new DOMException("the stream was closed before its end", "AbortError");
const GATHERED_BYTES = 2 ** 20; // many pieces share one turn of the machinery
