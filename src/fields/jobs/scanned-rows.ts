import type { CallOptions } from "../../core/base/call-options.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import type { StoredDataKey } from "../../core/contracts/data-key-store.ts";
import type { DataKey } from "../../core/data-key/data-key.ts";
import { type KeyRecord, parseKeyRecord } from "../../core/format/key-record.ts";
import { checkedRow, isLive, type KeyTable, type LiveRow, type Scope } from "../key-table.ts";
import type { JobOptions } from "./pages.ts";

/** A row as a scan gave it. Its record is parsed when it is first needed, and never again. */
export class ScannedRow {
  readonly stored: StoredDataKey;
  #record: KeyRecord | undefined;

  constructor(stored: StoredDataKey) {
    this.stored = stored;
  }

  /** @param row this row, checked. @throws `malformed-envelope`, `unsupported-version` */
  recordOf({ record }: LiveRow): KeyRecord {
    this.#record ??= parseKeyRecord(record);
    return this.#record;
  }
}

/** A version of a data key, with its parsed record. */
export interface ParsedVersion {
  readonly row: LiveRow;
  readonly record: KeyRecord;
}

/**
 * Finds the versions before the rows of a page. A scan gives the versions of a scope one behind the other, so they are at hand. Where a
 * store gave another row instead, the scope is read, once for all rows of the page.
 */
export class Predecessors {
  readonly #table: KeyTable;
  readonly #rows: readonly (ScannedRow | undefined)[];
  readonly #options: JobOptions;
  readonly #listed = new Map<string, Promise<readonly StoredDataKey[]>>();

  /** @param rows those of the page, behind the last one of the page before */
  constructor(table: KeyTable, rows: readonly (ScannedRow | undefined)[], options: JobOptions) {
    this.#table = table;
    this.#rows = rows;
    this.#options = options;
  }

  async of(at: number, { version }: LiveRow, scope: Scope): Promise<ParsedVersion> {
    const scanned = this.#rows[at];
    const isBefore = scanned?.stored.scope === scope.text && scanned.stored.version === version - 1;
    const row = isBefore ? checkedRow(scanned.stored, scope.text) : await this.#find(version - 1, scope);
    if (row === undefined || !isLive(row)) throw missing(version);
    return { row, record: isBefore ? scanned.recordOf(row) : parseKeyRecord(row.record) };
  }

  async #find(version: number, scope: Scope): Promise<StoredDataKey | undefined> {
    const rows = this.#listed.get(scope.text) ?? this.#table.rows(scope, this.#options);
    this.#listed.set(scope.text, rows);
    return (await rows).find((row) => row.version === version);
  }
}

/**
 * Unwraps the data keys of a page, each once: a key shows that its own row opens, and judges the version after it. All of them are wiped at
 * the end of the page.
 */
export class PageKeys {
  readonly #options: CallOptions;
  readonly #keys = new Map<KeyRecord, Promise<DataKey>>();

  constructor(options: CallOptions) {
    this.#options = options;
  }

  /** Returns the data key of a row, which stays the page's own. @throws as `KeyTable.unwrapRecord` */
  async open(table: KeyTable, scope: Scope, { row, record }: ParsedVersion): Promise<DataKey> {
    const key = this.#keys.get(record) ?? table.unwrapRecord(scope, row, record, this.#options);
    this.#keys.set(record, key);
    return await key;
  }

  async wipe(): Promise<void> {
    for (const key of await Promise.allSettled(this.#keys.values())) if (key.status === "fulfilled") key.value.destroy();
  }
}

function missing(version: number): EnvelockError {
  return new EnvelockError("provider-failure", `version ${version - 1} of the data key is missing: version ${version} cannot be checked`, {
    hint: "Bring the row back from a backup; `vouchedKids` takes a version whose predecessor is lost for good.",
  });
}
