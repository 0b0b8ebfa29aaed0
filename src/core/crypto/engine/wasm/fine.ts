import { byteAt, copyOf, wipe, wiping } from "../../../base/bytes.ts";
import { TAG_BYTES, XAES_KEY_BYTES } from "../../../contracts/suite.ts";
import { doubleBlock } from "../../double-block.ts";
import type { BlockCipher, OneTimeGcm, Siv } from "../engine.ts";
import { AAD_BYTES, INFO_BYTES, KEY_BYTES, SCHEDULE_BYTES } from "./coarse.ts";
import type { Wasm } from "./instance.ts";
import { copyIn, PIECE_BYTES, taken } from "./memory.ts";
import { openPieces, sealPieces } from "./pieces.ts";

// Fine operations over the module, for an engine whose own are slower and not of constant time. AES-256 alone.

/** @param other takes keys of other lengths, and associated data that is too long */
export function wasmGcm(wasm: Wasm, other: OneTimeGcm): OneTimeGcm {
  const { call, memory, at } = wasm;
  const start = (key: Uint8Array, nonce: Uint8Array, aad: Uint8Array): void => {
    copyIn(memory, key, at.key);
    copyIn(memory, nonce, at.io);
    copyIn(memory, aad, at.aad);
    call.start(0, aad.length);
  };
  const takes = (key: Uint8Array, aad: Uint8Array): boolean => key.length === XAES_KEY_BYTES && aad.length <= AAD_BYTES;
  return {
    seal(key, nonce, aad, plaintext, target, offset) {
      if (!takes(key, aad)) return other.seal(key, nonce, aad, plaintext, target, offset);
      start(key, nonce, aad);
      return sealPieces(wasm, plaintext, target, offset);
    },
    open(key, nonce, aad, sealed, offset = 0) {
      if (!takes(key, aad)) return other.open(key, nonce, aad, sealed, offset);
      if (sealed.length - offset < TAG_BYTES) return undefined;
      start(key, nonce, aad);
      const opened = openPieces(wasm, offset === 0 ? sealed : sealed.subarray(offset));
      return opened === false ? undefined : opened;
    },
  };
}

export function wasmBlockCipher(wasm: Wasm, key: Uint8Array): BlockCipher {
  const { call, memory, at } = wasm;
  const schedule = scheduleOf(wasm, key);
  return {
    encrypt(blocks) {
      const encrypted = new Uint8Array(blocks.length);
      for (let start = 0; start < blocks.length; start += PIECE_BYTES) {
        const piece = blocks.subarray(start, start + PIECE_BYTES);
        memory.set(schedule, at.schedule);
        memory.set(piece, at.io);
        call.encryptBlocks(piece.length);
        encrypted.set(memory.subarray(at.io, at.io + piece.length), start);
        memory.fill(0, at.io, at.io + piece.length);
      }
      return encrypted;
    },
    destroy: () => wipe(schedule),
  };
}

/** HMAC-SHA-512, or undefined for a key or a message that is too long. */
export function wasmHmac({ call, memory, at }: Wasm, key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array | undefined {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  if (key.length > KEY_BYTES || bytes > INFO_BYTES) return undefined;
  copyIn(memory, key, at.key);
  let end = at.info;
  for (const part of parts) end = copyIn(memory, part, end);
  call.hmac(key.length, bytes);
  memory.fill(0, at.info, end);
  return taken(memory, at.out, 64);
}

/** AES-SIV (RFC 5297) with a key of 64 bytes: AES-256 for S2V and for the key stream. */
export function wasmSiv(wasm: Wasm, key: Uint8Array): Siv {
  const { call, memory, at } = wasm;
  const cmac = wasmCmac(wasm, key.subarray(0, XAES_KEY_BYTES));
  const streamKey = copyOf(key.subarray(XAES_KEY_BYTES));

  const crypt = (tag: Uint8Array, input: Uint8Array, target: Uint8Array, offset: number): void => {
    copyIn(memory, streamKey, at.key);
    copyIn(memory, tag, at.out);
    memory[at.out + 8] = byteAt(tag, 8) & 0x7f; // RFC 5297 §2.5: both top bits of the low words are cleared
    memory[at.out + 12] = byteAt(tag, 12) & 0x7f;
    call.startStream();
    for (let start = 0; start < input.length; start += PIECE_BYTES) {
      const piece = input.subarray(start, start + PIECE_BYTES);
      memory.set(piece, at.io);
      call.cryptPiece(0, piece.length);
      target.set(memory.subarray(at.io, at.io + piece.length), offset + start);
      memory.fill(0, at.io, at.io + piece.length);
    }
    call.end();
  };
  /** RFC 5297 §2.4 */
  const s2v = (associated: readonly Uint8Array[], plaintext: Uint8Array): Uint8Array => {
    let digest = cmac.of(new Uint8Array(BLOCK_BYTES));
    for (const component of associated) digest = xored(doubleBlock(digest), cmac.of(component));
    if (plaintext.length < BLOCK_BYTES) return wiping(xored(doubleBlock(digest), padded(plaintext)), cmac.of);
    const last = copyOf(plaintext);
    const start = last.length - BLOCK_BYTES;
    for (let byte = 0; byte < BLOCK_BYTES; byte++) last[start + byte] = byteAt(last, start + byte) ^ byteAt(digest, byte);
    return wiping(last, cmac.of);
  };

  return {
    seal(associated, plaintext) {
      const tag = s2v(associated, plaintext);
      const sealed = new Uint8Array(BLOCK_BYTES + plaintext.length);
      sealed.set(tag);
      crypt(tag, plaintext, sealed, BLOCK_BYTES);
      return sealed;
    },
    open(associated, sealed) {
      if (sealed.length < BLOCK_BYTES) return undefined;
      const tag = sealed.subarray(0, BLOCK_BYTES);
      const plaintext = new Uint8Array(sealed.length - BLOCK_BYTES);
      crypt(tag, sealed.subarray(BLOCK_BYTES), plaintext, 0);
      let difference = 0;
      const expected = s2v(associated, plaintext);
      for (let byte = 0; byte < BLOCK_BYTES; byte++) difference |= byteAt(tag, byte) ^ byteAt(expected, byte);
      if (difference === 0) return plaintext;
      plaintext.fill(0);
      return undefined;
    },
    destroy() {
      cmac.destroy();
      wipe(streamKey);
    },
  };
}

interface Cmac {
  of(message: Uint8Array): Uint8Array;
  destroy(): void;
}

/** RFC 4493: CBC-MAC whose last block is masked. */
function wasmCmac(wasm: Wasm, key: Uint8Array): Cmac {
  const { call, memory, at } = wasm;
  const schedule = scheduleOf(wasm, key);
  const chained = (message: Uint8Array): Uint8Array => {
    memory.fill(0, at.out, at.out + BLOCK_BYTES);
    for (let start = 0; start < message.length; start += PIECE_BYTES) {
      const piece = message.subarray(start, start + PIECE_BYTES);
      memory.set(schedule, at.schedule);
      memory.set(piece, at.io);
      call.chain(piece.length);
      memory.fill(0, at.io, at.io + piece.length);
    }
    return taken(memory, at.out, BLOCK_BYTES);
  };
  const whole = wiping(chained(new Uint8Array(BLOCK_BYTES)), doubleBlock);
  const partial = doubleBlock(whole);
  return {
    of(message) {
      const isWhole = message.length > 0 && message.length % BLOCK_BYTES === 0;
      const start = isWhole ? message.length - BLOCK_BYTES : message.length - (message.length % BLOCK_BYTES);
      const masked = new Uint8Array(start + BLOCK_BYTES);
      masked.set(message);
      if (!isWhole) masked[message.length] = 0x80;
      const mask = isWhole ? whole : partial;
      for (let byte = 0; byte < BLOCK_BYTES; byte++) masked[start + byte] = byteAt(masked, start + byte) ^ byteAt(mask, byte);
      return wiping(masked, chained);
    },
    destroy: () => wipe(schedule, whole, partial),
  };
}

function scheduleOf({ call, memory, at }: Wasm, key: Uint8Array): Uint8Array {
  copyIn(memory, key, at.key);
  call.makeSchedule();
  return taken(memory, at.schedule, SCHEDULE_BYTES);
}

function xored(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, at) => byte ^ byteAt(b, at));
}

function padded(bytes: Uint8Array): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(bytes);
  block[bytes.length] = 0x80;
  return block;
}

const BLOCK_BYTES = 16;
