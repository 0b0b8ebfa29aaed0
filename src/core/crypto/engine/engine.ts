/**
 * What the core needs of a runtime's cryptography. `#engine` in the package's import map picks the implementation: `node.ts` over
 * node:crypto, `node-wasm.ts` over that and a WebAssembly module, `portable.ts` over WebCrypto, the module and noble. All make the same
 * bytes, and the whole core suite runs on each.
 *
 * Lengths are checked by the callers, once, where bytes are parsed.
 */
export interface Engine {
  readonly name: EngineName;

  /** Memory with whatever was there before. The caller writes every byte and proves it with `requireFilled`, or wipes the array. */
  allocate(bytes: number): Uint8Array<ArrayBuffer>;

  /** Fills from a small pool that is wiped as it is used: for nonces and salts. */
  randomNonce(bytes: number): Uint8Array<ArrayBuffer>;

  /** Straight from the runtime's generator, past the pool: for keys. */
  randomKey(bytes: number): Uint8Array<ArrayBuffer>;

  /** Texts of bytes and back, as `bytes.ts` does it, by the runtime's own means. */
  readonly text: TextCodec;

  /** Compares in time that depends on the lengths alone. */
  timingSafeEqual(a: Uint8Array, b: Uint8Array): boolean;

  /** HMAC of the parts, joined. The caller owns the result and wipes it if it is secret. */
  hmac(hash: HmacHash, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array;

  /** The same for a result that is public, such as a commitment: copies of it may stay behind. */
  publicHmac(hash: HmacHash, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array;

  /** AES-GCM with a 12-byte nonce and a 16-byte tag, for a key that is used once. Sync. */
  readonly gcm: OneTimeGcm;

  /**
   * AES-256-GCM under one key for the chunks of a body. Node answers at once, the web with promises.
   *
   * @param chunks how many there may be. For few the key is read with each of them, so it must stay until then; for many it is copied
   */
  chunkCipher(key: Uint8Array, chunks: number): ChunkCipher;

  /** AES-256 on single blocks, for key derivation (XAES). The key schedule is kept. */
  blockCipher(key: Uint8Array): BlockCipher;

  /** AES-SIV (RFC 5297), key of 32, 48 or 64 bytes. */
  siv(key: Uint8Array): Siv;

  /** AES key wrap (RFC 3394), key of 16, 24 or 32 bytes. */
  readonly keyWrap: KeyWrap;

  readonly x25519: X25519;

  /** Whole constructions in one call, where this engine has them. What it needs for them is loaded when this is first read. */
  readonly coarse: CoarseEngine | undefined;

  /** Tells what does the work. Loads what `coarse` needs. */
  info(): EngineInfo;

  /**
   * Goes without the native package from now on, for a program whose user says so. Keys that have begun with it stay with it. Absent where
   * it is never taken.
   */
  withoutNative?(message: string): void;
}

/** `node-native` is `node` with `@envelock/native`, `node-wasm` is `node` with the WebAssembly module. */
export type EngineName = "node" | "node-native" | "node-wasm" | "portable";

/** What does the cryptography in this thread. */
export interface EngineInfo {
  readonly name: EngineName;
  /** The native package, where it does the work. */
  readonly native?: NativeInfo;
  /** The faster part that the engine goes without, and why. Absent where it goes without none. */
  readonly without?: MissingPart;
}

export interface NativeInfo {
  /** The version of the package, which is that of Envelock. */
  readonly version: string;
  /** The folder of the package that was loaded, such as `linux-x64`. */
  readonly platform: string;
  /** The version of the OpenSSL in this runtime, which does the work. */
  readonly openssl: string;
  /** Whether OpenSSL was in FIPS mode when the package was loaded. A later change does not reach it. */
  readonly isFips: boolean;
}

export interface MissingPart {
  readonly part: "native" | "wasm";
  /**
   * `not-installed`: there is no package. `wrong-version`: it is not of the version of Envelock. `no-build`: it has no file for this
   * platform. `not-loadable`: the runtime does not load it. `wrong-answers`: it failed its self-test. `refused`: the program said so.
   */
  readonly reason: MissingReason;
  /** The reason in words. */
  readonly message: string;
}

export type MissingReason = "not-installed" | "wrong-version" | "no-build" | "not-loadable" | "wrong-answers" | "refused";

/**
 * Whole constructions in one call: what costs time for small values is the number of calls, not AES. Makes the same bytes as the fine
 * operations above.
 *
 * `undefined` declines: the caller goes the fine way, which takes everything. Nothing was written then. Bytes that go in are read before
 * the call returns and not kept, except where `destroy` says so. No operation runs a caller's code.
 */
export interface CoarseEngine {
  /** Draws a key straight from the runtime's generator, past any pool. The caller owns the result. */
  randomKey(bytes: number): Uint8Array<ArrayBuffer> | undefined;

  /** @param key 32 bytes */
  xaes(key: Uint8Array): CoarseXaes | undefined;

  /** HKDF-Expand (RFC 5869 §2.3), of which the caller has checked the lengths. The caller owns the result. */
  expand(hash: HmacHash, key: Uint8Array, info: readonly Uint8Array[], bytes: number): Uint8Array | undefined;

  /**
   * Writes a whole Cobblestone-256 body, `salt 24 | commitment 32 | chunks`, into `target` at `offset`.
   *
   * @param inputKey 32 bytes
   * @param info that of the body's keys: the salt stands in it
   * @returns how many bytes were written, counted from the output
   */
  sealBody(
    inputKey: Uint8Array,
    salt: Uint8Array,
    info: readonly Uint8Array[],
    plaintext: Uint8Array,
    target: Uint8Array,
    offset: number,
  ): number | undefined;

  /** Opens a whole body, its commitment included. The caller has checked that a body may have this length. */
  openBody(inputKey: Uint8Array, info: readonly Uint8Array[], body: Uint8Array): Opened | undefined;

  /**
   * Seals a run of neighbouring chunks of one body into `target` at `offset`, the first of them being number `firstChunk`.
   *
   * @param isEnd whether the body ends with them: adds the short last chunk. Otherwise `plaintext` is whole chunks
   * @returns how many bytes were written, counted from the output
   */
  sealChunks(
    keys: ChunkKeys,
    firstChunk: number,
    plaintext: Uint8Array,
    isEnd: boolean,
    target: Uint8Array,
    offset: number,
  ): number | undefined;

  /**
   * Opens such a run into `target` at `offset`. Wipes what it wrote there if a tag does not fit.
   *
   * @returns how many bytes were written, or `false` if a tag does not fit
   */
  openChunks(keys: ChunkKeys, firstChunk: number, sealed: Uint8Array, target: Uint8Array, offset: number): number | false | undefined;
}

/** The parts of a body's keys that its chunks need: 32 and 12 bytes. */
export interface ChunkKeys {
  readonly key: Uint8Array;
  readonly base: Uint8Array;
}

/** The plaintext in its own ArrayBuffer, or `false` if a tag or a commitment does not fit. */
export type Opened = Uint8Array<ArrayBuffer> | false;

/** XAES-256-GCM under one key, which is kept until `destroy`. */
export interface CoarseXaes {
  /** Writes `nonce 24 | ciphertext | tag 16` under a new random nonce. Returns how many bytes were written, counted from the output. */
  sealFresh(aad: Uint8Array, plaintext: Uint8Array, target: Uint8Array, offset: number): number | undefined;
  /** Writes `ciphertext | tag 16`, for vectors alone. A nonce that is used twice gives both plaintexts away. */
  dangerSealWithNonce(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array, target: Uint8Array, offset: number): number | undefined;
  /** Opens `nonce 24 | ciphertext | tag 16`, which begins at `offset` and ends the array. */
  open(aad: Uint8Array, sealed: Uint8Array, offset: number): Opened | undefined;
  /** Seals text to base64url of `prefix | nonce 24 | ciphertext | tag 16`. Declines text with a lone surrogate. */
  sealText(aad: Uint8Array, prefix: Uint8Array, text: string): string | undefined;
  /** Opens what `sealText` makes. Declines another prefix, and what is not base64url or not UTF-8. */
  openText(aad: Uint8Array, prefix: Uint8Array, token: string): string | false | undefined;
  /** Wipes the key. Not to be used after. */
  destroy(): void;
}

export interface TextCodec {
  /** base64url without padding, of the first `length` bytes. */
  toBase64Url(bytes: Uint8Array, length: number): string;
  /** What is fastest to make texts of, again and again. */
  scratch(bytes: number): Uint8Array;
  /** Bytes for the library's own use, for they may stand in shared memory; undefined for all but the one text of some bytes. */
  fromBase64Url(text: string): Uint8Array | undefined;
  /**
   * Calls `use` with the UTF-8 of well-formed text, or with undefined for text that holds a lone surrogate. The bytes are wiped once
   * `use` has returned or thrown, so it must not keep them.
   */
  withUtf8<R>(text: string, use: (bytes: Uint8Array | undefined) => R): R;
  /** The text, or undefined if the bytes are not well-formed UTF-8. */
  fromUtf8(bytes: Uint8Array): string | undefined;
}

export type HmacHash = "sha256" | "sha512";

export interface OneTimeGcm {
  /** Writes ciphertext and tag, `plaintext.length + 16` bytes, into `target` at `offset`. Returns how many bytes it wrote. */
  seal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array, target: Uint8Array, offset: number): number;
  /** The plaintext in its own ArrayBuffer, or undefined if the tag does not fit. What is sealed begins at `offset` and ends in the tag. */
  open(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array, offset?: number): Uint8Array<ArrayBuffer> | undefined;
}

/** The number of bytes that were written, counted from the output. Known at once on Node, promised on the web. */
export type Written = number | Promise<number>;

/** A nonce is read before the call returns, also where the call goes on as a promise: the caller writes the next one into its array. */
export interface ChunkCipher {
  /** Writes `plaintext.length + 16` bytes into `target` at `offset`. AAD is empty. */
  seal(nonce: Uint8Array, plaintext: Uint8Array, target: Uint8Array, offset: number): Written;
  /**
   * Writes the plaintext into `target` at `offset` only once the tag is verified.
   * @throws `authentication-failed` if it does not fit
   */
  open(nonce: Uint8Array, sealed: Uint8Array, target: Uint8Array, offset: number): Written;
  /**
   * Opens the only chunk of a body, which begins at `offset` and ends the array: the plaintext in its own ArrayBuffer, or undefined if the
   * tag does not fit. Absent where that saves no copy.
   */
  openAlone?(nonce: Uint8Array, body: Uint8Array, offset: number): Uint8Array<ArrayBuffer> | undefined;
}

export interface BlockCipher {
  /** Encrypts each 16-byte block of `blocks` on its own. The result is the caller's, to wipe. */
  encrypt(blocks: Uint8Array): Uint8Array;
  /** Wipes the copies of the key that can be wiped. Not to be used after. */
  destroy(): void;
}

export interface Siv {
  /** `SIV 16 | ciphertext`. */
  seal(associated: readonly Uint8Array[], plaintext: Uint8Array): Uint8Array<ArrayBuffer>;
  open(associated: readonly Uint8Array[], sealed: Uint8Array): Uint8Array<ArrayBuffer> | undefined;
  /** Wipes what is derived from the key and can be wiped. Not to be used after. */
  destroy(): void;
}

export interface KeyWrap {
  /** `key` of 16 bytes or more in multiples of 8; the result is 8 bytes longer. */
  wrap(kek: Uint8Array, key: Uint8Array): Uint8Array<ArrayBuffer>;
  open(kek: Uint8Array, wrapped: Uint8Array): Uint8Array<ArrayBuffer> | undefined;
}

export interface X25519 {
  /**
   * The pair of a secret key, or a new one.
   *
   * @param secretKey 32 bytes; stays the caller's. The caller wipes it once the pair is no longer used
   */
  keyPair(secretKey?: Uint8Array): X25519KeyPair;
}

export interface X25519KeyPair {
  readonly publicKey: Uint8Array<ArrayBuffer>;
  /** Undefined if the result is all zero (RFC 7748 §6.1): a public key of small order. */
  sharedSecret(publicKey: Uint8Array): Uint8Array<ArrayBuffer> | undefined;
}
