import { randomBytes } from "node:crypto";
import type { Clock } from "../../core/base/clock.ts";
import { badRequest, VaultAnswer } from "./answer.ts";
import type { RequestFields } from "./request-fields.ts";
import { isTransitKeyType, type TransitInput, TransitKey, type TransitKeyTraits, type TransitKeyType } from "./transit-key.ts";

/** The features of a server that depend on its version. */
export interface ServerAge {
  /** Whether `associated_data` is known. Servers before 1.12 ignore it. */
  readonly knowsAssociatedData: boolean;
}

/** One mount of the transit engine. */
export class TransitEngine {
  readonly #clock: Clock;
  readonly #age: ServerAge;
  readonly #keys: Map<string, TransitKey> = new Map();
  /** Whether an encryption creates a missing key, for callers with the capability `create`. */
  isUpsertDisabled = false;

  constructor(clock: Clock, age: ServerAge) {
    this.#clock = clock;
    this.#age = age;
  }

  get names(): readonly string[] {
    return [...this.#keys.keys()].sort();
  }

  create(name: string, type: TransitKeyType, traits: TransitKeyTraits): TransitKey {
    const key = this.#keys.get(name) ?? new TransitKey(name, type, traits, this.#clock.unixMs());
    this.#keys.set(name, key);
    return key;
  }

  find(name: string): TransitKey | undefined {
    return this.#keys.get(name);
  }

  /** @throws VaultAnswer with 400 for a missing key, as the server does, not 404 */
  key(name: string): TransitKey {
    const key = this.#keys.get(name);
    if (key === undefined) throw badRequest("encryption key not found");
    return key;
  }

  delete(name: string): void {
    const key = this.#keys.get(name);
    if (key === undefined) throw badRequest("could not delete key; not found");
    if (!key.isDeletionAllowed) throw badRequest(`error deleting policy ${name}: deletion is not allowed for this key`);
    this.#keys.delete(name);
  }

  createFrom(name: string, fields: RequestFields): object {
    const type = fields.text("type") ?? "aes256-gcm96";
    if (!isTransitKeyType(type)) throw badRequest(`unknown key type ${type}`);
    this.create(name, type, {
      derived: fields.flag("derived") ?? false,
      exportable: fields.flag("exportable") ?? false,
      allowPlaintextBackup: fields.flag("allow_plaintext_backup") ?? false,
    });
    return this.describe(name);
  }

  configure(name: string, fields: RequestFields): object {
    const key = this.key(name);
    const oldest = fields.number("min_decryption_version");
    if (oldest !== undefined) {
      if (oldest > key.latestVersion)
        throw badRequest(`cannot set min decryption version of ${oldest}, latest key version is ${key.latestVersion}`);
      key.minDecryptionVersion = Math.max(1, oldest);
    }
    key.minEncryptionVersion = fields.number("min_encryption_version") ?? key.minEncryptionVersion;
    key.isDeletionAllowed = fields.flag("deletion_allowed") ?? key.isDeletionAllowed;
    key.isExportable ||= fields.flag("exportable") ?? false; // cannot be cleared
    key.allowsPlaintextBackup ||= fields.flag("allow_plaintext_backup") ?? false;
    return this.describe(name);
  }

  trim(name: string, fields: RequestFields): object {
    const key = this.key(name);
    const oldest = fields.number("min_available_version") ?? 0;
    if (oldest > key.minDecryptionVersion) throw badRequest("min available version cannot be greater than min decryption version");
    key.trim(oldest);
    return this.describe(name);
  }

  describe(name: string): object {
    const key = this.#keys.get(name);
    if (key === undefined) throw new VaultAnswer(404);
    const versions = Array.from({ length: key.latestVersion }, (_, at) => at + 1).filter((version) => version >= key.minDecryptionVersion);
    return {
      name,
      type: key.type,
      derived: key.isDerived,
      exportable: key.isExportable,
      allow_plaintext_backup: key.allowsPlaintextBackup,
      deletion_allowed: key.isDeletionAllowed,
      soft_deleted: key.isSoftDeleted,
      imported_key: false,
      latest_version: key.latestVersion,
      min_available_version: key.minAvailableVersion === 1 ? 0 : key.minAvailableVersion,
      min_decryption_version: key.minDecryptionVersion,
      min_encryption_version: key.minEncryptionVersion,
      supports_encryption: true,
      supports_decryption: true,
      supports_derivation: !key.isRsa,
      supports_signing: key.isRsa,
      keys: Object.fromEntries(versions.map((version) => [version, versionOf(key, version)])),
    };
  }

  /** @param mayCreate whether the caller has the capability `create` */
  encrypt(name: string, fields: RequestFields, mayCreate: boolean): object {
    const batch = fields.list("batch_input");
    if (this.#keys.get(name) === undefined && mayCreate && !this.isUpsertDisabled) {
      const [first = fields] = batch ?? [];
      this.createFrom(name, fields);
      if (first.has("context")) this.#keys.set(name, new TransitKey(name, "aes256-gcm96", { derived: true }, this.#clock.unixMs()));
    }
    const key = this.key(name);
    const one = (item: RequestFields): object => {
      const plaintext = item.text("plaintext");
      if (plaintext === undefined) throw badRequest("missing plaintext to encrypt");
      const bytes = item.bytes("plaintext") ?? Buffer.alloc(0);
      const { ciphertext, version } = key.encrypt(bytes, this.#inputOf(item), item.number("key_version"));
      return { ciphertext, key_version: version };
    };
    return batch === undefined ? one(fields) : inBatch(batch, one);
  }

  decrypt(name: string, fields: RequestFields): object {
    const key = this.key(name);
    const one = (item: RequestFields): object => {
      const ciphertext = item.text("ciphertext");
      if (ciphertext === undefined || ciphertext === "") throw badRequest("missing ciphertext to decrypt");
      return { plaintext: key.decrypt(ciphertext, this.#inputOf(item)).toString("base64") };
    };
    const batch = fields.list("batch_input");
    return batch === undefined ? one(fields) : inBatch(batch, one);
  }

  /** Takes no associated data, as the server does not. */
  rewrap(name: string, fields: RequestFields): object {
    const key = this.key(name);
    const one = (item: RequestFields): object => {
      const input = { associatedData: undefined, context: item.bytes("context") };
      const plaintext = key.decrypt(item.text("ciphertext") ?? "", input);
      const { ciphertext, version } = key.encrypt(plaintext, input, item.number("key_version"));
      return { ciphertext, key_version: version };
    };
    const batch = fields.list("batch_input");
    return batch === undefined ? one(fields) : inBatch(batch, one);
  }

  dataKey(name: string, kind: string, fields: RequestFields): object {
    const key = this.key(name);
    const plaintext = randomBytes((fields.number("bits") ?? 256) / 8);
    const { ciphertext, version } = key.encrypt(plaintext, this.#inputOf(fields), fields.number("key_version"));
    return { ciphertext, key_version: version, ...(kind === "plaintext" && { plaintext: plaintext.toString("base64") }) };
  }

  random(bytes: number, format: string): object {
    return { random_bytes: randomBytes(bytes).toString(format === "hex" ? "hex" : "base64") };
  }

  #inputOf(item: RequestFields): TransitInput {
    return { associatedData: this.#age.knowsAssociatedData ? item.bytes("associated_data") : undefined, context: item.bytes("context") };
  }
}

function versionOf(key: TransitKey, version: number): unknown {
  const createdMs = key.createdMs(version);
  const publicKey = key.publicKey(version);
  return publicKey === undefined
    ? Math.floor(createdMs / 1000)
    : { name: key.type, creation_time: new Date(createdMs).toISOString(), public_key: publicKey };
}

/** Puts the error of a failed item in its place. The whole answer is 400 if an item failed. */
function inBatch(items: readonly RequestFields[], one: (item: RequestFields) => object): object {
  const results = items.map((item) => {
    try {
      return one(item);
    } catch (error) {
      if (error instanceof VaultAnswer) return { error: error.errors.join(", ") };
      throw error;
    }
  });
  return { batch_results: results };
}
