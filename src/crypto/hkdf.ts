import { engine } from "#engine";
import { byteAt } from "../bytes.ts";
import { invalidArgument } from "../errors.ts";
import type { HmacHash } from "./engine/engine.ts";

/** HKDF-Extract, RFC 5869 §2.2. */
export function hkdfExtract(hash: HmacHash, salt: Uint8Array, keyMaterial: Uint8Array): Uint8Array {
  return engine.hmac(hash, salt.length === 0 ? new Uint8Array(HASH_BYTES[hash]) : salt, keyMaterial);
}

/** HKDF-Expand, RFC 5869 §2.3. @throws `invalid-argument` for more than 255 blocks of the hash, where its counter would start again */
export function hkdfExpand(hash: HmacHash, key: Uint8Array, info: Uint8Array, bytes: number): Uint8Array<ArrayBuffer> {
  const hashBytes = HASH_BYTES[hash];
  if (bytes > 255 * hashBytes) throw invalidArgument(`HKDF gives at most ${255 * hashBytes} bytes, ${bytes} were asked for`);
  const output = new Uint8Array(bytes);
  let previous: Uint8Array = new Uint8Array(0);
  let counter = 1;
  for (let offset = 0; offset < bytes; offset += hashBytes) {
    const input = new Uint8Array(previous.length + info.length + 1);
    input.set(previous);
    input.set(info, previous.length);
    input[input.length - 1] = counter++;
    previous = engine.hmac(hash, key, input);
    for (let at = 0; at < hashBytes && offset + at < bytes; at++) output[offset + at] = byteAt(previous, at);
    if (offset > 0) input.fill(0);
  }
  previous.fill(0);
  return output;
}

const HASH_BYTES: Readonly<Record<HmacHash, number>> = { sha256: 32, sha512: 64 };
