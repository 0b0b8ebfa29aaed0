import type { RowPlace } from "../../core/contracts/data-key-store.ts";
import type { KeyRecord } from "../../core/format/key-record.ts";
import type { KeyTable, Scope } from "../key-table.ts";
import { AnswersByNames } from "./answers.ts";
import { type FailedRow, KeyRows, type KeyRowsReport, type KeyRowsStart } from "./key-rows.ts";
import { namesIn } from "./key-versions.ts";
import type { JobOptions } from "./pages.ts";
import type { KeyJobOptions } from "./scope-keyrings.ts";

/** The counts of a slice. */
export interface RewrapTally {
  stale: number;
  rewrapped: number;
  /** Rows with a known list of KEK versions. */
  read: number;
  /** The number of records that name a KEK version, when they were read and when the slice was done with them. */
  readonly before: Record<string, number>;
  readonly after: Record<string, number>;
}

export interface RewrapSliceOptions extends KeyJobOptions {
  /** Whether the slice only counts what it would do, and changes nothing. */
  readonly dryRun?: boolean;
  /** Whether a dry run unwraps every data key. */
  readonly opens?: boolean;
  /** Watches the calls of key services. */
  readonly watch?: SliceWatch;
}

export interface SliceWatch {
  /** Called before a record is wrapped anew or unwrapped. Waits for the budget of its calls. @throws a refusal, which fails the row */
  before(scope: Scope): Promise<void>;
  /** Called when a row failed that belongs to the keyring. */
  failed(scope: Scope, error: unknown): void;
}

export interface RewrapSliceStart extends KeyRowsStart {
  readonly keyVersions?: Readonly<Record<string, number>>;
}

/** The state of a slice behind a page. The counts contain those of the slices before it. */
export interface SliceProgress<Place, Row> {
  readonly last: Place;
  readonly counts: Readonly<Record<string, number>>;
  readonly keyVersions: Readonly<Record<string, number>>;
  /** The rows of the page that failed. */
  readonly failed: readonly Row[];
}

/** Writes the checkpoint behind a page. @returns whether the slice goes on */
export type AfterPage<Place, Row> = (progress: SliceProgress<Place, Row>) => Promise<boolean>;

/** The result of a slice. */
export interface RewrapSlice {
  readonly report: KeyRowsReport;
  readonly tally: RewrapTally;
  /** Whether it came to the end of its range. */
  readonly isOver: boolean;
}

/**
 * Wraps the stale records of a range anew, page by page, until the range ends or `afterPage` says no. The loop of `rewrapAll` and of the
 * partitions of a fleet.
 *
 * @throws what the store, `afterPage` and `onProgress` throw; a row that fails is no exception
 */
export async function rewrapSlice(
  keyTable: KeyTable,
  options: RewrapSliceOptions,
  start: RewrapSliceStart,
  afterPage: AfterPage<RowPlace, FailedRow> = async () => true,
): Promise<RewrapSlice> {
  const { dryRun = false, opens = false, watch } = options;
  const { stale = 0, rewrapped = 0, read = 0, failed: failedBefore = 0 } = start.counts ?? {};
  const tally: RewrapTally = { stale, rewrapped, read, before: { ...start.keyVersions }, after: {} };
  const keyRows = new KeyRows(keyTable, options, start);
  for await (const page of keyRows.pages()) {
    const isStale = askedOnce(options); // for each page: a KEK may be rotated meanwhile
    const failed = await page.each(
      async ({ table, scope, row, record, open, done, stands, changes, release }) => {
        note(record, tally.before);
        let now: KeyRecord | undefined = record;
        try {
          const mustRewrap = await isStale(table, record);
          if (mustRewrap) tally.stale++;
          if (opens) {
            await watch?.before(scope);
            await open();
            done();
          }
          if (dryRun || !mustRewrap) return;
          await watch?.before(scope);
          const wrapped = await table.wrapAnew(scope, row, record, options);
          release();
          const standing = await table.replace(scope, wrapped, changes, options);
          now = standing.record;
          if (standing.isRewrapped) {
            tally.rewrapped++;
            done();
          }
        } catch (error) {
          watch?.failed(scope, error);
          throw error;
        } finally {
          stands(now);
          note(now, tally.after);
          tally.read++;
        }
      },
      (record) => {
        for (const counts of [tally.before, tally.after]) note(record, counts);
        tally.read++;
      },
    );
    const { stale, rewrapped, read } = tally;
    const counts = { ...keyRows.counts, stale, rewrapped, read, failed: failedBefore + keyRows.failed };
    const goesOn = await afterPage({ last: page.last, counts, keyVersions: tally.before, failed });
    if (!goesOn) return { report: keyRows.report, tally, isOver: false };
  }
  return { report: keyRows.report, tally, isOver: true };
}

/** Asks whether records are stale, once for all that name the same KEK versions and have one keyring. */
function askedOnce(options: JobOptions): (table: KeyTable, record: KeyRecord) => Promise<boolean> {
  const known = new Map<KeyTable, AnswersByNames>();
  return (table, record) => {
    const answers = known.get(table) ?? new AnswersByNames();
    known.set(table, answers);
    return answers.of(namesIn(record), () => table.isStale(record, options));
  };
}

function note(record: KeyRecord | undefined, counts: Record<string, number>): void {
  for (const name of record === undefined ? [] : namesIn(record)) counts[name] = (counts[name] ?? 0) + 1;
}
