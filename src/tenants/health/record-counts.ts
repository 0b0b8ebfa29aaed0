import type { CallOptions } from "../../core/base/call-options.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import type { DataKeyStore, RowPlace, StoredDataKey } from "../../core/contracts/data-key-store.ts";
import { parseKeyRecord } from "../../core/format/key-record.ts";
import type { KeyVersion } from "../../core/telemetry/events.ts";
import { namesIn, versionNamed } from "../../fields/jobs/key-versions.ts";
import { contextOfScope } from "../../fields/scope.ts";
import { lifeOfContext, type TenantLife } from "../record/life.ts";
import type { TenantRecord } from "../record/tenant-record.ts";

/** The key versions that stored data keys of one tenant name. Read from the records, and not verified. */
export interface CountedRecords {
  /** The key versions by provider and key id. A data key with several recipients counts for each. */
  readonly keyVersions: readonly KeyVersionRecords[];
  /** Data keys of the tenant with a record that cannot be read. */
  readonly unreadable: number;
  /** Whether every row of the store was read. Otherwise the counts are those of the first `maxRows`. */
  readonly isComplete: boolean;
}

export interface KeyVersionRecords extends KeyVersion {
  readonly records: number;
}

/** The counts of all tenants, by one pass over the store: the rows of one tenant do not stand together. */
export class RecordCounts {
  readonly #tallies = new Map<string, Tally>();
  #isComplete = false;

  /**
   * Counts the rows of all tenants, or those of one.
   *
   * @param of the tenant; undefined for all
   * @throws what the store throws
   */
  static async count(store: DataKeyStore, of: TenantRecord | undefined, maxRows: number, options: CallOptions): Promise<RecordCounts> {
    const counts = new RecordCounts();
    let rows = 0;
    for (let after: RowPlace | undefined; ; ) {
      const limit = Math.min(PAGE, maxRows - rows);
      const page = limit === 0 ? [] : await store.scan({ after, limit }, options);
      for (const row of page) counts.#note(row, of);
      rows += page.length;
      after = page.at(-1);
      counts.#isComplete = page.length < limit;
      if (counts.#isComplete || limit === 0 || after === undefined) return counts;
    }
  }

  of(record: TenantRecord): CountedRecords {
    const tally = this.#tallies.get(nameOf(record)) ?? newTally();
    const keyVersions = [...tally.named].sort().map(([name, records]) => ({ ...versionNamed(name), records }));
    return { keyVersions, unreadable: tally.unreadable, isComplete: this.#isComplete };
  }

  #note(row: StoredDataKey, only: TenantLife | undefined): void {
    const life = lifeOfContext(contextOfScope(row.scope) ?? {});
    if (row.state === "shredded" || life === undefined) return; // a row without a readable scope may be any tenant's
    const name = nameOf(life);
    if (only !== undefined && name !== nameOf(only)) return;
    const tally = this.#tallies.get(name) ?? newTally();
    this.#tallies.set(name, tally);
    const names = namesOf(row);
    if (names === undefined) tally.unreadable++;
    for (const name of names ?? []) tally.named.set(name, (tally.named.get(name) ?? 0) + 1);
  }
}

interface Tally {
  readonly named: Map<string, number>;
  unreadable: number;
}

function newTally(): Tally {
  return { named: new Map(), unreadable: 0 };
}

function nameOf({ id, epoch }: TenantLife): string {
  return `${epoch} ${id}`;
}

/** @returns the names of the KEK versions; undefined for a row that cannot be read */
function namesOf({ record }: StoredDataKey): readonly string[] | undefined {
  if (record === null) return undefined;
  try {
    return namesIn(parseKeyRecord(record));
  } catch (error) {
    if (error instanceof EnvelockError) return undefined;
    throw error;
  }
}

const PAGE = 500;
