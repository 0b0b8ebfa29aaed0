import { equalPublicBytes, fromHex, isBytes, toHex } from "../core/base/bytes.ts";
import type { CallOptions } from "../core/base/call-options.ts";
import type { Clock } from "../core/base/clock.ts";
import { KeyContext } from "../core/base/context.ts";
import { authenticationFailed, EnvelockError, malformed } from "../core/base/errors.ts";
import type { DataKeyStore, KeyCuts, RowPlace, ScanPage, StoredDataKey, WantedCuts } from "../core/contracts/data-key-store.ts";
import { KID_BYTES } from "../core/contracts/suite.ts";
import type { DataKey } from "../core/data-key/data-key.ts";
import { isSuccession, proveSuccession } from "../core/data-key/succession.ts";
import { type KeyRecord, parseKeyRecord } from "../core/format/key-record.ts";
import { MAX_PROOF_BYTES, type SuccessionClaim } from "../core/format/succession.ts";
import type { KeyRecords } from "../core/keyring/key-records.ts";
import { type Keyring, keyRecordsOf } from "../core/keyring/keyring.ts";
import type { KeyVersion } from "../core/telemetry/events.ts";
import { fromStore, outOfOrder } from "./from-store.ts";
import { PageChanges } from "./jobs/page-changes.ts";
import { walkedCuts } from "./jobs/walked-cuts.ts";
import { contextOfScope, type KeyPurpose, purposeOf } from "./scope.ts";

/** A key context, and the name that the store has for it. */
export interface Scope {
  readonly context: KeyContext;
  readonly text: string;
  readonly purpose: KeyPurpose;
}

/** A row that still has its data key, wrapped. */
export interface LiveRow extends StoredDataKey {
  readonly state: "active" | "retired";
  readonly record: Uint8Array;
}

/** The store as the core uses it. Rows that it returns are checked, its failures have a code, and changes are made in order. */
export class KeyTable {
  readonly #keyring: Keyring;
  readonly #records: KeyRecords;
  readonly #store: DataKeyStore;
  readonly #clock: Clock;

  constructor(keyring: Keyring, store: DataKeyStore, clock: Clock) {
    this.#keyring = keyring;
    this.#records = keyRecordsOf(keyring);
    this.#store = store;
    this.#clock = clock;
  }

  /** Returns the same store with another keyring. */
  with(keyring: Keyring): KeyTable {
    return new KeyTable(keyring, this.#store, this.#clock);
  }

  /** The time since a row was made, by the clocks of two machines. */
  ageMs({ createdAtMs }: StoredDataKey): number {
    return this.#clock.unixMs() - createdAtMs;
  }

  /** Returns the scope of a store's text; undefined outside the keyring's context. @throws `malformed-envelope` if it is no scope */
  scopeNamed(text: string): Scope | undefined {
    const context = contextOfScope(text);
    if (context === undefined) throw malformed("the scope of a stored data key is none");
    const isOurs = Object.entries(this.#keyring.context).every(([key, value]) => context[key] === value);
    return isOurs ? { context: new KeyContext(context), text, purpose: purposeOf(context) } : undefined;
  }

  /** Returns a page of the rows of all scopes, unchecked: the caller checks them one by one. @throws what the store throws */
  async scan(page: ScanPage, options?: CallOptions): Promise<readonly StoredDataKey[]> {
    return await fromStore(() => this.#store.scan(page, options), options);
  }

  /** Cuts a range of scopes into parts. Reads all rows of it where the store has no quicker way. @throws what the store throws */
  async cuts(wanted: WantedCuts, options?: CallOptions): Promise<KeyCuts> {
    const cut = this.#store.cuts?.bind(this.#store);
    if (cut === undefined) return await walkedCuts((page) => this.scan(page, options), wanted, options?.signal);
    const { rows, bounds } = await fromStore(() => cut(wanted, options), options);
    if (bounds.every((bound, at) => typeof bound === "string" && (at === 0 || bound > (bounds[at - 1] ?? "")))) return { rows, bounds };
    throw outOfOrder();
  }

  /**
   * Makes a data key and opens it again, without storing it.
   *
   * @returns the KEK versions that new data keys name
   * @throws what the keyring throws
   */
  async trial(options?: CallOptions): Promise<readonly KeyVersion[]> {
    const made = await this.#keyring.createDataKey(callOptions(options));
    made.dataKey.destroy();
    const record = parseKeyRecord(made.keyRecord);
    (await this.#records.unwrapParsed(record, callOptions(options))).destroy();
    return record.recipients.map(({ provider, keyId }) => ({ provider, keyId }));
  }

  /** Whether a rewrap would change a record's recipients. @throws as `keyRecordNeedsRewrap` */
  async isStale(record: KeyRecord, options?: CallOptions): Promise<boolean> {
    return await this.#records.parsedNeedsRewrap(record, callOptions(options));
  }

  /** Returns every row of a scope, by version. @throws `malformed-envelope`, `authentication-failed`, and what the store throws */
  async rows(scope: Scope, options?: CallOptions): Promise<readonly StoredDataKey[]> {
    const rows = await fromStore(() => this.#store.list(scope.text, options), options);
    const checked = rows.map((row) => checkedRow(row, scope.text)).sort((a, b) => a.version - b.version);
    for (const field of ["version", "kid"] as const) {
      if (new Set(checked.map((row) => row[field])).size < checked.length)
        throw malformed(`two stored data keys of one scope have one ${field}`);
    }
    return checked;
  }

  /**
   * Returns every row of a scope, by version. A row that cannot be read comes with the error that says why, and hides no other.
   *
   * @throws what the store throws
   */
  async listedRows(scope: Scope, options?: CallOptions): Promise<readonly ListedRow[]> {
    const listed: ListedRow[] = [];
    const kids = new Set<string>();
    for (let after: RowPlace = { scope: scope.text, version: 0 }; ; ) {
      const page = await this.scan({ after, limit: PAGE_ROWS }, options); // `list` of a store fails as a whole
      const own = page.filter((row) => row.scope === scope.text);
      for (const row of own) {
        if (!(row.version > after.version)) throw malformed("a scan of the data-key store does not go up by version");
        listed.push(listedRow(row, scope.text, kids));
        after = row;
      }
      if (own.length < PAGE_ROWS) return listed;
    }
  }

  /** Returns the row of a kid, if the scope has it. @throws as `rows` */
  async row(scope: Scope, kid: string, options?: CallOptions): Promise<StoredDataKey | undefined> {
    const found = await fromStore(() => this.#store.byKid(scope.text, kid, options), options);
    return found && ownRow(found, scope, kid);
  }

  /** Unwraps the data key of a row, which the caller destroys. @throws `malformed-envelope`, and as `unwrapRecord` */
  async unwrap(scope: Scope, row: LiveRow, options?: CallOptions): Promise<DataKey> {
    return await this.unwrapRecord(scope, row, parseKeyRecord(row.record), options);
  }

  /** Unwraps the data key of a row with a parsed record. @throws `authentication-failed` if it is another row's, and as `unwrapDataKey` */
  async unwrapRecord({ context }: Scope, { kid }: LiveRow, record: KeyRecord, options?: CallOptions): Promise<DataKey> {
    if (toHex(record.keyCommit.subarray(0, KID_BYTES)) !== kid) throw authenticationFailed();
    return await this.#records.unwrapParsed(record, { ...callOptions(options), keyContext: context.map });
  }

  /** Whether a row carries the proof that a holder of `before`, the version before it, has added it. docs/format.md §3.2 */
  isProven({ context }: Scope, row: StoredDataKey, before: DataKey): boolean {
    return row.proof !== null && isSuccession(row.proof, before, context, claimOf(row));
  }

  /** @throws `authentication-failed` if `isProven` says no */
  requireProof(scope: Scope, row: StoredDataKey, before: DataKey): void {
    if (!this.isProven(scope, row, before)) throw unproven(row);
  }

  /**
   * Makes a data key and stores it as `version`, unless another process was first. The key is not handed out: the caller unwraps the row
   * that the store has, and so shows that it is durable and can be read again.
   *
   * @param before gives the data key of the version before; left out for the first version
   * @throws `key-shredded` if the scope was shredded meanwhile; `provider-failure` if the store does not keep what it took
   */
  async add(scope: Scope, version: number, before?: () => DataKey, options?: CallOptions): Promise<void> {
    const { dataKey, keyRecord: record } = await this.#keyring.createDataKey({ ...callOptions(options), keyContext: scope.context.map });
    const { kid } = dataKey;
    dataKey.destroy();
    const createdAtMs = Math.floor(this.#clock.unixMs());
    const named = { scope: scope.text, version, kid, createdAtMs };
    const proof = before === undefined ? null : proveSuccession(before(), scope.context, claimOf(named));
    const row: LiveRow = { ...named, state: "active", record, proof, revision: 1 };
    if (await fromStore(() => this.#store.insertIfAbsent(row, options), options)) await this.#readBack(scope, row, options);
  }

  /**
   * Adds the version after `newest` and retires the others. If several processes do it at once, one of them adds.
   *
   * @param before gives the data key of `newest`
   */
  async rotate(scope: Scope, newest: StoredDataKey, before: () => DataKey, options?: CallOptions): Promise<void> {
    const version = newest.version + 1;
    await this.add(scope, version, before, options);
    await this.#retireBelow(scope, version, options);
  }

  /** Writes the proof that a row lacks. The caller vouches for the row. @returns whether the row was unchanged in the store */
  async prove(scope: Scope, row: LiveRow, before: DataKey, options?: CallOptions): Promise<boolean> {
    const proof = proveSuccession(before, scope.context, claimOf(row));
    return await this.#swap(row, { state: row.state, record: row.record, proof }, options);
  }

  /** Collects the changes of a page of rows. @param workers the changes in flight where the store makes them one by one */
  changesOf(page: ScanPage, workers: number, options: CallOptions): PageChanges {
    return new PageChanges(this.#store, this.#clock, page, workers, options);
  }

  /**
   * Wraps a row's data key for the keyring's `wrapWith`, and unwraps it again.
   *
   * @param record that of `row`
   * @throws as `unwrapRecord` and `rewrapKeyRecord`
   */
  async wrapAnew(scope: Scope, row: LiveRow, record: KeyRecord, options?: CallOptions): Promise<WrappedAnew> {
    const bytes = await this.#records.rewrapParsed(record, { ...callOptions(options), keyContext: scope.context.map });
    const written = parseKeyRecord(bytes); // what will be stored, not what it was made of
    (await this.unwrapRecord(scope, row, written, options)).destroy();
    return { row, record: written, bytes };
  }

  /**
   * Stores a record that was wrapped anew, if no other process has done it first, and reads it back. Wraps it once more if another process
   * has changed the row meanwhile.
   *
   * @throws as `wrapAnew`; `provider-failure` if the store does not keep what it took
   */
  async replace(scope: Scope, wrapped: WrappedAnew, changes: PageChanges, options?: CallOptions): Promise<Rewrapped> {
    let next = wrapped;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const { row: before, record, bytes } = next;
      const revision = before.revision + 1;
      const { isReplaced, now: found } = await changes.replace({ ...before, record: bytes, revision }, before.revision);
      if (found === undefined) throw lost(before.version);
      const now = ownRow(found, scope, before.kid);
      if (isReplaced && now.revision <= revision && !isSameRecord(now.record, bytes)) throw lost(before.version);
      if (!isLive(now)) return { record: undefined, isRewrapped: isReplaced };
      const standing = isSameRecord(now.record, bytes) ? record : parseKeyRecord(now.record);
      if (isReplaced || !(await this.isStale(standing, options))) return { record: standing, isRewrapped: isReplaced };
      next = await this.wrapAnew(scope, now, standing, options);
    }
    throw noHeadway();
  }

  /** Retires the active rows below `version`, also while other processes change them. */
  async #retireBelow(scope: Scope, version: number, options?: CallOptions): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const older = (await this.rows(scope, options)).filter((row) => row.state === "active" && row.version < version);
      if (older.length === 0) return;
      for (const row of older) await this.#swap(row, { state: "retired", record: row.record }, options);
    }
    throw noHeadway();
  }

  /**
   * Shreds every row of a scope that can be read, also rows that are added meanwhile.
   *
   * @returns the number of rows, the number of keys destroyed, and the rows that could not be read
   */
  async shred(scope: Scope, options?: CallOptions): Promise<ShreddedRows> {
    let shredded = 0;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const listed = await this.listedRows(scope, options);
      const live = listed.filter(({ error, row }) => error === undefined && isLive(row));
      if (live.length === 0) return { rows: listed.length, shredded, unreadable: listed.filter(({ error }) => error !== undefined) };
      for (const { row } of live) if (await this.#swap(row, { state: "shredded", record: null }, options)) shredded++;
    }
    throw noHeadway();
  }

  /** Shreds a key that was added while the scope was shredded. No process has used it yet. */
  async #readBack(scope: Scope, row: LiveRow, options?: CallOptions): Promise<void> {
    const rows = await this.rows(scope, options);
    if (rows.some(isShredded)) {
      await this.shred(scope, options);
      throw keyShredded();
    }
    if (!rows.some(({ kid }) => kid === row.kid)) throw lost(row.version);
  }

  #swap(
    row: StoredDataKey,
    change: Pick<StoredDataKey, "state" | "record"> & Partial<StoredDataKey>,
    options?: CallOptions,
  ): Promise<boolean> {
    const revision = row.revision + 1;
    return fromStore(() => this.#store.compareAndSwap({ ...row, ...change, revision }, row.revision, options), options);
  }
}

/** A row, and the record that will replace its own. */
export interface WrappedAnew {
  readonly row: LiveRow;
  readonly record: KeyRecord;
  /** The record as it will be stored. */
  readonly bytes: Uint8Array;
}

/** The result of `KeyTable.replace`. */
export interface Rewrapped {
  /** The record as it stands then; undefined if the row was shredded meanwhile. */
  readonly record: KeyRecord | undefined;
  /** Whether this call has replaced it. */
  readonly isRewrapped: boolean;
}

/** A row of a scope, and what is wrong with it. */
export interface ListedRow {
  readonly row: StoredDataKey;
  readonly error: EnvelockError | undefined;
}

export interface ShreddedRows {
  readonly rows: number;
  readonly shredded: number;
  readonly unreadable: readonly ListedRow[];
}

export function isLive(row: StoredDataKey): row is LiveRow {
  return row.state === "active" || row.state === "retired";
}

export function isShredded(row: StoredDataKey): boolean {
  return row.state === "shredded";
}

export function unproven({ version, kid }: StoredDataKey): EnvelockError {
  return new EnvelockError(
    "authentication-failed",
    `version ${version} of a stored data key (${kid}) carries no proof that version ${version - 1} can confirm`,
    { hint: "If no process of yours added it, another writer of the store did: remove the row. docs/stores.md says who may add a key." },
  );
}

export function keyShredded(): EnvelockError {
  return new EnvelockError("key-shredded", "the data keys of this scope were shredded: what they encrypted cannot be read again", {
    hint: "A shredded scope stays shredded: encrypt new data in another one.",
  });
}

/** Checks a row that the store returned. A store is hostile. The content of the record is checked when it is unwrapped. */
export function checkedRow(row: StoredDataKey, scope: string): StoredDataKey {
  if (row.scope !== scope) throw authenticationFailed();
  const { proof = null } = row; // a store that is older than proofs gives none
  const wrong = Object.entries({
    version: isCount(row.version) && row.version < 2 ** 32,
    revision: isCount(row.revision),
    kid: KID.test(row.kid),
    createdAtMs: Number.isFinite(row.createdAtMs) && row.createdAtMs >= 0 && row.createdAtMs <= LATEST_DATE_MS,
    state: isShredded(row) || isLive(row),
    record: isShredded(row) ? row.record === null : isBytes(row.record),
    proof: proof === null || (isBytes(proof) && proof.length <= MAX_PROOF_BYTES),
  }).find(([, isRight]) => !isRight);
  if (wrong !== undefined) throw malformed(`a row of the data-key store is not what it should be: its ${wrong[0]} is none`);
  return { ...row, proof };
}

/** @throws `authentication-failed` for the row of another kid; as `checkedRow` */
function ownRow(found: StoredDataKey, scope: Scope, kid: string): StoredDataKey {
  const row = checkedRow(found, scope.text);
  if (row.kid !== kid) throw authenticationFailed();
  return row;
}

function listedRow(row: StoredDataKey, scope: string, kids: Set<string>): ListedRow {
  try {
    if (row.state === "unreadable") throw malformed("the row of a stored data key cannot be read");
    const checked = checkedRow(row, scope);
    if (kids.has(checked.kid)) throw malformed("two stored data keys of one scope have one kid");
    kids.add(checked.kid);
    return { row: checked, error: undefined };
  } catch (error) {
    if (error instanceof EnvelockError) return { row, error };
    throw error;
  }
}

function claimOf({ version, kid, createdAtMs }: Pick<StoredDataKey, "version" | "kid" | "createdAtMs">): SuccessionClaim {
  return { version, kid: fromHex(kid) ?? new Uint8Array(0), createdAtMs };
}

function isSameRecord(a: Uint8Array | null, b: Uint8Array): boolean {
  return a !== null && equalPublicBytes(a, b);
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}

function lost(version: number): EnvelockError {
  return new EnvelockError("provider-failure", `the store took version ${version} of a data key and does not have it`);
}

function noHeadway(): EnvelockError {
  return new EnvelockError("provider-failure", "the data-key store takes none of the changes of a row that it says it has");
}

/** Picks the options that the keyring takes. A job has more, which the keyring would refuse. */
function callOptions({ signal }: CallOptions = {}): CallOptions {
  return signal === undefined ? {} : { signal };
}

/** The last moment that a `Date` can hold. */
const LATEST_DATE_MS = 8.64e15;
/** The number of changes by other processes that one change may lose against. Each of them got through, so there is headway. */
const MAX_ROUNDS = 100;
const PAGE_ROWS = 256;
export const KID: RegExp = /^[0-9a-f]{32}$/;
