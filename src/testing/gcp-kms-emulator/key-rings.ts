import type { Clock } from "../../core/base/clock.ts";
import { GcpAnswer } from "../emulator/google-answer.ts";
import { invalid, notFound } from "./answer.ts";
import { type KeyTraits, type KeyVersion, KmsKey } from "./kms-key.ts";

/** The key rings of a service and the keys in them, by their whole names. Rings and keys cannot be deleted, as in the service. */
export class KeyRings {
  readonly #clock: Clock;
  readonly #rings: Map<string, number> = new Map();
  readonly #keys: Map<string, KmsKey> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws GcpAnswer */
  addRing(name: string): void {
    if (this.#rings.has(name)) throw new GcpAnswer(409, "ALREADY_EXISTS", `KeyRing ${name} already exists.`);
    this.#rings.set(name, this.#clock.unixMs());
  }

  /** Returns the time at which a ring was made, in Unix milliseconds. @throws GcpAnswer */
  ringCreatedMs(name: string): number {
    const createdMs = this.#rings.get(name);
    if (createdMs === undefined) throw notFound(`KeyRing ${name}`);
    return createdMs;
  }

  hasRing(name: string): boolean {
    return this.#rings.has(name);
  }

  hasKey(name: string): boolean {
    return this.#keys.has(name);
  }

  /** @throws GcpAnswer */
  addKey(name: string, traits: KeyTraits): KmsKey {
    const [ring = ""] = name.split("/cryptoKeys/");
    this.ringCreatedMs(ring);
    if (!/\/cryptoKeys\/[\w-]{1,63}$/.test(name)) throw invalid(`${name} is not a name of a CryptoKey.`);
    if (this.#keys.has(name)) throw new GcpAnswer(409, "ALREADY_EXISTS", `CryptoKey ${name} already exists.`);
    const key = new KmsKey(name, traits, this.#clock.unixMs());
    this.#keys.set(name, key);
    return key;
  }

  /** @throws GcpAnswer */
  key(name: string): KmsKey {
    const key = this.#keys.get(name);
    if (key === undefined) throw notFound(`CryptoKey ${name}`);
    return key;
  }

  /** @throws GcpAnswer */
  version(name: string): KeyVersion {
    const [, key = "", digits = ""] = /^(.+)\/cryptoKeyVersions\/([1-9]\d{0,8})$/.exec(name) ?? [];
    return this.key(key).version(Number(digits));
  }

  keysIn(ring: string): readonly KmsKey[] {
    return [...this.#keys.values()].filter(({ name }) => name.startsWith(`${ring}/cryptoKeys/`));
  }
}
