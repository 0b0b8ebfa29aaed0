import type { EnvelockError } from "../core/base/errors.ts";
import type { Bound, JobPhase, Place } from "./records.ts";

/** What a kind of job does with rows. It knows nothing of leases, partitions or other workers. */
export interface JobWork {
  /** The name and the version of the work, such as `rewrap-keys/1`. */
  readonly kind: string;
  /** Whether a second phase counts what stands after the work. */
  readonly hasVerify: boolean;
  /** The number of budgets, and the calls in a second that each allows the fleet. */
  readonly rates: readonly number[];
  /** Tries what every row needs, before the job is planned or worked on. @returns the KEK versions that new data keys name, or null */
  prepare(signal: AbortSignal | undefined): Promise<readonly string[] | null>;
  cuts(wanted: Cuts, signal: AbortSignal | undefined): Promise<{ readonly rows: number; readonly bounds: readonly Bound[] }>;
  /** Works on a range, page by page. @returns whether it came to the end; false if `afterPage` said no */
  run(slice: SliceTask): Promise<boolean>;
}

export interface Cuts {
  readonly least: number;
  readonly most: number;
  readonly rowsEach: number;
  readonly after?: Bound | undefined;
  readonly to?: Bound | undefined;
}

/** A range to work on, from where an earlier slice stopped. */
export interface SliceTask {
  readonly phase: JobPhase;
  readonly from: Bound | null;
  readonly to: Bound | null;
  readonly after: Place | null;
  readonly counts: Readonly<Record<string, number>>;
  readonly keyVersions: Readonly<Record<string, number>>;
  readonly concurrency: number;
  readonly signal: AbortSignal | undefined;
  /** Tenants that failed as a whole in this round: their rows are stepped over without a call. */
  readonly refused: Map<string, EnvelockError>;
  /** Waits until the fleet may make these calls. */
  take(budget: number, bucket: string, calls: number): Promise<void>;
  /** Writes the checkpoint. @returns whether the slice goes on */
  afterPage(page: SlicePage): Promise<boolean>;
}

/** The state behind a page. Counts contain those of the slices before. */
export interface SlicePage {
  readonly last: Place;
  readonly counts: Readonly<Record<string, number>>;
  readonly keyVersions: Readonly<Record<string, number>>;
  readonly failed: readonly FailedPlace[];
}

/** A row that failed. `place` is text that names it among the rows of the job. */
export interface FailedPlace {
  readonly place: string;
  readonly error: EnvelockError;
  /** The tenant that fails as a whole. Undefined if the row alone fails. */
  readonly tenant: string | undefined;
  /** Whether the row is to be met again soon: the key service of the whole job asks for fewer calls or does not answer. If it goes on so, the row fails. */
  readonly isThrottled: boolean;
}
