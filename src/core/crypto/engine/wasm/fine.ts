import { copyOf, wipe } from "../../../base/bytes.ts";
import { TAG_BYTES, XAES_KEY_BYTES } from "../../../contracts/suite.ts";
import { copyIn, taken } from "../copies.ts";
import type { BlockCipher, OneTimeGcm, Siv } from "../engine.ts";
import { sivOver } from "../siv.ts";
import { timingSafeEqual } from "../timing-safe-equal.ts";
import { AAD_BYTES, KEY_BYTES, scheduleOf, writeInfo } from "./coarse.ts";
import type { Wasm } from "./instance.ts";
import { openPieces, PIECE_BYTES, sealPieces } from "./pieces.ts";

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
export function wasmHmac(wasm: Wasm, key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array | undefined {
  const { call, memory, at } = wasm;
  const bytes = key.length > KEY_BYTES ? undefined : writeInfo(wasm, parts);
  if (bytes === undefined) return undefined;
  copyIn(memory, key, at.key);
  call.hmac(key.length, bytes);
  memory.fill(0, at.info, at.info + bytes);
  return taken(memory, at.out, 64);
}

/** AES-SIV with a key of 64 bytes: AES-256 for the MAC and for the key stream. */
export function wasmSiv(wasm: Wasm, key: Uint8Array): Siv {
  const { call, memory, at } = wasm;
  const schedule = scheduleOf(wasm, key.subarray(0, XAES_KEY_BYTES));
  const streamKey = copyOf(key.subarray(XAES_KEY_BYTES));
  return sivOver({
    chained(message) {
      memory.fill(0, at.out, at.out + BLOCK_BYTES);
      for (let start = 0; start < message.length; start += PIECE_BYTES) {
        const piece = message.subarray(start, start + PIECE_BYTES);
        memory.set(schedule, at.schedule);
        memory.set(piece, at.io);
        call.chain(piece.length);
        memory.fill(0, at.io, at.io + piece.length);
      }
      return taken(memory, at.out, BLOCK_BYTES);
    },
    crypt(counter, input, target, offset) {
      copyIn(memory, streamKey, at.key);
      copyIn(memory, counter, at.out);
      call.startStream();
      for (let start = 0; start < input.length; start += PIECE_BYTES) {
        const piece = input.subarray(start, start + PIECE_BYTES);
        memory.set(piece, at.io);
        call.cryptPiece(0, piece.length);
        target.set(memory.subarray(at.io, at.io + piece.length), offset + start);
        memory.fill(0, at.io, at.io + piece.length);
      }
      call.end();
    },
    isEqual: timingSafeEqual,
    destroy: () => wipe(schedule, streamKey),
  });
}

const BLOCK_BYTES = 16;
