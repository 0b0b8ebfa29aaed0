import { engine } from "#engine";
import { wipe } from "../base/bytes.ts";
import { invalidArgument } from "../base/errors.ts";
import type { HmacHash } from "./engine/engine.ts";

/** HKDF-Extract, RFC 5869 §2.2. */
export function hkdfExtract(hash: HmacHash, salt: Uint8Array, keyMaterial: Uint8Array): Uint8Array {
  return engine.hmac(hash, salt.length === 0 ? new Uint8Array(HASH_BYTES[hash]) : salt, keyMaterial);
}

/**
 * HKDF-Expand, RFC 5869 §2.3.
 *
 * @param info in parts: joining them would cost as much as hashing them
 * @param secretBytes how many bytes of the result are secret, from its beginning on
 * @throws `invalid-argument` for more than 255 blocks of the hash, where its counter would start again
 */
export function hkdfExpand(
  hash: HmacHash,
  key: Uint8Array,
  info: readonly Uint8Array[],
  bytes: number,
  secretBytes: number = bytes,
): Uint8Array {
  const hashBytes = HASH_BYTES[hash];
  if (bytes > 255 * hashBytes) throw invalidArgument(`HKDF gives at most ${255 * hashBytes} bytes, ${bytes} were asked for`);
  const derived = engine.coarse?.expand(hash, key, info, bytes);
  if (derived !== undefined) return derived;
  let block = secretBytes > 0 ? engine.hmac(hash, key, ...info, FIRST) : engine.publicHmac(hash, key, ...info, FIRST);
  if (bytes <= hashBytes) return trimmed(block, bytes);
  const output = new Uint8Array(bytes);
  output.set(block);
  for (let offset = hashBytes, counter = 2; offset < bytes; offset += hashBytes, counter++) {
    const parts = [block, ...info, Uint8Array.of(counter)];
    const next = secretBytes > offset ? engine.hmac(hash, key, ...parts) : engine.publicHmac(hash, key, ...parts);
    wipe(block);
    block = next;
    output.set(block.subarray(0, bytes - offset), offset);
  }
  wipe(block);
  return output;
}

/** Returns the start of a block and wipes the rest. It is a view, so that no second copy of a secret is made. */
function trimmed(block: Uint8Array, bytes: number): Uint8Array {
  block.fill(0, bytes);
  return block.subarray(0, bytes);
}

const FIRST: Uint8Array = Uint8Array.of(1);
const HASH_BYTES: Readonly<Record<HmacHash, number>> = { sha256: 32, sha512: 64 };
