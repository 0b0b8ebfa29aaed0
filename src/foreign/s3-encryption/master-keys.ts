import { ascii, concatBytes, copyOf, equalPublicBytes, isBytes, type OwnedBytes, ownedBytes, wipe } from "../../core/base/bytes.ts";
import { authenticationFailed, EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../core/base/options.ts";
import { RsaKey, type RsaPrivateKey } from "../rsa-key.ts";
import type { S3Description } from "./object-metadata.ts";

/** A key that the S3 Encryption Client wrapped data keys with. */
export type S3MasterKey = S3AesKey | S3RsaKey | S3KmsKey;

interface Described {
  /** The material description of the objects that this key opens. Without one it opens those that no other key's description fits. */
  readonly description?: Readonly<Record<string, string>>;
}

export interface S3AesKey extends Described {
  /** 16, 24 or 32 bytes. They are copied. */
  readonly aesKey: Uint8Array;
}

export interface S3RsaKey extends Described {
  /** PKCS#8: the text of a PEM file, or the DER bytes. */
  readonly rsaPrivateKey: RsaPrivateKey;
}

/** A key in AWS KMS, behind one function. */
export interface S3KmsKey {
  /**
   * Decrypts with exactly the key that is configured for these objects, whatever the ciphertext names: `KeyId` must be set in the request.
   *
   * @param encryptionContext what stands beside the object; KMS refuses any other than the writer's
   * @returns 32 bytes
   */
  readonly kmsDecrypt: (
    ciphertext: Uint8Array,
    encryptionContext: Readonly<Record<string, string>>,
    options: { readonly signal?: AbortSignal },
  ) => Promise<Uint8Array>;
}

/** Unwraps the data key of an object. @returns 32 bytes; the caller wipes them. @throws `authentication-failed`, and what KMS says */
export type S3Unwrap = (object: S3Description, signal: AbortSignal | undefined) => Promise<OwnedBytes>;

/** The configured keys. Which of them is asked follows from the object's wrapping and description, never from a trial. */
export class MasterKeys {
  readonly #keys: readonly HeldKey[];
  #isClosed = false;

  /** @throws `invalid-argument` */
  constructor(keys: readonly S3MasterKey[]) {
    const given: unknown = keys;
    if (!Array.isArray(given) || given.length === 0) throw invalidArgument("keys must be an array of at least one key");
    this.#keys = keys.map(heldKey);
    const names = this.#keys.map(({ wrapping, description }) => `${wrapping} ${description ?? "any"}`);
    if (new Set(names).size < names.length) {
      throw invalidArgument(
        "two keys of one kind have the same description",
        "tell keys of one kind apart by the material description that their objects have",
      );
    }
  }

  /** @throws `no-matching-provider`; `unsupported-version` for KMS where no key of it is configured; `closed`; and as `S3Unwrap` */
  async unwrap(object: S3Description, signal: AbortSignal | undefined): Promise<OwnedBytes> {
    if (this.#isClosed) throw new EnvelockError("closed", "this reader has been closed");
    const own = this.#keys.filter(({ wrapping }) => wrapping === object.wrapping);
    const description = descriptionText(object.description);
    const key =
      own.find((candidate) => candidate.description === description) ?? own.find((candidate) => candidate.description === undefined);
    if (key !== undefined) return await unwrapped(key, object, signal);
    if (object.wrapping === "kms") {
      throw new EnvelockError("unsupported-version", "the object's key is wrapped by AWS KMS, which is not set up here", {
        hint: "give a key with kmsDecrypt",
      });
    }
    throw new EnvelockError("no-matching-provider", `no ${object.wrapping.toUpperCase()} key is configured for this object`, {
      hint: "compare the material description of the object with those of the keys",
    });
  }

  close(): void {
    this.#isClosed = true;
    for (const key of this.#keys) key.close();
  }
}

async function unwrapped(key: HeldKey, object: S3Description, signal: AbortSignal | undefined): Promise<OwnedBytes> {
  signal?.throwIfAborted();
  const secret = await key.unwrap(object, signal);
  if (secret.length === DATA_KEY_BYTES) return secret;
  wipe(secret);
  throw authenticationFailed();
}

interface HeldKey {
  readonly wrapping: S3Description["wrapping"];
  readonly description: string | undefined;
  readonly unwrap: S3Unwrap;
  close(): void;
}

function heldKey(key: S3MasterKey): HeldKey {
  const given: unknown = key;
  if (typeof given !== "object" || given === null) throw invalidArgument("a key is an object with aesKey, rsaPrivateKey or kmsDecrypt");
  if ("aesKey" in key) return aesKey(key);
  return "rsaPrivateKey" in key ? rsaKey(key) : kmsKey(key);
}

// Nonce 12, ciphertext 32, tag 16; the content algorithm's name as AAD.
function aesKey(key: S3AesKey): HeldKey {
  refuseUnknown(key, AES_OPTIONS, "an AES key of s3EncryptionClient");
  if (!isBytes(key.aesKey) || ![16, 24, 32].includes(key.aesKey.length)) throw invalidArgument("aesKey has 16, 24 or 32 bytes");
  const secret = copyOf(key.aesKey);
  return {
    wrapping: "aes",
    description: checkedDescription(key.description),
    async unwrap({ wrappedKey, algorithm }) {
      if (wrappedKey.length !== WRAPPED_BY_AES_BYTES) throw authenticationFailed();
      const imported = await crypto.subtle.importKey("raw", secret, "AES-GCM", false, ["decrypt"]);
      return await openedGcm(imported, wrappedKey.slice(0, 12), ascii(algorithm), wrappedKey.slice(12));
    },
    close: () => wipe(secret),
  };
}

// OAEP with SHA-1 of the key's length in one byte, the key, and the content algorithm's name.
function rsaKey(key: S3RsaKey): HeldKey {
  refuseUnknown(key, RSA_OPTIONS, "an RSA key of s3EncryptionClient");
  const rsa = new RsaKey(key.rsaPrivateKey);
  return {
    wrapping: "rsa",
    description: checkedDescription(key.description),
    async unwrap({ wrappedKey, algorithm }) {
      const block = await rsa.decrypt("SHA-1", wrappedKey);
      if (block === undefined) throw authenticationFailed();
      const secret = block.slice(1, 1 + DATA_KEY_BYTES);
      const isWhole = equalPublicBytes(
        concatBytes(block.subarray(0, 1), block.subarray(1 + DATA_KEY_BYTES)),
        concatBytes(Uint8Array.of(DATA_KEY_BYTES), ascii(algorithm)),
      );
      wipe(block);
      if (isWhole) return secret;
      wipe(secret);
      throw authenticationFailed();
    },
    close: () => rsa.close(),
  };
}

function kmsKey(key: S3KmsKey): HeldKey {
  refuseUnknown(key, KMS_OPTIONS, "a KMS key of s3EncryptionClient");
  const { kmsDecrypt } = key;
  if (typeof kmsDecrypt !== "function") throw invalidArgument("a key is an object with aesKey, rsaPrivateKey or kmsDecrypt");
  return {
    wrapping: "kms",
    description: undefined,
    async unwrap({ wrappedKey, algorithm, description }, signal) {
      if (description.get(ALGORITHM_IN_CONTEXT) !== algorithm) throw authenticationFailed(); // the algorithm must be bound to the key
      const secret = await asked(signal, () =>
        kmsDecrypt(wrappedKey, Object.fromEntries(description), signal === undefined ? {} : { signal }),
      );
      if (!isBytes(secret)) throw new EnvelockError("provider-failure", "kmsDecrypt must give bytes");
      const owned = copyOf(secret);
      wipe(secret);
      return owned;
    },
    close: () => undefined,
  };
}

async function asked(signal: AbortSignal | undefined, call: () => Promise<Uint8Array>): Promise<Uint8Array> {
  try {
    return await call();
  } catch (error) {
    signal?.throwIfAborted();
    if (!EnvelockError.is(error)) throw new EnvelockError("provider-failure", "kmsDecrypt failed", { cause: error });
    throw error.code === "unwrap-rejected" ? authenticationFailed(error, error.hint) : error;
  }
}

/** Opens AES-GCM with a tag of 16 bytes. Nothing is returned before the tag is verified. @throws `authentication-failed` */
export async function openedGcm(key: ImportedKey, start: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Promise<OwnedBytes> {
  const parameters = { name: "AES-GCM", iv: ownedBytes(start), additionalData: ownedBytes(aad), tagLength: 128 };
  try {
    return new Uint8Array(await crypto.subtle.decrypt(parameters, key, ownedBytes(sealed)));
  } catch {
    throw authenticationFailed();
  }
}

function checkedDescription(description: Readonly<Record<string, string>> | undefined): string | undefined {
  if (description === undefined) return undefined;
  const entries: readonly [string, unknown][] = Object.entries(description);
  if (entries.some(([, value]) => typeof value !== "string")) throw invalidArgument("a description has texts as values");
  return descriptionText(new Map(Object.entries(description)));
}

function descriptionText(description: ReadonlyMap<string, string>): string {
  return JSON.stringify([...description].sort(([a], [b]) => (a < b ? -1 : 1)));
}

type ImportedKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

const DATA_KEY_BYTES = 32;
const WRAPPED_BY_AES_BYTES = 60;
const ALGORITHM_IN_CONTEXT = "aws:x-amz-cek-alg";
const AES_OPTIONS: OptionNames<S3AesKey> = { aesKey: true, description: true };
const RSA_OPTIONS: OptionNames<S3RsaKey> = { rsaPrivateKey: true, description: true };
const KMS_OPTIONS: OptionNames<S3KmsKey> = { kmsDecrypt: true };
