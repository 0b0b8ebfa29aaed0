import { randomBytes } from "node:crypto";
import type { Clock } from "../../core/base/clock.ts";
import { Answer, forbidden } from "./answer.ts";
import { type DeletionRules, RecoverableObjects, type Versioned } from "./recoverable-objects.ts";

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
export interface SecretVersions extends Versioned<StoredSecret> {
  /** Whether it belongs to a certificate, and changes with that alone. */
  readonly isManaged: boolean;
}

/** The secrets of one vault. */
export class SecretStore extends RecoverableObjects<StoredSecret, SecretVersions> {
  readonly #clock: Clock;

  constructor(rules: DeletionRules) {
    super(rules, secretNotFound);
    this.#clock = rules.clock;
  }

  /** @param certificateVersion the certificate's version, for the secret of a certificate @throws Answer */
  add(
    name: string,
    value: string,
    { contentType, enabled = true, nbf, exp, tags }: SecretAttributes = {},
    certificateVersion?: string,
  ): StoredSecret {
    const isManaged = certificateVersion !== undefined;
    const known = this.known(name);
    if (known !== undefined && known.isManaged !== isManaged) throw managedSecret();
    const created = Math.floor(this.#clock.unixMs() / 1000);
    const id = certificateVersion ?? randomBytes(16).toString("hex");
    const secret = { id, value, contentType, created, updated: created, enabled, nbf, exp, tags };
    this.put({ name, versions: [...(known?.versions ?? []), secret], isManaged });
    return secret;
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
