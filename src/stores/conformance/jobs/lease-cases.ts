import { check } from "../../../core/contracts/conformance-checks.ts";
import { type Bench, type Case, changed, checkStands, FREE, insert, LONG_MS, newJobRow } from "./bench.ts";

/** Cases of leases: a row that has one is taken by no other, until it ends by the store's clock. */
export function leaseCases(): readonly Case[] {
  return [
    { name: "a new row is free, and one with a lease tells what is left of it", run: tellsLease },
    { name: "a row with a lease is refused to a change that needs it free", run: refusesLeased },
    { name: "a holder changes its own row under its lease", run: lets },
    { name: "a change without a lease sets the row free", run: frees },
    { name: "a lease that is over holds nothing", run: ends },
    { name: "of many that want a free row one gets it", run: leasesOnce },
  ];
}

async function tellsLease({ open }: Bench): Promise<void> {
  const store = await open();
  const row = newJobRow();
  await insert(store, row);
  check((await store.get(row))?.leaseMs === 0, "a row that was inserted must be free");
  await store.compareAndSwap(changed(row), 1, { leaseMs: LONG_MS });
  const [listed] = await store.list({ kind: row.kind, job: row.job, limit: 1 });
  for (const leaseMs of [(await store.get(row))?.leaseMs ?? 0, listed?.leaseMs ?? 0])
    check(leaseMs > LONG_MS / 2 && leaseMs <= LONG_MS + 1000, "get and list must tell what is left of a lease, in milliseconds");
}

async function refusesLeased({ open }: Bench): Promise<void> {
  const [one, other] = [await open(), await open()];
  const row = newJobRow();
  await insert(one, row);
  const held = changed(row);
  check((await one.compareAndSwap(held, 1, { leaseMs: LONG_MS, onlyIfFree: true })) === true, "a free row must be leased");
  const refused = await other.compareAndSwap(changed(held), 2, { leaseMs: LONG_MS, onlyIfFree: true });
  check(refused === false, "a row with a lease must be refused to a change that needs it free, also when the revision fits");
  await checkStands(other, held, "after a change that was refused");
}

async function lets({ open }: Bench): Promise<void> {
  const store = await open();
  const row = newJobRow();
  await insert(store, row);
  const held = changed(row);
  await store.compareAndSwap(held, 1, { leaseMs: LONG_MS, onlyIfFree: true });
  const next = changed(held);
  check((await store.compareAndSwap(next, 2, { leaseMs: LONG_MS })) === true, "the holder of a lease must be able to change its row");
  check(((await store.get(row))?.leaseMs ?? 0) > 0, "a change with a lease must keep the row leased");
  await checkStands(store, next, "after a change under a lease");
}

async function frees({ open }: Bench): Promise<void> {
  const store = await open();
  const row = newJobRow();
  await insert(store, row);
  const held = changed(row);
  await store.compareAndSwap(held, 1, { leaseMs: LONG_MS });
  const freed = changed(held);
  check((await store.compareAndSwap(freed, 2, FREE)) === true, "a change without a lease must be taken");
  check((await store.get(row))?.leaseMs === 0, "a change without a lease must set the row free");
  const taken = await store.compareAndSwap(changed(freed), 3, { leaseMs: LONG_MS, onlyIfFree: true });
  check(taken === true, "a row that was set free must be leased again");
}

async function ends({ open, untilFree }: Bench): Promise<void> {
  const store = await open();
  const row = newJobRow();
  await insert(store, row);
  const held = changed(row);
  await store.compareAndSwap(held, 1, { leaseMs: 3 });
  await untilFree(store, row);
  const taken = await store.compareAndSwap(changed(held), 2, { leaseMs: LONG_MS, onlyIfFree: true });
  check(taken === true, "a row whose lease is over must be leased again");
}

async function leasesOnce({ open }: Bench): Promise<void> {
  const stores = [await open(), await open(), await open()];
  const row = newJobRow();
  for (const store of stores.slice(0, 1)) await insert(store, row);
  const racers = Array.from({ length: 24 }, (_, place) => stores[place % stores.length]);
  const taken = racers.map(async (store) => await store?.compareAndSwap(changed(row), 1, { leaseMs: LONG_MS, onlyIfFree: true }));
  const winners = (await Promise.all(taken)).filter((won) => won === true).length;
  check(winners === 1, `${winners} of 24 leases of one row were given, and one must`);
}
