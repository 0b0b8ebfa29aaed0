import { isBytes, type OwnedBytes } from "../base/bytes.ts";
import { callSignal } from "../base/call-options.ts";
import { invalidArgument } from "../base/errors.ts";
import { bodyBytes } from "../crypto/cobblestone.ts";
import type { StreamAccess } from "./beginning.ts";
import { decryptPieces } from "./decrypted-pieces.ts";
import { EncryptedPieces } from "./encrypted-pieces.ts";
import { LentOutputs } from "./lent-outputs.ts";
import { ENCRYPT_STREAM_OPTIONS, type EncryptStreamOptions, STREAM_OPTIONS, type StreamOptions } from "./options.ts";
import { type ByteTransform, webStream } from "./web-stream.ts";

/** A stream that encrypts. Its header is available before anything is read. */
export interface EncryptStream extends ByteTransform {
  /** @throws as `Keyring.encrypt` */
  header(): Promise<OwnedBytes>;
}

/**
 * Computes the exact length of an envelope, for Content-Length, multipart or tus.
 *
 * @param header the envelope's header, or its length
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { encryptedBytes, type Keyring } from "envelock";
 *
 * export async function contentLength(keyring: Keyring, plaintextBytes: number): Promise<number> {
 *   const stream = keyring.encryptStream({ context: { object: "scans/7" } });
 *   return encryptedBytes(plaintextBytes, await stream.header());
 * }
 * ```
 */
export function encryptedBytes(plaintextBytes: number, header: Uint8Array | number): number {
  const headerBytes = isBytes(header) ? header.length : header;
  if (!isLength(plaintextBytes) || !isLength(headerBytes)) throw invalidArgument("lengths are integers from 0");
  return headerBytes + bodyBytes(plaintextBytes);
}

export function encryptStream(access: StreamAccess, options: EncryptStreamOptions): EncryptStream {
  const signal = callSignal(options, ENCRYPT_STREAM_OPTIONS, "encryptStream");
  const outputs = new LentOutputs();
  const { readable, writable, output } = webStream(
    (pieces, stop) => new EncryptedPieces(pieces, access, { ...options, signal: stop }, undefined, outputs),
    outputs,
    signal,
  );
  return { readable, writable, header: () => output.header() };
}

export function decryptStream(access: StreamAccess, options: StreamOptions): ByteTransform {
  const signal = callSignal(options, STREAM_OPTIONS, "decryptStream");
  const outputs = new LentOutputs();
  const { readable, writable } = webStream(
    (pieces, stop) => decryptPieces(pieces, access, { ...options, signal: stop }, outputs),
    outputs,
    signal,
  );
  return { readable, writable };
}

function isLength(bytes: number): boolean {
  return Number.isSafeInteger(bytes) && bytes >= 0;
}
