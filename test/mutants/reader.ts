import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import type { Pair } from "../format/writer.ts";
import { openBody, openRange, plaintextLength, type RangeSource } from "./body.ts";
import { contextsOf } from "./context.ts";
import { malformed, numberIn, Refused, same, unauthentic } from "./failure.ts";
import { derived } from "./primitives.ts";
import { type ReadRecipient, type ReadRecord, readRecord } from "./record.ts";
import type { Slip } from "./slips.ts";
import { type KekVersion, unwrap } from "./wraps.ts";

// An independent reader of wire format 1, written from docs/format.md alone. It shares no code with src/. Any one slip of slips.ts can
// be asked for, and must be found out by docs/vectors.

/** One configured KEK: all its versions. */
export type ReaderKek = readonly KekVersion[];

export interface Place {
  readonly keks: readonly ReaderKek[];
  readonly keyContext: readonly Pair[];
  /** What the value adds. */
  readonly context: readonly Pair[];
}

/** §3: a key record that stands alone. Gives the data key. */
export function readKeyRecord(bytes: Uint8Array, place: Place, slip?: Slip): Uint8Array {
  if (bytes[0] !== 0x9d) throw malformed();
  const record = readRecord(bytes, 1, bytes.length, slip);
  if (record.end !== bytes.length && slip !== "record-tail") throw malformed();
  const { keyCtx } = contextsOf(place.keyContext, place.context, slip);
  return unlocked(record, matching(record, place.keks, slip), keyCtx, slip);
}

/** §4: an envelope, or a header and its body. Gives the plaintext. */
export function readEnvelope(header: Uint8Array, detachedBody: Uint8Array | undefined, place: Place, slip?: Slip): Uint8Array {
  const { record, headerBytes } = readHeader(header, detachedBody !== undefined, slip);
  const body = detachedBody ?? header.subarray(headerBytes);
  const { keys, valueCtx } = opening(record, body.length, place, slip);
  return openBody(keys, valueCtx, body, slip);
}

/** §6.1: the range [from, to) of the plaintext. */
export function readRange(header: Uint8Array, source: RangeSource, from: number, to: number, place: Place, slip?: Slip): Uint8Array {
  const { record } = readHeader(header, true, slip);
  const { keys, valueCtx } = opening(record, source.bodyBytes, place, slip);
  return openRange(keys, valueCtx, source, from, to, slip);
}

export interface BodyKeysOfRecord {
  readonly bodyKey: Uint8Array;
  readonly keyCommit: Uint8Array;
}

/** Steps 4 to 7 of §4.1. */
function opening(
  record: ReadRecord,
  bodyBytes: number,
  { keks, keyContext, context }: Place,
  slip: Slip | undefined,
): { readonly keys: BodyKeysOfRecord; readonly valueCtx: Uint8Array } {
  const contexts = (): { keyCtx: Uint8Array; valueCtx: Uint8Array } => {
    const { keyCtx, valueCtx } = contextsOf(keyContext, context, slip);
    return { keyCtx, valueCtx: valueCtx() };
  };
  if (slip === "context-before-length") contexts();
  if (slip === "recipients-before-context") matching(record, keks, slip);
  plaintextLength(bodyBytes, slip);
  const { keyCtx, valueCtx } = contexts();
  const dataKey = unlocked(record, matching(record, keks, slip), keyCtx, slip);
  return { keys: { bodyKey: derived(dataKey, "body", new Uint8Array(0), 32), keyCommit: record.keyCommit }, valueCtx };
}

/** Steps 1 to 3 of §4.1. */
function readHeader(bytes: Uint8Array, isDetached: boolean, slip: Slip | undefined): { record: ReadRecord; headerBytes: number } {
  if (bytes[0] !== 0x9e || bytes.length < 8) throw malformed();
  if (bytes[1] !== 1) throw new Refused("unsupported-version");
  if ((bytes[2] !== 0 || bytes[3] !== 0) && slip !== "reserved-ignored") throw malformed();
  const area = numberIn(bytes.subarray(4, 8));
  const headerBytes = 8 + area;
  if (area === 0 || headerBytes > bytes.length || (area > 65536 && slip !== "header-any-length")) throw malformed();
  const record = readRecord(bytes, 8, headerBytes, slip === "header-any-length" ? "record-any-length" : slip);
  if (bytes.subarray(record.end, headerBytes).some((byte) => byte !== 0) && slip !== "padding-ignored") throw malformed();
  if (isDetached && headerBytes !== bytes.length && slip !== "detached-tail") throw malformed();
  return { record, headerBytes };
}

interface Candidate {
  readonly kek: KekVersion;
  readonly recipient: ReadRecipient;
}

/** Step 6 of §4.1: the recipients to try, in order. */
function matching({ recipients }: ReadRecord, keks: readonly ReaderKek[], slip: Slip | undefined): readonly Candidate[] {
  const all: Candidate[] = [];
  const groups = slip === "version-order" ? keks.flat().map((version) => [version]) : keks;
  for (const versions of groups) {
    for (const recipient of recipients) {
      const kek = versions.find(({ provider, keyId }) => isNamed(recipient, provider, keyId, slip));
      if (kek !== undefined) all.push({ kek, recipient });
    }
  }
  if (all.length === 0) throw new Refused("no-matching-provider");
  if (slip === "record-order") all.sort((a, b) => recipients.indexOf(a.recipient) - recipients.indexOf(b.recipient));
  if (slip === "uncounted-refusals") return all.filter(({ kek, recipient }) => kek.alg === recipient.alg).slice(0, 4);
  if (slip === "counted-strangers") return all.filter(({ recipient }) => recipients.indexOf(recipient) < 4);
  return all.slice(0, slip === "first-recipient-only" ? 1 : slip === "three-unwraps" ? 3 : slip === "five-unwraps" ? 5 : 4);
}

function isNamed(recipient: ReadRecipient, provider: string, keyId: string, slip: Slip | undefined): boolean {
  if (recipient.provider !== provider && slip !== "provider-ignored") return false;
  if (slip === "key-id-normalised") return recipient.keyId.normalize("NFC") === keyId.normalize("NFC");
  if (slip === "key-id-compatible") return recipient.keyId.normalize("NFKC") === keyId.normalize("NFKC");
  if (slip === "key-id-lower-case") return recipient.keyId.toLowerCase() === keyId.toLowerCase();
  if (slip === "key-id-trimmed") return recipient.keyId.trim() === keyId.trim();
  if (slip === "key-id-prefix") return recipient.keyId.startsWith(keyId);
  return recipient.keyId === keyId;
}

/** Step 7 of §4.1. */
function unlocked(record: ReadRecord, candidates: readonly Candidate[], keyCtx: Uint8Array, slip: Slip | undefined): Uint8Array {
  for (const { kek, recipient } of candidates) {
    if (slip === "unknown-alg-fatal" && (recipient.alg < 1 || recipient.alg > 10)) throw unauthentic();
    try {
      const dataKey = unwrap(kek, recipient, keyCtx, slip);
      if (isCommitted(record.keyCommit, derived(dataKey, "key-commit", keyCtx, 32), slip)) return dataKey;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }
  throw unauthentic();
}

function isCommitted(keyCommit: Uint8Array, computed: Uint8Array, slip: Slip | undefined): boolean {
  const bytes = slip === "commit-ignored" ? 0 : slip === "commit-half" ? 16 : 32;
  return same(keyCommit.subarray(0, bytes), computed.subarray(0, bytes));
}

/** What the body is bound to. §6 */
export function bodyContext({ keyCommit }: BodyKeysOfRecord, valueCtx: Uint8Array): Uint8Array {
  return concatBytes(utf8ToBytes("envelock/v1/body"), Uint8Array.of(0, 1), keyCommit, valueCtx);
}
