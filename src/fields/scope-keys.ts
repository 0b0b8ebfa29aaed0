import { oldestOf } from "../core/base/ages.ts";
import type { CallOptions } from "../core/base/call-options.ts";
import { authenticationFailed, EnvelockError, isDeliberateRefusal } from "../core/base/errors.ts";
import type { StoredDataKey } from "../core/contracts/data-key-store.ts";
import { type DataKey, isNamedBy } from "../core/data-key/data-key.ts";
import { Announcement } from "./announcement.ts";
import { FetchedKeys } from "./fetched-keys.ts";
import { HeldKeys, kidOf } from "./held-keys.ts";
import { isLive, isShredded, type KeyTable, keyShredded, type LiveRow, type Scope } from "./key-table.ts";
import { ScopeGate } from "./scope-gate.ts";
import type { ScopePolicy } from "./scope-policy.ts";
import { ScopeReader, type Seen } from "./scope-reader.ts";
import { ScopeRefresh } from "./scope-refresh.ts";
import * as refusals from "./scope-refusals.ts";
import type { Opened } from "./succession.ts";

/**
 * Holds the data keys of one scope in this process: the one that encrypts, those that decrypt, and what the store showed last.
 *
 * Reads the store again every `refreshMs`, and unwraps each key again at `maxKeyAgeMs`. Wipes keys that were shredded. A store that has
 * lost rows or changes stops encryption, because no process could read later what would be written now. A store that cannot be read for
 * `maxStaleMs` stops everything. A version is believed only if a holder of the version before has added it.
 */
export class ScopeKeys {
  readonly scope: Scope;
  /** The time at which a cipher last asked for a key, or was handed out, by `policy.time`. */
  usedAt: number;
  readonly #table: KeyTable;
  readonly #reader: ScopeReader;
  readonly #refresh: ScopeRefresh;
  readonly #gate: ScopeGate;
  readonly #announcement: Announcement;
  readonly #policy: ScopePolicy;
  /** The keys of the newest versions. */
  readonly #held = new HeldKeys();
  readonly #fetched: FetchedKeys;
  /** The reason why a version that should be held is not, by kid. */
  readonly #failures = new Map<string, unknown>();
  /** The rows that the store showed and that are believed, by kid, newest first. */
  #rows: ReadonlyMap<string, StoredDataKey> = new Map();
  /** The reason why a row that the store shows is not believed. */
  #unbelieved: EnvelockError | undefined;
  #encrypting: { readonly key: DataKey; readonly row: StoredDataKey } | undefined;
  /** Whether keys were forgotten on demand. They are unwrapped again when a cipher is used, and not before. */
  #isDormant = false;
  /** The number of times that keys were forgotten. Keys that were unwrapped before the last time are not kept. */
  #generation = 0;
  /** Whether an unwrap was refused. Every key that is held is then unwrapped again. */
  #isSuspect = false;
  #state: "open" | refusals.Refusing = "open";

  constructor(scope: Scope, table: KeyTable, policy: ScopePolicy) {
    this.scope = scope;
    this.#table = table;
    this.#policy = policy;
    this.#gate = new ScopeGate(policy.gate, scope);
    this.#announcement = new Announcement(table, policy.announceMs);
    this.#fetched = new FetchedKeys(policy.maxVersions, { fetch: (kid) => this.#fetch(kid), find: (kid) => this.#find(kid) });
    this.#refresh = new ScopeRefresh(policy, {
      readOnce: (done) => this.#readOnce(done),
      isOver: () => this.#isOver(),
      turnStale: () => {
        this.#state = "stale";
        this.#encrypting = undefined;
      },
      failed: (error) => policy.onFailure(error, scope),
    });
    this.#reader = new ScopeReader(scope, table, policy, {
      rows: () => this.#rows,
      keyOf: ({ kid }) => this.#held.get(kid),
      needs: ({ kid }) => !this.#isDormant && this.#isDue(kid),
      mayRotate: () => !this.#isDormant,
      requireAlive: (rows) => this.#requireAlive(rows),
    });
    this.usedAt = policy.time.nowMs;
  }

  /** The key that encrypts now. @throws `key-shredded`, `closed`, `unavailable`, `provider-failure`, and why it could not be unwrapped */
  get encryptingKey(): DataKey {
    this.#gate.admitEncryption();
    this.usedAt = this.#policy.time.nowMs;
    if (this.#encrypting === undefined) throw this.#whyNoneEncrypts();
    return this.#encrypting.key;
  }

  /** The key that most tokens are under, if there is one, and if `isNamed` says so of it. @throws as `keyOf` */
  encryptingKeyIf(isNamed: (key: DataKey) => boolean): DataKey | undefined {
    const encrypting = this.#encrypting?.key;
    if (encrypting === undefined || !isNamed(encrypting)) return undefined;
    this.#gate.admitDecryption();
    this.usedAt = this.#policy.time.nowMs;
    return encrypting;
  }

  /** The newest active version. It encrypts, or will do so once it is announced. */
  get newest(): StoredDataKey | undefined {
    for (const row of this.#rows.values()) if (row.state === "active") return row;
    return undefined;
  }

  /** The least time until the newest version encrypts; 0 if it does already. */
  get announcedInMs(): number {
    const { newest } = this;
    if (newest === undefined || newest === this.#encrypting?.row) return 0;
    return this.#announcement.inMs(newest);
  }

  /**
   * Returns the key that a token names, if it is held.
   *
   * @throws `key-shredded`, `closed`; `unavailable` if it has to be fetched first; `authentication-failed` if the scope has no such
   *   key; and why it could not be unwrapped
   */
  keyOf(token: Uint8Array): DataKey {
    this.#gate.admitDecryption();
    const encrypting = this.#encrypting?.key;
    this.usedAt = this.#policy.time.nowMs;
    if (encrypting !== undefined && isNamedBy(encrypting, token)) return encrypting;
    const kid = kidOf(token);
    const found = this.#find(kid);
    if (found !== undefined) return found;
    if (this.#failures.has(kid)) throw this.#failures.get(kid);
    if (!this.#rows.has(kid)) throw refusals.unknownKid(kid);
    throw this.#isDormant ? this.#wake() : refusals.notLoaded();
  }

  /**
   * Works like `keyOf`, and looks into the store where that is needed. A fetched key is kept until all calls that waited for it have used
   * it, however many keys are held beside it.
   *
   * @param use gets the key for as long as the call takes
   * @throws also what the store and the providers throw
   */
  async withKey<T>(token: Uint8Array, use: (key: DataKey) => T): Promise<T> {
    this.#gate.admitDecryption();
    await this.ready();
    const kid = kidOf(token);
    const found = this.#find(kid);
    if (found !== undefined) return use(found);
    return await this.#fetched.use(kid, use);
  }

  /** Whether the scope has, or had, the key that the beginning of a token names. */
  knows(token: Uint8Array): boolean {
    return this.#rows.has(kidOf(token));
  }

  /** Whether a token is under the newest version, announced or not. */
  isNewest(token: Uint8Array): boolean {
    return this.newest?.kid === kidOf(token);
  }

  /** Lets a version encrypt in this process, announced or not. */
  announceNow(version: number): void {
    this.#announcement.makeNow(version);
    this.#choose();
  }

  /** Reads the store now: for the first time, or because it has changed. @throws the reason why the scope cannot be used */
  async refresh(options: CallOptions = {}): Promise<void> {
    await this.#refresh.anew(options);
  }

  /**
   * Makes the scope ready, before a cipher is handed out or a caller waits for one. Reads the store if this process stood still or the
   * store did not answer.
   *
   * @throws as `refresh`, if the scope cannot be used without it
   */
  async ready(options: CallOptions = {}): Promise<void> {
    this.usedAt = this.#policy.time.nowMs;
    const { clock, refreshMs, maxStaleMs } = this.#policy;
    for (let attempt = 0; this.#isBehind(this.#refresh.hasFailed ? maxStaleMs : 1.5 * refreshMs); attempt++) {
      this.#isDormant = false;
      try {
        return await this.#refresh.join(options);
      } catch (error) {
        options.signal?.throwIfAborted();
        if (!this.#isBehind(maxStaleMs) && this.#encrypting !== undefined) return this.#policy.onFailure(error, this.scope);
        // a connection that broke while the process stood still fails once
        if (attempt === RETRIES || !(error instanceof EnvelockError && error.retryable))
          throw this.#state === "stale" ? refusals.stale(error) : error;
        await new Promise<void>((resolve) => clock.after(FIRST_RETRY_MS * 4 ** attempt, resolve, "awaited"));
      }
    }
  }

  /** Adds a version and retires the ones before it. @returns the newest row. @throws as `refresh`; the reason why no version can be added */
  async rotate(options?: CallOptions): Promise<StoredDataKey> {
    await this.refresh(options);
    const refusal = this.#refusal() ?? this.#unbelieved;
    if (refusal !== undefined) throw refusal;
    const [last] = this.#rows.values();
    if (last === undefined) throw refusals.withoutActiveKey();
    await this.#table.rotate(this.scope, last, () => this.#heldKeyOf(last), options);
    await this.refresh(options);
    if (this.newest === undefined) throw this.#whyNoneEncrypts();
    return this.newest;
  }

  /** Wipes the keys until a cipher is used again, and does not unwrap them before. @returns how many */
  forget(): number {
    if (this.#isOver()) return 0;
    this.#isDormant = true;
    this.#generation++;
    this.#refresh.detach();
    this.#encrypting = undefined;
    return this.#held.dropAll() + this.#fetched.dropAll();
  }

  /** The age of the oldest key that is held. Undefined if none is. */
  oldestMs(): number | undefined {
    const nowMs = this.#policy.clock.monotonicMs();
    return oldestOf([this.#held.oldestMs(nowMs), this.#fetched.oldestMs(nowMs)]);
  }

  /** Whether one of the rows names a key version. */
  isUnder(isNamed: (row: LiveRow) => boolean): boolean {
    return [...this.#rows.values()].some((row) => isLive(row) && isNamed(row));
  }

  /** Wipes the keys; later uses throw `key-shredded`. */
  shred(): void {
    if (this.#state === "shredded") return;
    this.#state = "shredded";
    this.#wipe();
    this.#policy.onShred(this.scope);
  }

  /** Wipes the keys; later uses throw `closed`. */
  close(): void {
    if (this.#state !== "shredded") this.#state = "closed";
    this.#wipe();
  }

  #find(kid: string): DataKey | undefined {
    if (this.#state !== "rolled-back") {
      const refusal = this.#refusal();
      if (refusal !== undefined) throw refusal;
    }
    return this.#held.get(kid) ?? this.#fetched.get(kid);
  }

  #refusal(): EnvelockError | undefined {
    return this.#state === "open" ? undefined : refusals.refusalOf(this.#state);
  }

  #whyNoneEncrypts(): unknown {
    const refusal = this.#refusal();
    if (refusal !== undefined) return refusal;
    return this.#isDormant ? this.#wake() : (this.#failures.get(this.newest?.kid ?? "") ?? refusals.withoutActiveKey());
  }

  /** Begins to unwrap forgotten keys, because a cipher was used. The synchronous call cannot wait for that. */
  #wake(): EnvelockError {
    this.#isDormant = false;
    this.#refresh.inBackground();
    return refusals.dormant();
  }

  #heldKeyOf(row: StoredDataKey): DataKey {
    const key = this.#held.get(row.kid);
    if (key === undefined) throw this.#failures.get(row.kid) ?? this.#refusal() ?? refusals.withoutActiveKey();
    return key;
  }

  async #readOnce(done: () => void): Promise<void> {
    const generation = this.#generation;
    const opened = new Map<string, Opened>();
    let seen: Seen;
    try {
      seen = await this.#reader.read(opened);
      this.#requireAlive([]);
      this.#adopt(seen);
      done();
      if (generation === this.#generation) this.#keep(seen);
    } finally {
      for (const { key } of opened.values()) key?.destroy(); // keys that were not taken over
      this.#choose();
    }
    if (this.#unbelieved !== undefined) this.#policy.onFailure(this.#unbelieved, this.scope);
    const last = seen.rows.at(-1);
    if (last !== undefined && this.#rows.has(last.kid) && !this.#held.has(last.kid) && this.#failures.has(last.kid))
      throw this.#failures.get(last.kid);
  }

  /** @throws `closed`, `key-shredded` if the scope has ended meanwhile, here or in the store */
  #requireAlive(rows: readonly StoredDataKey[]): void {
    if (this.#state === "closed") throw refusals.letGo();
    if (rows.some(isShredded) || this.#policy.ledger.isShredded(this.scope.text)) this.shred();
    if (this.#state === "shredded") throw keyShredded();
  }

  /** @throws the reason why the scope cannot be used, if it could not be used before */
  #adopt({ believed, unbelieved, isLost, rows }: Seen): void {
    const isFirst = this.#rows.size === 0;
    if (isFirst && unbelieved !== undefined) throw unbelieved;
    this.#state = isLost ? "rolled-back" : "open";
    this.#unbelieved = unbelieved;
    if (isLost && !isFirst) return;
    this.#rows = new Map([...believed].reverse().map((row) => [row.kid, row]));
    for (const kid of [...this.#failures.keys()]) if (!this.#rows.has(kid)) this.#failures.delete(kid);
    for (const { kid } of rows) if (unbelieved !== undefined && !this.#rows.has(kid)) this.#failures.set(kid, unbelieved);
    if (!isLost && unbelieved === undefined) this.#policy.ledger.note(this.scope.text, believed);
  }

  /** Takes over the keys that were unwrapped, and wipes those that are too old, were refused or are not among the newest. */
  #keep({ opened, believed, isLost }: Seen): void {
    const now = this.#policy.clock.monotonicMs();
    const newest = new Set(believed.slice(-this.#policy.maxVersions).map(({ kid }) => kid));
    const wasSuspect = this.#isSuspect;
    this.#isSuspect = false;
    for (const [kid, { key, error }] of opened) {
      if (key === undefined) this.#keepNot(kid, error, now, wasSuspect);
      else if (newest.has(kid) && !this.#isDormant) {
        this.#failures.delete(kid);
        this.#held.put(kid, key, now);
        opened.delete(kid);
      }
    }
    if (!isLost) this.#held.dropAll((kid) => !newest.has(kid));
    this.#fetched.dropOlder(this.#policy.maxKeyAgeMs, now);
    if (this.#isSuspect) this.#refresh.inBackground();
  }

  /** A refusal takes effect at once, and makes the other keys suspect. An accident takes effect when the key is much too old. */
  #keepNot(kid: string, error: unknown, now: number, wasSuspect: boolean): void {
    const { maxKeyAgeMs, maxStaleMs } = this.#policy;
    const isRefused = isDeliberateRefusal(error);
    if (isRefused && !wasSuspect && this.#isNews(kid)) this.#isSuspect = true;
    if (this.#held.has(kid) && !isRefused && this.#held.ageMs(kid, now) < maxKeyAgeMs + maxStaleMs) {
      this.#policy.onFailure(error, this.scope);
      return;
    }
    if (this.#held.has(kid)) this.#policy.onFailure(error, this.scope);
    if (this.#encrypting !== undefined && this.#encrypting.row.kid === kid) this.#encrypting = undefined;
    this.#held.drop(kid);
    this.#failures.set(kid, error);
  }

  /** Whether a refusal of this key says something new about those that are held. */
  #isNews(kid: string): boolean {
    return this.#held.has(kid) || (this.#held.size > 0 && !isDeliberateRefusal(this.#failures.get(kid)));
  }

  /** Whether a key has to be unwrapped, for the first time or again. */
  #isDue(kid: string): boolean {
    if (!this.#held.has(kid)) return true;
    return this.#isSuspect || this.#held.ageMs(kid, this.#policy.clock.monotonicMs()) >= this.#policy.maxKeyAgeMs;
  }

  async #fetch(kid: string): Promise<DataKey> {
    const row = await this.#table.row(this.scope, kid);
    if (row === undefined) throw refusals.unknownKid(kid);
    this.#requireAlive([row]);
    if (!isLive(row)) throw keyShredded();
    if (!this.#rows.has(kid)) {
      await this.refresh(); // a new version is believed by its proof, or not at all
      const found = this.#find(kid);
      if (found !== undefined) return found;
      if (this.#failures.has(kid)) throw this.#failures.get(kid);
    }
    const believed = this.#rows.get(kid);
    if (believed?.version !== row.version || believed.createdAtMs !== row.createdAtMs) throw authenticationFailed();
    const key = await this.#unwrapFetched(row);
    if (this.#isOver()) {
      key.destroy();
      throw this.#refusal();
    }
    this.#failures.delete(kid);
    this.#fetched.put(kid, key, this.#policy.clock.monotonicMs());
    return key;
  }

  async #unwrapFetched(row: LiveRow): Promise<DataKey> {
    try {
      return await this.#table.unwrap(this.scope, row);
    } catch (error) {
      if (isDeliberateRefusal(error) && this.#isNews(row.kid)) {
        this.#isSuspect = true;
        this.#refresh.inBackground();
      }
      this.#failures.set(row.kid, error);
      throw error;
    }
  }

  #choose(): void {
    this.#encrypting = undefined;
    const { newest } = this;
    if (this.#state !== "open" || newest === undefined) return;
    const row = this.#announcement.choose(
      [...this.#rows.values()].filter(({ version, kid }) => version <= newest.version && this.#held.has(kid)),
    );
    const key = this.#held.get(row?.kid ?? "");
    if (row !== undefined && key !== undefined) this.#encrypting = { key, row };
  }

  #wipe(): void {
    this.#refresh.stop();
    this.#encrypting = undefined;
    this.#held.dropAll();
    this.#fetched.dropAll();
  }

  #isOver(): boolean {
    return this.#state === "closed" || this.#state === "shredded";
  }

  #isBehind(maxMs: number): boolean {
    if (this.#isOver()) return false;
    return this.#state === "stale" || this.#isDormant || this.#refresh.ageMs >= maxMs;
  }
}

const FIRST_RETRY_MS = 50;
const RETRIES = 2;
