import { engine } from "#engine";
import { byteAt, concatBytes, copyOf, type OwnedBytes, wipe, wiping } from "../base/bytes.ts";
import { GCM_NONCE_BYTES, XAES_KEY_BYTES, XAES_NONCE_BYTES } from "../contracts/suite.ts";
import { doubleBlock } from "./double-block.ts";
import type { BlockCipher, CoarseXaes } from "./engine/engine.ts";

/**
 * XAES-256-GCM (C2SP): AES-256-GCM with a 24-byte nonce. The first half of the nonce derives a key for the second half, so random
 * nonces are safe for 2^80 messages. It costs two AES blocks more than plain GCM.
 *
 * Asks the coarse engine first, and what it declines goes the fine way.
 */
export class Xaes256Gcm {
  readonly #coarse: CoarseXaes | undefined;
  #fine: FineXaes | undefined;
  /** Kept for the fine way as long as it was not needed. */
  #key: Uint8Array | undefined;

  /** @param key 32 bytes, of which no reference is kept */
  constructor(key: Uint8Array) {
    this.#coarse = engine.coarse?.xaes(key);
    if (this.#coarse === undefined) this.#fine = new FineXaes(key);
    else this.#key = copyOf(key);
  }

  /**
   * Writes `nonce 24 | ciphertext | tag 16` under a new random nonce, `plaintext.length + 40` bytes, into `target` at `offset`. Returns
   * how many bytes it wrote.
   */
  sealFresh(aad: Uint8Array, plaintext: Uint8Array, target: Uint8Array, offset: number): number {
    return this.#coarse?.sealFresh(aad, plaintext, target, offset) ?? this.#fineWay().sealFresh(aad, plaintext, target, offset);
  }

  /** Writes `ciphertext | tag 16`, for vectors alone. A nonce that is used twice gives both plaintexts away. */
  dangerSealWithNonce(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array, target: Uint8Array, offset: number): void {
    const written = this.#coarse?.dangerSealWithNonce(nonce, aad, plaintext, target, offset);
    if (written === undefined) this.#fineWay().dangerSealWithNonce(nonce, aad, plaintext, target, offset);
  }

  /** Opens `nonce 24 | ciphertext | tag 16` from `offset` on: the plaintext in its own ArrayBuffer, or undefined if anything does not fit. */
  open(aad: Uint8Array, sealed: Uint8Array, offset = 0): OwnedBytes | undefined {
    const opened = this.#coarse?.open(aad, sealed, offset);
    if (opened === false) return undefined;
    return opened ?? this.#fineWay().open(aad, sealed, offset);
  }

  /** Seals text to base64url of `prefix | nonce 24 | ciphertext | tag 16`, if the coarse engine does. */
  sealText(aad: Uint8Array, prefix: Uint8Array, text: string): string | undefined {
    return this.#coarse?.sealText(aad, prefix, text);
  }

  /** Opens what `sealText` makes, if the coarse engine does. False if anything does not fit. */
  openText(aad: Uint8Array, prefix: Uint8Array, token: string): string | false | undefined {
    return this.#coarse?.openText(aad, prefix, token);
  }

  /** Wipes what can be wiped; not to be used after. */
  destroy(): void {
    this.#coarse?.destroy();
    this.#fine?.destroy();
    wipe(this.#key);
  }

  #fineWay(): FineXaes {
    if (this.#fine === undefined) {
      this.#fine = new FineXaes(this.#key ?? NO_BYTES);
      wipe(this.#key);
    }
    return this.#fine;
  }
}

/** XAES over single blocks and one-time GCM. */
class FineXaes {
  readonly #blocks: BlockCipher;
  readonly #masks: Uint8Array;
  /** One key, kept in an ArrayBuffer of its own: the engine takes any other small array only after moving it. */
  readonly #oneKey: Uint8Array = new Uint8Array(new ArrayBuffer(XAES_KEY_BYTES));
  /** One nonce, kept for the same reason, and because a view of another array costs more than the copy of a nonce. */
  readonly #gcmNonce: Uint8Array = new Uint8Array(new ArrayBuffer(GCM_NONCE_BYTES));
  #ahead = 0;
  #used = 0;
  #nonces: Uint8Array = NO_BYTES;
  #keys: Uint8Array = NO_BYTES;

  /** @param key 32 bytes; the schedule is kept, the bytes are not. */
  constructor(key: Uint8Array) {
    this.#blocks = engine.blockCipher(key);
    this.#masks = masksOf(this.#blocks.encrypt(new Uint8Array(BLOCK_BYTES)));
  }

  /**
   * Writes `nonce 24 | ciphertext | tag 16` under a new random nonce, `plaintext.length + 40` bytes, into `target` at `offset`. Returns
   * how many bytes it wrote.
   */
  sealFresh(aad: Uint8Array, plaintext: Uint8Array, target: Uint8Array, offset: number): number {
    if (this.#used === this.#ahead) this.#deriveAhead();
    const place = this.#used++;
    const nonces = this.#nonces;
    const keys = this.#keys;
    for (let at = 0, from = place * XAES_NONCE_BYTES; at < XAES_NONCE_BYTES; at++) target[offset + at] = byteAt(nonces, from + at);
    const gcmNonce = this.#gcmNonceBefore(nonces, (place + 1) * XAES_NONCE_BYTES);
    for (let at = 0, from = place * XAES_KEY_BYTES; at < XAES_KEY_BYTES; at++) {
      this.#oneKey[at] = byteAt(keys, from + at);
      keys[from + at] = 0;
    }
    const sealed = engine.gcm.seal(this.#oneKey, gcmNonce, aad, plaintext, target, offset + XAES_NONCE_BYTES);
    this.#oneKey.fill(0);
    return XAES_NONCE_BYTES + sealed;
  }

  /** Writes `ciphertext | tag 16`, for vectors alone. A nonce that is used twice gives both plaintexts away. */
  dangerSealWithNonce(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array, target: Uint8Array, offset: number): void {
    const key = this.#deriveKeys(nonce, 0, 1);
    engine.gcm.seal(key, nonce.subarray(XAES_NONCE_BYTES - GCM_NONCE_BYTES), aad, plaintext, target, offset);
    wipe(key);
  }

  /** Opens `nonce 24 | ciphertext | tag 16` from `offset` on: the plaintext in its own ArrayBuffer, or undefined if anything does not fit. */
  open(aad: Uint8Array, sealed: Uint8Array, offset = 0): Uint8Array<ArrayBuffer> | undefined {
    const key = this.#deriveKeys(sealed, offset, 1);
    const start = offset + XAES_NONCE_BYTES;
    const plaintext = engine.gcm.open(key, this.#gcmNonceBefore(sealed, start), aad, sealed, start);
    wipe(key);
    return plaintext;
  }

  /** Wipes what can be wiped; not to be used after. */
  destroy(): void {
    wipe(this.#keys, this.#masks, this.#oneKey);
    this.#blocks.destroy();
  }

  /**
   * Makes nonces with their derived keys, some at a time: a call into the engine costs more than the blocks that it encrypts.
   * The first one is made alone, for a key that is used once.
   */
  #deriveAhead(): void {
    this.#ahead = Math.min(MOST_AHEAD, 4 * this.#ahead || 1);
    this.#nonces = engine.randomNonce(this.#ahead * XAES_NONCE_BYTES);
    this.#keys = this.#deriveKeys(this.#nonces, 0, this.#ahead);
    this.#used = 0;
  }

  /** Returns the second half of the nonce that ends there. */
  #gcmNonceBefore(bytes: Uint8Array, end: number): Uint8Array {
    const nonce = this.#gcmNonce;
    for (let at = 0, from = end - GCM_NONCE_BYTES; at < GCM_NONCE_BYTES; at++) nonce[at] = byteAt(bytes, from + at);
    return nonce;
  }

  // M1 = 00 01 58 00 | nonce[0..12), M2 = 00 02 58 00 | nonce[0..12); key = AES(M1 xor K1) | AES(M2 xor K1)
  #deriveKeys(nonces: Uint8Array, offset: number, count: number): Uint8Array {
    const blocks = count === 1 ? this.#oneKey : new Uint8Array(count * XAES_KEY_BYTES);
    for (let place = 0; place < count; place++) {
      writeKeyBlocks(this.#masks, nonces, offset + place * XAES_NONCE_BYTES, blocks, place * XAES_KEY_BYTES);
    }
    return this.#blocks.encrypt(blocks);
  }
}

/** Writes the two blocks, `M1 xor K1 | M2 xor K1`, whose encryption is the key of one nonce. */
export function writeKeyBlocks(masks: Uint8Array, nonces: Uint8Array, nonce: number, target: Uint8Array, start: number): void {
  for (let at = 0; at < 4; at++) {
    target[start + at] = masks[at] ?? 0;
    target[start + BLOCK_BYTES + at] = masks[BLOCK_BYTES + at] ?? 0;
  }
  for (let at = 4; at < BLOCK_BYTES; at++) {
    const masked = byteAt(masks, at) ^ byteAt(nonces, nonce + at - 4);
    target[start + at] = masked;
    target[start + BLOCK_BYTES + at] = masked;
  }
}

/** Returns `M1 xor K1 | M2 xor K1` for a nonce of zeros. @param zeros the encrypted block of zeros, which it wipes */
export function masksOf(zeros: Uint8Array): Uint8Array {
  return wiping(zeros, (block) => wiping(doubleBlock(block), masksOfSubkey));
}

function masksOfSubkey(subkey: Uint8Array): Uint8Array {
  const masks = concatBytes(subkey, subkey);
  masks[1] = byteAt(masks, 1) ^ 0x01;
  masks[2] = byteAt(masks, 2) ^ 0x58;
  masks[17] = byteAt(masks, 17) ^ 0x02;
  masks[18] = byteAt(masks, 18) ^ 0x58;
  return masks;
}

export const BLOCK_BYTES = 16;
const MOST_AHEAD = 64;
const NO_BYTES: Uint8Array = new Uint8Array(0);
