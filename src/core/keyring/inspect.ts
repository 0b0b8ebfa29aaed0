import { isBytes, toHex, viewOf } from "../base/bytes.ts";
import { invalidArgument, malformed } from "../base/errors.ts";
import { wrapAlgorithmName } from "../contracts/algorithms.ts";
import { KID_BYTES } from "../contracts/suite.ts";
import { claimedPlaintextBytes } from "../crypto/body-sizes.ts";
import { ENVELOPE_HEAD, parseHeader } from "../format/envelope.ts";
import { KEY_RECORD_HEAD, type KeyRecord, parseKeyRecord } from "../format/key-record.ts";
import { hintAbout, hintAboutType, typeInWords } from "../format/looks-like.ts";
import { DETERMINISTIC_TOKEN_HEAD, parseToken, TOKEN_HEAD } from "../format/token.ts";

/** The fields that can be read without a key. None of them is verified: the writer of the bytes chooses every field. */
export type Inspection = InspectedEnvelope | InspectedHeader | InspectedKeyRecord | InspectedToken;

export interface InspectedEnvelope extends InspectedRecord {
  readonly kind: "envelope";
  /** The offset of the body, behind the padding. */
  readonly headerBytes: number;
  /** The bytes left for a rewrap in place. */
  readonly paddingBytes: number;
  readonly bodyBytes: number;
  /** Follows from `bodyBytes`; true only if the body opens. */
  readonly plaintextBytes: number;
}

/** A detached header: an envelope without its body. */
export interface InspectedHeader extends InspectedRecord {
  readonly kind: "header";
  readonly headerBytes: number;
  readonly paddingBytes: number;
}

export interface InspectedKeyRecord extends InspectedRecord {
  readonly kind: "key-record";
}

export interface InspectedToken {
  readonly kind: "token" | "deterministic-token";
  /** The name of the stored data key, in hex. */
  readonly kid: string;
  readonly plaintextBytes: number;
}

export interface InspectedRecord {
  readonly suite: number;
  /** The name of the data key: the first 16 bytes of `keyCommit`, in hex. */
  readonly kid: string;
  /** The commitment of the data key, in hex. */
  readonly keyCommit: string;
  readonly recipients: readonly InspectedRecipient[];
}

export interface InspectedRecipient {
  readonly provider: string;
  readonly keyId: string;
  /** The id on the wire. docs/format.md §3 */
  readonly alg: number;
  /** Its name, undefined if this release does not know `alg`. */
  readonly algorithm: string | undefined;
  readonly wrappedBytes: number;
}

/**
 * Reads the fields that an envelope, a detached header, a key record or a token holds in clear. Needs no key and calls no provider.
 *
 * @param input bytes; a token may be given as base64url text
 * @example
 * const seen = inspect(envelope);
 * if (seen.kind === "envelope") console.log(seen.recipients.map(({ keyId }) => keyId));
 * @throws `malformed-envelope`, `unsupported-version`, `invalid-argument`
 * @example
 * ```ts
 * import { inspect } from "envelock";
 *
 * export function keyIdsIn(envelope: Uint8Array): readonly string[] {
 *   const found = inspect(envelope);
 *   return "recipients" in found ? found.recipients.map(({ keyId }) => keyId) : [];
 * }
 * ```
 */
export function inspect(input: Uint8Array | string): Inspection {
  if (typeof input === "string") return inspectToken(input);
  if (!isBytes(input))
    throw invalidArgument(`inspect takes a Uint8Array, or a token as text, not ${typeInWords(input)}`, hintAboutType(input));
  const bytes = viewOf(input);
  if (bytes[0] === ENVELOPE_HEAD) return inspectEnvelope(bytes, bytes.length);
  if (bytes[0] === KEY_RECORD_HEAD) return inspectKeyRecord(bytes);
  if (bytes[0] === TOKEN_HEAD || bytes[0] === DETERMINISTIC_TOKEN_HEAD) return inspectToken(bytes);
  throw malformed("neither an envelope nor a key record nor a token: the first byte is none of 9E, 9D, 9C and BC", hintAbout(bytes));
}

/**
 * Reads like `inspect`, from the beginning of an envelope.
 *
 * @param start the bytes so far, at least the header
 * @param envelopeBytes the length of the whole envelope
 */
export function inspectEnvelope(start: Uint8Array, envelopeBytes: number): InspectedEnvelope | InspectedHeader {
  const { record, headerBytes, paddingBytes } = parseHeader(start);
  const header = { ...inspectRecord(record), headerBytes, paddingBytes };
  const bodyBytes = envelopeBytes - headerBytes;
  if (bodyBytes === 0) return { kind: "header", ...header };
  return { kind: "envelope", ...header, bodyBytes, plaintextBytes: claimedPlaintextBytes(bodyBytes) };
}

export function inspectKeyRecord(bytes: Uint8Array): InspectedKeyRecord {
  return { kind: "key-record", ...inspectRecord(parseKeyRecord(bytes)) };
}

function inspectRecord({ suite, keyCommit, recipients }: KeyRecord): InspectedRecord {
  return {
    suite,
    kid: toHex(keyCommit.subarray(0, KID_BYTES)),
    keyCommit: toHex(keyCommit),
    recipients: recipients.map(({ provider, keyId, alg, wrapped }) => ({
      provider,
      keyId,
      alg,
      algorithm: wrapAlgorithmName(alg),
      wrappedBytes: wrapped.length,
    })),
  };
}

function inspectToken(token: Uint8Array | string): InspectedToken {
  const { kind, kid, plaintextBytes } = parseToken(token);
  return { kind, kid: toHex(kid), plaintextBytes };
}
