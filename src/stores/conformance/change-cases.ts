import { check } from "../../core/contracts/conformance-checks.ts";
import { type Bench, type Case, checkStands, insert, newRecord, newRow, newScope, type StoreConformanceHarness } from "./bench.ts";

/** The changes that a store must allow, and those that it must not. */
export function changeCases({ holds }: StoreConformanceHarness): readonly Case[] {
  const cases: Case[] = [
    { name: "a version that is taken is refused", run: refusesTakenVersion },
    { name: "a kid that is taken is refused", run: refusesTakenKid },
    { name: "a change replaces state, record, proof and revision", run: replaces },
    { name: "a change on another revision is refused", run: refusesOtherRevision },
    { name: "a change of nothing makes nothing", run: changesNothing },
    { name: "a shredded record is gone", run: (bench) => shreds(bench) },
  ];
  if (holds !== undefined) {
    cases.push({ name: "a shredded record is gone from what keeps the rows", run: (bench) => shreds(bench, holds) });
  }
  return cases;
}

async function refusesTakenVersion({ open }: Bench): Promise<void> {
  const store = await open();
  const row = newRow(newScope());
  await insert(store, row);
  check((await store.insertIfAbsent(newRow(row.scope))) === false, "insertIfAbsent must say false of a version that is there");
  await checkStands(store, row, "after an insert that was refused");
}

async function refusesTakenKid({ open }: Bench): Promise<void> {
  const store = await open();
  const row = newRow(newScope());
  await insert(store, row);
  check((await store.insertIfAbsent({ ...row, version: 2 })) === false, "insertIfAbsent must say false of a kid that its scope has");
  await checkStands(store, row, "after an insert that was refused");
  check((await store.list(row.scope)).length === 1, "an insert that was refused must leave no row");
}

async function replaces({ open }: Bench): Promise<void> {
  const store = await open();
  const scope = newScope();
  const [row, neighbour, namesake] = [newRow(scope), newRow(scope, { version: 2 }), newRow(newScope())];
  for (const each of [row, neighbour, namesake]) await insert(store, each);
  let now = row;
  for (const state of ["retired", "active"] as const) {
    const next = { ...now, state, record: newRecord(170), proof: state === "active" ? null : newRecord(40), revision: now.revision + 1 };
    check((await store.compareAndSwap(next, now.revision)) === true, "compareAndSwap must say true when the revision fits");
    await checkStands(store, next, "after the change");
    for (const each of [neighbour, namesake]) await checkStands(store, each, "of a row beside the one that was changed");
    now = next;
  }
}

async function refusesOtherRevision({ open }: Bench): Promise<void> {
  const store = await open();
  const row = newRow(newScope(), { revision: 5 });
  await insert(store, row);
  for (const revision of [4, 6, 1]) {
    const change = { ...row, state: "retired", revision: revision + 1 } as const;
    check((await store.compareAndSwap(change, revision)) === false, "compareAndSwap must say false when the revision is another");
    await checkStands(store, row, "after a change that was refused");
  }
}

async function changesNothing({ open }: Bench): Promise<void> {
  const store = await open();
  const row = newRow(newScope(), { version: 2, revision: 2 });
  check((await store.compareAndSwap(row, 1)) === false, "compareAndSwap must say false in a scope without rows");
  check((await store.list(row.scope)).length === 0, "compareAndSwap must make no row");
  await insert(store, newRow(row.scope));
  check((await store.compareAndSwap(row, 1)) === false, "compareAndSwap must say false of a version that is not there");
  check((await store.list(row.scope)).length === 1, "compareAndSwap must make no row beside others");
}

async function shreds({ open }: Bench, holds?: StoreConformanceHarness["holds"]): Promise<void> {
  const store = await open();
  const row = newRow(newScope());
  const record = row.record ?? newRecord(0);
  await insert(store, row);
  if (holds !== undefined) check(await holds(record), "`holds` of the harness must find a record that is there");
  const shredded = { ...row, state: "shredded", record: null, revision: 2 } as const;
  check((await store.compareAndSwap(shredded, 1)) === true, "compareAndSwap must say true when the revision fits");
  await checkStands(store, shredded, "after the record was shredded");
  if (holds !== undefined) check(!(await holds(record)), "a record that was shredded must be gone from what keeps the rows");
}
