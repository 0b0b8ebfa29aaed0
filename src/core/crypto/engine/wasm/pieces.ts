import { TAG_BYTES } from "../../../contracts/suite.ts";
import type { Opened } from "../engine.ts";
import type { Wasm } from "./instance.ts";

// Messages that are longer than the module's memory has room for, or under a key of their own. The message was started.

/** Writes `ciphertext | tag 16` into `target` at `offset`. Returns how many bytes were written, counted from the output. */
export function sealPieces({ call, memory, at }: Wasm, plaintext: Uint8Array, target: Uint8Array, offset: number): number {
  let written = 0;
  for (let start = 0; start < plaintext.length; start += PIECE_BYTES) {
    const piece = plaintext.subarray(start, start + PIECE_BYTES);
    memory.set(piece, at.io);
    call.cryptPiece(0, piece.length);
    call.hashPiece(0, piece.length);
    target.set(memory.subarray(at.io, at.io + piece.length), offset + written);
    written += piece.length;
  }
  call.tag(0);
  call.end();
  target.set(memory.subarray(at.io, at.io + TAG_BYTES), offset + written);
  return written + TAG_BYTES;
}

/** Opens `ciphertext | tag 16`. All of it is hashed, and its tag compared, before any of it is decrypted. */
export function openPieces({ call, memory, at }: Wasm, sealed: Uint8Array): Opened {
  const bytes = sealed.length - TAG_BYTES;
  for (let start = 0; start < bytes; start += PIECE_BYTES) {
    const piece = sealed.subarray(start, Math.min(start + PIECE_BYTES, bytes));
    memory.set(piece, at.io);
    call.hashPiece(0, piece.length);
  }
  memory.set(sealed.subarray(bytes), at.io);
  if (call.hasTag(0) !== 1) {
    call.end();
    return false;
  }
  const plaintext = new Uint8Array(bytes);
  for (let start = 0; start < bytes; start += PIECE_BYTES) {
    const piece = sealed.subarray(start, Math.min(start + PIECE_BYTES, bytes));
    memory.set(piece, at.io);
    call.cryptPiece(0, piece.length);
    plaintext.set(memory.subarray(at.io, at.io + piece.length), start);
  }
  call.end();
  memory.fill(0, at.io, at.io + Math.min(bytes, PIECE_BYTES));
  return plaintext;
}

/** The longest message that is in the memory at once: whole blocks, so that a longer one comes in pieces of this length. */
export const PIECE_BYTES = 32768;
