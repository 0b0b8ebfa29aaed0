import { check } from "../../core/contracts/conformance-checks.ts";
import type { DataKeyStore, RowChange, StoredDataKey } from "../../core/contracts/data-key-store.ts";
import { type Bench, type Case, checkStands, insert, MAX_PROOF_BYTES, MAX_RECORD_BYTES, newRecord, newRow, newScope } from "./bench.ts";

/** Cases of many changes at once. A store without the method has nothing to keep. */
export function manyCases(): readonly Case[] {
  return [
    { name: "many changes are answered row by row", run: onMany(answersRowByRow) },
    { name: "many changes replace state, record, proof and revision", run: onMany(replacesMany) },
    { name: "of two changes of one row on one revision one is made", run: onMany(changesTwiceOnce) },
    { name: "many changes that race change each row once", run: racesRowByRow },
    { name: "256 changes at once", run: onMany(takesAPage) },
    { name: "an aborted signal stops many changes before any is made", run: onMany(heedsSignal) },
  ];
}

/** Some fit and some do not, in an order that is not the store's. */
async function answersRowByRow(store: DataKeyStore, swapMany: SwapMany): Promise<void> {
  const scopes = [newScope(), newScope()].sort();
  const [one, two, three, four, neighbour] = [
    newRow(scopes[1] ?? ""),
    newRow(scopes[1] ?? "", { version: 2, revision: 7 }),
    newRow(scopes[0] ?? ""),
    newRow(scopes[0] ?? "", { version: 2 }),
    newRow(scopes[0] ?? "", { version: 3 }),
  ];
  for (const row of [one, two, three, four, neighbour]) await insert(store, row);
  const next = [one, three].map((row) => changeOf(row));
  const [first, last] = next;
  if (first === undefined || last === undefined) return;
  const changes = [
    first,
    changeOf(two, 6), // another revision
    changeOf(newRow(scopes[1] ?? "", { version: 3 })), // no such version
    changeOf(newRow(newScope())), // no such scope
    changeOf(four, 2),
    last,
  ];
  const answers = await swapMany(changes);
  const expected = [true, false, false, false, false, true];
  check(answers.length === changes.length, "compareAndSwapMany must give an answer for each change");
  check(
    answers.every((answer, at) => answer === expected[at]),
    "compareAndSwapMany must answer in the order of the changes, each for its own row",
  );
  for (const { row } of next) await checkStands(store, row, "after many changes, of a row whose change fitted,");
  for (const row of [two, four, neighbour]) await checkStands(store, row, "after many changes, of a row whose change did not fit,");
  for (const scope of scopes) check((await store.list(scope)).length === (scope === scopes[0] ? 3 : 2), "many changes must make no row");
  check((await swapMany([])).length === 0, "compareAndSwapMany of nothing must answer nothing");
}

async function replacesMany(store: DataKeyStore, swapMany: SwapMany): Promise<void> {
  const scope = newScope();
  const rows = [1, 2, 3, 4].map((version) => newRow(scope, { version }));
  for (const row of rows) await insert(store, row);
  const differences: readonly Partial<StoredDataKey>[] = [
    { state: "retired", proof: null },
    { state: "shredded", record: null },
    { record: Uint8Array.from({ length: 256 }, (_, byte) => byte), proof: newRecord(MAX_PROOF_BYTES) },
    { record: newRecord(MAX_RECORD_BYTES) },
  ];
  const changes = rows.map((row, at): RowChange => {
    const next = { ...row, record: newRecord(170), proof: newRecord(40), revision: 2, ...differences[at] };
    return { row: next, expectedRevision: 1 };
  });
  const answers = await swapMany(changes);
  check(answers.every((answer) => answer === true) && answers.length === 4, "compareAndSwapMany must say true of each change that fits");
  for (const { row } of changes) await checkStands(store, row, "after many changes");
}

async function changesTwiceOnce(store: DataKeyStore, swapMany: SwapMany): Promise<void> {
  const [row, other] = [newRow(newScope()), newRow(newScope())];
  for (const each of [row, other]) await insert(store, each);
  const changes = [changeOf(row), changeOf(other), changeOf(row)];
  const [first, between, second] = await swapMany(changes);
  check(between === true, "a row that is named once must be changed beside one that is named twice");
  check((first === true) !== (second === true), "of two changes of one row on one revision, one must be made, and be told of");
  const winner = changes[first === true ? 0 : 2];
  if (winner !== undefined) await checkStands(store, winner.row, "by the change that was made,");
}

async function racesRowByRow({ open }: Bench): Promise<void> {
  const stores = [await open(), await open(), await open()];
  const [first] = stores;
  if (first === undefined || manyOf(first) === undefined) return;
  const rows = Array.from({ length: RACED_ROWS }, () => newRow(newScope()));
  for (const row of rows) await insert(first, row);
  const racers = stores.map((store, turn) => ({ store, changes: turned(rows, turn * 3).map((row) => changeOf(row)) }));
  const ends = await Promise.all(racers.map(async ({ store, changes }) => ({ changes, answers: (await manyOf(store)?.(changes)) ?? [] })));
  for (const { scope } of rows) {
    const winners = ends.flatMap(({ changes, answers }) => changes.filter(({ row }, at) => row.scope === scope && answers[at] === true));
    const [winner] = winners;
    check(winner !== undefined && winners.length === 1, `${winners.length} of ${ends.length} changes of one revision won, and one must`);
    if (winner !== undefined) for (const store of stores) await checkStands(store, winner.row, "after a race, by the one that won,");
  }
}

/** Few rows are there, because a store may take long to insert one. */
async function takesAPage(store: DataKeyStore, swapMany: SwapMany): Promise<void> {
  const scope = newScope();
  const rows = Array.from({ length: MOST_CHANGES }, (_, at) => newRow(scope, { version: at + 1 }));
  const isThere = ({ version }: StoredDataKey): boolean => version % 32 === 0;
  for (const row of rows.filter(isThere)) await insert(store, row);
  const answers = await swapMany(rows.map((row) => changeOf(row)));
  check(
    answers.length === MOST_CHANGES && rows.every((row, at) => answers[at] === isThere(row)),
    "compareAndSwapMany must take 256 changes, and answer each",
  );
  const revisions = new Set((await store.list(scope)).map(({ revision }) => revision));
  check(revisions.size === 1 && revisions.has(2), "each of 256 changes that fits must be made");
}

async function heedsSignal(store: DataKeyStore, swapMany: SwapMany): Promise<void> {
  const row = newRow(newScope());
  await insert(store, row);
  const reason = new Error("the caller's reason");
  const failure = await swapMany([changeOf(row)], { signal: AbortSignal.abort(reason) }).catch((error: unknown) => error);
  check(failure === reason, "compareAndSwapMany with an aborted signal must fail with the signal's own reason");
  await checkStands(store, row, "after changes that were aborted");
}

type SwapMany = NonNullable<DataKeyStore["compareAndSwapMany"]>;

/** Runs a case on a store that has the method. */
function onMany(run: (store: DataKeyStore, swapMany: SwapMany) => Promise<void>): Case["run"] {
  return async ({ open }) => {
    const store = await open();
    const swapMany = manyOf(store);
    if (swapMany !== undefined) await run(store, swapMany);
  };
}

function manyOf(store: DataKeyStore): SwapMany | undefined {
  return store.compareAndSwapMany?.bind(store);
}

/** A change of a row's record, on its own revision or on another. */
function changeOf(row: StoredDataKey, expectedRevision: number = row.revision): RowChange {
  return { row: { ...row, record: newRecord(150), revision: expectedRevision + 1 }, expectedRevision };
}

/** The same rows, begun elsewhere. */
function turned<T>(rows: readonly T[], by: number): readonly T[] {
  return [...rows.slice(by), ...rows.slice(0, by)];
}

const MOST_CHANGES = 256;
const RACED_ROWS = 12;
