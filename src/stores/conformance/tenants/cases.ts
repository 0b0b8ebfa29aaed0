import { check, failureOf } from "../../../core/contracts/conformance-checks.ts";
import type { TenantRow, TenantStore } from "../../../core/contracts/tenant-store.ts";
import { type Bench, type Case, changed, checkRow, checkStands, insert, newId, newTenantRow } from "./bench.ts";

export function tenantCases(): readonly Case[] {
  return [
    { name: "a row comes back as it was stored", run: keepsRows },
    { name: "what is not there is undefined", run: findsNothing },
    { name: "a place that is taken is refused", run: refusesTaken },
    { name: "ids that look alike, and kinds, are apart", run: tellsPlacesApart },
    { name: "a change replaces document and revision", run: changesRows },
    { name: "a change on another revision is refused", run: refusesStale },
    { name: "a change of nothing makes nothing", run: changesNothing },
    { name: "a list gives each row of a kind once, by id", run: listsInOrder },
    { name: "a page has as many rows as it may", run: fillsPages },
    { name: "other store objects see it at once", run: isSeenByOthers },
    { name: "of many inserts of one place one wins", run: insertsOnce },
    { name: "of many changes of one revision one wins", run: changesOnce },
    { name: "an aborted signal stops it before anything is done", run: heedsSignal },
    { name: "close twice is fine, and leaves others open", run: closes },
  ];
}

async function keepsRows({ open }: Bench): Promise<void> {
  const store = await open();
  const rows = [
    newTenantRow(),
    newTenantRow({ kind: "claim", revision: 2 ** 31 - 1 }),
    newTenantRow({ kind: "canary", document: `"${"é".repeat(2047)}"` }), // 4,096 bytes
    newTenantRow({ id: `${newId()}!"#$%&'()*+,-./:;<=>?@[\\]^_\`{|}~${"x".repeat(95)}` }),
    newTenantRow({ document: '{"quote":"it\'s","line":"a\\nb","zero":"\\u0000"}' }),
  ];
  for (const row of rows) await insert(store, row);
  for (const row of rows) await checkStands(store, row, "of a row that was inserted");
}

async function findsNothing({ open }: Bench): Promise<void> {
  const store = await open();
  check((await store.get(newTenantRow())) === undefined, "get must give undefined for a place without a row");
}

async function refusesTaken({ open }: Bench): Promise<void> {
  const store = await open();
  const row = newTenantRow();
  await insert(store, row);
  const other = { ...newTenantRow(), id: row.id };
  check((await store.insertIfAbsent(other)) === false, "insertIfAbsent must say false of a place that is taken");
  await checkStands(store, row, "after an insert that was refused");
}

async function tellsPlacesApart({ open }: Bench): Promise<void> {
  const store = await open();
  const start = newId();
  const ids = [`${start}a`, `${start}A`, `${start}a-`, `${start}a_`, `${start}a%`, `${start}aa`];
  const rows = (["tenant", "claim", "canary"] as const).flatMap((kind) => ids.map((id) => newTenantRow({ kind, id })));
  for (const row of rows) await insert(store, row);
  for (const row of rows) await checkStands(store, row, "of places that look alike");
}

async function changesRows({ open }: Bench): Promise<void> {
  const store = await open();
  let row = newTenantRow();
  await insert(store, row);
  for (let turn = 0; turn < 3; turn++) {
    const next = changed(row);
    check((await store.compareAndSwap(next, row.revision)) === true, "compareAndSwap must say true when the revision fits");
    await checkStands(store, next, "after a change");
    row = next;
  }
}

async function refusesStale({ open }: Bench): Promise<void> {
  const store = await open();
  const row = newTenantRow({ revision: 5 });
  await insert(store, row);
  for (const revision of [1, 4, 6])
    check(
      (await store.compareAndSwap({ ...row, document: "{}", revision: revision + 1 }, revision)) === false,
      "compareAndSwap must say false when the revision is another",
    );
  await checkStands(store, row, "after changes that were refused");
}

async function changesNothing({ open }: Bench): Promise<void> {
  const store = await open();
  const row = newTenantRow({ revision: 2 });
  check((await store.compareAndSwap(row, 1)) === false, "compareAndSwap must say false of a place without a row");
  check((await store.get(row)) === undefined, "compareAndSwap of a place without a row must make none");
}

async function listsInOrder({ open }: Bench): Promise<void> {
  const store = await open();
  const { start, rows } = await insertRows(store);
  for (const limit of [1, 2, 1000]) {
    const listed = await listOwn(store, start, limit);
    check(listed.length === rows.length, `a list by pages of ${limit} must give each row once`);
    for (const [place, row] of rows.entries()) checkRow(listed[place], row, `a list by pages of ${limit}, in the order of ids,`);
  }
}

async function fillsPages({ open }: Bench): Promise<void> {
  const store = await open();
  const { start, rows } = await insertRows(store);
  for (const limit of [1, rows.length - 1, rows.length]) {
    const page = await store.list({ kind: "tenant", after: start, limit });
    check(page.length === limit, `a page of a list must have ${limit} rows while enough are left`);
  }
}

async function isSeenByOthers({ open }: Bench): Promise<void> {
  const [one, other] = [await open(), await open()];
  const row = newTenantRow();
  check((await other.get(row)) === undefined, "get must give undefined before the insert");
  await insert(one, row);
  await checkStands(other, row, "of another store object after the insert");
  const next = changed(row);
  check((await one.compareAndSwap(next, 1)) === true, "compareAndSwap must say true when the revision fits");
  await checkStands(other, next, "of another store object after the change");
}

async function insertsOnce({ open }: Bench): Promise<void> {
  const stores = [await open(), await open(), await open()];
  const id = newId();
  const winner = await winnerOf(
    stores,
    () => newTenantRow({ id }),
    (store, row) => store.insertIfAbsent(row),
    "inserts of one place",
  );
  for (const store of stores) await checkStands(store, winner, "after a race, by the one that won,");
}

async function changesOnce({ open }: Bench): Promise<void> {
  const stores = [await open(), await open(), await open()];
  const row = newTenantRow();
  for (const store of stores.slice(0, 1)) await insert(store, row);
  const winner = await winnerOf(
    stores,
    () => changed(row),
    (store, next) => store.compareAndSwap(next, 1),
    "changes of one revision",
  );
  for (const store of stores) await checkStands(store, winner, "after a race, by the one that won,");
}

async function heedsSignal({ open }: Bench): Promise<void> {
  const store = await open();
  const row = newTenantRow();
  await insert(store, row);
  const other = newTenantRow();
  const reason = new Error("the caller's reason");
  const options = { signal: AbortSignal.abort(reason) };
  const operations: readonly [string, () => Promise<unknown>][] = [
    ["get", () => store.get(row, options)],
    ["list", () => store.list({ kind: "tenant", limit: 1 }, options)],
    ["insertIfAbsent", () => store.insertIfAbsent(other, options)],
    ["compareAndSwap", () => store.compareAndSwap(changed(row), 1, options)],
  ];
  for (const [name, operation] of operations) {
    const failure = await failureOf(operation, `${name} with an aborted signal`);
    check(failure === reason, `${name} with an aborted signal must fail with the signal's own reason`);
  }
  await checkStands(store, row, "after calls that were aborted");
  check((await store.get(other)) === undefined, "an insert that was aborted must leave no row");
}

async function closes({ open }: Bench): Promise<void> {
  const [one, other] = [await open(), await open()];
  const row = newTenantRow();
  await insert(one, row);
  await one.close?.();
  await one.close?.();
  await checkStands(other, row, "of a store beside one that was closed");
}

/** Six rows in the order of a list: by character code, not by any language's alphabet. */
async function insertRows(store: TenantStore): Promise<{ readonly start: string; readonly rows: readonly TenantRow[] }> {
  const start = newId();
  const rows = ["!", "-", "A", "_", "a", "aA"].map((end) => newTenantRow({ id: `${start}${end}` }));
  for (const row of [...rows].reverse()) await insert(store, row);
  await insert(store, newTenantRow({ kind: "claim", id: `${start}B` }));
  return { start, rows };
}

async function listOwn(store: TenantStore, start: string, limit: number): Promise<readonly TenantRow[]> {
  const listed: TenantRow[] = [];
  for (let after = start; ; ) {
    const page = await store.list({ kind: "tenant", after, limit });
    const own = page.filter(({ id }) => id.startsWith(start));
    listed.push(...own);
    const last = own.at(-1);
    if (last === undefined || own.length < limit || listed.length > MOST_ROWS) return listed;
    after = last.id;
  }
}

async function winnerOf(
  stores: readonly TenantStore[],
  make: () => TenantRow,
  attempt: (store: TenantStore, row: TenantRow) => Promise<boolean>,
  what: string,
): Promise<TenantRow> {
  const attempts = Array.from({ length: RACERS }, make).map(async (row, place) => {
    const store = stores[place % stores.length];
    return store !== undefined && (await attempt(store, row)) === true ? [row] : [];
  });
  const winners = (await Promise.all(attempts)).flat();
  const [winner] = winners;
  check(winner !== undefined && winners.length === 1, `${winners.length} of ${RACERS} ${what} won, and one must`);
  return winner ?? make();
}

const RACERS = 24;
/** A list that does not move on would never end. */
const MOST_ROWS = 100;
