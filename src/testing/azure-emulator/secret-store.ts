import { randomBytes } from "node:crypto";
import type { Clock } from "../../core/base/clock.ts";
import { Answer, badParameter, forbidden } from "./answer.ts";
import { type Deleted, type DeletionRules, RecycleBin } from "./recycle-bin.ts";

export interface SecretAttributes {
  readonly contentType?: string | undefined;
  readonly enabled?: boolean | undefined;
  /** Unix time in seconds. */
  readonly nbf?: number | undefined;
  readonly exp?: number | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

export interface StoredSecret {
  /** 32 hex digits. */
  readonly id: string;
  readonly value: string;
  readonly contentType: string | undefined;
  readonly created: number;
  readonly tags: Readonly<Record<string, string>> | undefined;
  updated: number;
  enabled: boolean;
  nbf: number | undefined;
  exp: number | undefined;
}

/** A secret with all its versions. */
export interface SecretVersions {
  readonly name: string;
  readonly versions: readonly StoredSecret[];
  /** Whether it belongs to a certificate, and changes with that alone. */
  readonly isManaged: boolean;
}

/** The secrets of one vault, deleted ones included. Names are case-insensitive. */
export class SecretStore {
  readonly #clock: Clock;
  readonly #secrets = new Map<string, SecretVersions>();
  readonly #bin: RecycleBin<SecretVersions>;

  constructor(rules: DeletionRules) {
    this.#clock = rules.clock;
    this.#bin = new RecycleBin(rules, secretNotFound);
  }

  /** @param certificateVersion the certificate's version, for the secret of a certificate @throws Answer */
  add(
    name: string,
    value: string,
    { contentType, enabled = true, nbf, exp, tags }: SecretAttributes = {},
    certificateVersion?: string,
  ): StoredSecret {
    if (!/^[0-9a-z-]{1,127}$/i.test(name)) throw badParameter("A name has 1 to 127 letters, digits and hyphens.");
    this.#bin.requireFree(name);
    const isManaged = certificateVersion !== undefined;
    const known = this.#secrets.get(name.toLowerCase());
    if (known !== undefined && known.isManaged !== isManaged) throw managedSecret();
    const created = Math.floor(this.#clock.unixMs() / 1000);
    const id = certificateVersion ?? randomBytes(16).toString("hex");
    const secret = { id, value, contentType, created, updated: created, enabled, nbf, exp, tags };
    this.#secrets.set(name.toLowerCase(), { name, versions: [...(known?.versions ?? []), secret], isManaged });
    return secret;
  }

  /** @param version empty for the newest @throws Answer */
  version(name: string, version: string): StoredSecret {
    const { versions } = this.secret(name);
    const found = version === "" ? versions.at(-1) : versions.find(({ id }) => id === version.toLowerCase());
    if (found === undefined) throw secretNotFound(name);
    return found;
  }

  /** @throws Answer */
  secret(name: string): SecretVersions {
    const secret = this.#secrets.get(name.toLowerCase());
    if (secret === undefined || this.#bin.isArriving(name)) throw secretNotFound(name);
    return secret;
  }

  get all(): readonly SecretVersions[] {
    return [...this.#secrets.values()].filter(({ name }) => !this.#bin.isArriving(name));
  }

  /** @throws Answer */
  delete(name: string): Deleted<SecretVersions> {
    const secret = this.secret(name);
    this.#secrets.delete(name.toLowerCase());
    return this.#bin.add(name, secret);
  }

  get deletedSecrets(): readonly Deleted<SecretVersions>[] {
    return this.#bin.all;
  }

  /** @throws Answer */
  deletedSecret(name: string): Deleted<SecretVersions> {
    return this.#bin.find(name);
  }

  /** @throws Answer */
  recover(name: string): SecretVersions {
    const { item } = this.#bin.recover(name);
    this.#secrets.set(name.toLowerCase(), item);
    return item;
  }

  /** @throws Answer also where purge protection is on */
  purge(name: string): void {
    this.#bin.purge(name);
  }
}

/** Refuses what only the certificate of a secret may do. @throws Answer */
export function requireOwnSecret({ isManaged }: SecretVersions): void {
  if (isManaged) throw managedSecret();
}

function managedSecret(): Answer {
  return forbidden("SecretManagedByKeyVault", {}, "The secret belongs to a certificate, and changes with that alone.");
}

function secretNotFound(name: string): Answer {
  return new Answer(404, { code: "SecretNotFound", message: `There is no secret ${name} in this vault.` });
}
