import { randomBytes } from "node:crypto";
import { Answer, forbidden, keyNotFound } from "./answer.ts";
import { isEc, isRsa, type KeyKind, type KeyMaterial } from "./key-material.ts";
import { type Deleted, type DeletionRules, RecoverableObjects } from "./recoverable-objects.ts";

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

/** The keys of one vault. */
export class KeyStore extends RecoverableObjects<StoredVersion, StoredKey> {
  readonly #options: KeyStoreOptions;

  constructor(options: KeyStoreOptions) {
    super(options, keyNotFound);
    this.#options = options;
  }

  /** Adds a version to the key of this name, or makes the key. @throws Answer while a deleted key has the name */
  add(
    name: string,
    kind: KeyKind,
    material: KeyMaterial,
    attributes: VersionAttributes = {},
    { ageMs = 0, certificateVersion }: VersionOrigin = {},
  ): StoredVersion {
    const isManaged = certificateVersion !== undefined;
    const key = this.known(name) ?? { name, versions: [], isManaged, rotationPolicy: undefined };
    if (key.isManaged !== isManaged) throw isManaged ? nameTaken() : managedKey();
    this.put(key);
    const createdMs = this.#options.clock.unixMs() - ageMs;
    const created = Math.floor(createdMs / 1000);
    const { enabled = true, nbf, exp, operations = defaultOperations(kind), tags } = attributes;
    const id = certificateVersion ?? randomBytes(16).toString("hex");
    const replicatedAtMs = createdMs + this.#options.replicationLagMs;
    const version = { id, kind, material, created, updated: created, enabled, nbf, exp, operations, tags, replicatedAtMs };
    key.versions.push(version);
    return version;
  }

  /** Finds a key that its own requests may change. @throws Answer for the key of a certificate */
  ownKey(name: string): StoredKey {
    const key = this.find(name);
    if (key.isManaged) throw managedKey();
    return key;
  }

  /** Finds a deleted key that its own requests may change. @throws Answer for the key of a certificate */
  ownDeletedKey(name: string): Deleted<StoredKey> {
    const deleted = this.findDeleted(name);
    if (deleted.item.isManaged) throw managedKey();
    return deleted;
  }

  /** @throws Answer */
  override visibleVersions(name: string): readonly StoredVersion[] {
    const nowMs = this.#options.clock.unixMs();
    return super.visibleVersions(name).filter(({ replicatedAtMs }) => replicatedAtMs <= nowMs);
  }

  /** Restores a key from a backup with its version ids. @throws Answer if its name is taken */
  restore(key: StoredKey): void {
    if (this.known(key.name) !== undefined) throw nameTaken();
    this.put(key);
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
