import { EnvelockError } from "../core/base/errors.ts";
import type { StoredDataKey } from "../core/contracts/data-key-store.ts";
import type { DataKey } from "../core/data-key/data-key.ts";
import { isLive, type KeyTable, type LiveRow, type Scope } from "./key-table.ts";
import type { ScopePolicy } from "./scope-policy.ts";
import { believedOf, type Opened, predecessorsToOpen } from "./succession.ts";

/** The parts of a scope that its reader needs. */
export interface ScopeView {
  /** The rows that the store showed before and that are believed, by kid. */
  rows(): ReadonlyMap<string, StoredDataKey>;
  /** Returns the key of a row, if it is held. */
  keyOf(row: LiveRow): DataKey | undefined;
  /** Whether the key of a row that is among the newest has to be unwrapped. */
  needs(row: LiveRow): boolean;
  mayRotate(): boolean;
  /** @throws if the scope has ended, here or by these rows */
  requireAlive(rows: readonly StoredDataKey[]): void;
}

/** The result of one look at the store. */
export interface Seen {
  /** The live rows in the order of their versions. */
  readonly rows: readonly LiveRow[];
  readonly believed: readonly LiveRow[];
  readonly unbelieved: EnvelockError | undefined;
  readonly isLost: boolean;
  /** Keys without another owner yet, by kid. */
  readonly opened: Map<string, Opened>;
}

/** Reads the rows of one scope and judges them; makes the first version, and the next one when the newest is too old. */
export class ScopeReader {
  readonly #scope: Scope;
  readonly #table: KeyTable;
  readonly #policy: ScopePolicy;
  readonly #view: ScopeView;

  constructor(scope: Scope, table: KeyTable, policy: ScopePolicy, view: ScopeView) {
    this.#scope = scope;
    this.#table = table;
    this.#policy = policy;
    this.#view = view;
  }

  /**
   * @param opened gets the keys that were unwrapped to judge and use the rows; the caller destroys what it does not take out, also
   *   when this throws
   * @throws `closed`, `key-shredded`, and what the store throws
   */
  async read(opened: Map<string, Opened>): Promise<Seen> {
    const seen = await this.#look(opened);
    if (!this.#isTooOld(seen)) return seen;
    await this.#succeed(seen);
    return await this.#look(opened);
  }

  /** Reads the rows, makes a first version if there never was one, and opens the keys that are needed to judge and use them. */
  async #look(opened: Map<string, Opened>): Promise<Seen> {
    const { ledger, maxVersions } = this.#policy;
    const rows = await this.#rowsOrFirst();
    const isLost = ledger.isLost(this.#scope.text, rows) || this.#isLostIn(rows);
    const known = Math.max(ledger.knownVersions(this.#scope.text, rows), this.#knownIn(rows));
    const wanted = rows.slice(-maxVersions).filter((row) => this.#view.needs(row));
    const judges = predecessorsToOpen(rows, known).filter((row) => this.#view.keyOf(row) === undefined);
    const needed = new Set([...wanted, ...judges]);
    await Promise.all([...needed].map((row) => this.#open(row, opened)));
    const belief = believedOf(rows, {
      known,
      firstKid: ledger.firstKid(this.#scope.text),
      vouchedKids: this.#policy.vouchedKids,
      keyOf: (row) => {
        const { key = this.#view.keyOf(row), error } = opened.get(row.kid) ?? {};
        return { key, error };
      },
      isProven: (row, key) => this.#table.isProven(this.#scope, row, key),
    });
    return { ...belief, rows, isLost, opened };
  }

  async #rowsOrFirst(): Promise<readonly LiveRow[]> {
    let rows = await this.#table.rows(this.#scope);
    this.#view.requireAlive(rows);
    if (rows.length === 0 && this.#view.rows().size === 0 && !this.#policy.ledger.hasSeen(this.#scope.text)) {
      await this.#table.add(this.#scope, 1);
      rows = await this.#table.rows(this.#scope);
      this.#view.requireAlive(rows);
    }
    return rows.filter(isLive);
  }

  #isTooOld({ rows, isLost, unbelieved }: Seen): boolean {
    const last = rows.at(-1);
    return (
      last !== undefined &&
      !isLost &&
      unbelieved === undefined &&
      this.#view.mayRotate() &&
      this.#table.ageMs(last) >= this.#policy.maxAgeMs
    );
  }

  /** Adds the next version. A failure is reported, and the next refresh tries again. */
  async #succeed({ rows, opened }: Seen): Promise<void> {
    const last = rows.at(-1);
    if (last === undefined) return;
    try {
      await this.#table.rotate(this.#scope, last, () => opened.get(last.kid)?.key ?? this.#view.keyOf(last) ?? missing(last));
    } catch (error) {
      this.#view.requireAlive([]);
      this.#policy.onFailure(error, this.#scope);
    }
  }

  /** Whether the store shows less than it has shown, or another date. */
  #isLostIn(rows: readonly StoredDataKey[]): boolean {
    const shown = new Map(rows.map((row) => [row.kid, row]));
    return [...this.#view.rows().values()].some((row) => {
      const now = shown.get(row.kid);
      return now?.version !== row.version || now.revision < row.revision || now.createdAtMs !== row.createdAtMs;
    });
  }

  /** The number of rows, from the first, that are believed already. */
  #knownIn(rows: readonly StoredDataKey[]): number {
    const unknown = rows.findIndex((row) => {
      const before = this.#view.rows().get(row.kid);
      return before?.version !== row.version || before.createdAtMs !== row.createdAtMs;
    });
    return unknown === -1 ? rows.length : unknown;
  }

  async #open(row: LiveRow, opened: Map<string, Opened>): Promise<void> {
    if (opened.get(row.kid)?.key !== undefined) return;
    try {
      opened.set(row.kid, { key: await this.#table.unwrap(this.#scope, row) });
    } catch (error) {
      opened.set(row.kid, { error });
    }
  }
}

function missing({ version }: LiveRow): never {
  throw new EnvelockError("provider-failure", `version ${version} of the data key could not be unwrapped, so none can follow it`);
}
