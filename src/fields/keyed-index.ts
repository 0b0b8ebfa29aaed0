import { invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import { deriveIndexKey } from "../core/data-key/data-key.ts";
import { type BlindIndexOptions, type BlindIndexValue, blindIndex, checkedBits, LEAST_UNIQUE_BITS } from "./blind-index.ts";
import type { ScopeKeys } from "./scope-keys.ts";

/** The settings of a blind index. None of them may change while rows have the index; to change one, raise `version`. */
export interface IndexSettings extends BlindIndexOptions {
  /** The number of the way in which this index is made. Default 1. */
  readonly version?: number;
  /**
   * Whether no two values share an index, so that a filter by it finds the wanted rows alone. True needs at least 96 bits, and is the
   * default from 96 bits on. Adapters refuse to write, count or negate by an index that is not unique.
   */
  readonly unique?: boolean;
  /** Versions that rows still have, newest first, while a job brings them to `version`. */
  readonly olderVersions?: readonly Omit<IndexSettings, "olderVersions">[];
}

/** The columns of an index, from which its key is derived. */
export interface IndexPlace {
  readonly table: string;
  readonly index: string;
  /** The column, for an index of one. */
  readonly column?: string;
}

/** A blind index of one column, or of several together, under a key that survives the rotation of data keys. Synchronous. */
export class KeyedIndex<V extends BlindIndexValue | readonly BlindIndexValue[] = BlindIndexValue> {
  readonly #keys: ScopeKeys;
  readonly #place: IndexPlace;
  readonly #versions: readonly Omit<IndexSettings, "olderVersions">[];

  /** Called by `DataKeys`. @throws `invalid-argument` */
  constructor(keys: ScopeKeys, place: IndexPlace, { olderVersions = [], ...newest }: IndexSettings) {
    if (!Array.isArray(olderVersions)) throw invalidArgument("olderVersions is a list of index settings");
    const versions = [newest, ...olderVersions];
    for (const settings of versions) refuseUnknown<Omit<IndexSettings, "olderVersions">>(settings, INDEX_SETTINGS, "a blind index");
    const numbers = versions.map(({ version = 1 }) => version);
    if (!numbers.every((version) => Number.isSafeInteger(version) && version >= 1))
      throw invalidArgument("a blind index's version is 1 or more");
    if (numbers.some((version, at) => at > 0 && version >= (numbers[at - 1] ?? 0)))
      throw invalidArgument("olderVersions go down from version");
    for (const { bits, unique } of versions) {
      if (bits !== undefined) checkedBits(bits);
      if (unique === true && (bits ?? 0) < LEAST_UNIQUE_BITS)
        throw invalidArgument(
          `a unique blind index needs at least ${LEAST_UNIQUE_BITS} bits`,
          "planBlindIndex({ unique: true }) says how many.",
        );
    }
    this.#keys = keys;
    this.#place = place;
    this.#versions = versions;
  }

  /**
   * Computes the index to store beside the token, in hex.
   *
   * @throws `invalid-argument` for a value that has none; `key-shredded`, `unavailable`, `closed`
   */
  of(value: V): string {
    const [newest = {}] = this.#versions;
    return this.#inVersion(newest, value);
  }

  /** Whether no two values share an index, in every version that rows may have. */
  get isUnique(): boolean {
    return this.#versions.every(({ bits = 0, unique = true }) => unique && bits >= LEAST_UNIQUE_BITS);
  }

  /** Whether two values are equal to some version of the index, after its normalisation. @throws as `of` */
  isSame(value: V, other: V): boolean {
    return this.#versions.some((version) => {
      const whole = { ...version, bits: WHOLE_BITS };
      return this.#inVersion(whole, value) === this.#inVersion(whole, other);
    });
  }

  /** Computes the index in every version, newest first. Rows with this value have one of them. @throws as `of` */
  all(value: V): readonly string[] {
    return this.#versions.map((settings) => this.#inVersion(settings, value));
  }

  #inVersion({ version = 1, ...options }: IndexSettings, value: V): string {
    const key = deriveIndexKey(this.#keys.encryptingKey, { ...this.#place, version: String(version) });
    return blindIndex(key, value, options);
  }
}

const WHOLE_BITS = 256;
const INDEX_SETTINGS: OptionNames<Omit<IndexSettings, "olderVersions">> = { bits: true, normalise: true, version: true, unique: true };
