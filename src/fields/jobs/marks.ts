import type { WantedCuts } from "../../core/contracts/data-key-store.ts";

/** Marks places in a table while its rows are read in order, and cuts the table at some of them. Keeps a bounded number of marks. */
export class Marks<Place> {
  #marks: { readonly place: Place; readonly rows: number }[] = [];
  #rowsApart = 1;
  #rows = 0;

  get rows(): number {
    return this.#rows;
  }

  /** Notes the place of the next row. */
  add(place: Place): void {
    this.#rows++;
    if (this.#rows % this.#rowsApart !== 0) return;
    this.#marks.push({ place, rows: this.#rows });
    if (this.#marks.length < MOST_MARKS) return;
    this.#rowsApart *= 2;
    this.#marks = this.#marks.filter(({ rows }) => rows % this.#rowsApart === 0);
  }

  /** Returns the last place of each part but the last one. Rows of one place are never cut apart, so there may be fewer parts. */
  cuts({ least, most, rowsEach }: Pick<WantedCuts, "least" | "most" | "rowsEach">): readonly Place[] {
    const parts = Math.min(most, Math.max(least, Math.ceil(this.#rows / rowsEach)));
    const bounds = new Set<Place>();
    let at = 0;
    for (let part = 1; part < parts; part++) {
      while ((this.#marks[at]?.rows ?? this.#rows) < (this.#rows * part) / parts) at++;
      const mark = this.#marks[at];
      if (mark === undefined || mark.rows === this.#rows) break;
      bounds.add(mark.place);
    }
    return [...bounds];
  }
}

/** The number of marks at which every other one is dropped. What stays is sixteen for each part of the largest plan. */
const MOST_MARKS = 131_072;
