import { randomBytes } from "node:crypto";
import type { Clock } from "../../core/base/clock.ts";
import { Answer, badParameter, keyNotFound } from "./answer.ts";
import { isEc, isRsa, type KeyKind, type KeyMaterial } from "./key-material.ts";

export type KeyOperation = "encrypt" | "decrypt" | "sign" | "verify" | "wrapKey" | "unwrapKey" | "import" | "export";

/** The attributes of a version. Times are Unix time in seconds. */
export interface VersionAttributes {
  readonly enabled?: boolean | undefined;
  readonly nbf?: number | undefined;
  readonly exp?: number | undefined;
  readonly operations?: readonly KeyOperation[] | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

/** One version of a key in the vault. */
export interface StoredVersion {
  /** 32 hex digits. */
  readonly id: string;
  readonly kind: KeyKind;
  readonly material: KeyMaterial;
  readonly created: number;
  updated: number;
  enabled: boolean;
  nbf: number | undefined;
  exp: number | undefined;
  operations: readonly KeyOperation[];
  tags: Readonly<Record<string, string>> | undefined;
  /** The time at which it reaches the answering region, in Unix milliseconds. */
  replicatedAtMs: number;
}

export interface StoredKey {
  readonly name: string;
  readonly versions: StoredVersion[];
  rotationPolicy: RotationPolicy | undefined;
}

export interface RotationPolicy {
  readonly lifetimeActions: readonly object[];
  /** The lifetime of a version made by rotation, such as `P90D`. */
  readonly expiryTime: string | undefined;
  readonly created: number;
  readonly updated: number;
}

export interface DeletedKey {
  readonly key: StoredKey;
  /** Unix time in seconds. */
  readonly deletedDate: number;
  readonly scheduledPurgeDate: number;
}

export interface KeyStoreOptions {
  readonly clock: Clock;
  /** The period during which a deleted key can be recovered. */
  readonly retentionDays: number;
  readonly isPurgeProtected: boolean;
  /** The delay until a new version reaches the answering region. */
  readonly replicationLagMs: number;
}

/** The keys of one vault, deleted ones included. Names are case-insensitive. */
export class KeyStore {
  readonly #options: KeyStoreOptions;
  readonly #keys = new Map<string, StoredKey>();
  readonly #deleted = new Map<string, DeletedKey>();

  constructor(options: KeyStoreOptions) {
    this.#options = options;
  }

  /** Removes every key of this name, deleted ones included. */
  forget(name: string): void {
    this.#keys.delete(name.toLowerCase());
    this.#deleted.delete(name.toLowerCase());
  }

  /** Adds a version to the key of this name, or makes the key. @throws Answer while a deleted key has the name */
  add(name: string, kind: KeyKind, material: KeyMaterial, attributes: VersionAttributes = {}, ageMs = 0): StoredVersion {
    if (!/^[0-9a-z-]{1,127}$/i.test(name)) throw badParameter("A name has 1 to 127 letters, digits and hyphens.");
    this.#requireFree(name);
    const key = this.#keys.get(name.toLowerCase()) ?? { name, versions: [], rotationPolicy: undefined };
    this.#keys.set(name.toLowerCase(), key);
    const createdMs = this.#options.clock.unixMs() - ageMs;
    const created = Math.floor(createdMs / 1000);
    const { enabled = true, nbf, exp, operations = defaultOperations(kind), tags } = attributes;
    const id = randomBytes(16).toString("hex");
    const replicatedAtMs = createdMs + this.#options.replicationLagMs;
    const version = { id, kind, material, created, updated: created, enabled, nbf, exp, operations, tags, replicatedAtMs };
    key.versions.push(version);
    return version;
  }

  /** @throws Answer */
  key(name: string): StoredKey {
    const key = this.#keys.get(name.toLowerCase());
    if (key === undefined) throw keyNotFound(name);
    return key;
  }

  get keys(): readonly StoredKey[] {
    return [...this.#keys.values()];
  }

  /** @param version empty for the newest, as in `/keys/orders//wrapkey` @throws Answer */
  version(name: string, version: string): StoredVersion {
    const visible = this.visibleVersions(name);
    const found = version === "" ? visible.at(-1) : visible.find(({ id }) => id === version.toLowerCase());
    if (found === undefined) throw keyNotFound(name, version);
    return found;
  }

  /** @throws Answer */
  visibleVersions(name: string): readonly StoredVersion[] {
    const nowMs = this.#options.clock.unixMs();
    return this.key(name).versions.filter(({ replicatedAtMs }) => replicatedAtMs <= nowMs);
  }

  /** @throws Answer */
  delete(name: string): DeletedKey {
    const key = this.key(name);
    const deletedDate = this.#nowSeconds;
    const deleted = { key, deletedDate, scheduledPurgeDate: deletedDate + this.#options.retentionDays * DAY_SECONDS };
    this.#keys.delete(name.toLowerCase());
    this.#deleted.set(name.toLowerCase(), deleted);
    return deleted;
  }

  get deletedKeys(): readonly DeletedKey[] {
    return [...this.#deleted.values()].filter(({ scheduledPurgeDate }) => scheduledPurgeDate > this.#nowSeconds);
  }

  /** @throws Answer */
  deletedKey(name: string): DeletedKey {
    const deleted = this.deletedKeys.find(({ key }) => key.name.toLowerCase() === name.toLowerCase());
    if (deleted === undefined) throw keyNotFound(name);
    return deleted;
  }

  /** @throws Answer */
  recover(name: string): StoredKey {
    const { key } = this.deletedKey(name);
    this.#deleted.delete(name.toLowerCase());
    this.#keys.set(name.toLowerCase(), key);
    return key;
  }

  /** @throws Answer also where purge protection is on */
  purge(name: string): void {
    this.deletedKey(name);
    if (this.#options.isPurgeProtected) {
      throw new Answer(403, { code: "Forbidden", message: "Purge protection is on.", innerCode: "ForbiddenByPolicy" });
    }
    this.#deleted.delete(name.toLowerCase());
  }

  /** Restores a key from a backup with its version ids. @throws Answer if its name is taken */
  restore(key: StoredKey): void {
    this.#requireFree(key.name);
    if (this.#keys.has(key.name.toLowerCase())) throw new Answer(409, { code: "Conflict", message: "A key of this name exists." });
    this.#keys.set(key.name.toLowerCase(), key);
  }

  get #nowSeconds(): number {
    return Math.floor(this.#options.clock.unixMs() / 1000);
  }

  #requireFree(name: string): void {
    if (!this.deletedKeys.some(({ key }) => key.name.toLowerCase() === name.toLowerCase())) return;
    const message = `The key ${name} is deleted and can be recovered or purged; until then its name is taken.`;
    throw new Answer(409, { code: "Conflict", message, innerCode: "ObjectIsDeletedButRecoverable" });
  }
}

export function isKeyOperation(text: string): text is KeyOperation {
  return OPERATIONS.has(text);
}

function defaultOperations({ type }: KeyKind): readonly KeyOperation[] {
  if (isEc(type)) return ["sign", "verify"];
  return isRsa(type) ? ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"] : ["encrypt", "decrypt", "wrapKey", "unwrapKey"];
}

const OPERATIONS: ReadonlySet<string> = new Set(["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey", "import", "export"]);
const DAY_SECONDS = 86_400;
