import {
  type CipherKey,
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  randomFillSync,
} from "node:crypto";
import { byteAt, copyOf, type OwnedBytes, ownedBytes, toBase64Url, wipe } from "../../base/bytes.ts";
import { authenticationFailed, EnvelockError } from "../../base/errors.ts";
import { DATA_KEY_BYTES, TAG_BYTES } from "../../contracts/suite.ts";
import type { BlockCipher, ChunkCipher, Engine, EngineName, OneTimeGcm, X25519 } from "./engine.ts";
import { infoOf, loadNative, missing, type Native } from "./native/load.ts";
import { nodeHmac, nodePublicHmac } from "./node-hmac.ts";
import { nodeKeyWrap } from "./node-key-wrap.ts";
import { release } from "./node-release.ts";
import { nodeSiv } from "./node-siv.ts";
import { nodeText } from "./node-text.ts";
import { createNoncePool } from "./nonce-pool.ts";
import { timingSafeEqual } from "./timing-safe-equal.ts";

const gcm: OneTimeGcm = {
  seal(key, nonce, aad, plaintext, target, offset) {
    return seal(gcmName(key.length), cipherKey(key), nonce, aad, plaintext, target, offset);
  },
  open: (key, nonce, aad, sealed, offset = 0) => {
    const plaintext = open(gcmName(key.length), cipherKey(key), nonce, aad, sealed, offset);
    return plaintext && ownedBytes(plaintext);
  },
};

function chunkCipher(key: CipherKey): ChunkCipher {
  return {
    seal: (nonce, plaintext, target, offset) => seal("aes-256-gcm", key, nonce, NO_BYTES, plaintext, target, offset),
    open(nonce, sealed, target, offset) {
      const plaintext = open("aes-256-gcm", key, nonce, NO_BYTES, sealed, 0);
      if (plaintext === undefined) throw authenticationFailed();
      const { length } = plaintext; // `release` empties it
      target.set(plaintext, offset);
      release(plaintext);
      return length;
    },
    openAlone(nonce, body, offset) {
      const plaintext = open("aes-256-gcm", key, nonce, NO_BYTES, body, offset);
      return plaintext && ownedBytes(plaintext);
    },
  };
}

function seal(
  name: GcmName,
  key: CipherKey,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
  target: Uint8Array,
  offset: number,
): number {
  const cipher = createCipheriv(name, key, nonce);
  if (aad.length > 0) cipher.setAAD(aad);
  let length = 0;
  if (plaintext.length > 0) {
    const ciphertext = cipher.update(plaintext);
    length = ciphertext.length; // `release` empties it
    target.set(ciphertext, offset);
    release(ciphertext);
  }
  cipher.final();
  const tag = cipher.getAuthTag();
  target.set(tag, offset + length);
  return length + tag.length;
}

// Without `authTagLength`, decipher objects take tags of 4 bytes; `update` hands out plaintext before `final` has checked the tag.
function open(
  name: GcmName,
  key: CipherKey,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
  offset: number,
): Uint8Array | undefined {
  const decipher = createDecipheriv(name, key, nonce, TAG_OPTION);
  const end = sealed.length - TAG_BYTES;
  if (aad.length > 0) decipher.setAAD(aad);
  for (let at = 0; at < TAG_BYTES; at++) TAG[at] = byteAt(sealed, end + at); // a view of it costs more
  decipher.setAuthTag(TAG);
  const plaintext = end === offset ? new Uint8Array(0) : decipher.update(viewIn(sealed, offset, end - offset));
  try {
    decipher.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    return undefined;
  }
}

/** A Buffer's own `subarray` takes as long as some ciphers. */
function viewIn(bytes: Uint8Array, offset: number, length: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + offset, length);
}

function blockCipher(key: Uint8Array): BlockCipher {
  const cipher = createCipheriv("aes-256-ecb", cipherKey(key), null).setAutoPadding(false);
  return { encrypt: (blocks) => cipher.update(blocks), destroy: () => undefined };
}

// Key objects are kept, and public keys go in and out as JWK: OpenSSL's DER decoder takes longer than the agreement itself.
const x25519: X25519 = {
  keyPair(secretKey) {
    const { privateKey, publicKey } = secretKey === undefined ? generated() : given(secretKey);
    return {
      publicKey,
      sharedSecret(peer) {
        const theirs = createPublicKey({ key: { kty: "OKP", crv: "X25519", x: toBase64Url(peer) }, format: "jwk" });
        try {
          return copyOf(diffieHellman({ privateKey, publicKey: theirs }));
        } catch {
          return undefined;
        }
      },
    };
  },
};

// node:crypto moves an array of this size out of the collector's heap before it fills it, which costs more than this copy.
function randomKey(bytes: number): OwnedBytes {
  if (bytes !== KEY_SCRATCH.length) return randomFillSync(new Uint8Array(bytes));
  const key = copyOf(randomFillSync(KEY_SCRATCH));
  wipe(KEY_SCRATCH);
  return key;
}

/**
 * Makes a key and encodes its public half within the one call. An export afterwards would hold the key's lock while it allocates, and the
 * collector may then finalize the finished call, which wants the same lock: Node 20 stands still for ever, after some thousand keys.
 */
function generated(): X25519Pair {
  const pair: { readonly privateKey: KeyObject; readonly publicKey: unknown } = generateKeyPairSync("x25519", SPKI_DER);
  const { privateKey, publicKey } = pair;
  if (!(publicKey instanceof Uint8Array)) throw new EnvelockError("provider-failure", "this runtime does not encode X25519 keys");
  return { privateKey, publicKey: copyOf(publicKey.subarray(X25519_SPKI.length)) };
}

function given(secretKey: Uint8Array): X25519Pair {
  const privateKey = x25519Private(secretKey);
  const { x = "" } = createPublicKey(privateKey).export({ format: "jwk" });
  return { privateKey, publicKey: copyOf(Buffer.from(x, "base64url")) };
}

interface X25519Pair {
  readonly privateKey: KeyObject;
  readonly publicKey: OwnedBytes;
}

function x25519Private(secretKey: Uint8Array): KeyObject {
  const der = Buffer.concat([X25519_PKCS8, secretKey]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  der.fill(0);
  return key;
}

function cipherKey(key: Uint8Array): CipherKey {
  return SLOW_RAW_KEYS ? createSecretKey(key) : key;
}

function gcmName(keyBytes: number): GcmName {
  return keyBytes === 16 ? "aes-128-gcm" : "aes-256-gcm";
}

type GcmName = "aes-128-gcm" | "aes-256-gcm";

const TAG_OPTION = { authTagLength: TAG_BYTES } as const;
const NO_BYTES: Uint8Array = new Uint8Array(0);
const TAG: Uint8Array = new Uint8Array(new ArrayBuffer(TAG_BYTES));
const FEW_CHUNKS = 16; // a key object takes as long to make as it saves with so many
const ZEROED_BYTES = 4096; // below this, zeroing costs less than the detour through Buffer
const SPKI_DER = { publicKeyEncoding: { type: "spki", format: "der" } } as const;
const KEY_SCRATCH: OwnedBytes = new Uint8Array(new ArrayBuffer(DATA_KEY_BYTES));
const X25519_SPKI: Uint8Array = Buffer.from("302a300506032b656e032100", "hex");
const X25519_PKCS8: Uint8Array = Buffer.from("302e020100300506032b656e04220420", "hex");

// Node 24.17 to 24.21 take 20 µs more for every call with a raw key; a KeyObject made for one call takes 2.
const SLOW_RAW_KEYS: boolean = ((): boolean => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  return major === 24 && minor >= 17;
})();

/** node:crypto, tuned: what costs time here is the number of native calls and small buffers, not AES. */
export const nodeCrypto: Omit<Engine, "name" | "coarse" | "info" | "withoutNative"> = {
  allocate: (bytes) => (bytes < ZEROED_BYTES ? new Uint8Array(bytes) : new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer)),
  randomNonce: createNoncePool((target) => randomFillSync(target)),
  randomKey,
  text: nodeText,
  timingSafeEqual,
  hmac: (hash, key, ...parts) => nodeHmac(hash, key, parts),
  publicHmac: (hash, key, ...parts) => nodePublicHmac(hash, key, parts),
  gcm,
  chunkCipher: (key, chunks) => chunkCipher(chunks > FEW_CHUNKS ? createSecretKey(key) : cipherKey(key)),
  blockCipher,
  siv: nodeSiv,
  keyWrap: nodeKeyWrap(cipherKey),
  x25519,
};

/** @param from the module from which `@envelock/native` is looked for, once, when it is first needed */
export function nodeEngine(name: EngineName, from: string | undefined): Engine {
  let native: Native | undefined;
  const nativeOnce = (): Native => {
    native ??= loadNative(from, (bytes) => made.allocate(bytes));
    return native;
  };
  const made: Engine = {
    ...nodeCrypto,
    name,
    randomKey: (bytes) => nativeOnce().coarse?.randomKey(bytes) ?? randomKey(bytes),
    get coarse() {
      return nativeOnce().coarse;
    },
    info: () => infoOf(nativeOnce()),
    withoutNative(message) {
      native = missing("refused", message);
    },
  };
  return made;
}

/** node:crypto, and `@envelock/native` for whole constructions where that is installed. */
export const engine: Engine = nodeEngine("node", import.meta.url);
