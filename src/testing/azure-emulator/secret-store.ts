import { randomBytes } from "node:crypto";
import type { Clock } from "../../core/base/clock.ts";
import { Answer, badParameter } from "./answer.ts";

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

/** The secrets of one vault with all their versions. */
export class SecretStore {
  readonly #clock: Clock;
  readonly #secrets = new Map<string, StoredSecret[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(name: string, value: string, { contentType, enabled = true, nbf, exp, tags }: SecretAttributes = {}): StoredSecret {
    if (!/^[0-9a-z-]{1,127}$/i.test(name)) throw badParameter("A name has 1 to 127 letters, digits and hyphens.");
    const created = Math.floor(this.#clock.unixMs() / 1000);
    const secret = { id: randomBytes(16).toString("hex"), value, contentType, created, updated: created, enabled, nbf, exp, tags };
    this.#secrets.set(name.toLowerCase(), [...(this.#secrets.get(name.toLowerCase()) ?? []), secret]);
    return secret;
  }

  /** @param version empty for the newest @throws Answer */
  version(name: string, version: string): StoredSecret {
    const versions = this.versions(name);
    const found = version === "" ? versions.at(-1) : versions.find(({ id }) => id === version.toLowerCase());
    if (found === undefined) throw secretNotFound(name);
    return found;
  }

  /** @throws Answer */
  versions(name: string): readonly StoredSecret[] {
    const versions = this.#secrets.get(name.toLowerCase());
    if (versions === undefined) throw secretNotFound(name);
    return versions;
  }

  delete(name: string): void {
    if (!this.#secrets.delete(name.toLowerCase())) throw secretNotFound(name);
  }
}

function secretNotFound(name: string): Answer {
  return new Answer(404, { code: "SecretNotFound", message: `There is no secret ${name} in this vault.` });
}
