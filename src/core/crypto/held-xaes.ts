import { engine } from "#engine";
import { type OwnedBytes, wipe } from "../base/bytes.ts";
import { GCM_NONCE_BYTES, TAG_BYTES, XAES_KEY_BYTES, XAES_NONCE_BYTES } from "../contracts/suite.ts";
import { BLOCK_BYTES, masksOf, writeKeyBlocks } from "./xaes.ts";

/**
 * XAES-256-GCM under a key that WebCrypto holds and does not give away. Its bytes are the same as those of `Xaes256Gcm`. AES-CBC with a zero
 * IV encrypts the blocks that the key of a nonce is derived from: the first block of each ciphertext is the plain AES of its input.
 */
export class HeldXaes256Gcm {
  readonly #key: CryptoKey;
  #masks: Uint8Array | undefined;
  #isDestroyed = false;

  /** @param key of AES-CBC and 256 bits, with the usage `encrypt` */
  constructor(key: CryptoKey) {
    this.#key = key;
  }

  /** Returns `nonce 24 | ciphertext | tag 16` under a new random nonce. The plaintext must not change until the promise settles. */
  async sealFresh(aad: Uint8Array, plaintext: Uint8Array): Promise<OwnedBytes> {
    const sealed = new Uint8Array(XAES_NONCE_BYTES + plaintext.length + TAG_BYTES);
    sealed.set(engine.randomNonce(XAES_NONCE_BYTES));
    const key = await this.#deriveKey(sealed);
    engine.gcm.seal(key, gcmNonceOf(sealed), aad, plaintext, sealed, XAES_NONCE_BYTES);
    wipe(key);
    return sealed;
  }

  /** Opens `nonce 24 | ciphertext | tag 16`: the plaintext in its own ArrayBuffer, or undefined if anything does not fit. */
  async open(aad: Uint8Array, sealed: Uint8Array): Promise<OwnedBytes | undefined> {
    const key = await this.#deriveKey(sealed);
    const plaintext = engine.gcm.open(key, gcmNonceOf(sealed), aad, sealed, XAES_NONCE_BYTES);
    wipe(key);
    return plaintext;
  }

  /** Wipes what can be wiped; not to be used after. Calls in flight finish. */
  destroy(): void {
    this.#isDestroyed = true;
    wipe(this.#masks);
  }

  async #deriveKey(nonce: Uint8Array): Promise<Uint8Array> {
    const blocks = new Uint8Array(XAES_KEY_BYTES);
    const masks = this.#masks ?? masksOf(await this.#encryptBlock(new Uint8Array(BLOCK_BYTES)));
    writeKeyBlocks(masks, nonce, 0, blocks, 0);
    if (this.#isDestroyed) wipe(masks);
    else this.#masks = masks;
    const halves = await Promise.all([0, BLOCK_BYTES].map((at) => this.#encryptBlock(blocks.subarray(at, at + BLOCK_BYTES))));
    for (const [at, half] of halves.entries()) blocks.set(half, at * BLOCK_BYTES);
    wipe(...halves);
    return blocks;
  }

  async #encryptBlock(block: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
    const padded = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-CBC", iv: ZERO_IV }, this.#key, block));
    return padded.subarray(0, BLOCK_BYTES);
  }
}

function gcmNonceOf(sealed: Uint8Array): Uint8Array {
  return sealed.slice(XAES_NONCE_BYTES - GCM_NONCE_BYTES, XAES_NONCE_BYTES);
}

const ZERO_IV: Uint8Array<ArrayBuffer> = new Uint8Array(BLOCK_BYTES);
