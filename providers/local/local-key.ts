import { engine } from "#engine";
import { WRAP_ALGORITHMS } from "../../src/algorithms.ts";
import { isBytes } from "../../src/bytes.ts";
import { Xaes256Gcm } from "../../src/crypto/xaes.ts";
import { EnvelockError, invalidArgument } from "../../src/errors.ts";
import type { KeyProvider } from "../../src/key-provider.ts";

export interface LocalKeyOptions {
  /** Names this exact key for ever, such as `orders-2026-11`. 1 to 512 bytes. */
  readonly keyId: string;
  /** 32 random bytes; copied. */
  readonly key: Uint8Array;
}

/** An AES-256 KEK in this process: XAES-256-GCM, which authenticates the key context. */
export function localKey({ keyId, key }: LocalKeyOptions): KeyProvider {
  if (!isBytes(key) || key.length !== 32) throw invalidArgument("a local key has 32 bytes");
  let cipher: Xaes256Gcm | undefined = new Xaes256Gcm(key);
  const live = (): Xaes256Gcm => {
    if (cipher === undefined) throw new EnvelockError("closed", "this local key has been closed");
    return cipher;
  };
  return {
    name: "local",
    owns: (id) => id === keyId,
    async wrap(dek, { wrapAad, signal }) {
      signal?.throwIfAborted();
      const nonce = engine.randomNonce(24);
      const wrapped = new Uint8Array(72);
      wrapped.set(nonce);
      live().seal(nonce, wrapAad(keyId), dek, wrapped, 24);
      return { provider: "local", keyId, alg: WRAP_ALGORITHMS.xaes256Gcm, wrapped };
    },
    async unwrap({ keyId: id, alg, wrapped }, { wrapAad, signal }) {
      signal?.throwIfAborted();
      const kek = live();
      const dek =
        id === keyId && alg === WRAP_ALGORITHMS.xaes256Gcm && wrapped.length === 72
          ? kek.open(wrapped.subarray(0, 24), wrapAad(id), wrapped.subarray(24))
          : undefined;
      if (dek === undefined) throw new EnvelockError("unwrap-rejected", "the local key did not wrap this data key in this context");
      return dek;
    },
    async current() {
      live();
      return keyId;
    },
    async close() {
      cipher = undefined;
    },
  };
}
