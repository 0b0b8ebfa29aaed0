import { check, failureOf } from "../../../core/contracts/conformance-checks.ts";
import type { JobRow, JobRowKind, JobStore } from "../../../core/contracts/job-store.ts";
import { type Bench, type Case, changed, checkRow, checkStands, FREE, insert, newId, newJobRow } from "./bench.ts";
import { leaseCases } from "./lease-cases.ts";

export function jobCases(): readonly Case[] {
  return [
    { name: "a row comes back as it was stored", run: keepsRows },
    { name: "what is not there is undefined", run: findsNothing },
    { name: "a place that is taken is refused", run: refusesTaken },
    { name: "ids that look alike, jobs and kinds are apart", run: tellsPlacesApart },
    { name: "a change replaces document and revision", run: changesRows },
    { name: "a change on another revision is refused", run: refusesStale },
    { name: "a change of nothing makes nothing", run: changesNothing },
    { name: "a list gives each row of a job once, by id", run: listsInOrder },
    { name: "a page has as many rows as it may", run: fillsPages },
    { name: "other store objects see it at once", run: isSeenByOthers },
    { name: "of many inserts of one place one wins", run: insertsOnce },
    { name: "of many changes of one revision one wins", run: changesOnce },
    ...leaseCases(),
    { name: "an aborted signal stops it before anything is done", run: heedsSignal },
    { name: "close twice is fine, and leaves others open", run: closes },
  ];
}

async function keepsRows({ open }: Bench): Promise<void> {
  const store = await open();
  const rows = [
    newJobRow(),
    newJobRow({ kind: "job", job: "", revision: 2 ** 31 - 1 }),
    newJobRow({ kind: "plan", document: `"${"é".repeat(1_048_575)}"` }), // 2 MiB
    newJobRow({
      kind: "failure",
      id: `${newId()}!"#$%&'()*+,-./:;<=>?@[\\]^_\`{|}~${"x".repeat(1536)}`,
      job: `${newId()}${"j".repeat(96)}`,
    }),
    newJobRow({ kind: "budget", document: '{"quote":"it\'s","line":"a\\nb","zero":"\\u0000"}' }),
  ];
  for (const row of rows) await insert(store, row);
  for (const row of rows) checkRow(await store.get(row), row, "get, of a row that was inserted,");
}

async function findsNothing({ open }: Bench): Promise<void> {
  const store = await open();
  check((await store.get(newJobRow())) === undefined, "get must give undefined for a place without a row");
}

async function refusesTaken({ open }: Bench): Promise<void> {
  const store = await open();
  const row = newJobRow();
  await insert(store, row);
  const other = newJobRow({ job: row.job, id: row.id });
  check((await store.insertIfAbsent(other)) === false, "insertIfAbsent must say false of a place that is taken");
  await checkStands(store, row, "after an insert that was refused");
}

async function tellsPlacesApart({ open }: Bench): Promise<void> {
  const store = await open();
  const start = newId();
  const names = [`${start}a`, `${start}A`, `${start}a-`, `${start}a_`, `${start}a%`, `${start}aa`];
  const kinds: readonly JobRowKind[] = ["job", "plan", "partition", "failure", "budget"];
  const rows = kinds.flatMap((kind) => names.flatMap((job) => names.slice(0, 2).map((id) => newJobRow({ kind, job, id }))));
  for (const row of rows) await insert(store, row);
  for (const row of rows) await checkStands(store, row, "of places that look alike");
}

async function changesRows({ open }: Bench): Promise<void> {
  const store = await open();
  let row = newJobRow();
  await insert(store, row);
  for (let turn = 0; turn < 3; turn++) {
    const next = changed(row);
    check((await store.compareAndSwap(next, row.revision, FREE)) === true, "compareAndSwap must say true when the revision fits");
    await checkStands(store, next, "after a change");
    row = next;
  }
}

async function refusesStale({ open }: Bench): Promise<void> {
  const store = await open();
  const row = newJobRow({ revision: 5 });
  await insert(store, row);
  for (const revision of [1, 4, 6])
    check(
      (await store.compareAndSwap({ ...row, document: "{}", revision: revision + 1 }, revision, FREE)) === false,
      "compareAndSwap must say false when the revision is another",
    );
  await checkStands(store, row, "after changes that were refused");
}

async function changesNothing({ open }: Bench): Promise<void> {
  const store = await open();
  const row = newJobRow({ revision: 2 });
  check((await store.compareAndSwap(row, 1, FREE)) === false, "compareAndSwap must say false of a place without a row");
  check((await store.get(row)) === undefined, "compareAndSwap of a place without a row must make none");
}

async function listsInOrder({ open }: Bench): Promise<void> {
  const store = await open();
  const rows = await insertRows(store);
  for (const limit of [1, 2, 1000]) {
    const listed = await listOwn(store, rows, limit);
    check(listed.length === rows.length, `a list by pages of ${limit} must give each row once`);
    for (const [place, row] of rows.entries()) checkRow(await store.get(listed[place] ?? row), row, `a list by pages of ${limit}`);
  }
}

async function fillsPages({ open }: Bench): Promise<void> {
  const store = await open();
  const rows = await insertRows(store);
  for (const limit of [1, rows.length - 1, rows.length]) {
    const page = await store.list({ kind: "partition", job: rows[0]?.job ?? "", limit });
    check(page.length === limit, `a page of a list must have ${limit} rows while enough are left`);
  }
}

async function isSeenByOthers({ open }: Bench): Promise<void> {
  const [one, other] = [await open(), await open()];
  const row = newJobRow();
  check((await other.get(row)) === undefined, "get must give undefined before the insert");
  await insert(one, row);
  await checkStands(other, row, "of another store object after the insert");
  const next = changed(row);
  check((await one.compareAndSwap(next, 1, FREE)) === true, "compareAndSwap must say true when the revision fits");
  await checkStands(other, next, "of another store object after the change");
}

async function insertsOnce({ open }: Bench): Promise<void> {
  const stores = [await open(), await open(), await open()];
  const { job, id } = newJobRow();
  const winner = await winnerOf(
    stores,
    () => newJobRow({ job, id }),
    (store, row) => store.insertIfAbsent(row),
    "inserts of one place",
  );
  for (const store of stores) await checkStands(store, winner, "after a race, by the one that won,");
}

async function changesOnce({ open }: Bench): Promise<void> {
  const stores = [await open(), await open(), await open()];
  const row = newJobRow();
  for (const store of stores.slice(0, 1)) await insert(store, row);
  const winner = await winnerOf(
    stores,
    () => changed(row),
    (store, next) => store.compareAndSwap(next, 1, FREE),
    "changes of one revision",
  );
  for (const store of stores) await checkStands(store, winner, "after a race, by the one that won,");
}

async function heedsSignal({ open }: Bench): Promise<void> {
  const store = await open();
  const row = newJobRow();
  await insert(store, row);
  const other = newJobRow();
  const reason = new Error("the caller's reason");
  const options = { signal: AbortSignal.abort(reason) };
  const operations: readonly [string, () => Promise<unknown>][] = [
    ["get", () => store.get(row, options)],
    ["list", () => store.list({ kind: "partition", job: row.job, limit: 1 }, options)],
    ["insertIfAbsent", () => store.insertIfAbsent(other, options)],
    ["compareAndSwap", () => store.compareAndSwap(changed(row), 1, FREE, options)],
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
  const row = newJobRow();
  await insert(one, row);
  await one.close?.();
  await one.close?.();
  await checkStands(other, row, "of a store beside one that was closed");
}

/** Six rows in the order of a list: by character code, not by any language's alphabet. */
async function insertRows(store: JobStore): Promise<readonly JobRow[]> {
  const job = newId();
  const rows = ["!", "-", "A", "_", "a", "aA"].map((end) => newJobRow({ job, id: `x${end}` }));
  for (const row of [...rows].reverse()) await insert(store, row);
  for (const other of [{ kind: "failure", job, id: "xB" } as const, { id: "xB" }]) await insert(store, newJobRow(other));
  return rows;
}

async function listOwn(store: JobStore, [first]: readonly JobRow[], limit: number): Promise<readonly JobRow[]> {
  const listed: JobRow[] = [];
  for (let after: string | undefined; ; ) {
    const page = await store.list({ kind: "partition", job: first?.job ?? "", after, limit });
    listed.push(...page);
    after = page.at(-1)?.id;
    if (page.length < limit || listed.length > MOST_ROWS) return listed;
  }
}

async function winnerOf(
  stores: readonly JobStore[],
  make: () => JobRow,
  attempt: (store: JobStore, row: JobRow) => Promise<boolean>,
  what: string,
): Promise<JobRow> {
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
