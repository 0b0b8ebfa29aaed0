import { check } from "../../../core/contracts/conformance-checks.ts";
import type { JobRow, JobStore } from "../../../core/contracts/job-store.ts";
import type { DocumentCase, DocumentChecks } from "../document-cases.ts";
import { type Bench, newJobRow } from "./bench.ts";

/** Cases of leases: a row that has one is taken by no other, until it ends by the store's clock. */
export function leaseCases(checks: Checks): readonly DocumentCase<Bench>[] {
  return [
    { name: "a new row is free, and one with a lease tells what is left of it", run: (bench) => tellsLease(checks, bench) },
    { name: "a row with a lease is refused to a change that needs it free", run: (bench) => refusesLeased(checks, bench) },
    { name: "a holder changes its own row under its lease", run: (bench) => lets(checks, bench) },
    { name: "a change without a lease sets the row free", run: (bench) => frees(checks, bench) },
    { name: "a lease that is over holds nothing", run: (bench) => ends(checks, bench) },
    { name: "of many that want a free row one gets it", run: (bench) => leasesOnce(checks, bench) },
  ];
}

async function tellsLease(checks: Checks, { open }: Bench): Promise<void> {
  const store = await open();
  const row = newJobRow();
  await checks.insert(store, row);
  check((await store.get(row))?.leaseMs === 0, "a row that was inserted must be free");
  await store.compareAndSwap(checks.kind.changed(row), 1, { leaseMs: LONG_MS });
  const [listed] = await store.list({ kind: row.kind, job: row.job, limit: 1 });
  for (const leaseMs of [(await store.get(row))?.leaseMs ?? 0, listed?.leaseMs ?? 0])
    check(leaseMs > LONG_MS / 2 && leaseMs <= LONG_MS + 1000, "get and list must tell what is left of a lease, in milliseconds");
}

async function refusesLeased(checks: Checks, { open }: Bench): Promise<void> {
  const [one, other] = [await open(), await open()];
  const row = newJobRow();
  await checks.insert(one, row);
  const held = checks.kind.changed(row);
  check((await one.compareAndSwap(held, 1, { leaseMs: LONG_MS, onlyIfFree: true })) === true, "a free row must be leased");
  const refused = await other.compareAndSwap(checks.kind.changed(held), 2, { leaseMs: LONG_MS, onlyIfFree: true });
  check(refused === false, "a row with a lease must be refused to a change that needs it free, also when the revision fits");
  await checks.stands(other, held, "after a change that was refused");
}

async function lets(checks: Checks, { open }: Bench): Promise<void> {
  const store = await open();
  const row = newJobRow();
  await checks.insert(store, row);
  const held = checks.kind.changed(row);
  await store.compareAndSwap(held, 1, { leaseMs: LONG_MS, onlyIfFree: true });
  const next = checks.kind.changed(held);
  check((await store.compareAndSwap(next, 2, { leaseMs: LONG_MS })) === true, "the holder of a lease must be able to change its row");
  check(((await store.get(row))?.leaseMs ?? 0) > 0, "a change with a lease must keep the row leased");
  await checks.stands(store, next, "after a change under a lease");
}

async function frees(checks: Checks, { open }: Bench): Promise<void> {
  const store = await open();
  const row = newJobRow();
  await checks.insert(store, row);
  const held = checks.kind.changed(row);
  await store.compareAndSwap(held, 1, { leaseMs: LONG_MS });
  const freed = checks.kind.changed(held);
  check((await store.compareAndSwap(freed, 2, FREE)) === true, "a change without a lease must be taken");
  check((await store.get(row))?.leaseMs === 0, "a change without a lease must set the row free");
  const taken = await store.compareAndSwap(checks.kind.changed(freed), 3, { leaseMs: LONG_MS, onlyIfFree: true });
  check(taken === true, "a row that was set free must be leased again");
}

async function ends(checks: Checks, { open, untilFree }: Bench): Promise<void> {
  const store = await open();
  const row = newJobRow();
  await checks.insert(store, row);
  const held = checks.kind.changed(row);
  await store.compareAndSwap(held, 1, { leaseMs: 3 });
  await untilFree(store, row);
  const taken = await store.compareAndSwap(checks.kind.changed(held), 2, { leaseMs: LONG_MS, onlyIfFree: true });
  check(taken === true, "a row whose lease is over must be leased again");
}

async function leasesOnce(checks: Checks, { open }: Bench): Promise<void> {
  const stores = [await open(), await open(), await open()];
  const row = newJobRow();
  for (const store of stores.slice(0, 1)) await checks.insert(store, row);
  const racers = Array.from({ length: 24 }, (_, place) => stores[place % stores.length]);
  const taken = racers.map(
    async (store) => await store?.compareAndSwap(checks.kind.changed(row), 1, { leaseMs: LONG_MS, onlyIfFree: true }),
  );
  const winners = (await Promise.all(taken)).filter((won) => won === true).length;
  check(winners === 1, `${winners} of 24 leases of one row were given, and one must`);
}

type Checks = DocumentChecks<JobStore, JobRow>;

const LONG_MS = 600_000;
export const FREE = { leaseMs: 0 } as const;
