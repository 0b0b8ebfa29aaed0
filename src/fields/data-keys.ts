import { oldestOf } from "../core/base/ages.ts";
import { CALL_OPTIONS, type CallOptions } from "../core/base/call-options.ts";
import { type Context, KeyContext } from "../core/base/context.ts";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import { SingleFlights } from "../core/base/single-flight.ts";
import { parseKeyRecord } from "../core/format/key-record.ts";
import { type ForgetFilter, meetsOwner, meetsVersion } from "../core/key-source/forget-filter.ts";
import { lifeOf } from "../core/keyring/keyring.ts";
import { Limiter } from "../core/resilience/limiter.ts";
import type { BlindIndexValue } from "./blind-index.ts";
import { CipherMemo, type MadeCipher } from "./cipher-memo.ts";
import { ColumnTokens } from "./column-tokens.ts";
import { type DataKeyInfo, infoOf } from "./data-key-info.ts";
import { type DataKeysOptions, parseDataKeysOptions, ROTATE_OPTIONS, type RotateOptions } from "./data-keys-options.ts";
import { FieldCipher } from "./field-cipher.ts";
import {
  type AnyFieldOptions,
  type CompoundIndexOptions,
  checkFieldOptions,
  checkNames,
  type DeterministicFieldOptions,
  type FieldOptions,
  type MigratingFieldOptions,
  type NoRow,
  type ParsedCborFieldOptions,
  type ParsedFieldOptions,
  type RowArgument,
  type RowRequired,
} from "./field-options.ts";
import { type ProveReport, proveAll } from "./jobs/prove-all.ts";
import { REWRAP_OPTIONS, type RewrapAllOptions, type RewrapReport, rewrapAll } from "./jobs/rewrap-all.ts";
import { KEY_JOB_OPTIONS, type KeyJobOptions } from "./jobs/scope-keyrings.ts";
import { type VerifyReport, verifyAll } from "./jobs/verify-all.ts";
import { KeyTable, keyShredded, type LiveRow, type Scope } from "./key-table.ts";
import { KeyedIndex } from "./keyed-index.ts";
import { MigratingFieldCipher } from "./migrating-cipher.ts";
import { type KeyPurpose, PURPOSE, scopeText } from "./scope.ts";
import { ScopeKeys } from "./scope-keys.ts";
import { ScopeLedger } from "./scope-ledger.ts";
import type { ScopePolicy } from "./scope-policy.ts";
import { CODECS, parsedCodec, type ValueType, type ValueTypes } from "./values.ts";

let tableIn: (dataKeys: DataKeys) => KeyTable;

/**
 * Keeps data keys wrapped in the application's own database, by scope. Each live key is unwrapped once in each process. From then on
 * ciphers work synchronously.
 *
 * @example
 * ```ts
 * import type { Keyring } from "envelock";
 * import { DataKeys, type DataKeyStore } from "envelock/fields";
 *
 * export async function openEmails(keyring: Keyring, store: DataKeyStore) {
 *   const dataKeys = new DataKeys({ keyring, store });
 *   return await dataKeys.field({ table: "users", column: "email", requireRow: true });
 * }
 * ```
 */
export class DataKeys {
  readonly #keyContext: KeyContext;
  readonly #table: KeyTable;
  readonly #policy: ScopePolicy;
  readonly #maxScopes: number;
  readonly #loading = new SingleFlights<string, ScopeKeys>();
  readonly #scopes = new Map<string, ScopeKeys>();
  readonly #ciphers = new CipherMemo();
  readonly #ledger = new ScopeLedger();
  readonly #stopListening: () => void;
  /** Whether the keyring forgets keys because a scope was shredded here, which has wiped its own already. */
  #isShredding = false;
  #isClosed = false;

  static {
    tableIn = (dataKeys) => {
      dataKeys.#requireOpen();
      return dataKeys.#table;
    };
  }

  /** @throws `invalid-argument` */
  constructor(options: DataKeysOptions) {
    const { maxScopes, bounds } = parseDataKeysOptions(options);
    const { keyring, store, onFailure } = options;
    const { clock } = bounds;
    const life = lifeOf(keyring);
    this.#keyContext = new KeyContext(keyring.context);
    this.#table = new KeyTable(keyring, store, clock);
    this.#maxScopes = maxScopes;
    this.#policy = {
      ...bounds,
      ledger: this.#ledger,
      turns: new Limiter(READS_AT_ONCE),
      gate: life.gate,
      onFailure: (error, { context }) => void tell(onFailure, error, context.map),
      onShred: ({ context, text }) => {
        this.#ledger.markShredded(text);
        this.#scopes.get(text)?.shred();
        this.#scopes.delete(text);
        this.#isShredding = true;
        keyring.forget({ context: context.map });
        this.#isShredding = false;
      },
      onTick: () => this.#makeRoom(this.#maxScopes),
      time: { nowMs: clock.monotonicMs() },
    };
    const oldestMs = (): number | undefined => oldestOf([...this.#scopes.values()].map((keys) => keys.oldestMs()));
    const ends = [life.watch({ forget: (filter) => this.#forget(filter, life.tenant), oldestMs }), life.onClose(() => this.#end())];
    this.#stopListening = () => {
      for (const end of ends) end();
    };
  }

  /**
   * Makes the cipher of a column. The first call loads the scope's data keys, or makes the first one; later calls find them in memory.
   *
   * @throws `invalid-argument`; `key-shredded`; `closed`; and what the store and the providers throw
   */
  async field<T, N extends boolean = false, R extends boolean = false>(
    options: ParsedFieldOptions<T, N, R>,
  ): Promise<FieldCipher<T, NullOf<N>, RowOf<R>>>;
  async field<T, N extends boolean = false, R extends boolean = false>(
    options: ParsedCborFieldOptions<T, N, R>,
  ): Promise<FieldCipher<T, NullOf<N>, RowOf<R>>>;
  async field<V extends ValueType = "string", N extends boolean = false>(
    options: DeterministicFieldOptions<V, N> & MigratingFieldOptions<V, N, false>,
  ): Promise<MigratingFieldCipher<ValueTypes[V], NullOf<N>, NoRow>>;
  async field<V extends ValueType = "string", N extends boolean = false>(
    options: DeterministicFieldOptions<V, N>,
  ): Promise<FieldCipher<ValueTypes[V], NullOf<N>, NoRow>>;
  async field<V extends ValueType = "string", N extends boolean = false, R extends boolean = false>(
    options: MigratingFieldOptions<V, N, R>,
  ): Promise<MigratingFieldCipher<ValueTypes[V], NullOf<N>, RowOf<R>>>;
  async field<V extends ValueType = "string", N extends boolean = false, R extends boolean = false>(
    options: FieldOptions<V, N, R>,
  ): Promise<FieldCipher<ValueTypes[V], NullOf<N>, RowOf<R>>>;
  async field(options: AnyFieldOptions): Promise<FieldCipher<unknown, null>> {
    const known = this.#ciphers.find(options);
    if (known !== undefined && this.#scopes.get(known.keys.scope.text) === known.keys) {
      this.#policy.time.nowMs = this.#policy.clock.monotonicMs();
      await known.keys.ready();
      return known.cipher;
    }
    return (await this.#ciphers.make(options, (given) => this.#newCipher(given))).cipher;
  }

  async #newCipher(options: AnyFieldOptions): Promise<MadeCipher> {
    checkFieldOptions(options);
    const { table, column, type = "string", scope, nullable = false, blindIndex, parse, migrating } = options;
    const keys = await this.#keysOf(this.#scopeOf(scope), options);
    const parts = {
      tokens: new ColumnTokens(keys, options),
      codec: parse === undefined ? CODECS[type] : parsedCodec(type === "cbor" ? CODECS.cbor : CODECS.json, parse),
      isNullable: nullable,
      index: blindIndex && new KeyedIndex(await this.#indexKeysOf(options), { table, column, index: column }, blindIndex),
    };
    const cipher = migrating === undefined ? new FieldCipher<unknown, null>(parts) : new MigratingFieldCipher<unknown, null>(parts);
    return { cipher, keys };
  }

  /**
   * Makes a blind index of several columns together, which finds rows that agree in all of them. For one column use `field({ blindIndex
   * })`.
   *
   * @throws as `field`
   */
  async compoundIndex(options: CompoundIndexOptions): Promise<KeyedIndex<readonly BlindIndexValue[]>> {
    refuseUnknown(options, COMPOUND_INDEX_OPTIONS, "DataKeys.compoundIndex");
    const { table, name, scope, signal, ...settings } = options;
    checkNames({ table, name });
    return new KeyedIndex<readonly BlindIndexValue[]>(
      await this.#indexKeysOf({ ...(scope && { scope }), ...(signal && { signal }) }),
      { table, index: name },
      settings,
    );
  }

  /**
   * Adds a data key version, and retires the ones before it, which continue to decrypt. The new one encrypts once it is `announceMs` old.
   *
   * @param scope the owner of the keys; by default the keyring's own context
   * @returns the newest version, which another process may have added at the same time
   * @throws `key-shredded`, and what the store and the providers throw
   */
  async rotate(scope?: Context, given: RotateOptions = {}): Promise<DataKeyInfo> {
    refuseUnknown(given, ROTATE_OPTIONS, "DataKeys.rotate");
    const { immediately = false, ...options } = given;
    const resolved = this.#scopeOf(scope);
    const isNew = !this.#ledger.hasSeen(resolved.text) && (await this.#table.rows(resolved, options)).length === 0;
    const keys = await this.#keysOf(resolved, options);
    const row = isNew && keys.newest?.version === 1 ? keys.newest : await keys.rotate(options);
    if (immediately) keys.announceNow(row.version);
    return infoOf({ row, error: undefined }, resolved);
  }

  /**
   * Destroys the data keys of a scope, and with them everything that they encrypted: at once here, in other processes within `refreshMs`.
   * The scope itself stays, empty and marked: nothing can be encrypted in it again. Copies of the rows elsewhere, such as backups, have to
   * be destroyed too.
   *
   * @returns how many keys were destroyed; 0 if all were destroyed before, or none ever existed
   * @throws `malformed-envelope` for rows that cannot be read, once every other key of the scope was destroyed; what the store throws
   */
  async shred(scope?: Context, options: CallOptions = {}): Promise<number> {
    refuseUnknown(options, CALL_OPTIONS, "DataKeys.shred");
    let shredded = 0;
    const left: string[] = [];
    for (const each of this.#bothOf(scope)) {
      const { rows, shredded: now, unreadable } = await this.#table.shred(each, options);
      shredded += now;
      left.push(...unreadable.map(({ row }) => `version ${row.version} for ${each.purpose}`));
      if (rows > 0) this.#policy.onShred(each);
    }
    if (left.length > 0) throw notShredded(shredded, left);
    return shredded;
  }

  /**
   * Lists the data keys of a scope as the store has them: those for fields first, by version. A row that cannot be read comes with its
   * `error`, and hides no other.
   *
   * @throws what the store throws
   */
  async list(scope?: Context, options: CallOptions = {}): Promise<readonly DataKeyInfo[]> {
    refuseUnknown(options, CALL_OPTIONS, "DataKeys.list");
    const infos: DataKeyInfo[] = [];
    for (const each of this.#bothOf(scope))
      infos.push(...(await this.#table.listedRows(each, options)).map((listed) => infoOf(listed, each)));
    return infos;
  }

  /**
   * Wraps data keys anew, in all scopes of the store, that an older KEK version wrapped, or that have other recipients than the keyring's
   * `wrapWith`. Run it after a rotation of the KEK. Tokens stay as they are. The job may be killed and run again at any point. A record is
   * replaced only after the new one has been unwrapped, and only if it is unchanged in the store.
   *
   * @returns what was done; it lists rows that failed, which are no exception
   * @throws `invalid-argument` for bad options or the checkpoint of another job; `closed`; what the store, `checkpoint` or
   *   `onProgress` throws
   */
  async rewrapAll(options: RewrapAllOptions = {}): Promise<RewrapReport> {
    refuseUnknown(options, REWRAP_OPTIONS, "DataKeys.rewrapAll");
    this.#requireOpen();
    return await rewrapAll(this.#table, { ...options });
  }

  /**
   * Writes the proofs that rows lack: once, for a table that is older than proofs. It trusts every row that is there. So look at `list()`
   * first, and let no process rotate meanwhile. docs/stores.md
   *
   * @throws as `rewrapAll`
   */
  async proveAll(options: KeyJobOptions = {}): Promise<ProveReport> {
    refuseUnknown(options, KEY_JOB_OPTIONS, "DataKeys.proveAll");
    this.#requireOpen();
    return await proveAll(this.#table, { ...options });
  }

  /** Unwraps every data key in the store and checks its proof. Changes nothing. @throws as `rewrapAll` */
  async verifyAll(options: KeyJobOptions = {}): Promise<VerifyReport> {
    refuseUnknown(options, KEY_JOB_OPTIONS, "DataKeys.verifyAll");
    this.#requireOpen();
    return await verifyAll(this.#table, { ...options });
  }

  /** Wipes the keys that it holds. Every later call, and every cipher, throws `closed`. Store and keyring stay open. */
  async close(): Promise<void> {
    this.#end();
  }

  #end(): void {
    this.#isClosed = true;
    this.#stopListening();
    for (const keys of this.#scopes.values()) keys.close();
    this.#scopes.clear();
    this.#ciphers.clear();
  }

  /** Follows the keyring's `forget`: a scope unwraps its keys again when a cipher of it is used. */
  #forget(filter: ForgetFilter, tenant: string | undefined): number {
    let forgotten = 0;
    if (this.#isShredding) return forgotten;
    for (const keys of this.#scopes.values()) {
      if (!meetsOwner(keys.scope.context, filter, tenant)) continue; // before the records of all scopes are parsed
      if (keys.isUnder((row) => isMeant(row, filter))) forgotten += keys.forget();
    }
    return forgotten;
  }

  #scopeOf(scope: Context | undefined, purpose: KeyPurpose = "fields"): Scope {
    this.#requireOpen();
    const fields = this.#keyContext.with(scope);
    const taken = Object.keys(fields.map).find((name) => RESERVED.includes(name) || name.startsWith(RESERVED_PREFIX));
    if (taken !== undefined) throw invalidArgument(`"${taken}" is filled in by the library: a scope cannot have it`);
    const context = purpose === "fields" ? fields : fields.with({ [PURPOSE]: purpose });
    return { context, text: scopeText(context), purpose };
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new EnvelockError("closed", "these data keys have been closed");
  }

  #bothOf(scope: Context | undefined): readonly Scope[] {
    return [this.#scopeOf(scope, "fields"), this.#scopeOf(scope, "blind-indexes")];
  }

  #indexKeysOf(options: Pick<FieldOptions, "scope" | "signal">): Promise<ScopeKeys> {
    return this.#keysOf(this.#scopeOf(options.scope, "blind-indexes"), options);
  }

  async #keysOf(scope: Scope, { signal }: CallOptions): Promise<ScopeKeys> {
    if (this.#ledger.isShredded(scope.text)) throw keyShredded();
    const held = this.#scopes.get(scope.text);
    this.#policy.time.nowMs = this.#policy.clock.monotonicMs();
    if (held === undefined) return await this.#loading.run(scope.text, () => this.#load(scope), { signal });
    await held.ready(signal && { signal });
    return held;
  }

  async #load(scope: Scope): Promise<ScopeKeys> {
    const isForIndexes = scope.purpose === "blind-indexes";
    const keys = new ScopeKeys(scope, this.#table, isForIndexes ? { ...this.#policy, maxAgeMs: Number.POSITIVE_INFINITY } : this.#policy);
    try {
      await keys.refresh();
      this.#requireOpen();
      if (this.#ledger.isShredded(scope.text)) throw keyShredded();
      this.#policy.time.nowMs = this.#policy.clock.monotonicMs();
      keys.usedAt = this.#policy.time.nowMs;
      this.#makeRoom(this.#maxScopes - 1);
      this.#scopes.set(scope.text, keys);
      return keys;
    } catch (error) {
      keys.close();
      throw error;
    }
  }

  /**
   * Evicts scopes until so many are left, except those in use. Column types of an ORM ask for their cipher only once, so the use of ciphers
   * counts, and a map in the order of `field()` would not do.
   */
  #makeRoom(most: number): void {
    if (this.#scopes.size <= most) return;
    const idleSince = this.#policy.time.nowMs - IN_USE_MS;
    for (const keys of longestIdle(this.#scopes.values(), this.#scopes.size - most, idleSince)) {
      keys.close();
      this.#scopes.delete(keys.scope.text);
    }
  }
}

/** The scopes that were not used since, those that were used longest ago first. Sorts nothing for one, which is the usual number. */
function longestIdle(scopes: Iterable<ScopeKeys>, most: number, idleSince: number): readonly ScopeKeys[] {
  if (most > 1) {
    const idle = [...scopes].filter(({ usedAt }) => usedAt <= idleSince);
    return idle.sort((a, b) => a.usedAt - b.usedAt).slice(0, most);
  }
  let oldest: ScopeKeys | undefined;
  for (const keys of scopes) if (keys.usedAt <= idleSince && keys.usedAt < (oldest?.usedAt ?? Number.POSITIVE_INFINITY)) oldest = keys;
  return oldest === undefined ? [] : [oldest];
}

/** Returns the table of data keys, for jobs over a fleet. @throws `closed`, or `invalid-argument` for what is no `DataKeys` of this copy */
export function keyTableOf(dataKeys: DataKeys): KeyTable {
  if (!(dataKeys instanceof DataKeys)) throw invalidArgument("dataKeys must be a DataKeys of this copy of envelock");
  return tableIn(dataKeys);
}

/** Whether a row names a KEK version that is to be forgotten. A record that is none counts as one: a store must not hinder a `forget`. */
function isMeant({ record }: LiveRow, filter: ForgetFilter): boolean {
  try {
    return parseKeyRecord(record).recipients.some((version) => meetsVersion(version, filter));
  } catch {
    return true;
  }
}

function notShredded(shredded: number, left: readonly string[]): EnvelockError {
  const places = left.length > 5 ? `${left.slice(0, 5).join(", ")} and ${left.length - 5} more` : left.join(", ");
  return new EnvelockError("malformed-envelope", `${shredded} data keys were destroyed, and rows that cannot be read were not: ${places}`, {
    hint: "Delete those rows by hand: what cannot be read now may be readable to another reader.",
  });
}

/** Calls a listener. An exception or rejection is dropped, because no caller waits here. */
async function tell(onFailure: DataKeysOptions["onFailure"], error: unknown, scope: Context): Promise<void> {
  try {
    await onFailure?.(error, scope);
  } catch {
    // the listener got the error
  }
}

type NullOf<N extends boolean> = N extends true ? null : never;
type RowOf<R extends boolean> = R extends true ? RowRequired : RowArgument;

const COMPOUND_INDEX_OPTIONS: OptionNames<CompoundIndexOptions> = {
  ...CALL_OPTIONS,
  table: true,
  name: true,
  scope: true,
  bits: true,
  normalise: true,
  version: true,
  unique: true,
  olderVersions: true,
};
const IN_USE_MS = 10_000;
/** Fewer than the calls of a tenant that may wait, so that there is room for those of callers. */
const READS_AT_ONCE = 16;
/** Pairs of a context that a token or an index adds to its scope. */
// docs/format.md §5.2
const RESERVED_PREFIX = "envelock:";
const RESERVED: readonly string[] = ["table", "column", "row", "form", "index", "version"];
