import { EnvelockError } from "../../core/base/errors.ts";

/** Collects the failures of rows. Counts all of them and keeps the first hundred. */
export class Failures<Place> {
  readonly #first: { readonly place: Place; readonly error: EnvelockError }[] = [];
  count = 0;

  /** @throws `error` if it is not the library's: a mistake in the caller's code, or an abort */
  add(place: Place, error: unknown): void {
    if (!(error instanceof EnvelockError)) throw error;
    this.count++;
    if (this.#first.length < MOST_TOLD) this.#first.push({ place, error });
  }

  get first(): readonly { readonly place: Place; readonly error: EnvelockError }[] {
    return this.#first;
  }
}

const MOST_TOLD = 100;
