import { fromBase64 } from "../core/base/base64.ts";
import { copyOf, isBytes, type OwnedBytes, ownedBytes } from "../core/base/bytes.ts";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";

export type OaepHash = "SHA-1" | "SHA-256";

/** A private RSA key in PKCS#8: the text of a PEM file, or the DER bytes. */
export type RsaPrivateKey = string | Uint8Array;

/** An RSA key pair of this process for OAEP. Imports the key once for each hash, when it is first used. */
export class RsaKey {
  readonly #pkcs8: OwnedBytes;
  readonly #pairs: Map<OaepHash, Promise<OaepPair>> = new Map();
  #isClosed = false;

  /** @throws `invalid-argument` for what is no PKCS#8 */
  constructor(privateKey: RsaPrivateKey) {
    this.#pkcs8 = pkcs8Of(privateKey);
  }

  /** Encrypts with OAEP. @throws `invalid-argument` for a key that is no RSA key */
  async encrypt(hash: OaepHash, plaintext: Uint8Array): Promise<OwnedBytes> {
    const { publicKey } = await this.#pair(hash);
    return new Uint8Array(await crypto.subtle.encrypt({ name: "RSA-OAEP" }, publicKey, ownedBytes(plaintext)));
  }

  /** Decrypts with OAEP. Returns undefined if the key does not fit. @throws `invalid-argument` for a key that is no RSA key */
  async decrypt(hash: OaepHash, ciphertext: Uint8Array): Promise<OwnedBytes | undefined> {
    const { privateKey } = await this.#pair(hash);
    try {
      return new Uint8Array(await crypto.subtle.decrypt({ name: "RSA-OAEP" }, privateKey, ownedBytes(ciphertext)));
    } catch {
      return undefined; // one answer for every failure of padding and length
    }
  }

  /** Wipes the bytes of the key. Imported keys are dropped: the runtime frees them. */
  close(): void {
    this.#isClosed = true;
    this.#pkcs8.fill(0);
    this.#pairs.clear();
  }

  #pair(hash: OaepHash): Promise<OaepPair> {
    if (this.#isClosed) throw new EnvelockError("closed", "this key has been closed");
    const pair = this.#pairs.get(hash) ?? importedPair(this.#pkcs8, hash);
    this.#pairs.set(hash, pair);
    return pair;
  }
}

async function importedPair(pkcs8: OwnedBytes, hash: OaepHash): Promise<OaepPair> {
  const algorithm = { name: "RSA-OAEP", hash };
  try {
    const extractable = await crypto.subtle.importKey("pkcs8", pkcs8, algorithm, true, ["decrypt"]);
    const { kty, n, e } = await crypto.subtle.exportKey("jwk", extractable);
    if (kty === undefined || n === undefined || e === undefined) throw new Error("no public part");
    const [privateKey, publicKey] = await Promise.all([
      crypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["decrypt"]),
      crypto.subtle.importKey("jwk", { kty, n, e }, algorithm, false, ["encrypt"]),
    ]);
    return { privateKey, publicKey };
  } catch {
    throw new EnvelockError("invalid-argument", "the private key must be an RSA key in PKCS#8"); // the native error may quote the key
  }
}

function pkcs8Of(given: unknown): OwnedBytes {
  if (isBytes(given) && given.length > 0) return copyOf(given);
  const [, base64] = typeof given === "string" ? (PEM.exec(given) ?? []) : [];
  const der = base64 === undefined ? undefined : fromBase64(base64.replace(/\s/g, ""));
  if (der !== undefined) return der;
  throw invalidArgument(
    "the private key must be PKCS#8: a PEM text that begins with BEGIN PRIVATE KEY, or its DER bytes",
    "convert other forms with: openssl pkcs8 -topk8 -nocrypt -in key.pem",
  );
}

interface OaepPair {
  readonly privateKey: ImportedKey;
  readonly publicKey: ImportedKey;
}

type ImportedKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

const PEM = /^\s*-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----\s*$/;
