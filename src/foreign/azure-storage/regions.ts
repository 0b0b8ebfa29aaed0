import { engine } from "#engine";
import { byteAt, type OwnedBytes, readUint32, writeUint32 } from "../../core/base/bytes.ts";
import { authenticationFailed, malformed } from "../../core/base/errors.ts";
import { requireFilled } from "../../core/base/filled.ts";
import type { ChunkCipher } from "../../core/crypto/engine/engine.ts";

/**
 * The regions of one blob under its content key. A region is nonce, ciphertext and tag. Its nonce counts the region, in one of the layouts
 * that Microsoft's libraries write: a region at another place is refused, and so is a blob that mixes layouts.
 */
export class Regions {
  readonly regionBytes: number;
  readonly #cipher: ChunkCipher;
  #layouts: readonly Layout[] = LAYOUTS;

  /** @param contentKey 32 bytes, used before this returns: the caller may wipe them later */
  constructor(contentKey: Uint8Array, regionBytes: number) {
    this.regionBytes = regionBytes;
    this.#cipher = engine.chunkCipher(contentKey, SEVERAL);
  }

  /** The stored bytes of a whole region. */
  get storedBytes(): number {
    return this.regionBytes + REGION_OVERHEAD_BYTES;
  }

  /**
   * Opens the region at a place. Nothing is returned before its tag is verified.
   *
   * @throws `malformed-envelope` for fewer than 29 bytes; `authentication-failed`
   */
  async open(index: number, stored: Uint8Array): Promise<OwnedBytes> {
    if (stored.length < LEAST_STORED_BYTES) throw tooShort(stored.length);
    const nonce = stored.slice(0, NONCE_BYTES);
    const fitting = this.#layouts.filter((layout) => layout(index, nonce));
    if (fitting.length === 0) throw authenticationFailed();
    const plaintext = engine.allocate(stored.length - REGION_OVERHEAD_BYTES);
    requireFilled(plaintext, await this.#cipher.open(nonce, stored.subarray(NONCE_BYTES), plaintext, 0));
    this.#layouts = this.#layouts.filter((layout) => fitting.includes(layout)); // another region may have narrowed it meanwhile
    if (this.#layouts.length === 0) throw authenticationFailed();
    return plaintext;
  }

  /** Seals the region at a place, with the nonce that Microsoft's Python library gives it. */
  async seal(index: number, plaintext: Uint8Array): Promise<OwnedBytes> {
    const stored = engine.allocate(plaintext.length + REGION_OVERHEAD_BYTES);
    const nonce = new Uint8Array(NONCE_BYTES);
    writeUint32(nonce, 4, Math.floor(index / 2 ** 32));
    writeUint32(nonce, 8, index % 2 ** 32);
    stored.set(nonce);
    requireFilled(stored.subarray(NONCE_BYTES), await this.#cipher.seal(nonce, plaintext, stored, NONCE_BYTES));
    return stored;
  }
}

/**
 * Counts the plaintext bytes of a body by its length alone.
 *
 * @throws `malformed-envelope` if the last region would be too short
 */
export function plaintextBytesIn(storedBytes: number, regionBytes: number): number {
  const whole = Math.floor(storedBytes / (regionBytes + REGION_OVERHEAD_BYTES));
  const rest = storedBytes % (regionBytes + REGION_OVERHEAD_BYTES);
  if (rest > 0 && rest < LEAST_STORED_BYTES) throw tooShort(rest);
  return whole * regionBytes + (rest > 0 ? rest - REGION_OVERHEAD_BYTES : 0);
}

/** Counts the stored bytes of a plaintext. */
export function storedBytesFor(plaintextBytes: number, regionBytes: number): number {
  return plaintextBytes + Math.ceil(plaintextBytes / regionBytes) * REGION_OVERHEAD_BYTES;
}

function tooShort(bytes: number): Error {
  return malformed(`the last region has ${bytes} bytes, expected at least ${LEAST_STORED_BYTES}`);
}

type Layout = (index: number, nonce: Uint8Array) => boolean;

/** 12 bytes big-endian, from 0. */
const PYTHON: Layout = (index, nonce) => readUint32(nonce, 0) === 0 && readUint32(nonce, 4) * 2 ** 32 + readUint32(nonce, 8) === index;
/** 8 bytes big-endian, from 0, then 4 of zero. The counter has 32 bits, so no later region has this layout. */
const JAVA: Layout = (index, nonce) =>
  index < 2 ** 32 && readUint32(nonce, 0) === 0 && readUint32(nonce, 4) === index && readUint32(nonce, 8) === 0;
/** 4 bytes of zero, then 8 little-endian, from 1. */
const DOTNET: Layout = (index, nonce) => {
  let counter = 0;
  for (let at = NONCE_BYTES - 1; at >= 4; at--) counter = counter * 256 + byteAt(nonce, at);
  return readUint32(nonce, 0) === 0 && counter === index + 1;
};
const LAYOUTS: readonly Layout[] = [PYTHON, JAVA, DOTNET];

export const NONCE_BYTES = 12;
/** Nonce and tag. */
export const REGION_OVERHEAD_BYTES = 28;
/** The longest region that the format allows: 1 GiB. */
export const LARGEST_REGION_BYTES: number = 2 ** 30;
const LEAST_STORED_BYTES = 29;
/** Lets the engine copy the key. */
const SEVERAL: number = Number.MAX_SAFE_INTEGER;
