import type { Clock } from "../../core/base/clock.ts";
import { AwsAnswer, notFound } from "./answer.ts";
import { idIn, KmsKey, type KmsKeyTraits } from "./kms-key.ts";
import { ACCOUNT } from "./principals.ts";

/** The region and account of a request, which short names of keys belong to. */
export interface Place {
  readonly region: string;
  readonly account: string;
}

/** All keys and aliases, of every region and account. */
export class KeyStore {
  readonly #clock: Clock;
  readonly #keys: Map<string, KmsKey> = new Map();
  /** The ARN of a key by the ARN of an alias. */
  readonly #aliases: Map<string, string> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  create(traits: KmsKeyTraits): KmsKey {
    return this.#add(KmsKey.create(traits, traits.region ?? DEFAULT_REGION, traits.account ?? ACCOUNT, this.#clock.unixMs()));
  }

  replicate(key: KmsKey, region: string): KmsKey {
    return this.#add(key.replicate(region, this.#clock.unixMs()));
  }

  keysAt({ region, account }: Place): readonly KmsKey[] {
    return [...this.#keys.values()].filter((key) => key.region === region && key.account === account);
  }

  aliasesAt({ region, account }: Place): readonly (readonly [aliasArn: string, keyArn: string])[] {
    return [...this.#aliases].filter(([arn]) => arn.includes(`:${region}:${account}:`));
  }

  /** Makes an alias, or moves it. */
  setAlias(name: string, key: KmsKey): void {
    this.#aliases.set(aliasArn(name, key), key.arn);
  }

  hasAlias(name: string, place: Place): boolean {
    return this.#aliases.has(aliasArn(name, place));
  }

  /** @returns whether it existed */
  deleteAlias(name: string, place: Place): boolean {
    return this.#aliases.delete(aliasArn(name, place));
  }

  /**
   * Finds the key that a request names by id, ARN, alias or ARN of an alias.
   *
   * @throws `NotFoundException`, also for a key of another region; `InvalidArnException`
   */
  find(keyId: string, place: Place): KmsKey {
    if (keyId.startsWith("arn:") && !/^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:(?:key|alias)\/./.test(keyId))
      throw new AwsAnswer("InvalidArnException", `Invalid arn ${keyId}`);
    const arn = keyId.startsWith("arn:") ? keyId : keyId.startsWith("alias/") ? aliasArn(keyId, place) : undefined;
    const key =
      arn === undefined
        ? this.keysAt(place).find(({ id }) => id === keyId)
        : this.#keys.get(arn.includes(":alias/") ? (this.#aliases.get(arn) ?? "") : arn);
    if (key === undefined || key.region !== place.region) throw notFound(arn ?? keyId);
    const { deletionAtMs } = key;
    if (deletionAtMs === undefined || deletionAtMs > this.#clock.unixMs()) return key;
    this.#keys.delete(key.arn);
    throw notFound(key.arn);
  }

  /** Finds the key that a ciphertext names, in any account. */
  keyOf(blob: Buffer, { region }: Place): KmsKey | undefined {
    const id = idIn(blob);
    return [...this.#keys.values()].find((key) => key.id === id && key.region === region);
  }

  #add(key: KmsKey): KmsKey {
    this.#keys.set(key.arn, key);
    return key;
  }
}

function aliasArn(name: string, { region, account }: Place): string {
  return `arn:aws:kms:${region}:${account}:${name}`;
}

const DEFAULT_REGION = "eu-central-1";
