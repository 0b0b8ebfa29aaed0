import { check } from "../../core/contracts/conformance-checks.ts";
import type { DataKeyStore, StoredDataKey } from "../../core/contracts/data-key-store.ts";
import { type Bench, type Case, checkStands, insert, newRecord, newRow, newScope } from "./bench.ts";

/** Cases of racing calls: of those that want the same at once, one gets it. */
export function raceCases(): readonly Case[] {
  return [
    { name: "of many inserts of one version one wins", run: insertsOnce },
    { name: "of many changes of one revision one wins", run: changesOnce },
  ];
}

async function insertsOnce({ open }: Bench): Promise<void> {
  const stores = await several(open);
  const scope = newScope();
  const rows = racers(() => newRow(scope));
  const winner = await winnerOf(rows, stores, (store, row) => store.insertIfAbsent(row), "inserts of one version");
  for (const store of stores) await checkStands(store, winner, "after a race, by the one that won,");
}

async function changesOnce({ open }: Bench): Promise<void> {
  const stores = await several(open);
  const row = newRow(newScope());
  for (const store of stores.slice(0, 1)) await insert(store, row);
  const changes = racers(() => ({ ...row, record: newRecord(150), revision: 2 }));
  const winner = await winnerOf(changes, stores, (store, change) => store.compareAndSwap(change, 1), "changes of one revision");
  for (const store of stores) await checkStands(store, winner, "after a race, by the one that won,");
}

async function several(open: Bench["open"]): Promise<readonly DataKeyStore[]> {
  return [await open(), await open(), await open()];
}

function racers<T>(make: () => T): readonly T[] {
  return Array.from({ length: RACERS }, make);
}

async function winnerOf(
  rows: readonly StoredDataKey[],
  stores: readonly DataKeyStore[],
  attempt: (store: DataKeyStore, row: StoredDataKey) => Promise<boolean>,
  what: string,
): Promise<StoredDataKey> {
  const attempts = rows.map(async (row, place) => {
    const store = stores[place % stores.length];
    return store !== undefined && (await attempt(store, row)) ? [row] : [];
  });
  const winners = (await Promise.all(attempts)).flat();
  const [winner] = winners;
  check(winner !== undefined && winners.length === 1, `${winners.length} of ${rows.length} ${what} won, and one must`);
  return winner ?? newRow("");
}

const RACERS = 24;
