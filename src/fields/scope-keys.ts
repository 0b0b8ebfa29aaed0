import { toHex } from "../core/base/bytes.ts";
import type { CallOptions } from "../core/base/call-options.ts";
import type { Clock } from "../core/base/clock.ts";
import { authenticationFailed, EnvelockError } from "../core/base/errors.ts";
import { waitFor } from "../core/base/wait.ts";
import type { StoredDataKey } from "../core/contracts/data-key-store.ts";
import { type DataKey, isNamedBy } from "../core/data-key/data-key.ts";
import { TOKEN_PREFIX_BYTES } from "../core/format/token.ts";
import { isLive, isShredded, type KeyTable, keyShredded, type LiveRow, type Scope } from "./key-table.ts";

/** What all scopes of one `DataKeys` share. */
export interface ScopePolicy {
  readonly clock: Clock;
  readonly maxAgeMs: number;
  readonly refreshMs: number;
  readonly maxStaleMs: number;
  readonly announceMs: number;
  readonly maxVersions: number;
  /** What was tried in the background has failed, and will be tried again. */
  onFailure(error: unknown, scope: Scope): void;
  /** Whatever else holds keys of this scope lets go of them. */
  onShred(scope: Scope): void;
  /** Counts the scopes that were loaded: the time by which it is told which one was used last. */
  readonly loads: { count: number };
}

/**
 * The data keys of one scope as this process holds them: what encrypts, what decrypts, what the store showed last.
 *
 * Reads the store again every `refreshMs`. What turns out to be shredded is wiped. A store that has lost what it once showed stops
 * encryption: nobody could read later what would be written now. A store that cannot be read for `maxStaleMs` stops everything.
 */
export class ScopeKeys {
  readonly scope: Scope;
  /** When a cipher last asked for a key, as `loads` counts. */
  usedAt: number;
  readonly #table: KeyTable;
  readonly #policy: ScopePolicy;
  /** By kid: the newest versions, and older ones that somebody asked for, of which the first asked for leave first. */
  readonly #held = new Map<string, DataKey>();
  readonly #fetched = new Map<string, DataKey>();
  readonly #fetching = new Map<string, Fetch>();
  /** By kid: why a version is not held that should be. */
  readonly #failures = new Map<string, unknown>();
  /** By kid, newest first: what the store showed. */
  #rows: ReadonlyMap<string, StoredDataKey> = new Map();
  #encrypting: { readonly key: DataKey; readonly row: StoredDataKey } | undefined;
  #atOnce = 0;
  #refreshing: Promise<void> | undefined;
  #readAt = 0;
  #state: "open" | "rolled-back" | "stale" | "shredded" | "closed" = "open";
  #cancelTimer: (() => void) | undefined;

  constructor(scope: Scope, table: KeyTable, policy: ScopePolicy) {
    this.scope = scope;
    this.#table = table;
    this.#policy = policy;
    this.usedAt = policy.loads.count;
  }

  /** The key that encrypts now. @throws `key-shredded`, `closed`, `unavailable`, `provider-failure` */
  get encryptingKey(): DataKey {
    this.usedAt = this.#policy.loads.count;
    if (this.#encrypting === undefined) throw this.#refusal() ?? withoutActiveKey();
    return this.#encrypting.key;
  }

  /** The newest active version: it encrypts, or will once it is announced. */
  get #newest(): StoredDataKey | undefined {
    for (const row of this.#rows.values()) if (row.state === "active") return row;
    return undefined;
  }

  /** How long until the newest version encrypts, at least; 0 if it does. */
  get announcedInMs(): number {
    const newest = this.#newest;
    if (newest === undefined || newest === this.#encrypting?.row) return 0;
    return Math.max(1, this.#policy.announceMs - this.#table.ageMs(newest));
  }

  /**
   * The key that a token names, if it is held.
   *
   * @throws `key-shredded`, `closed`; `unavailable` if it has to be fetched first; `authentication-failed` if the scope has no such
   *   key; and why it could not be unwrapped
   */
  keyOf(token: Uint8Array): DataKey {
    const encrypting = this.#encrypting?.key;
    this.usedAt = this.#policy.loads.count;
    if (encrypting !== undefined && isNamedBy(encrypting, token)) return encrypting;
    const kid = kidOf(token);
    const found = this.#find(kid);
    if (found !== undefined) return found;
    if (this.#failures.has(kid)) throw this.#failures.get(kid);
    throw this.#rows.has(kid) ? notLoaded() : authenticationFailed();
  }

  /**
   * Like `keyOf`, after a look into the store where that is needed. A fetched key is kept until all who waited for it have used it,
   * however many there are beside it.
   *
   * @param use gets the key for as long as the call takes
   * @throws also what the store and the providers throw
   */
  async withKey<T>(token: Uint8Array, use: (key: DataKey) => T): Promise<T> {
    const kid = kidOf(token);
    const found = this.#find(kid);
    if (found !== undefined) return use(found);
    const fetch = this.#fetching.get(kid) ?? { key: this.#fetch(kid), waiting: 0 };
    this.#fetching.set(kid, fetch);
    fetch.waiting++;
    try {
      const key = await fetch.key;
      return use(this.#find(kid) ?? key);
    } finally {
      fetch.waiting--;
      if (fetch.waiting === 0) this.#fetching.delete(kid);
      this.#makeRoom();
    }
  }

  /** Whether the scope has, or had, the key of what begins like a token. */
  knows(token: Uint8Array): boolean {
    return this.#rows.has(kidOf(token));
  }

  /** Whether a token is under the newest version, announced or not. */
  isNewest(token: Uint8Array): boolean {
    return this.#newest?.kid === kidOf(token);
  }

  /** Lets a version encrypt in this process, announced or not. */
  announceNow(version: number): void {
    this.#atOnce = Math.max(this.#atOnce, version);
    this.#choose();
  }

  /** Reads the store now: for the first time, or because it has changed. @throws why the scope cannot be used */
  async refresh(options?: CallOptions): Promise<void> {
    await waitFor(this.#refreshAfter(this.#refreshing), { signal: options?.signal });
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
    if (this.#state === "shredded") return keyShredded();
    if (this.#state === "closed") return letGo();
    if (this.#state === "stale") return stale();
    return this.#state === "rolled-back" ? rolledBack() : undefined;
  }

  /** @param earlier began before the change that is to be seen */
  async #refreshAfter(earlier: Promise<void> | undefined): Promise<void> {
    await earlier?.catch(() => undefined);
    this.#refreshing ??= this.#read().finally(() => {
      this.#refreshing = undefined;
    });
    await this.#refreshing;
  }

  async #read(): Promise<void> {
    const startedAt = this.#policy.clock.monotonicMs();
    const rows = await this.#currentRows();
    if (this.#state === "closed") throw letGo();
    if (rows.some(isShredded)) this.shred();
    if (this.#state === "shredded") throw keyShredded();
    this.#readAt = startedAt;
    this.#state = this.#isLostIn(rows) ? "rolled-back" : "open";
    if (this.#state === "open") this.#rows = new Map(rows.map((row) => [row.kid, row]));
    this.#cancelTimer ??= this.#tickLater();
    try {
      await this.#hold(rows.filter(isLive).slice(0, this.#policy.maxVersions));
    } finally {
      this.#choose();
    }
  }

  /** Newest first; with a first version if there was none, and with the next if the newest is too old. */
  async #currentRows(): Promise<readonly StoredDataKey[]> {
    const rows = await this.#table.rows(this.scope);
    const newest = rows.at(-1);
    if (newest === undefined && this.#rows.size === 0) {
      await this.#table.add(this.scope, 1);
    } else if (newest !== undefined && !rows.some(isShredded) && this.#table.ageMs(newest) >= this.#policy.maxAgeMs) {
      await this.#table.rotate(this.scope).catch((error: unknown) => this.#policy.onFailure(error, this.scope));
    } else {
      return [...rows].reverse();
    }
    return [...(await this.#table.rows(this.scope))].reverse();
  }

  /** Whether the store shows less than it has shown. */
  #isLostIn(rows: readonly StoredDataKey[]): boolean {
    const shown = new Map(rows.map((row) => [row.kid, row]));
    return [...this.#rows.values()].some((row) => {
      const now = shown.get(row.kid);
      return now?.version !== row.version || now.revision < row.revision;
    });
  }

  /** Unwraps what is not held yet. The newest key must open; an older one that does not fails whoever asks for it. */
  async #hold(rows: readonly LiveRow[]): Promise<void> {
    const [newest] = rows;
    const missing = rows.filter(({ kid }) => !this.#held.has(kid));
    await Promise.all(missing.map((row) => this.#unwrap(row)));
    if (this.#state === "open") this.#keepOnly(new Set(rows.map(({ kid }) => kid)));
    if (newest !== undefined && this.#failures.has(newest.kid)) throw this.#failures.get(newest.kid);
  }

  async #unwrap(row: LiveRow): Promise<void> {
    try {
      const key = await this.#table.unwrap(this.scope, row);
      this.#failures.delete(row.kid);
      this.#take(this.#held, row.kid, key);
    } catch (error) {
      this.#failures.set(row.kid, error);
    }
  }

  async #fetch(kid: string): Promise<DataKey> {
    const row = await this.#table.row(this.scope, kid);
    if (row === undefined) throw authenticationFailed();
    if (!isLive(row)) {
      this.shred();
      throw keyShredded();
    }
    const key = await this.#table.unwrap(this.scope, row);
    this.#take(this.#fetched, kid, key);
    return key;
  }

  #makeRoom(): void {
    for (const kid of this.#fetched.keys()) {
      if (this.#fetched.size <= this.#policy.maxVersions) return;
      if (!this.#fetching.has(kid)) drop(this.#fetched, kid);
    }
  }

  /** @throws if the scope has ended while the key was unwrapped */
  #take(keys: Map<string, DataKey>, kid: string, key: DataKey): void {
    drop(keys, kid);
    keys.set(kid, key);
    if (this.#state !== "closed" && this.#state !== "shredded") return;
    this.#wipe();
    throw this.#refusal();
  }

  #keepOnly(kids: ReadonlySet<string>): void {
    for (const kid of [...this.#held.keys()]) if (!kids.has(kid)) drop(this.#held, kid);
  }

  /** The newest key that every process had time to learn of; with none, the oldest, which they know longest. */
  #choose(): void {
    this.#encrypting = undefined;
    if (this.#state !== "open" || this.#newest === undefined) return;
    const { version } = this.#newest;
    const usable = [...this.#rows.values()].filter((row) => row.version <= version && this.#held.has(row.kid));
    const row = usable.find((candidate) => this.#isAnnounced(candidate)) ?? usable.at(-1);
    const key = this.#held.get(row?.kid ?? "");
    if (row !== undefined && key !== undefined) this.#encrypting = { key, row };
  }

  #isAnnounced(row: StoredDataKey): boolean {
    return row.version <= this.#atOnce || this.#table.ageMs(row) >= this.#policy.announceMs;
  }

  #wipe(): void {
    this.#cancelTimer?.();
    this.#encrypting = undefined;
    for (const keys of [this.#held, this.#fetched]) for (const kid of [...keys.keys()]) drop(keys, kid);
  }

  #tickLater(): () => void {
    const { clock, refreshMs } = this.#policy;
    return clock.after(refreshMs * (1 - clock.random() / 4), () => this.#tick(), "idle"); // not all scopes at once
  }

  #tick(): void {
    this.#cancelTimer = this.#tickLater();
    if (this.#policy.clock.monotonicMs() - this.#readAt >= this.#policy.maxStaleMs) {
      this.#state = "stale";
      this.#encrypting = undefined;
    }
    if (this.#refreshing !== undefined) return;
    this.refresh().catch((error: unknown) => {
      if (this.#state !== "shredded" && this.#state !== "closed") this.#policy.onFailure(error, this.scope);
    });
  }
}

interface Fetch {
  readonly key: Promise<DataKey>;
  /** How many have not used it yet. */
  waiting: number;
}

function kidOf(token: Uint8Array): string {
  return toHex(token.subarray(1, TOKEN_PREFIX_BYTES));
}

function drop(keys: Map<string, DataKey>, kid: string): void {
  keys.get(kid)?.destroy();
  keys.delete(kid);
}

function notLoaded(): EnvelockError {
  return new EnvelockError("unavailable", "this version of the data key is not loaded", {
    hint: "Decrypt with an async method, which fetches it, or raise maxVersions.",
  });
}

function letGo(): EnvelockError {
  return new EnvelockError("closed", "the keys of this scope have been let go", {
    hint: "Ask field() again; raise maxScopes if more scopes than that are in use at once.",
  });
}

function stale(): EnvelockError {
  return new EnvelockError("unavailable", "the data-key store could not be read for longer than maxStaleMs");
}

function rolledBack(): EnvelockError {
  return new EnvelockError("provider-failure", "the data-key store has lost rows or changes that it had: it takes no new data", {
    hint: "Bring the lost rows back before anything else is written; what is loaded still decrypts.",
  });
}

function withoutActiveKey(): EnvelockError {
  return new EnvelockError("provider-failure", "the scope has no active data key that could be unwrapped");
}
