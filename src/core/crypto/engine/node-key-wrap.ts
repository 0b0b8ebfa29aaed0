import { type CipherKey, createCipheriv, createDecipheriv, getCipherInfo, timingSafeEqual } from "node:crypto";
import { byteAt, concatBytes, type OwnedBytes, wipe } from "../../base/bytes.ts";
import type { KeyWrap } from "./engine.ts";
import { requireWrappable } from "./key-wrap.ts";

/**
 * AES key wrap (RFC 3394) over node:crypto: OpenSSL's own, or over single AES blocks where that is missing, as on Bun.
 *
 * @param cipherKey what is handed to node:crypto for a raw key
 */
export function nodeKeyWrap(cipherKey: (key: Uint8Array) => CipherKey): KeyWrap {
  return getCipherInfo("id-aes256-wrap") === undefined ? blockKeyWrap(cipherKey) : opensslKeyWrap(cipherKey);
}

// node:crypto takes empty input, which must fail: hence both checks of length.
function opensslKeyWrap(cipherKey: (key: Uint8Array) => CipherKey): KeyWrap {
  const name = (kek: Uint8Array): string => `id-aes${kek.length * 8}-wrap`;
  return {
    wrap(kek, key) {
      requireWrappable(key);
      const cipher = createCipheriv(name(kek), cipherKey(kek), INITIAL_VALUE);
      return concatBytes(cipher.update(key), cipher.final());
    },
    open(kek, wrapped) {
      if (!isWrapped(wrapped)) return undefined;
      const decipher = createDecipheriv(name(kek), cipherKey(kek), INITIAL_VALUE);
      try {
        return concatBytes(decipher.update(wrapped), decipher.final());
      } catch {
        return undefined;
      }
    },
  };
}

/** RFC 3394 §2.2.1 and §2.2.2, with the index method: `A | R[1] | .. | R[n]` stands in one array, and a step takes A and one R. */
export function blockKeyWrap(cipherKey: (key: Uint8Array) => CipherKey): KeyWrap {
  const name = (kek: Uint8Array): string => `aes-${kek.length * 8}-ecb`;
  return {
    wrap(kek, key) {
      requireWrappable(key);
      const aes = createCipheriv(name(kek), cipherKey(kek), null).setAutoPadding(false);
      const wrapped = concatBytes(INITIAL_VALUE, key);
      const blocks = key.length / 8;
      for (let step = 1; step <= ROUNDS * blocks; step++) {
        const at = 8 * (((step - 1) % blocks) + 1);
        const mixed = aes.update(concatBytes(wrapped.subarray(0, 8), wrapped.subarray(at, at + 8)));
        wrapped.set(mixed.subarray(0, 8));
        xorStep(wrapped, step);
        wrapped.set(mixed.subarray(8), at);
      }
      return wrapped;
    },
    open(kek, wrapped) {
      if (!isWrapped(wrapped)) return undefined;
      const aes = createDecipheriv(name(kek), cipherKey(kek), null).setAutoPadding(false);
      const opened: OwnedBytes = concatBytes(wrapped);
      const blocks = wrapped.length / 8 - 1;
      for (let step = ROUNDS * blocks; step >= 1; step--) {
        const at = 8 * (((step - 1) % blocks) + 1);
        xorStep(opened, step);
        const mixed = aes.update(concatBytes(opened.subarray(0, 8), opened.subarray(at, at + 8)));
        opened.set(mixed.subarray(0, 8));
        opened.set(mixed.subarray(8), at);
      }
      const key = timingSafeEqual(opened.subarray(0, 8), INITIAL_VALUE) ? opened.slice(8) : undefined;
      wipe(opened);
      return key;
    },
  };
}

function isWrapped(bytes: Uint8Array): boolean {
  return bytes.length >= 24 && bytes.length % 8 === 0;
}

/** A = A xor BE64(step). Keys are short: the step number stays below 2^32. */
function xorStep(a: Uint8Array, step: number): void {
  for (let at = 7, rest = step; rest > 0; at--, rest = Math.floor(rest / 256)) a[at] = byteAt(a, at) ^ (rest % 256);
}

const INITIAL_VALUE: Uint8Array = new Uint8Array(8).fill(0xa6); // RFC 3394 §2.2.3.1
const ROUNDS = 6;
