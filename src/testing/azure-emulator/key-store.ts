import { randomBytes } from "node:crypto";
import { Answer, badParameter, forbidden, keyNotFound } from "./answer.ts";
import { isEc, isRsa, type KeyKind, type KeyMaterial } from "./key-material.ts";
import { type Deleted, type DeletionRules, RecycleBin } from "./recycle-bin.ts";

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
  /** Whether it belongs to a certificate, and changes with that alone. */
  readonly isManaged: boolean;
  rotationPolicy: RotationPolicy | undefined;
}

export interface RotationPolicy {
  readonly lifetimeActions: readonly object[];
  /** The lifetime of a version made by rotation, such as `P90D`. */
  readonly expiryTime: string | undefined;
  readonly created: number;
  readonly updated: number;
}

/** What makes a version beside its key. */
export interface VersionOrigin {
  /** How long ago it was made. */
  readonly ageMs?: number;
  /** The certificate's version, for the key of a certificate. */
  readonly certificateVersion?: string;
}

export interface KeyStoreOptions extends DeletionRules {
  /** The delay until a new version reaches the answering region. */
  readonly replicationLagMs: number;
}

/** The keys of one vault, deleted ones included. Names are case-insensitive. */
export class KeyStore {
  readonly #options: KeyStoreOptions;
  readonly #keys = new Map<string, StoredKey>();
  readonly #bin: RecycleBin<StoredKey>;

  constructor(options: KeyStoreOptions) {
    this.#options = options;
    this.#bin = new RecycleBin(options, keyNotFound);
  }

  /** Removes every key of this name, deleted ones included. */
  forget(name: string): void {
    this.#keys.delete(name.toLowerCase());
    this.#bin.forget(name);
  }

  /** Adds a version to the key of this name, or makes the key. @throws Answer while a deleted key has the name */
  add(
    name: string,
    kind: KeyKind,
    material: KeyMaterial,
    attributes: VersionAttributes = {},
    { ageMs = 0, certificateVersion }: VersionOrigin = {},
  ): StoredVersion {
    if (!/^[0-9a-z-]{1,127}$/i.test(name)) throw badParameter("A name has 1 to 127 letters, digits and hyphens.");
    this.#bin.requireFree(name);
    const isManaged = certificateVersion !== undefined;
    const key = this.#keys.get(name.toLowerCase()) ?? { name, versions: [], isManaged, rotationPolicy: undefined };
    if (key.isManaged !== isManaged) throw isManaged ? nameTaken() : managedKey();
    this.#keys.set(name.toLowerCase(), key);
    const createdMs = this.#options.clock.unixMs() - ageMs;
    const created = Math.floor(createdMs / 1000);
    const { enabled = true, nbf, exp, operations = defaultOperations(kind), tags } = attributes;
    const id = certificateVersion ?? randomBytes(16).toString("hex");
    const replicatedAtMs = createdMs + this.#options.replicationLagMs;
    const version = { id, kind, material, created, updated: created, enabled, nbf, exp, operations, tags, replicatedAtMs };
    key.versions.push(version);
    return version;
  }

  /** @throws Answer */
  key(name: string): StoredKey {
    const key = this.#keys.get(name.toLowerCase());
    if (key === undefined || this.#bin.isArriving(name)) throw keyNotFound(name);
    return key;
  }

  /** Finds a key that its own requests may change. @throws Answer for the key of a certificate */
  ownKey(name: string): StoredKey {
    const key = this.key(name);
    if (key.isManaged) throw managedKey();
    return key;
  }

  get keys(): readonly StoredKey[] {
    return [...this.#keys.values()].filter(({ name }) => !this.#bin.isArriving(name));
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
  delete(name: string): Deleted<StoredKey> {
    const key = this.key(name);
    this.#keys.delete(name.toLowerCase());
    return this.#bin.add(name, key);
  }

  get deletedKeys(): readonly Deleted<StoredKey>[] {
    return this.#bin.all;
  }

  /** @throws Answer */
  deletedKey(name: string): Deleted<StoredKey> {
    return this.#bin.find(name);
  }

  /** Finds a deleted key that its own requests may change. @throws Answer for the key of a certificate */
  ownDeletedKey(name: string): Deleted<StoredKey> {
    const deleted = this.#bin.find(name);
    if (deleted.item.isManaged) throw managedKey();
    return deleted;
  }

  /** @throws Answer */
  recover(name: string): StoredKey {
    const { item } = this.#bin.recover(name);
    this.#keys.set(name.toLowerCase(), item);
    return item;
  }

  /** @throws Answer also where purge protection is on */
  purge(name: string): void {
    this.#bin.purge(name);
  }

  /** Restores a key from a backup with its version ids. @throws Answer if its name is taken */
  restore(key: StoredKey): void {
    this.#bin.requireFree(key.name);
    if (this.#keys.has(key.name.toLowerCase())) throw nameTaken();
    this.#keys.set(key.name.toLowerCase(), key);
  }
}

export function isKeyOperation(text: string): text is KeyOperation {
  return OPERATIONS.has(text);
}

function nameTaken(): Answer {
  return new Answer(409, { code: "Conflict", message: "A key of this name exists." });
}

function managedKey(): Answer {
  return forbidden("KeyManagedByKeyVault", {}, "The key belongs to a certificate, and changes with that alone.");
}

function defaultOperations({ type }: KeyKind): readonly KeyOperation[] {
  if (isEc(type)) return ["sign", "verify"];
  return isRsa(type) ? ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"] : ["encrypt", "decrypt", "wrapKey", "unwrapKey"];
}

const OPERATIONS: ReadonlySet<string> = new Set(["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey", "import", "export"]);
