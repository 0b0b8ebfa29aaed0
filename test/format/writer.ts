import { aessiv, ecb, gcm } from "@noble/ciphers/aes.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { textOf, type VectorText } from "./vector-file.ts";

// The second writer of wire format 1: written from docs/format.md and noble's primitives alone, so that what src/ reads was never
// written by src/. It takes every nonce, salt and suite byte as an argument, and is for vectors only.

/** One field of a structure, in the order of the bytes. */
export type Part = readonly [field: string, bytes: Uint8Array];
export type Pair = readonly [key: string, value: string];

export interface WrittenRecipient {
  readonly provider: string;
  readonly keyId: string;
  readonly alg: number;
  readonly wrapped: Uint8Array;
}

export interface DerivedKeys {
  readonly keyCommit: Uint8Array;
  readonly kid: Uint8Array;
  readonly token: Uint8Array;
  readonly det: Uint8Array;
  readonly body: Uint8Array;
}

/** A value that a blind index is made of. */
export type IndexedValue =
  | { readonly text: VectorText }
  | { readonly bytes: string }
  | { readonly number: number }
  /** The same, by its eight bytes, for what JSON has no numeral of. */
  | { readonly binary64: string }
  | { readonly integer: string }
  | { readonly truth: boolean }
  | { readonly timeMs: number }
  | { readonly list: readonly IndexedValue[] };

export function join(parts: readonly Part[]): Uint8Array {
  return concatBytes(...parts.map(([, bytes]) => bytes));
}

/** The same structure with another value in one field. */
export function replaced(parts: readonly Part[], field: string, bytes: Uint8Array): readonly Part[] {
  if (!parts.some(([name]) => name === field)) throw new Error(`no field is called ${field}`);
  return parts.map(([name, old]) => [name, name === field ? bytes : old]);
}

/** format.md §2 */
export function contextParts(pairs: readonly Pair[]): readonly Part[] {
  if (pairs.length === 0) return [];
  // the hex of bytes sorts as the bytes do
  const sorted = pairs.map(([key, value]) => ({ key: utf8ToBytes(key), value: utf8ToBytes(value), order: bytesToHex(utf8ToBytes(key)) }));
  sorted.sort((a, b) => (a.order < b.order ? -1 : 1));
  const parts: Part[] = [["count", uint(2, pairs.length)]];
  for (const { key, value } of sorted) {
    parts.push(["key length", uint(2, key.length)], ["key", key], ["value length", uint(2, value.length)], ["value", value]);
  }
  return parts;
}

export function encodeContext(pairs: readonly Pair[]): Uint8Array {
  return join(contextParts(pairs));
}

/** format.md §1 */
export function derive(dataKey: Uint8Array, keyContext: Uint8Array, suite = 1): DerivedKeys {
  const named = (name: string, rest: Uint8Array, bytes: number): Uint8Array => expand(dataKey, name, rest, bytes, suite);
  const keyCommit = named("key-commit", keyContext, 32);
  return {
    keyCommit,
    kid: keyCommit.subarray(0, 16),
    token: named("token", NONE, 32),
    det: named("det", NONE, 64),
    body: named("body", NONE, 32),
  };
}

function expand(dataKey: Uint8Array, name: string, rest: Uint8Array, bytes: number, suite = 1): Uint8Array {
  return hkdfExpand(dataKey, concatBytes(utf8ToBytes(`envelock/v1/${name}`), uint(1, 0), uint(1, suite), rest), bytes);
}

/** format.md §3 */
export function wrapAadParts(provider: string, keyId: string, keyContext: Uint8Array, suite = 1): readonly Part[] {
  return [
    ["label", utf8ToBytes("envelock/v1/wrap")],
    ["zero", uint(1, 0)],
    ["suite", uint(1, suite)],
    ["provider length", uint(1, utf8ToBytes(provider).length)],
    ["provider", utf8ToBytes(provider)],
    ["keyId length", uint(2, utf8ToBytes(keyId).length)],
    ["keyId", utf8ToBytes(keyId)],
    ["keyCtx", keyContext],
  ];
}

/** Algorithm 1 of format.md §3. */
export function wrapLocal(kek: Uint8Array, nonce: Uint8Array, aad: Uint8Array, dataKey: Uint8Array): Uint8Array {
  return concatBytes(nonce, sealXaes(kek, nonce, aad, dataKey));
}

/** format.md §3, §7 */
export function keyRecordParts(keyCommit: Uint8Array, recipients: readonly WrittenRecipient[], suite = 1): readonly Part[] {
  return [
    ["array of 3", cborHead(4, 3)],
    ["suite", cborHead(0, suite)],
    ["keyCommit head", cborHead(2, keyCommit.length)],
    ["keyCommit", keyCommit],
    ["recipients", cborHead(4, recipients.length)],
    ...recipients.flatMap(recipientParts),
  ];
}

export function standaloneParts(record: readonly Part[]): readonly Part[] {
  return [["first byte", uint(1, 0x9d)], ...record];
}

/** format.md §4. @param recordAreaBytes `H`; what the record leaves is padding */
export function headerParts(record: readonly Part[], recordAreaBytes: number = join(record).length): readonly Part[] {
  const paddingBytes = recordAreaBytes - join(record).length;
  const parts: Part[] = [
    ["first byte", uint(1, 0x9e)],
    ["version", uint(1, 1)],
    ["reserved", uint(2, 0)],
    ["H", uint(4, recordAreaBytes)],
    ...record,
  ];
  return paddingBytes > 0 ? [...parts, ["padding", new Uint8Array(paddingBytes)]] : parts;
}

/** format.md §5 */
export function tokenParts(keys: DerivedKeys, nonce: Uint8Array, valueContext: Uint8Array, plaintext: Uint8Array): readonly Part[] {
  const prefix = concatBytes(uint(1, 0x9c), keys.kid);
  const sealed = sealXaes(keys.token, nonce, tokenAad(prefix, valueContext), plaintext);
  return [
    ["first byte", prefix.subarray(0, 1)],
    ["kid", keys.kid],
    ["nonce", nonce],
    ["ciphertext", sealed.subarray(0, plaintext.length)],
    ["tag", sealed.subarray(plaintext.length)],
  ];
}

export function tokenAad(prefix: Uint8Array, valueContext: Uint8Array): Uint8Array {
  return concatBytes(utf8ToBytes("envelock/v1/field"), uint(1, 0), prefix, valueContext);
}

/** format.md §5 */
export function deterministicParts(keys: DerivedKeys, columnContext: Uint8Array, plaintext: Uint8Array): readonly Part[] {
  const prefix = concatBytes(uint(1, 0xbc), keys.kid);
  const sealed = aessiv(keys.det, deterministicLabel(prefix), columnContext).encrypt(plaintext);
  return [
    ["first byte", prefix.subarray(0, 1)],
    ["kid", keys.kid],
    ["SIV", sealed.subarray(0, 16)],
    ["ciphertext", sealed.subarray(16)],
  ];
}

export function deterministicLabel(prefix: Uint8Array): Uint8Array {
  return concatBytes(utf8ToBytes("envelock/v1/det"), uint(1, 0), prefix);
}

/** format.md §5.1 */
export function indexKey(dataKey: Uint8Array, indexContext: Uint8Array): Uint8Array {
  return expand(dataKey, "index", indexContext, 32);
}

/** format.md §3.2 */
export function successionKey(before: Uint8Array): Uint8Array {
  return expand(before, "succession", NONE, 32);
}

/** format.md §3.2 */
export function successionParts(version: number, kid: Uint8Array, createdAtMs: number, keyContext: Uint8Array): readonly Part[] {
  return [
    ["version", uint(4, version)],
    ["kid", kid],
    ["created", uint(8, createdAtMs)],
    ["keyCtx", keyContext],
  ];
}

/** format.md §3.2 */
export function successionMac(before: Uint8Array, message: readonly Part[]): Uint8Array {
  return hmac(sha512, successionKey(before), join(message)).subarray(0, 32);
}

/** format.md §3.2 */
export function proofParts(items: readonly (readonly [kind: number, content: Uint8Array])[]): readonly Part[] {
  return items.flatMap(([kind, content]): Part[] => [
    ["kind", uint(1, kind)],
    ["length", uint(2, content.length)],
    ["content", content],
  ]);
}

/** format.md §5.1 */
export function indexItem(value: IndexedValue): Uint8Array {
  const item = (type: string, content: Uint8Array): Uint8Array => concatBytes(utf8ToBytes(type), uint(4, content.length), content);
  if ("text" in value) return item("s", utf8ToBytes(textOf(value.text)));
  if ("bytes" in value) return item("b", hexToBytes(value.bytes));
  if ("number" in value) return item("n", binary64(value.number));
  if ("binary64" in value) return item("n", value.binary64 === NEGATIVE_ZERO ? new Uint8Array(8) : hexToBytes(value.binary64));
  if ("integer" in value) return item("i", utf8ToBytes(value.integer));
  if ("truth" in value) return item("t", uint(1, Number(value.truth)));
  if ("timeMs" in value) return item("d", binary64(value.timeMs));
  return item("l", concatBytes(...value.list.map(indexItem)));
}

/** format.md §5.1: by way of a string of bits. */
export function indexDigits(key: Uint8Array, item: Uint8Array, bits: number): string {
  const mac = [...hmac(sha512, key, item)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const digits = Math.ceil(bits / 4);
  return mac
    .slice(0, bits)
    .padEnd(4 * digits, "0")
    .replace(/.{4}/g, (nibble) => Number.parseInt(nibble, 2).toString(16));
}

/** IEEE 754 binary64, big-endian. */
export function binary64(value: number): Uint8Array {
  return Uint8Array.from(new Uint8Array(Float64Array.of(value).buffer)).reverse(); // little-endian as it stands
}

export interface BodySecrets {
  readonly key: Uint8Array;
  readonly base: Uint8Array;
  readonly commitment: Uint8Array;
}

/** format.md §6 */
export function bodyContext(keyCommit: Uint8Array, valueContext: Uint8Array, suite = 1): Uint8Array {
  return concatBytes(utf8ToBytes("envelock/v1/body"), uint(1, 0), uint(1, suite), keyCommit, valueContext);
}

/** format.md §6 */
export function bodySecrets(inputKey: Uint8Array, salt: Uint8Array, context: Uint8Array, aead = "AEAD_AES_256_GCM"): BodySecrets {
  const info = concatBytes(utf8ToBytes(`c2sp.org/chunked-encryption@v1+${aead}`), uint(1, 0), salt, context);
  const output = hkdfExpand(inputKey, info, 76);
  return { key: output.subarray(0, 32), base: output.subarray(32, 44), commitment: output.subarray(44) };
}

/** format.md §6 */
export function bodyParts(keys: DerivedKeys, salt: Uint8Array, valueContext: Uint8Array, plaintext: Uint8Array): readonly Part[] {
  const secrets = bodySecrets(keys.body, salt, bodyContext(keys.keyCommit, valueContext));
  const parts: Part[] = [
    ["salt", salt],
    ["commitment", secrets.commitment],
  ];
  for (let chunk = 0; chunk * CHUNK_BYTES <= plaintext.length; chunk++) {
    const piece = plaintext.subarray(chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES);
    const sealed = gcm(secrets.key, chunkNonce(secrets.base, chunk)).encrypt(piece);
    parts.push([`chunk ${chunk} ciphertext`, sealed.subarray(0, piece.length)], [`chunk ${chunk} tag`, sealed.subarray(piece.length)]);
  }
  return parts;
}

export function chunkNonce(base: Uint8Array, chunk: number): Uint8Array {
  const counter = uint(12, chunk);
  return base.map((byte, at) => byte ^ (counter[at] ?? 0));
}

/** format.md §6: the sealed chunk of any number, its plaintext a part of the pattern of `patterned`. */
export function patternedChunk({ key, base }: BodySecrets, chunk: number, plaintextBytes: number): Uint8Array {
  const plaintext = Uint8Array.from({ length: plaintextBytes }, (_, at) => (chunk * CHUNK_BYTES + at) % 251);
  return gcm(key, chunkNonce(base, chunk)).encrypt(plaintext);
}

/** format.md §10.1. Not noble's, which takes no key shorter than the hash. */
function hkdfExpand(key: Uint8Array, info: Uint8Array, bytes: number): Uint8Array {
  let output: Uint8Array = NONE;
  let block: Uint8Array = NONE;
  for (let counter = 1; output.length < bytes; counter++) {
    block = hmac(sha512, key, concatBytes(block, info, uint(1, counter)));
    output = concatBytes(output, block);
  }
  return output.subarray(0, bytes);
}

/** format.md §10.3 */
export function sealXaes(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
  return gcm(xaesKey(key, nonce), nonce.subarray(12), aad).encrypt(plaintext);
}

export function xaesKey(key: Uint8Array, nonce: Uint8Array): Uint8Array {
  const encryptBlocks = (blocks: Uint8Array): Uint8Array => ecb(key, { disablePadding: true }).encrypt(blocks);
  const l = BigInt(`0x${bytesToHex(encryptBlocks(new Uint8Array(16)))}`);
  const doubled = BigInt.asUintN(128, l << 1n) ^ (l >> 127n ? 0x87n : 0n);
  const half = (counter: number): bigint =>
    BigInt(`0x${bytesToHex(concatBytes(Uint8Array.of(0, counter, 0x58, 0), nonce.subarray(0, 12)))}`);
  return encryptBlocks(concatBytes(uint(16, half(1) ^ doubled), uint(16, half(2) ^ doubled)));
}

/** The head of a CBOR item; `width` forces a longer one than the shortest. */
export function cborHead(major: number, value: number, width?: 0 | 1 | 2 | 4 | 8): Uint8Array {
  const bytes = width ?? (value < 24 ? 0 : value < 0x100 ? 1 : value < 0x10000 ? 2 : 4);
  if (bytes === 0) return uint(1, (major << 5) | value);
  return concatBytes(uint(1, (major << 5) | (24 + Math.log2(bytes))), uint(bytes, value));
}

/** Big-endian. */
export function uint(bytes: number, value: number | bigint): Uint8Array {
  const hex = value.toString(16).padStart(bytes * 2, "0");
  return Uint8Array.from({ length: bytes }, (_, at) => Number.parseInt(hex.slice(at * 2, at * 2 + 2), 16));
}

export function recipientParts({ provider, keyId, alg, wrapped }: WrittenRecipient, index: number): readonly Part[] {
  const parts: readonly Part[] = [
    ["array of 4", cborHead(4, 4)],
    ["provider head", cborHead(3, utf8ToBytes(provider).length)],
    ["provider", utf8ToBytes(provider)],
    ["keyId head", cborHead(3, utf8ToBytes(keyId).length)],
    ["keyId", utf8ToBytes(keyId)],
    ["alg", cborHead(0, alg)],
    ["wrapped head", cborHead(2, wrapped.length)],
    ["wrapped", wrapped],
  ];
  return index === 0 ? parts : parts.map(([field, bytes]) => [`${field} (${index + 1})`, bytes]);
}

export const CHUNK_BYTES = 16384;
const NEGATIVE_ZERO = "8000000000000000";
const NONE: Uint8Array = new Uint8Array(0);
