import { ascii, concatBytes, copyOf, type OwnedBytes, utf8, viewOf } from "../base/bytes.ts";
import { EnvelockError, invalidArgument, malformed } from "../base/errors.ts";
import type { Recipient } from "../contracts/key-provider.ts";
import { KEY_COMMIT_BYTES, SUITE } from "../contracts/suite.ts";
import { headBytes, ProfileReader, ProfileWriter } from "./cbor.ts";
import { hintAbout } from "./looks-like.ts";
import { prepareRecipient, readRecipient } from "./recipient.ts";

/** The recipients that can unwrap a data key, and the commitment that the data key must meet. docs/format.md §3 */
export interface KeyRecord {
  readonly suite: typeof SUITE;
  /** 32 bytes. */
  readonly keyCommit: Uint8Array;
  /** 1 to 16. */
  readonly recipients: readonly Recipient[];
}

export const KEY_RECORD_HEAD = 0x9d;
export const MAX_RECIPIENTS = 16;

/**
 * Parses a key record that stands alone: `9D | KR`. The result owns its bytes.
 *
 * @throws `malformed-envelope`, `unsupported-version`
 */
export function parseKeyRecord(bytes: Uint8Array): KeyRecord {
  const view = viewOf(bytes);
  if (view[0] !== KEY_RECORD_HEAD) throw malformed("not a key record: the first byte is not 9D", hintAbout(view));
  const { record, end } = readKeyRecord(view, 1, view.length);
  if (end !== view.length) throw malformed(`key record is followed by ${view.length - end} bytes`);
  return record;
}

/** Reads the key record between `start` and `limit`; `end` is where it stopped. The record owns its bytes. */
export function readKeyRecord(bytes: Uint8Array, start: number, limit: number): { record: KeyRecord; end: number } {
  const reader = new ProfileReader(bytes, start, limit);
  reader.array("key record", 3, 3);
  const suite = reader.uint("suite");
  if (suite !== SUITE) throw new EnvelockError("unsupported-version", `suite is ${suite}, expected ${SUITE}`);
  // after the suite: what a later one allows is not known here
  if (limit - start > MAX_KEY_RECORD_BYTES) throw malformed(`key record takes ${limit - start} bytes, at most ${MAX_KEY_RECORD_BYTES}`);
  const keyCommit = copyOf(reader.bytes("keyCommit", KEY_COMMIT_BYTES, KEY_COMMIT_BYTES));
  const recipients: Recipient[] = [];
  for (let left = reader.array("recipients", 1, MAX_RECIPIENTS); left > 0; left--) recipients.push(readRecipient(reader));
  return { record: { suite, keyCommit, recipients }, end: reader.offset };
}

/** `9D | KR` */
export function encodeKeyRecord(record: KeyRecord): OwnedBytes {
  const prepared = prepareKeyRecord(record);
  const bytes = new Uint8Array(1 + prepared.bytes);
  bytes[0] = KEY_RECORD_HEAD;
  prepared.write(bytes, 1);
  return bytes;
}

/**
 * Measures first, so that an envelope is allocated once, then writes in place.
 *
 * @throws `invalid-argument` if the recipients together break the limit of 64 KiB
 */
export function prepareKeyRecord({ suite, keyCommit, recipients }: KeyRecord): {
  readonly bytes: number;
  write(target: Uint8Array, offset: number): void;
} {
  let bytes = 1 + headBytes(suite) + 2 + keyCommit.length + headBytes(recipients.length);
  const prepared = recipients.map((recipient) => {
    const one = prepareRecipient(recipient);
    bytes += one.bytes;
    return one;
  });
  if (bytes > MAX_KEY_RECORD_BYTES) throw invalidArgument(`key record takes ${bytes} bytes, at most ${MAX_KEY_RECORD_BYTES} are allowed`);
  return {
    bytes,
    write(target, offset) {
      const writer = new ProfileWriter(target, offset);
      writer.array(3);
      writer.uint(suite);
      writer.bytes(keyCommit);
      writer.array(prepared.length);
      for (const recipient of prepared) recipient.write(writer);
    },
  };
}

/** Encodes the AAD that binds a wrapped key to suite, provider, exact key version and key context. docs/format.md §3 */
export function encodeWrapAad(provider: string, keyId: string, keyContext: Uint8Array): OwnedBytes {
  const id = utf8(keyId);
  return concatBytes(
    WRAP_LABEL,
    Uint8Array.of(SUITE, provider.length),
    ascii(provider),
    Uint8Array.of(id.length >> 8, id.length & 0xff),
    id,
    keyContext,
  );
}

const MAX_KEY_RECORD_BYTES = 65536;
const WRAP_LABEL: Uint8Array = concatBytes(ascii("envelock/v1/wrap"), new Uint8Array(1));
