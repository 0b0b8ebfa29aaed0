import { EnvelockError, type ErrorCode } from "../../core/base/errors.ts";

/** A failure, and the number of rows that it stands for. */
export interface Failed<Place> {
  readonly place: Place;
  readonly error: EnvelockError;
  readonly rows: number;
}

/**
 * Collects the failures of rows. Counts all of them and keeps the first hundred. A failure of a whole tenant is kept once, with the number
 * of its rows.
 */
export class Failures<Place> {
  readonly #first: { readonly place: Place; readonly error: EnvelockError; rows: number }[] = [];
  count = 0;

  /** @throws `error` if it is not the library's: a mistake in the caller's code, or an abort */
  add(place: Place, error: unknown): void {
    if (!(error instanceof EnvelockError)) throw error;
    this.count++;
    const known = this.#first.find((entry) => isSameOfAll(entry.error, error));
    if (known !== undefined) known.rows++;
    else if (this.#first.length < MOST_TOLD) this.#first.push({ place, error, rows: 1 });
  }

  get first(): readonly Failed<Place>[] {
    return this.#first.map((entry) => ({ ...entry }));
  }
}

/** Whether a failure is one of a whole tenant, or of a whole key service: the next row would meet it too. */
export function isOfAllRows({ code }: EnvelockError): boolean {
  return OF_ALL_ROWS.has(code);
}

/** Two rows of a tenant fail for one reason, or two rows of a scope with the very same error, which the job hands on without a call. */
function isSameOfAll(one: EnvelockError, other: EnvelockError): boolean {
  if (!isOfAllRows(other) || one.code !== other.code) return false;
  return one === other || (one.tenant !== undefined && one.tenant === other.tenant);
}

const MOST_TOLD = 100;
const OF_ALL_ROWS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "access-denied",
  "closed",
  "key-disabled",
  "key-not-found",
  "key-shredded",
  "rate-limited",
  "timeout",
  "unavailable",
]);
