/// <reference lib="esnext.disposable" preserve="true" />

import { engine } from "#engine";
import { ascii, byteAt, concatBytes, copyOf, isBytes, type OwnedBytes, toHex, viewOf, wipe } from "../base/bytes.ts";
import { type Context, type ContextPlan, KeyContext } from "../base/context.ts";
import { authenticationFailed, EnvelockError, invalidArgument, malformed } from "../base/errors.ts";
import { requireFilled } from "../base/filled.ts";
import { markClass } from "../base/own-class.ts";
import {
  BODY_KEY_BYTES,
  DATA_KEY_BYTES,
  DETERMINISTIC_KEY_BYTES,
  INDEX_KEY_BYTES,
  KEY_COMMIT_BYTES,
  KID_BYTES,
  SUITE_HASH,
  suiteInfo,
  TOKEN_KEY_BYTES,
} from "../contracts/suite.ts";
import type { Siv } from "../crypto/engine/engine.ts";
import { hkdfExpand } from "../crypto/hkdf.ts";
import { Xaes256Gcm } from "../crypto/xaes.ts";
import {
  DETERMINISTIC_TOKEN_HEAD,
  TOKEN_HEAD,
  TOKEN_OVERHEAD_BYTES,
  TOKEN_PREFIX_BYTES,
  type TokenKind,
  tokenBytes,
  tokenKind,
} from "../format/token.ts";

// Filled by DataKey's static block with functions for the core that the public surface must not have.
let secretOf: (key: DataKey) => Uint8Array;
let commitmentIn: (key: DataKey) => Uint8Array;
let bodyKeyIn: (key: DataKey) => Uint8Array;
let sealIn: (key: DataKey, plan: ContextPlan, context: Context, plaintext: Uint8Array, target: Uint8Array) => number;
let openIn: (key: DataKey, plan: ContextPlan, context: Context, token: Uint8Array) => OwnedBytes;
let sealTextIn: (key: DataKey, plan: ContextPlan, context: Context, text: string) => string | undefined;
let openTextIn: (key: DataKey, plan: ContextPlan, context: Context, token: string) => string | undefined;
let indexKeyIn: (key: DataKey, context: Context) => Uint8Array;

/**
 * A data key: 32 secret bytes, the key context that they belong to, and the keys derived from both.
 *
 * Derived keys are made when first needed and kept until `destroy()`, which wipes the secret and drops the rest. Wiping is best effort: the
 * engine's cipher objects hold copies until the garbage collector frees them. No property, `JSON.stringify` or `inspect` reveals a secret.
 *
 * @see docs/format.md §1, §5
 * @example
 * ```ts
 * import { DataKey } from "envelock";
 *
 * const key = DataKey.generate({ tenant: "acme" });
 * const token = key.encryptToken(new TextEncoder().encode("ada@example.org"), { table: "users" });
 * key.destroy();
 * ```
 */
export class DataKey {
  readonly #keyContext: KeyContext;
  readonly #secret: Uint8Array;
  #keyCommit: Uint8Array | undefined;
  #bodyKey: Uint8Array | undefined;
  #tokenCipher: Xaes256Gcm | undefined;
  /** The fixed part of a token's AAD, with room for the context behind it. */
  #tokenAad: Uint8Array | undefined;
  /** The latest view of it. A new view costs as much as writing the context, and most views have the same length. */
  #aadView: Uint8Array | undefined;
  /** The beginning of its tokens. */
  #tokenPrefix: Uint8Array | undefined;
  #deterministicCipher: Siv | undefined;
  /** Keyed by encoded context. Most keys index nothing. */
  #indexKeys: Map<string, Uint8Array> | undefined;
  #isDestroyed = false;

  static {
    markClass(DataKey.prototype, "DataKey");
    secretOf = (key) => key.#live();
    commitmentIn = (key) => key.#commitment();
    bodyKeyIn = (key) => key.#bodyInputKey();
    sealIn = (key, plan, context, plaintext, target) => key.#sealToken(plan, context, plaintext, target);
    openIn = (key, plan, context, token) => key.#openToken(plan, context, token);
    sealTextIn = (key, plan, context, text) => key.#sealText(plan, context, text);
    openTextIn = (key, plan, context, token) => key.#openText(plan, context, token);
    indexKeyIn = (key, context) => key.#indexKey(context);
  }

  /** For the core: use `DataKey.generate` or `DataKey.from`. Checks nothing. Takes ownership of `secret` and wipes it with the key. */
  constructor(secret: Uint8Array, keyContext: KeyContext) {
    this.#secret = secret;
    this.#keyContext = keyContext;
  }

  /**
   * Makes a new random data key.
   *
   * @param keyContext the part of the context that is fixed for this key, such as tenant and purpose
   * @throws `invalid-argument` for a bad context
   */
  static generate(keyContext?: Context): DataKey {
    return generateDataKey(new KeyContext(keyContext));
  }

  /**
   * Makes a data key from bytes of another source.
   *
   * @param secret 32 uniformly random bytes; copied, so the caller wipes its own
   * @throws `invalid-argument` for another length or a bad context
   */
  static from(secret: Uint8Array, keyContext?: Context): DataKey {
    if (!isBytes(secret) || secret.length !== DATA_KEY_BYTES) throw invalidArgument(`a data key has ${DATA_KEY_BYTES} bytes`);
    const context = new KeyContext(keyContext);
    return new DataKey(copyOf(secret), context);
  }

  /** The commitment to key, suite and key context: 32 public bytes, a copy. @throws `closed` after `destroy()` */
  get keyCommit(): OwnedBytes {
    return copyOf(this.#commitment());
  }

  /** The name of this key in tokens: the first 16 bytes of `keyCommit`, in hex. @throws `closed` after `destroy()` */
  get kid(): string {
    return toHex(this.#commitment().subarray(0, KID_BYTES));
  }

  /**
   * Encrypts a value to a random token: two tokens of one value differ. Synchronous.
   *
   * @param context what the value belongs to (table, column, row), beside the key context; never stored
   * @returns `plaintext.length + 57` bytes in their own ArrayBuffer
   * @throws `invalid-argument`, `closed`
   */
  encryptToken(plaintext: Uint8Array, context?: Context): OwnedBytes {
    if (!isBytes(plaintext)) throw invalidArgument("plaintext must be a Uint8Array");
    const steady = viewOf(plaintext);
    const token = engine.allocate(steady.length + TOKEN_OVERHEAD_BYTES);
    return requireFilled(token, this.#sealToken(this.#keyContext, context, steady, token));
  }

  /**
   * Decrypts a random token of this key. Synchronous.
   *
   * @param token bytes, or base64url without padding
   * @returns the plaintext in its own ArrayBuffer
   * @throws `malformed-envelope` if it is no random token; `authentication-failed` if key or context do not fit, or it was changed;
   *   `invalid-argument`, `closed`
   */
  decryptToken(token: Uint8Array | string, context?: Context): OwnedBytes {
    return this.#openToken(this.#keyContext, context, tokenBytes(token));
  }

  /**
   * Encrypts a value to a deterministic token: equal values under one key and context give equal tokens. So equality shows. Synchronous.
   *
   * @param context the context of the column; one that names the row would defeat the purpose
   * @returns `plaintext.length + 33` bytes in their own ArrayBuffer
   * @throws `invalid-argument`, `closed`
   */
  encryptDeterministic(plaintext: Uint8Array, context?: Context): OwnedBytes {
    if (!isBytes(plaintext)) throw invalidArgument("plaintext must be a Uint8Array");
    const prefix = this.#deterministicPrefix();
    const aad = this.#deterministicAad(prefix, context);
    return concatBytes(prefix, this.#deterministic().seal(aad, viewOf(plaintext)));
  }

  /**
   * Decrypts a deterministic token of this key. Synchronous.
   *
   * @param token bytes, or base64url without padding
   * @returns the plaintext in its own ArrayBuffer
   * @throws `malformed-envelope` if it is no deterministic token; `authentication-failed` if key or context do not fit, or it was
   *   changed; `invalid-argument`, `closed`
   */
  decryptDeterministic(token: Uint8Array | string, context?: Context): OwnedBytes {
    const bytes = tokenBytes(token);
    this.#requireOwn(bytes, "deterministic-token");
    const aad = this.#deterministicAad(this.#deterministicPrefix(), context);
    return opened(this.#deterministic().open(aad, bytes.subarray(TOKEN_PREFIX_BYTES)));
  }

  /** Wipes the key and drops all that was derived from it. A second call does nothing; any other later call throws `closed`. */
  destroy(): void {
    this.#isDestroyed = true;
    wipe(this.#secret, this.#bodyKey);
    this.#tokenCipher?.destroy();
    this.#tokenCipher = undefined;
    this.#deterministicCipher?.destroy();
    this.#deterministicCipher = undefined;
    wipe(...(this.#indexKeys?.values() ?? []));
    this.#indexKeys = undefined;
  }

  [Symbol.dispose](): void {
    this.destroy();
  }

  #live(): Uint8Array {
    if (this.#isDestroyed) throw new EnvelockError("closed", "this data key has been destroyed");
    return this.#secret;
  }

  #commitment(): Uint8Array {
    const secret = this.#live();
    this.#keyCommit ??= hkdfExpand(SUITE_HASH, secret, [KEY_COMMIT_INFO, this.#keyContext.bytes], KEY_COMMIT_BYTES, 0);
    return this.#keyCommit;
  }

  #bodyInputKey(): Uint8Array {
    const secret = this.#live();
    this.#bodyKey ??= hkdfExpand(SUITE_HASH, secret, [BODY_INFO], BODY_KEY_BYTES);
    return this.#bodyKey;
  }

  #tokens(): Xaes256Gcm {
    this.#tokenCipher ??= withDerived(this.#live(), TOKEN_INFO, TOKEN_KEY_BYTES, (key) => new Xaes256Gcm(key));
    return this.#tokenCipher;
  }

  #deterministic(): Siv {
    this.#deterministicCipher ??= withDerived(this.#live(), DET_INFO, DETERMINISTIC_KEY_BYTES, (key) => engine.siv(key));
    return this.#deterministicCipher;
  }

  #indexKey(context: Context): Uint8Array {
    const encoded = this.#keyContext.encode(context);
    const secret = this.#live();
    const name = toHex(encoded);
    const known = this.#indexKeys?.get(name);
    if (known !== undefined) return known;
    const key = hkdfExpand(SUITE_HASH, secret, [INDEX_INFO, encoded], INDEX_KEY_BYTES);
    this.#indexKeys ??= new Map();
    this.#indexKeys.set(name, key);
    return key;
  }

  #sealToken(place: KeyContext | ContextPlan, context: Context | undefined, plaintext: Uint8Array, target: Uint8Array): number {
    const aad = this.#aadOfToken(place, context); // first, because reading the context may run code that destroys this key
    const cipher = this.#tokens();
    this.#writePrefix(target, TOKEN_HEAD);
    return TOKEN_PREFIX_BYTES + cipher.sealFresh(aad, plaintext, target, TOKEN_PREFIX_BYTES);
  }

  #openToken(place: KeyContext | ContextPlan, context: Context | undefined, token: Uint8Array): OwnedBytes {
    this.#requireOwn(token, "token");
    const aad = this.#aadOfToken(place, context);
    return opened(this.#tokens().open(aad, token, TOKEN_PREFIX_BYTES));
  }

  #sealText(plan: ContextPlan, context: Context, text: string): string | undefined {
    const aad = this.#aadOfToken(plan, context);
    return this.#tokens().sealText(aad, this.#ownPrefix(), text);
  }

  #openText(plan: ContextPlan, context: Context, token: string): string | undefined {
    const aad = this.#aadOfToken(plan, context);
    const opened = this.#tokens().openText(aad, this.#ownPrefix(), token);
    if (opened === false) throw authenticationFailed();
    return opened;
  }

  #ownPrefix(): Uint8Array {
    if (this.#tokenPrefix !== undefined) return this.#tokenPrefix;
    this.#tokenPrefix = new Uint8Array(TOKEN_PREFIX_BYTES);
    this.#writePrefix(this.#tokenPrefix, TOKEN_HEAD);
    return this.#tokenPrefix;
  }

  // docs/format.md §5: label | head and kid | value context. Written in place, because a fresh array costs as much as an AES call.
  #aadOfToken(place: KeyContext | ContextPlan, context: Context | undefined): Uint8Array {
    const aad = this.#tokenAad ?? this.#newTokenAad(LEAST_AAD_BYTES);
    const end = place.write(context, aad, TOKEN_AAD_BYTES);
    if (aad !== this.#tokenAad) return end <= aad.length ? aad.subarray(0, end) : this.#aadOfToken(place, context); // replaced meanwhile
    if (end <= aad.length) return this.#aadView?.length === end ? this.#aadView : this.#newAadView(aad, end);
    this.#newTokenAad(2 * end);
    return this.#aadOfToken(place, context);
  }

  #newAadView(aad: Uint8Array, end: number): Uint8Array {
    this.#aadView = aad.subarray(0, end);
    return this.#aadView;
  }

  #newTokenAad(bytes: number): Uint8Array {
    const aad = new Uint8Array(bytes);
    aad.set(TOKEN_AAD);
    this.#writePrefix(aad.subarray(TOKEN_AAD.length), TOKEN_HEAD);
    this.#tokenAad = aad;
    this.#aadView = undefined;
    return aad;
  }

  #writePrefix(target: Uint8Array, head: number): void {
    const commitment = this.#commitment();
    target[0] = head;
    for (let at = 0; at < KID_BYTES; at++) target[1 + at] = byteAt(commitment, at);
  }

  /** Refuses a token of another key before anything is opened. */
  #requireOwn(token: Uint8Array, kind: TokenKind): void {
    const found = tokenKind(token);
    if (found !== kind) throw malformed(`this is a ${found}, expected a ${kind}`);
    if (!isNamedBy(this, token)) throw authenticationFailed();
  }

  #deterministicPrefix(): Uint8Array {
    const prefix = new Uint8Array(TOKEN_PREFIX_BYTES);
    this.#writePrefix(prefix, DETERMINISTIC_TOKEN_HEAD);
    return prefix;
  }

  // docs/format.md §5: components in order, the column's context last
  #deterministicAad(prefix: Uint8Array, context: Context | undefined): readonly Uint8Array[] {
    return [concatBytes(DET_AAD, prefix), this.#keyContext.encode(context)];
  }
}

/**
 * Makes a random data key.
 *
 * @param more 32 bytes of another generator: the key is as good as the better of the two, if they are independent
 */
export function generateDataKey(keyContext: KeyContext, more?: Uint8Array): DataKey {
  const secret = engine.randomKey(DATA_KEY_BYTES);
  if (more !== undefined) for (let at = 0; at < DATA_KEY_BYTES; at++) secret[at] = byteAt(secret, at) ^ byteAt(more, at);
  return new DataKey(secret, keyContext);
}

/** Returns the Cobblestone input key: read only, kept and wiped with the data key. @throws `closed` */
export function bodyKeyOf(dataKey: DataKey): Uint8Array {
  return bodyKeyIn(dataKey);
}

/**
 * Derives the key of one blind index: read only, kept and wiped with the data key. docs/format.md §5.1
 *
 * @param context the identity of the index (table, column, name, version), beside the key context
 * @throws `closed`; `invalid-argument` for a bad context
 */
export function deriveIndexKey(dataKey: DataKey, context: Context): Uint8Array {
  return indexKeyIn(dataKey, context);
}

/**
 * Encrypts like `encryptToken`, with most of the context already encoded.
 *
 * @param plan the plan of the data key's key context and more
 * @returns the token in its own ArrayBuffer
 */
export function sealedToken(dataKey: DataKey, plan: ContextPlan, context: Context, plaintext: Uint8Array): OwnedBytes {
  const token = engine.allocate(plaintext.length + TOKEN_OVERHEAD_BYTES);
  return requireFilled(token, sealIn(dataKey, plan, context, plaintext, token));
}

/** Encrypts like `sealedToken`, to the start of `target`. Returns the length of the token. */
export function sealToken(dataKey: DataKey, plan: ContextPlan, context: Context, plaintext: Uint8Array, target: Uint8Array): number {
  return sealIn(dataKey, plan, context, plaintext, target);
}

/**
 * Encrypts text to a token as text, if the engine does both in one call.
 *
 * @returns undefined if it does not: the caller encodes the text and goes on with bytes
 */
export function sealTextToken(dataKey: DataKey, plan: ContextPlan, context: Context, text: string): string | undefined {
  return engine.coarse === undefined ? undefined : sealTextIn(dataKey, plan, context, text);
}

/**
 * Decrypts what `sealTextToken` makes.
 *
 * @returns undefined if the engine does not: the caller decodes the token, which tells what is wrong with it
 * @throws `authentication-failed`, `closed`
 */
export function openTextToken(dataKey: DataKey, plan: ContextPlan, context: Context, token: string): string | undefined {
  return engine.coarse === undefined ? undefined : openTextIn(dataKey, plan, context, token);
}

/** Decrypts like `decryptToken`, with most of the context already encoded. */
export function openToken(dataKey: DataKey, plan: ContextPlan, context: Context, token: Uint8Array): OwnedBytes {
  return openIn(dataKey, plan, context, token);
}

/** Returns the secret itself, shared: to be wrapped, never kept. @throws `closed` */
export function secretBytesOf(dataKey: DataKey): Uint8Array {
  return secretOf(dataKey);
}

/** Whether a token, or the beginning of one, names this key. @throws `closed` */
export function isNamedBy(dataKey: DataKey, token: Uint8Array): boolean {
  const commitment = commitmentIn(dataKey);
  for (let at = 0; at < KID_BYTES; at++) if (token[1 + at] !== commitment[at]) return false; // public on both sides
  return true;
}

/** Returns `keyCommit` without a copy: read only. @throws `closed` */
export function commitmentOf(dataKey: DataKey): Uint8Array {
  return commitmentIn(dataKey);
}

function withDerived<T>(secret: Uint8Array, info: Uint8Array, bytes: number, use: (key: Uint8Array) => T): T {
  const key = hkdfExpand(SUITE_HASH, secret, [info], bytes);
  try {
    return use(key);
  } finally {
    wipe(key);
  }
}

function opened(plaintext: OwnedBytes | undefined): OwnedBytes {
  if (plaintext === undefined) throw authenticationFailed();
  return plaintext;
}

const KEY_COMMIT_INFO: Uint8Array = suiteInfo("key-commit");
const TOKEN_INFO: Uint8Array = suiteInfo("token");
const DET_INFO: Uint8Array = suiteInfo("det");
const BODY_INFO: Uint8Array = suiteInfo("body");
const INDEX_INFO: Uint8Array = suiteInfo("index");
const TOKEN_AAD: Uint8Array = concatBytes(ascii("envelock/v1/field"), new Uint8Array(1));
const TOKEN_AAD_BYTES: number = TOKEN_AAD.length + TOKEN_PREFIX_BYTES;
const LEAST_AAD_BYTES = 256;
const DET_AAD: Uint8Array = concatBytes(ascii("envelock/v1/det"), new Uint8Array(1));
