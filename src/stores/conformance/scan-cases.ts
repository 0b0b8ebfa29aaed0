import { check } from "../../core/contracts/conformance-checks.ts";
import type { DataKeyStore, RowPlace, StoredDataKey } from "../../core/contracts/data-key-store.ts";
import { type Bench, type Case, checkRow, insert, newRecord, newRow, newScope } from "./bench.ts";

/**
 * Cases of a scan over all rows, page by page. Other cases may have left rows, so a case looks only at its own, from the place where they
 * begin.
 */
export function scanCases(): readonly Case[] {
  return [
    { name: "a scan gives each row once, by scope and version", run: scansInOrder },
    { name: "a scan begins at the first row", run: beginsAtFirst },
    { name: "a page has as many rows as it may", run: fillsPages },
    { name: "what changes meanwhile shifts no page", run: shiftsNothing },
  ];
}

async function scansInOrder({ open }: Bench): Promise<void> {
  const store = await open();
  const { start, rows } = await insertRows(store);
  for (const limit of [1, 2, 1000]) {
    const scanned = await scanOwn(store, start, limit);
    check(scanned.length === rows.length, `a scan by pages of ${limit} must give each row once`);
    for (const [place, row] of rows.entries())
      checkRow(scanned[place], row, `a scan by pages of ${limit}, in the order of scope and version,`);
  }
}

async function beginsAtFirst({ open }: Bench): Promise<void> {
  const store = await open();
  const { rows } = await insertRows(store);
  const kids = new Set<string>();
  let after: RowPlace | undefined;
  for (;;) {
    const page = await store.scan({ limit: 100, after });
    for (const row of page) {
      check(after === undefined || isBefore(after, row), "a scan must go up by scope and version");
      after = row;
      kids.add(row.kid);
    }
    if (page.length < 100) break;
  }
  check(
    rows.every(({ kid }) => kids.has(kid)),
    "a scan without `after` must begin at the first row of all",
  );
}

async function fillsPages({ open }: Bench): Promise<void> {
  const store = await open();
  const { start, rows } = await insertRows(store);
  for (const limit of [1, rows.length - 1, rows.length]) {
    const page = await store.scan({ after: before(start), limit });
    check(page.length === limit, `a page of a scan must have ${limit} rows where there are as many, and no more`);
  }
}

async function shiftsNothing({ open }: Bench): Promise<void> {
  const store = await open();
  const { start, rows } = await insertRows(store);
  const first = await store.scan({ after: before(start), limit: 3 });
  const [changed, , last] = first;
  check(changed !== undefined && last !== undefined, "a page of a scan must have 3 rows where there are as many");
  if (changed === undefined || last === undefined) return;
  await insert(store, newRow(start, { version: 9 })); // before the place of the scan
  check(
    await store.compareAndSwap({ ...changed, record: newRecord(160), revision: 2 }, 1),
    "compareAndSwap must say true when the revision fits",
  );
  const rest = await scanOwn(store, start, 2, last);
  check(rest.length === rows.length - 3, "a scan must go on where it stood, whatever changed before it");
  for (const [place, row] of rows.slice(3).entries()) checkRow(rest[place], row, "a scan that goes on");
}

/** Eight rows in the order of a scan: by UTF-16 unit, not by any language's alphabet, and by number, not by digit. */
async function insertRows(store: DataKeyStore): Promise<{ readonly start: string; readonly rows: readonly StoredDataKey[] }> {
  const start = newScope();
  const places: readonly [string, number][] = [
    ["", 1],
    ["", 2],
    ["", 10],
    ["-", 1],
    ["A", 1],
    ["_", 1],
    ["a", 1],
    ["aA", 1],
  ];
  const rows = places.map(([end, version]) => newRow(`${start}${end}`, { version }));
  for (const row of [...rows].reverse()) await insert(store, row);
  return { start, rows };
}

async function scanOwn(
  store: DataKeyStore,
  start: string,
  limit: number,
  from: RowPlace = before(start),
): Promise<readonly StoredDataKey[]> {
  const scanned: StoredDataKey[] = [];
  for (let after = from; ; ) {
    const page = await store.scan({ after, limit });
    const own = page.filter(({ scope }) => scope.startsWith(start));
    scanned.push(...own);
    const last = own.at(-1);
    if (last === undefined || own.length < limit || scanned.length > MOST_ROWS) return scanned;
    after = last;
  }
}

function before(scope: string): RowPlace {
  return { scope, version: 0 };
}

function isBefore(a: RowPlace, b: RowPlace): boolean {
  return a.scope < b.scope || (a.scope === b.scope && a.version < b.version);
}

/** A scan that does not move on would never end. */
const MOST_ROWS = 100;
