import { createRequire } from "node:module";
import { join } from "node:path";
import { installed } from "../test/support/npm-tools.ts";

// XChaCha20-Poly1305 by sodium-native, by hand: the fastest that a user would pick instead. It has 20 MB, so it is no devDependency.

/** `nonce 24 | ciphertext | tag 16` */
export interface Sodium {
  seal(key: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Buffer;
  open(key: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Buffer;
}

export function sodiumNative(): Sodium {
  const modules = installed("foreign", ["sodium-native@5.1.0"]);
  const sodium = createRequire(join(modules, "..", "package.json"))("sodium-native");
  return {
    seal(key, aad, plaintext) {
      const sealed = Buffer.allocUnsafe(NONCE_BYTES + plaintext.length + TAG_BYTES);
      const nonce = sealed.subarray(0, NONCE_BYTES);
      sodium.randombytes_buf(nonce);
      sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(sealed.subarray(NONCE_BYTES), plaintext, aad, null, nonce, key);
      return sealed;
    },
    open(key, aad, sealed) {
      const plaintext = Buffer.allocUnsafe(sealed.length - NONCE_BYTES - TAG_BYTES);
      const [nonce, rest] = [sealed.subarray(0, NONCE_BYTES), sealed.subarray(NONCE_BYTES)];
      sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(plaintext, null, rest, aad, nonce, key);
      return plaintext;
    },
  };
}

const NONCE_BYTES = 24;
const TAG_BYTES = 16;
