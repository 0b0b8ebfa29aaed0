import { type CipherKey, createCipheriv, createSecretKey, timingSafeEqual } from "node:crypto";
import { byteAt, copyOf, wipe, wiping } from "../../base/bytes.ts";
import { doubleBlock } from "../double-block.ts";
import type { Siv } from "./engine.ts";

/** AES-SIV (RFC 5297) over node:crypto's CBC and CTR: deterministic tokens are a hot path, and loading noble costs 20 ms. */
export function nodeSiv(key: Uint8Array): Siv {
  const half = key.length / 2;
  const cmac = createCmac(createSecretKey(key.subarray(0, half)), half * 8);
  const counterKey = createSecretKey(key.subarray(half));
  const counterName = `aes-${half * 8}-ctr`;

  const crypt = (tag: Uint8Array, input: Uint8Array, target: Uint8Array, offset: number): void => {
    const counter = copyOf(tag);
    counter[8] = byteAt(counter, 8) & 0x7f; // RFC 5297 §2.5: both top bits of the low words are cleared
    counter[12] = byteAt(counter, 12) & 0x7f;
    target.set(createCipheriv(counterName, counterKey, counter).update(input), offset);
  };

  return {
    seal(associated, plaintext) {
      const tag = s2v(cmac, associated, plaintext);
      const sealed = new Uint8Array(BLOCK + plaintext.length);
      sealed.set(tag);
      crypt(tag, plaintext, sealed, BLOCK);
      return sealed;
    },
    open(associated, sealed) {
      if (sealed.length < BLOCK) return undefined;
      const tag = sealed.subarray(0, BLOCK);
      const plaintext = new Uint8Array(sealed.length - BLOCK);
      crypt(tag, sealed.subarray(BLOCK), plaintext, 0);
      if (timingSafeEqual(tag, s2v(cmac, associated, plaintext))) return plaintext;
      plaintext.fill(0);
      return undefined;
    },
    destroy: () => cmac.destroy(),
  };
}

interface Cmac {
  of(message: Uint8Array): Uint8Array;
  /** Wipes the subkeys. */
  destroy(): void;
}

// RFC 5297 §2.4
function s2v(cmac: Cmac, associated: readonly Uint8Array[], plaintext: Uint8Array): Uint8Array {
  let digest = cmac.of(ZERO_BLOCK);
  for (const component of associated) digest = xor(doubleBlock(digest), cmac.of(component));
  if (plaintext.length < BLOCK) return wiping(padded(plaintext), (block) => wiping(xor(doubleBlock(digest), block), cmac.of));
  const last = copyOf(plaintext);
  const start = last.length - BLOCK;
  for (let at = 0; at < BLOCK; at++) last[start + at] = byteAt(last, start + at) ^ byteAt(digest, at);
  const tag = cmac.of(last);
  last.fill(0);
  return tag;
}

// RFC 4493: CBC-MAC whose last block is masked, so one CBC pass gives it
function createCmac(key: CipherKey, keyBits: number): Cmac {
  const name = `aes-${keyBits}-cbc`;
  const cbc = (message: Uint8Array): Uint8Array => {
    const blocks = createCipheriv(name, key, ZERO_BLOCK).setAutoPadding(false).update(message);
    return copyOf(blocks.subarray(blocks.length - BLOCK));
  };
  const whole = doubleBlock(cbc(ZERO_BLOCK));
  const partial = doubleBlock(whole);
  const of = (message: Uint8Array): Uint8Array => {
    const isWhole = message.length > 0 && message.length % BLOCK === 0;
    const start = isWhole ? message.length - BLOCK : message.length - (message.length % BLOCK);
    const masked = new Uint8Array(start + BLOCK);
    masked.set(message);
    if (!isWhole) masked[message.length] = 0x80;
    const mask = isWhole ? whole : partial;
    for (let at = 0; at < BLOCK; at++) masked[start + at] = byteAt(masked, start + at) ^ byteAt(mask, at);
    const tag = cbc(masked);
    masked.fill(0);
    return tag;
  };
  return { of, destroy: () => wipe(whole, partial) };
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, at) => byte ^ byteAt(b, at));
}

function padded(bytes: Uint8Array): Uint8Array {
  const block = new Uint8Array(BLOCK);
  block.set(bytes);
  block[bytes.length] = 0x80;
  return block;
}

const BLOCK = 16;
const ZERO_BLOCK: Uint8Array = new Uint8Array(BLOCK);
