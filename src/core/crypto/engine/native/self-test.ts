import { byteAt, equalPublicBytes, fromBase64Url, toHex, utf8 } from "../../../base/bytes.ts";
import { CHUNK_BYTES, CHUNK_KEY_BYTES, GCM_NONCE_BYTES, TAG_BYTES, XAES_KEY_BYTES, XAES_NONCE_BYTES } from "../../../contracts/suite.ts";
import { BODY_PREFIX_BYTES, bodyBytes, SEALED_CHUNK_BYTES } from "../../body-sizes.ts";
import type { CoarseEngine, CoarseXaes, Opened } from "../engine.ts";

/**
 * Asks for known answers, of each construction and on each way to it: a library that is wrong must not encrypt.
 *
 * @throws Error that names what is wrong
 */
export function requireRightAnswers(coarse: CoarseEngine): void {
  const [one, other] = [coarse.randomKey(XAES_KEY_BYTES), coarse.randomKey(XAES_KEY_BYTES)];
  prove("random keys", one?.length === XAES_KEY_BYTES && other !== undefined && !equalPublicBytes(one, other));
  const xaes = coarse.xaes(KEY);
  if (xaes === undefined) throw new Error("it declines keys");
  proveMessages(xaes);
  proveText(xaes);
  xaes.destroy();
  prove("HKDF-SHA-512", endsWith(coarse.expand("sha512", KEY, [INFO], 77), DERIVED_512));
  prove("HKDF-SHA-256", endsWith(coarse.expand("sha256", KEY, [INFO], 77), DERIVED_256));
  proveBodies(coarse);
}

function proveMessages(xaes: CoarseXaes): void {
  for (const [plaintext, tag] of [
    [pattern(99).subarray(XAES_NONCE_BYTES), SHORT_TAG],
    [pattern(300), LONG_TAG],
  ] as const) {
    const sealed = new Uint8Array(XAES_NONCE_BYTES + plaintext.length + TAG_BYTES);
    sealed.set(NONCE);
    xaes.dangerSealWithNonce(NONCE, AAD, plaintext, sealed, XAES_NONCE_BYTES);
    prove("XAES-256-GCM", endsWith(sealed, tag));
    prove("opening", holds(xaes.open(AAD, sealed, 0), plaintext));
    prove("refusing", xaes.open(AAD, flipped(sealed, sealed.length - TAG_BYTES - 1), 0) === false);
    const written = xaes.sealFresh(AAD, plaintext, sealed, 0);
    prove("fresh nonces", written === sealed.length && !equalPublicBytes(sealed.subarray(0, XAES_NONCE_BYTES), NONCE));
    prove("sealing", holds(xaes.open(AAD, sealed, 0), plaintext));
  }
}

function proveText(xaes: CoarseXaes): void {
  const token = xaes.sealText(AAD, NONCE, TEXT);
  const bytes = token === undefined ? undefined : fromBase64Url(token);
  if (token === undefined || bytes === undefined) throw new Error(wrong("text"));
  prove("the prefix of text", holds(bytes.slice(0, NONCE.length), NONCE));
  prove("text as bytes", holds(xaes.open(AAD, bytes, NONCE.length), utf8(TEXT)));
  prove("opening text", xaes.openText(AAD, NONCE, token) === TEXT);
  prove("refusing text", xaes.openText(KEY, NONCE, token) === false);
}

function proveBodies(coarse: CoarseEngine): void {
  const plaintext = pattern(CHUNK_BYTES + 6);
  const body = new Uint8Array(bodyBytes(plaintext.length));
  prove("bodies", coarse.sealBody(KEY, NONCE, [INFO], plaintext, body, 0) === body.length);
  prove("commitments", toHex(body.subarray(NONCE.length, BODY_PREFIX_BYTES)) === COMMITMENT);
  prove("the first chunk", endsWith(body.subarray(0, BODY_PREFIX_BYTES + SEALED_CHUNK_BYTES), FIRST_TAG));
  prove("the last chunk", endsWith(body, LAST_CHUNK));
  prove("opening bodies", holds(coarse.openBody(KEY, [INFO], body), plaintext));
  prove("refusing bodies", coarse.openBody(KEY, [INFO], flipped(body, body.length - TAG_BYTES - 1)) === false);
  prove("refusing commitments", coarse.openBody(KEY, [INFO], flipped(body, BODY_PREFIX_BYTES - 1)) === false);
  const okm = coarse.expand("sha512", KEY, [INFO], CHUNK_KEY_BYTES + GCM_NONCE_BYTES);
  if (okm === undefined) throw new Error(wrong("the keys of chunks"));
  const keys = { key: okm.subarray(0, CHUNK_KEY_BYTES), base: okm.subarray(CHUNK_KEY_BYTES) };
  const chunk = new Uint8Array(6 + TAG_BYTES);
  prove("chunks", coarse.sealChunks(keys, 1, plaintext.subarray(CHUNK_BYTES), true, chunk, 0) === chunk.length);
  prove("the last chunk alone", toHex(chunk) === LAST_CHUNK);
  const opened = new Uint8Array(6);
  prove("opening chunks", coarse.openChunks(keys, 1, chunk, opened, 0) === 6 && holds(opened, plaintext.slice(CHUNK_BYTES)));
  prove("refusing chunks", coarse.openChunks(keys, 0, chunk, opened, 0) === false);
}

function prove(what: string, isRight: boolean): void {
  if (!isRight) throw new Error(wrong(what));
}

function wrong(what: string): string {
  return `wrong answer: ${what}`;
}

function endsWith(bytes: Uint8Array | undefined, hex: string): boolean {
  return bytes !== undefined && toHex(bytes.subarray(-hex.length / 2)) === hex;
}

function holds(opened: Opened | undefined, plaintext: Uint8Array): boolean {
  return opened !== false && opened !== undefined && equalPublicBytes(opened, plaintext);
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = byteAt(copy, at) ^ 1;
  return copy;
}

function pattern(bytes: number): Uint8Array<ArrayBuffer> {
  const made = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at++) made[at] = 37 * at + 11;
  return made;
}

const KEY: Uint8Array = pattern(XAES_KEY_BYTES);
const NONCE: Uint8Array<ArrayBuffer> = pattern(XAES_NONCE_BYTES);
const AAD: Uint8Array = pattern(20);
const INFO: Uint8Array = pattern(130);
/** Each length that a character can have in UTF-8, and a byte order mark. */
const TEXT = "\u{feff}a\u{e9}\u{20ac}\u{1d11e}\0";

// Made with node:crypto. Each byte of what goes in is 37 times its place, and 11.
const SHORT_TAG = "7e850ffdfa3cfa7e014a9a4adfffef1e";
const LONG_TAG = "44e082a37881607914d4dced51e38b9e";
const DERIVED_512 = "f48d51e59a67fee47886f50ef665dc67aeab68db82deb69114769274a2ff5ea4";
const DERIVED_256 = "f3e20b2b12b761301e23d6c0e6f0c609d8e141f11d5596cd339de6b9eece0f24";
const COMMITMENT = "50f48d51e59a67fee47886f50ef665dc67aeab68db82deb69114769274a2ff5e";
const FIRST_TAG = "37ba7f961f5696634e49de58ee5e28bb";
const LAST_CHUNK = "5d31afb295828ee93c792604b9f9ffb649a11d9b777b";
