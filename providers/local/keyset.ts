import { engine } from "#engine";
import { copyOf, equalPublicBytes, isBytes, type OwnedBytes, toBase64Url } from "../../src/core/base/bytes.ts";
import { type EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import type { KeyPairShapes, LocalKeyPairsOptions } from "./hpke-kek.ts";
import { HYBRID_KEYS } from "./hybrid-form.ts";
import { jwkBytes, type KeyShape, type LocalJwk } from "./key-forms.ts";
import { X25519_KEYS } from "./key-pair.ts";
import { keysetJson, noKeys } from "./keyset-json.ts";
import { AES_256_KEY } from "./local-key.ts";
import { requireKeyId } from "./local-provider.ts";

export type KeysetKeyType = "aes-256" | "x25519" | "mlkem768-x25519";

/** Keys of any types, one of which wraps. Holds secrets: not to be logged. */
export interface Keyset {
  /** The key id of the key that wraps. */
  readonly primary: string;
  /** In the order of the file: the newest last. */
  readonly keys: readonly KeysetKey[];
}

export type KeysetKey = KeysetAesKey | KeysetKeyPair;

export interface KeysetAesKey {
  readonly keyId: string;
  readonly type: "aes-256";
  /** ISO 8601 in UTC, as `Date.prototype.toISOString` writes it; fractions of a second may be left out. */
  readonly created: string;
  /** 32 bytes. */
  readonly secret: Uint8Array;
}

export interface KeysetKeyPair {
  readonly keyId: string;
  readonly type: "x25519" | "mlkem768-x25519";
  readonly created: string;
  /** 32 bytes, or 1216 of the hybrid type. */
  readonly publicKey: Uint8Array;
  /** 32 bytes; absent where only wrapping is wanted. */
  readonly secret?: Uint8Array;
}

/** What keysets need for hybrid keys. `hybridKeys` of `envelock/providers/local-hybrid` is the only one. */
export interface HybridKeys {
  /** The provider of all versions. */
  providerOf(options: LocalKeyPairsOptions): KeyProvider;
  /** Derives the public key, 1216 bytes, from a seed of 32. @throws `provider-failure` if `@noble/post-quantum` is not installed */
  publicKeyOf(seed: Uint8Array): Promise<Uint8Array>;
}

/**
 * Makes a new key.
 *
 * @param options.created the time of making, ISO 8601 in UTC: the library reads no clock
 * @param options.hybrid needed for `mlkem768-x25519`: `hybridKeys` of `envelock/providers/local-hybrid`
 * @throws `invalid-argument`; `provider-failure` for the hybrid type if `@noble/post-quantum` is not installed
 * @example
 * ```ts
 * import { generateKeysetKey } from "envelock/providers/local";
 *
 * const key = await generateKeysetKey({ type: "x25519", keyId: "inbox-1", created: new Date().toISOString() });
 * ```
 */
export async function generateKeysetKey(options: {
  readonly type: KeysetKeyType;
  readonly keyId: string;
  readonly created: string;
  readonly hybrid?: HybridKeys;
}): Promise<KeysetKey> {
  const { type, keyId, created, hybrid } = options;
  checkName(keyId, created);
  const secret = engine.randomKey(32);
  switch (type) {
    case "aes-256":
      return { keyId, type, created, secret };
    case "x25519":
      return { keyId, type, created, publicKey: engine.x25519.keyPair(secret).publicKey, secret };
    case "mlkem768-x25519":
      return { keyId, type, created, publicKey: await requireHybrid(hybrid, keyId).publicKeyOf(secret), secret };
    default:
      throw unknownType(type);
  }
}

/**
 * Reads the JSON of a keyset: a JWK set with `primary`, each key with `kid` and `created`. Other members are ignored.
 *
 * @param json text, or its bytes in UTF-8; a byte order mark at its start is skipped
 * @throws `invalid-argument` for anything that is wrong with it; no message ever holds a secret
 * @see docs/providers/local.md for the form
 * @example
 * ```ts
 * import { keysetProviders, parseKeyset } from "envelock/providers/local";
 *
 * const json = '{"primary":"k1","keys":[{"kty":"oct","kid":"k1","created":"2026-11-21T09:30:00Z","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]}';
 * const [primary] = keysetProviders(parseKeyset(json));
 * ```
 */
export function parseKeyset(json: string | Uint8Array): Keyset {
  const document = keysetJson(json);
  if (!isObject(document) || !("keys" in document) || !Array.isArray(document.keys)) throw noKeys(document);
  const primary = "primary" in document ? document.primary : undefined;
  if (typeof primary !== "string") {
    throw invalidArgument("a keyset names its primary key", 'add "primary" with the kid of the key that is to wrap');
  }
  const keyset: Keyset = { primary, keys: document.keys.map(parseKey) };
  checkKeyset(keyset);
  return keyset;
}

/**
 * The JSON that `parseKeyset` reads. It holds the secrets in clear. @throws `invalid-argument`
 *
 * @example
 * ```ts
 * import { formatKeyset, generateKeysetKey } from "envelock/providers/local";
 *
 * const key = await generateKeysetKey({ type: "aes-256", keyId: "orders-1", created: new Date().toISOString() });
 * const text = formatKeyset({ primary: key.keyId, keys: [key] }); // secret: keep it where the KEK may be
 * ```
 */
export function formatKeyset(keyset: Keyset): string {
  checkKeyset(keyset);
  return `${JSON.stringify({ primary: keyset.primary, keys: keyset.keys.map(formatKey) }, undefined, 2)}\n`;
}

/**
 * Returns the same keys without their secrets, for programs that only wrap.
 *
 * @throws `invalid-argument` if one of them is an AES key, which has no public half
 * @example
 * ```ts
 * import { formatKeyset, parseKeyset, publicKeyset } from "envelock/providers/local";
 *
 * // a keyset for a writer that must not read
 * export const forWriters = (text: string) => formatKeyset(publicKeyset(parseKeyset(text)));
 * ```
 */
export function publicKeyset(keyset: Keyset): Keyset {
  checkKeyset(keyset);
  const keys = keyset.keys.map((key): KeysetKeyPair => {
    if (key.type === "aes-256") throw invalidArgument(`key "${key.keyId}" is an AES key: it has no public half`);
    const { keyId, type, created, publicKey } = key;
    return { keyId, type, created, publicKey: copyOf(publicKey) };
  });
  return { primary: keyset.primary, keys };
}

/** What every keyset keeps, wherever it comes from. @returns the primary key @throws `invalid-argument` */
export function checkKeyset({ primary, keys }: Keyset): KeysetKey {
  const byKeyId = new Map<string, KeysetKey>();
  for (const key of keys) {
    checkKey(key);
    if (byKeyId.has(key.keyId)) throw invalidArgument(`two keys of the keyset are called "${key.keyId}"`);
    byKeyId.set(key.keyId, key);
  }
  const primaryKey = byKeyId.get(primary);
  if (primaryKey === undefined) throw invalidArgument("the primary of the keyset names none of its keys");
  return primaryKey;
}

function checkKey(key: KeysetKey): void {
  checkName(key.keyId, key.created);
  const what = `key "${key.keyId}" of the keyset`;
  if (key.type === "aes-256") {
    checkBytes(key.secret, AES_256_KEY, what);
    return;
  }
  const shapes = shapesOf(key.type);
  checkBytes(key.publicKey, shapes.publicKey, what);
  if (key.secret === undefined) return;
  checkBytes(key.secret, shapes.privateKey, what);
  // a hybrid pair needs the optional peer for this, so there it is checked at first use
  if (key.type === "x25519" && !equalPublicBytes(engine.x25519.keyPair(key.secret).publicKey, key.publicKey)) {
    throw invalidArgument(`${what} has a private key that does not belong to its public key`);
  }
}

function checkBytes(bytes: unknown, shape: KeyShape, what: string): void {
  if (!isBytes(bytes) || bytes.length !== shape.bytes) throw invalidArgument(`${what} must hold ${shape.bytes} bytes of ${shape.what}`);
}

function checkName(keyId: unknown, created: unknown): void {
  requireKeyId(keyId);
  if (typeof created !== "string" || !CREATED.test(created) || Number.isNaN(Date.parse(created))) {
    throw invalidArgument(`key "${keyId}" has a "created" that is no ISO 8601 time in UTC, such as 2026-11-21T09:30:00Z`);
  }
}

/** @throws `invalid-argument` if the caller gave none */
export function requireHybrid(hybrid: HybridKeys | undefined, keyId: string): HybridKeys {
  if (hybrid !== undefined) return hybrid;
  throw invalidArgument(
    `key "${keyId}" is of type mlkem768-x25519, and the option \`hybrid\` is missing`,
    "give it `hybridKeys` of envelock/providers/local-hybrid",
  );
}

function parseKey(entry: unknown, index: number): KeysetKey {
  if (!isKeysetJwk(entry)) throw invalidArgument(`key ${index + 1} of the keyset is not an object`);
  const { kid: keyId, created, kty } = entry;
  checkName(keyId, created);
  switch (kty) {
    case "oct":
      return { keyId, type: "aes-256", created, secret: keysetBytes(entry, AES_256_KEY) };
    case "OKP":
      return { keyId, type: "x25519", created, ...parsePair(entry, X25519_KEYS) };
    case "AKP":
      return { keyId, type: "mlkem768-x25519", created, ...parsePair(entry, HYBRID_KEYS) };
    default:
      throw invalidArgument(`key "${keyId}" of the keyset has a kty other than oct, OKP and AKP`);
  }
}

function parsePair(entry: KeysetJwk, { publicKey, privateKey }: KeyPairShapes): Pick<KeysetKeyPair, "publicKey" | "secret"> {
  const publicBytes = keysetBytes(entry, publicKey);
  return entry[privateKey.member] === undefined
    ? { publicKey: publicBytes }
    : { publicKey: publicBytes, secret: keysetBytes(entry, privateKey) };
}

function keysetBytes(entry: KeysetJwk, shape: KeyShape): OwnedBytes {
  return jwkBytes(entry, { ...shape, what: `key "${entry.kid}" of the keyset, ${shape.what},` });
}

function formatKey(key: KeysetKey): KeysetJwk {
  const { keyId: kid, created } = key;
  if (key.type === "aes-256") return { kty: "oct", kid, created, k: toBase64Url(key.secret) };
  const { publicKey, privateKey } = shapesOf(key.type);
  return {
    kty: publicKey.kty,
    ...(publicKey.kind && { [publicKey.kind.member]: publicKey.kind.value }),
    kid,
    created,
    [publicKey.member]: toBase64Url(key.publicKey),
    ...(key.secret && { [privateKey.member]: toBase64Url(key.secret) }),
  };
}

function shapesOf(type: KeysetKeyPair["type"]): KeyPairShapes {
  if (type === "x25519") return X25519_KEYS;
  if (type === "mlkem768-x25519") return HYBRID_KEYS;
  throw unknownType(type);
}

function unknownType(type: never): EnvelockError {
  return invalidArgument(`a key of a keyset is of type aes-256, x25519 or mlkem768-x25519, not ${JSON.stringify(type)}`);
}

interface KeysetJwk extends LocalJwk {
  readonly kid: string;
  readonly created: string;
}

/** Members are checked one by one where they are read. */
function isKeysetJwk(entry: unknown): entry is KeysetJwk {
  return isObject(entry);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

const CREATED = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{3})?Z$/;
