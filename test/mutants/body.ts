import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { invalid, malformed, Refused, same, unauthentic } from "./failure.ts";
import { hkdfExpand, openGcm } from "./primitives.ts";
import { type BodyKeysOfRecord, bodyContext } from "./reader.ts";
import type { Slip } from "./slips.ts";

// docs/format.md §6

export interface RangeSource {
  readonly bodyBytes: number;
  read(start: number, end: number): Uint8Array;
}

/** What the length of a body claims. */
export function plaintextLength(bodyBytes: number, slip: Slip | undefined): number {
  const chunks = Math.floor((bodyBytes - 56) / SEALED);
  const rest = (bodyBytes - 56) % SEALED;
  if (slip === "full-last-chunk" && bodyBytes > 56 && rest === 0) return PLAIN * chunks;
  if (bodyBytes < 72 || rest < 16) throw malformed();
  return PLAIN * chunks + rest - 16;
}

export function openBody(keys: BodyKeysOfRecord, valueCtx: Uint8Array, body: Uint8Array, slip: Slip | undefined): Uint8Array {
  const secrets = secretsOf(keys, valueCtx, body.subarray(0, 56), slip);
  const pieces: Uint8Array[] = [];
  try {
    for (let chunk = 0, at = 56; at < body.length; chunk++, at += SEALED) {
      pieces.push(openChunk(secrets, chunk, body.subarray(at, at + SEALED), slip));
    }
  } catch (error) {
    if (slip === "plaintext-early" && pieces.length > 0 && error instanceof Refused) return concatBytes(...pieces);
    throw error;
  }
  return concatBytes(...pieces);
}

/** §6.1 */
export function openRange(
  keys: BodyKeysOfRecord,
  valueCtx: Uint8Array,
  source: RangeSource,
  from: number,
  to: number,
  slip: Slip | undefined,
): Uint8Array {
  if (to < from) throw invalid();
  const claimed = plaintextLength(source.bodyBytes, slip);
  const secrets = secretsOf(keys, valueCtx, source.read(0, 56), slip);
  const last = Math.floor(claimed / PLAIN);
  const open = (chunk: number): Uint8Array => {
    const start = 56 + chunk * SEALED;
    return openChunk(secrets, chunk, source.read(start, Math.min(start + SEALED, source.bodyBytes)), slip);
  };
  const end = Math.min(to, claimed);
  if (from >= end) {
    if (slip !== "range-unverified-end") open(last);
    return new Uint8Array(0);
  }
  const pieces: Uint8Array[] = [];
  const first = Math.floor(from / PLAIN);
  const until = Math.floor((slip === "range-off-by-one" ? end - 2 : end - 1) / PLAIN);
  for (let chunk = first; chunk <= until; chunk++) pieces.push(open(chunk));
  if (to > claimed && until < last) open(last);
  return concatBytes(...pieces).subarray(from - first * PLAIN, end - first * PLAIN);
}

interface Secrets {
  readonly key: Uint8Array;
  readonly base: Uint8Array;
}

function secretsOf(keys: BodyKeysOfRecord, valueCtx: Uint8Array, prefix: Uint8Array, slip: Slip | undefined): Secrets {
  const label = utf8ToBytes("c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM");
  const info = concatBytes(label, Uint8Array.of(0), prefix.subarray(0, 24), bodyContext(keys, valueCtx));
  const output = hkdfExpand(keys.bodyKey, info, 76);
  if (!same(output.subarray(44), prefix.subarray(24)) && slip !== "commitment-ignored") throw unauthentic();
  return { key: output.subarray(0, 32), base: output.subarray(32, 44) };
}

function openChunk({ key, base }: Secrets, chunk: number, sealed: Uint8Array, slip: Slip | undefined): Uint8Array {
  return openGcm(key, nonceOf(base, chunk, slip), new Uint8Array(0), sealed);
}

function nonceOf(base: Uint8Array, chunk: number, slip: Slip | undefined): Uint8Array {
  const number = BigInt(
    slip === "nonce-one-byte"
      ? chunk % 256
      : slip === "nonce-two-bytes"
        ? chunk % 65536
        : slip === "nonce-31-bits"
          ? chunk & 0x7fffffff
          : chunk,
  );
  const counted = slip === "nonce-from-one" ? number + 1n : number;
  const written = counted.toString(16).padStart(24, "0");
  const counter = Uint8Array.from({ length: 12 }, (_, at) => Number.parseInt(written.slice(2 * at, 2 * at + 2), 16));
  if (slip === "nonce-little-endian") counter.reverse();
  if (slip === "nonce-sum") return sum(base, counter);
  return base.map((byte, at) => byte ^ (counter[at] ?? 0));
}

function sum(base: Uint8Array, counter: Uint8Array): Uint8Array {
  const nonce = Uint8Array.from(base);
  for (let at = 11, carry = 0; at >= 0; at--) {
    const total = (base[at] ?? 0) + (counter[at] ?? 0) + carry;
    nonce[at] = total;
    carry = total >> 8;
  }
  return nonce;
}

const PLAIN = 16384;
const SEALED = 16400;
