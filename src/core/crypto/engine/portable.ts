import { aeskw, aessiv, ecb, gcm as nobleGcm } from "@noble/ciphers/aes.js";
import { x25519 as nobleX25519 } from "@noble/curves/ed25519.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256, sha512 } from "@noble/hashes/sha2.js";
import { concatBytes, copyOf, fromBase64Url, ownedBytes, textOf, toBase64Url, wellFormedUtf8, wipe, wiping } from "../../base/bytes.ts";
import { authenticationFailed } from "../../base/errors.ts";
import { TAG_BYTES, XAES_KEY_BYTES } from "../../contracts/suite.ts";
import type { BlockCipher, ChunkCipher, CoarseEngine, Engine, HmacHash, KeyWrap, OneTimeGcm, Siv, X25519 } from "./engine.ts";
import { requireWrappable } from "./key-wrap.ts";
import { createNoncePool } from "./nonce-pool.ts";
import { timingSafeEqual } from "./timing-safe-equal.ts";
import { type WasmRuntime, wasmCoarse } from "./wasm/coarse.ts";
import { wasmBlockCipher, wasmGcm, wasmHmac, wasmSiv } from "./wasm/fine.ts";
import { type Wasm, wasmInfo, wasmInstance } from "./wasm/instance.ts";
import { webTextIn } from "./wasm/text-in-memory.ts";

const nobleOneTime: OneTimeGcm = {
  seal(key, nonce, aad, plaintext, target, offset) {
    return put(nobleGcm(key, nonce, aad).encrypt(plaintext), target, offset);
  },
  open: (key, nonce, aad, sealed, offset = 0) => refused(() => nobleGcm(key, nonce, aad).decrypt(sealed.subarray(offset))),
};

function chunkCipher(key: Uint8Array): ChunkCipher {
  const imported = crypto.subtle.importKey("raw", copyOf(key), "AES-GCM", false, ["encrypt", "decrypt"]);
  return {
    async seal(nonce, plaintext, target, offset) {
      const sealed = await crypto.subtle.encrypt(gcmParameters(nonce), await imported, ownedView(plaintext));
      return put(new Uint8Array(sealed), target, offset);
    },
    async open(nonce, sealed, target, offset) {
      const parameters = gcmParameters(nonce); // before anything is waited for
      const key = await imported;
      const plaintext = await crypto.subtle.decrypt(parameters, key, ownedView(sealed)).catch(() => {
        throw authenticationFailed();
      });
      return put(new Uint8Array(plaintext), target, offset);
    },
  };
}

function put(output: Uint8Array, target: Uint8Array, offset: number): number {
  target.set(output, offset);
  return output.length;
}

function gcmParameters(nonce: Uint8Array): AesGcmParams {
  return { name: "AES-GCM", iv: copyOf(nonce), tagLength: 8 * TAG_BYTES };
}

/** WebCrypto takes no view of shared memory. */
function ownedView(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes;
  return buffer instanceof ArrayBuffer ? new Uint8Array(buffer, bytes.byteOffset, bytes.byteLength) : copyOf(bytes);
}

const gcm: OneTimeGcm = {
  seal: (...call) => fine().gcm.seal(...call),
  open: (...call) => fine().gcm.open(...call),
};

function blockCipher(key: Uint8Array): BlockCipher {
  const wasm = key.length === XAES_KEY_BYTES ? wasmInstance() : undefined;
  if (wasm !== undefined) return wasmBlockCipher(wasm, key);
  const kept = copyOf(key);
  return { encrypt: (blocks) => ecb(kept, { disablePadding: true }).encrypt(blocks), destroy: () => wipe(kept) };
}

function siv(key: Uint8Array): Siv {
  const wasm = key.length === 2 * XAES_KEY_BYTES ? wasmInstance() : undefined;
  if (wasm !== undefined) return wasmSiv(wasm, key);
  const kept = copyOf(key);
  return {
    seal: (associated, plaintext) => ownedBytes(aessiv(kept, ...associated).encrypt(plaintext)),
    open: (associated, sealed) => refused(() => aessiv(kept, ...associated).decrypt(sealed)),
    destroy: () => wipe(kept),
  };
}

const keyWrap: KeyWrap = {
  wrap(kek, key) {
    requireWrappable(key);
    return ownedBytes(aeskw(kek).encrypt(key));
  },
  open: (kek, wrapped) => refused(() => aeskw(kek).decrypt(wrapped)),
};

const x25519: X25519 = {
  keyPair: (secretKey = nobleX25519.utils.randomSecretKey()) => ({
    publicKey: ownedBytes(nobleX25519.getPublicKey(secretKey)),
    sharedSecret: (peer) => refused(() => nobleX25519.getSharedSecret(secretKey, peer)),
  }),
};

/** noble throws for a tag that does not fit; lengths were checked before. */
function refused(open: () => Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  try {
    return ownedBytes(open());
  } catch {
    return undefined;
  }
}

/** The parts that the module, which is made at the first use, takes over from noble. */
function fine(): { readonly gcm: OneTimeGcm; readonly coarse: CoarseEngine | undefined; readonly wasm: Wasm | undefined } {
  if (made === undefined) {
    const wasm = wasmInstance();
    made =
      wasm === undefined
        ? { gcm: nobleOneTime, coarse: undefined, wasm }
        : { gcm: wasmGcm(wasm, nobleOneTime), coarse: wasmCoarse(wasm, RUNTIME), wasm };
  }
  return made;
}

function portableHmac(hash: HmacHash, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  return hash === "sha256" ? hmac(sha256, key, concatBytes(...parts)) : sha512Hmac(key, parts);
}

function sha512Hmac(key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  const { wasm } = fine();
  return (wasm === undefined ? undefined : wasmHmac(wasm, key, parts)) ?? hmac(sha512, key, concatBytes(...parts));
}

/** The least length from which two calls of WebCrypto, which have to be awaited, take less time than the module. */
const MAX_BODY_BYTES = 8192;
const RUNTIME: WasmRuntime = {
  fillRandom: (target) => crypto.getRandomValues(target),
  textIn: webTextIn,
  maxXaesBytes: Number.POSITIVE_INFINITY,
  maxBodyBytes: MAX_BODY_BYTES,
};
let made: ReturnType<typeof fine> | undefined;

/**
 * WebCrypto for what may be awaited, the WebAssembly module for what is small or must be sync. Where there is no such module, noble, whose
 * AES uses tables: not constant time, see docs/threat-model.md.
 */
export const engine: Engine = {
  name: "portable",
  allocate: (bytes) => new Uint8Array(bytes),
  randomNonce: createNoncePool((target) => crypto.getRandomValues(target)),
  randomKey: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
  text: {
    toBase64Url: (bytes, length) => toBase64Url(bytes.subarray(0, length)),
    scratch: (bytes) => new Uint8Array(bytes),
    fromBase64Url,
    withUtf8(text, use) {
      const bytes = wellFormedUtf8(text);
      return bytes === undefined ? use(undefined) : wiping(bytes, use);
    },
    fromUtf8: textOf,
  },
  timingSafeEqual,
  hmac: portableHmac,
  publicHmac: portableHmac,
  gcm,
  chunkCipher,
  blockCipher,
  siv,
  keyWrap,
  x25519,
  get coarse() {
    return fine().coarse;
  },
  info: () => wasmInfo("portable"),
};
