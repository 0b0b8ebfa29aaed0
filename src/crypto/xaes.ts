import { engine } from "#engine";
import { byteAt, wipe } from "../bytes.ts";
import { doubleBlock } from "./double-block.ts";
import type { BlockCipher } from "./engine/engine.ts";

/**
 * XAES-256-GCM (C2SP): AES-256-GCM with a 24-byte nonce. The first half of the nonce derives a key for the second half, so random
 * nonces are safe for 2^80 messages. Two AES blocks dearer than plain GCM.
 */
export class Xaes256Gcm {
  readonly #blocks: BlockCipher;
  readonly #subkey: Uint8Array;

  /** @param key 32 bytes; the schedule is kept, the bytes are not. */
  constructor(key: Uint8Array) {
    this.#blocks = engine.blockCipher(key);
    this.#subkey = doubleBlock(this.#blocks.encrypt(new Uint8Array(16)));
  }

  /** Writes ciphertext and tag, `plaintext.length + 16` bytes, into `target` at `offset`. */
  seal(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array, target: Uint8Array, offset: number): void {
    const key = this.#deriveKey(nonce);
    engine.gcm.seal(key, nonce.subarray(12), aad, plaintext, target, offset);
    wipe(key);
  }

  /** The plaintext in its own ArrayBuffer, or undefined if key, nonce, AAD or tag do not fit. */
  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
    const key = this.#deriveKey(nonce);
    const plaintext = engine.gcm.open(key, nonce.subarray(12), aad, sealed);
    wipe(key);
    return plaintext;
  }

  // M1 = 00 01 58 00 | nonce[0..12), M2 = 00 02 58 00 | nonce[0..12); key = AES(M1 xor K1) | AES(M2 xor K1)
  #deriveKey(nonce: Uint8Array): Uint8Array {
    const blocks = new Uint8Array(32);
    for (let at = 0; at < 12; at++) {
      const masked = byteAt(nonce, at) ^ byteAt(this.#subkey, 4 + at);
      blocks[4 + at] = masked;
      blocks[20 + at] = masked;
    }
    for (let at = 0; at < 4; at++) {
      blocks[at] = byteAt(this.#subkey, at);
      blocks[16 + at] = byteAt(this.#subkey, at);
    }
    blocks[1] = byteAt(blocks, 1) ^ 0x01;
    blocks[17] = byteAt(blocks, 17) ^ 0x02;
    blocks[2] = byteAt(blocks, 2) ^ 0x58;
    blocks[18] = byteAt(blocks, 18) ^ 0x58;
    return this.#blocks.encrypt(blocks);
  }
}
