import { createCipheriv, createDecipheriv } from "node:crypto";
import { concatBytes, copyOf, type OwnedBytes, wipe } from "../../../src/core/base/bytes.ts";

/** AES key wrap with padding, RFC 5649, of any number of bytes from 1 on. */
export function wrapPadded(kek: Uint8Array, key: Uint8Array): OwnedBytes {
  const cipher = createCipheriv(cipherName(kek), kek, START);
  return concatBytes(cipher.update(key), cipher.final());
}

/** @returns the key, or undefined if this KEK did not wrap it so */
export function openPadded(kek: Uint8Array, wrapped: Uint8Array): OwnedBytes | undefined {
  if (wrapped.length < 16) return undefined; // node:crypto opens nothing at all as nothing at all
  const decipher = createDecipheriv(cipherName(kek), kek, START);
  try {
    const opened = decipher.update(wrapped);
    decipher.final();
    const key = copyOf(opened);
    wipe(opened);
    return key;
  } catch {
    return undefined;
  }
}

function cipherName(kek: Uint8Array): string {
  return `id-aes${kek.length * 8}-wrap-pad`;
}

const START: Uint8Array = Uint8Array.of(0xa6, 0x59, 0x59, 0xa6); // RFC 5649 §3
