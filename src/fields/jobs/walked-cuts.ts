import type { KeyCuts, RowPlace, ScanPage, StoredDataKey, WantedCuts } from "../../core/contracts/data-key-store.ts";
import { Marks } from "./marks.ts";
import { pagesOf } from "./pages.ts";

/** Cuts a range of scopes into parts by reading all its rows, page by page. */
export async function walkedCuts(
  scan: (page: ScanPage) => Promise<readonly StoredDataKey[]>,
  { after, to, ...wanted }: WantedCuts,
  signal: AbortSignal | undefined,
): Promise<KeyCuts> {
  const marks = new Marks<string>();
  const reader = {
    read: async (place: RowPlace | undefined, limit: number) =>
      (await scan({ after: place, limit })).filter(({ scope }) => to === undefined || scope <= to),
    placeOf: ({ scope, version }: StoredDataKey): RowPlace => ({ scope, version }),
  };
  for await (const { rows } of pagesOf(reader, after === undefined ? undefined : behindScope(after), signal))
    for (const { scope } of rows) marks.add(scope);
  return { rows: marks.rows, bounds: marks.cuts(wanted) };
}

/** The place behind every row of a scope. */
export function behindScope(scope: string): RowPlace {
  return { scope, version: LAST_VERSION };
}

/** The largest that a column of a database holds. */
const LAST_VERSION = 2 ** 31 - 1;
