import { byteAt, copyOf, wipe, wiping } from "../../base/bytes.ts";
import { doubleBlock } from "../double-block.ts";
import type { Siv } from "./engine.ts";

/** The two modes of a block cipher that AES-SIV is made of, each under a key of its own. */
export interface SivModes {
  /** Gives the last block of CBC with an IV of zeros. @param message whole blocks, at least one */
  chained(message: Uint8Array): Uint8Array;
  /** Encrypts or decrypts in counter mode. */
  crypt(counter: Uint8Array, input: Uint8Array, target: Uint8Array, offset: number): void;
  /** Compares without a branch on the bytes. */
  isEqual(a: Uint8Array, b: Uint8Array): boolean;
  /** Wipes the keys. */
  destroy(): void;
}

/** AES-SIV (RFC 5297) over the modes that an engine has. */
export function sivOver(modes: SivModes): Siv {
  const cmac = cmacOver(modes);
  const crypt = (tag: Uint8Array, input: Uint8Array, target: Uint8Array, offset: number): void => {
    const counter = copyOf(tag);
    counter[8] = byteAt(counter, 8) & 0x7f; // RFC 5297 §2.5: both top bits of the low words are cleared
    counter[12] = byteAt(counter, 12) & 0x7f;
    modes.crypt(counter, input, target, offset);
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
      if (modes.isEqual(tag, s2v(cmac, associated, plaintext))) return plaintext;
      plaintext.fill(0);
      return undefined;
    },
    destroy() {
      cmac.destroy();
      modes.destroy();
    },
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
  for (const component of associated) digest = xored(doubleBlock(digest), cmac.of(component));
  if (plaintext.length < BLOCK) return wiping(padded(plaintext), (block) => wiping(xored(doubleBlock(digest), block), cmac.of));
  const last = copyOf(plaintext);
  xorInto(last, last.length - BLOCK, digest);
  return wiping(last, cmac.of);
}

// RFC 4493: CBC-MAC whose last block is masked, so one CBC pass gives it
function cmacOver({ chained }: SivModes): Cmac {
  const whole = wiping(chained(ZERO_BLOCK), doubleBlock);
  const partial = doubleBlock(whole);
  return {
    of(message) {
      const isWhole = message.length > 0 && message.length % BLOCK === 0;
      const start = isWhole ? message.length - BLOCK : message.length - (message.length % BLOCK);
      const masked = new Uint8Array(start + BLOCK);
      masked.set(message);
      if (!isWhole) masked[message.length] = 0x80;
      xorInto(masked, start, isWhole ? whole : partial);
      return wiping(masked, chained);
    },
    destroy: () => wipe(whole, partial),
  };
}

function xorInto(target: Uint8Array, start: number, block: Uint8Array): void {
  for (let at = 0; at < BLOCK; at++) target[start + at] = byteAt(target, start + at) ^ byteAt(block, at);
}

function xored(a: Uint8Array, b: Uint8Array): Uint8Array {
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
