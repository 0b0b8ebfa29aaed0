import type { KeyCuts, RowPlace, ScanPage, StoredDataKey, WantedCuts } from "../../core/contracts/data-key-store.ts";

/** Cuts a range of scopes into parts by reading all its rows, page by page. */
export async function walkedCuts(
  scan: (page: ScanPage) => Promise<readonly StoredDataKey[]>,
  { after, to, rowsEach, least, most }: WantedCuts,
): Promise<KeyCuts> {
  const marks: { readonly scope: string; readonly rows: number }[] = []; // the rows up to the end of each stretch
  let rows = 0;
  let place: RowPlace | undefined = after === undefined ? undefined : behindScope(after);
  for (;;) {
    const page = (await scan({ after: place, limit: PAGE_ROWS })).filter(({ scope }) => to === undefined || scope <= to);
    place = page.at(-1);
    if (place === undefined) break;
    const stretch = Math.max(1, Math.ceil(page.length / STRETCHES));
    for (let end = stretch; end < page.length + stretch; end += stretch) {
      const last = page[Math.min(end, page.length) - 1];
      if (last !== undefined) marks.push({ scope: last.scope, rows: rows + Math.min(end, page.length) });
    }
    rows += page.length;
  }
  const parts = Math.min(most, Math.max(least, Math.ceil(rows / rowsEach)));
  const bounds = new Set<string>();
  for (let part = 1; part < parts; part++) {
    const mark = marks.find((candidate) => candidate.rows >= (rows * part) / parts);
    if (mark !== undefined && mark.rows < rows) bounds.add(mark.scope);
  }
  return { rows, bounds: [...bounds] };
}

/** The place behind every row of a scope. */
export function behindScope(scope: string): RowPlace {
  return { scope, version: LAST_VERSION };
}

const PAGE_ROWS = 256;
const STRETCHES = 16;
/** The largest that a column of a database holds. */
const LAST_VERSION = 2 ** 31 - 1;
