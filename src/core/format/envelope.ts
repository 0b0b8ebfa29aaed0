import { byteAt, readUint32, viewOf, writeUint32 } from "../base/bytes.ts";
import { EnvelockError, invalidArgument, malformed } from "../base/errors.ts";
import { type KeyRecord, prepareKeyRecord, readKeyRecord } from "./key-record.ts";
import { hintAbout } from "./looks-like.ts";

// docs/format.md §4

export const ENVELOPE_HEAD = 0x9e;
export const HEADER_PREFIX_BYTES = 8;
const MAX_RECORD_AREA_BYTES = 65536;
export const MAX_HEADER_BYTES: number = HEADER_PREFIX_BYTES + MAX_RECORD_AREA_BYTES;

export interface ParsedHeader {
  readonly record: KeyRecord;
  /** Prefix, key record and padding: where the body begins. */
  readonly headerBytes: number;
  readonly paddingBytes: number;
}

/**
 * Parses the header at the start of `bytes`: prefix, limits, key record, zero padding.
 *
 * @throws `malformed-envelope`, `unsupported-version`
 */
export function parseHeader(bytes: Uint8Array): ParsedHeader {
  const headerBytes = headerBytesOf(bytes);
  if (headerBytes > bytes.length) throw malformed(`header takes ${headerBytes} bytes, ${bytes.length} are there`);
  const { record, end } = readKeyRecord(bytes, HEADER_PREFIX_BYTES, headerBytes);
  for (let at = end; at < headerBytes; at++) if (bytes[at] !== 0) throw malformed("header padding is not zero");
  return { record, headerBytes, paddingBytes: headerBytes - end };
}

/**
 * The length of the header, from its first 8 bytes: how much to read before `parseHeader`.
 *
 * @throws `malformed-envelope`, `unsupported-version`
 */
export function headerBytesOf(bytes: Uint8Array): number {
  if (bytes.length > 0 && bytes[0] !== ENVELOPE_HEAD) throw malformed("not an envelope: the first byte is not 9E", hintAbout(bytes));
  if (bytes.length < HEADER_PREFIX_BYTES)
    throw malformed(`an envelope has at least ${HEADER_PREFIX_BYTES} bytes, ${bytes.length} are there`, hintAbout(bytes));
  if (bytes[1] !== VERSION) throw new EnvelockError("unsupported-version", `format version is ${byteAt(bytes, 1)}, expected ${VERSION}`);
  if (bytes[2] !== 0 || bytes[3] !== 0) throw malformed("reserved header bytes are not zero");
  const area = readUint32(bytes, 4);
  if (area < 1 || area > MAX_RECORD_AREA_BYTES) throw malformed(`header length is ${area}, expected 1 to ${MAX_RECORD_AREA_BYTES}`);
  return HEADER_PREFIX_BYTES + area;
}

/** Whether bytes may be the beginning of an envelope, of this version or another: the first byte says so. */
export function beginsAsEnvelope(bytes: Uint8Array): boolean {
  return bytes[0] === ENVELOPE_HEAD;
}

/**
 * Parses a detached header: exactly a header, nothing after it.
 *
 * @throws `malformed-envelope`, `unsupported-version`
 */
export function parseDetachedHeader(header: Uint8Array): ParsedHeader {
  const view = viewOf(header);
  const parsed = parseHeader(view);
  if (parsed.headerBytes !== view.length) throw malformed(`header is followed by ${view.length - parsed.headerBytes} bytes`);
  return parsed;
}

/**
 * Measures a header, then writes every byte of it, so that an envelope is allocated once.
 *
 * @param minHeaderBytes pads the header to at least this, so that a later rewrap can be done in place
 * @throws `invalid-argument` if the header would break the limit
 */
export function prepareHeader(
  record: KeyRecord,
  minHeaderBytes: number,
): { readonly headerBytes: number; write(target: Uint8Array): void } {
  const prepared = prepareKeyRecord(record);
  const paddingOffset = HEADER_PREFIX_BYTES + prepared.bytes;
  const headerBytes = Math.max(minHeaderBytes, paddingOffset);
  if (headerBytes > MAX_HEADER_BYTES) throw invalidArgument(`header takes ${headerBytes} bytes, at most ${MAX_HEADER_BYTES} are allowed`);
  return {
    headerBytes,
    write(target) {
      target[0] = ENVELOPE_HEAD;
      target[1] = VERSION;
      target[2] = 0;
      target[3] = 0;
      writeUint32(target, 4, headerBytes - HEADER_PREFIX_BYTES);
      prepared.write(target, HEADER_PREFIX_BYTES);
      target.fill(0, paddingOffset, headerBytes);
    },
  };
}

const VERSION = 1;
