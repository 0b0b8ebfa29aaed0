import { expect, test } from "vitest";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import type { DataKeyStore, RowChange, StoredDataKey } from "../../../src/core/contracts/data-key-store.ts";
import { PageChanges, type ReplacedRow } from "../../../src/fields/jobs/page-changes.ts";
import { memoryStore } from "../../../src/fields/stores/memory.ts";
import { newRow } from "../../../src/stores/conformance/bench.ts";
import { deferred } from "../../support/deferred.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const DOWN = new EnvelockError("unavailable", "the database could not be asked", { retryable: true });

test("changes of a page are made in few statements, and read back at once", async () => {
  const { store, calls, rows, changes } = await pageOf(256);
  const replaced = rows.map((row) => changes.replace(next(row), 1));
  await changes.end();
  expect(await answersOf(replaced)).toEqual(Array(256).fill(true));
  expect(calls).toEqual(["many 128", "many 128", "scan 256"]);
  expect((await store.scan({ limit: 300 })).map(({ revision }) => revision)).toEqual(Array(256).fill(2));
});

test("a change does not wait long for others", async () => {
  const { calls, rows, changes, clock } = await pageOf(5);
  const [one, two, three] = rows.map((row) => () => changes.replace(next(row), 1));
  const early = [one?.(), two?.()];
  await clock.advance(99);
  expect(calls).toEqual([]);
  await clock.advance(1);
  expect(calls).toEqual(["many 2"]);
  const late = three?.();
  await changes.end();
  expect(calls).toEqual(["many 2", "swap", "scan 5"]);
  expect(await answersOf([...early, late])).toEqual([true, true, true]);
  await clock.advance(1000);
  expect(calls).toHaveLength(3);
});

test("each change is answered for itself, with the row that stands", async () => {
  const { store, rows, changes } = await pageOf(4);
  const [first, second, third, fourth] = rows;
  if (first === undefined || second === undefined || third === undefined || fourth === undefined) throw new Error("no rows");
  await store.compareAndSwap(next(second), 1); // another process was first
  const replaced = [first, second, third, first].map((row) => changes.replace(next(row), 1));
  await changes.end();
  const ends = await Promise.all(replaced);
  expect(ends.map(({ isReplaced }) => isReplaced)).toEqual([true, false, true, false]);
  expect(ends.map(({ now }) => now?.revision)).toEqual([2, 2, 2, 2]);
});

test("a row that rows which came in have moved behind the page is read alone", async () => {
  const { store, calls, rows, changes } = await pageOf(6);
  await store.insertIfAbsent(newRow("s000", { version: 2 }));
  const replaced = rows.map((row) => changes.replace(next(row), 1));
  await changes.end();
  expect((await Promise.all(replaced)).map(({ now }) => now?.revision)).toEqual(Array(6).fill(2));
  expect(calls).toEqual(["many 6", "scan 6", "byKid"]);
});

test("a row that has vanished is told of alone", async () => {
  const { rows, changes } = await pageOf(3);
  const gone = newRow("s999");
  const replaced = [...rows, gone].map((row) => changes.replace(next(row), 1));
  await changes.end();
  expect((await Promise.all(replaced)).map(({ isReplaced, now }) => [isReplaced, now !== undefined])).toEqual([
    ...Array(3).fill([true, true]),
    [false, false],
  ]);
});

test("a row that the store does not take fails alone: the others are made one by one", async () => {
  const bad = (row: StoredDataKey): boolean => row.scope === "s002";
  const refused = new EnvelockError("provider-failure", "the database answered 23514");
  const { calls, rows, changes } = await pageOf(5, (store) => ({
    async compareAndSwapMany(list) {
      if (list.some(({ row }) => bad(row))) throw refused;
      return (await store.compareAndSwapMany?.(list)) ?? [];
    },
    async compareAndSwap(row, revision) {
      if (bad(row)) throw refused;
      return await store.compareAndSwap(row, revision);
    },
  }));
  const replaced = rows.map((row) => changes.replace(next(row), 1));
  const settled = Promise.allSettled(replaced);
  await changes.end();
  expect((await settled).map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled", "fulfilled"]);
  expect(calls).toEqual(["many 5", ...Array(5).fill("swap"), "scan 5"]);
});

test.each<[string, (list: readonly RowChange[]) => unknown]>([
  ["too few answers", (list) => list.slice(1).map(() => true)],
  ["no answers", () => undefined],
  ["too many answers", (list) => [true, ...list.map(() => true)]],
])("%s for many changes are no answer", async (_what, answer) => {
  const { calls, rows, changes } = await pageOf(3, () => ({ compareAndSwapMany: async (list) => untyped(answer(list)) }));
  const replaced = rows.map((row) => changes.replace(next(row), 1));
  await changes.end();
  expect(await answersOf(replaced)).toEqual([true, true, true]);
  expect(calls).toEqual(["many 3", "swap", "swap", "swap", "scan 3"]);
});

test("a store that cannot be reached fails the page, and is not asked for each row", async () => {
  const down = async (): Promise<never> => {
    throw DOWN;
  };
  const { calls, rows, changes } = await pageOf(100, () => ({ compareAndSwapMany: down, compareAndSwap: down }), 4);
  const settled = Promise.allSettled(rows.map((row) => changes.replace(next(row), 1)));
  expect(await refusalCode(() => changes.end())).toBe("unavailable");
  expect(new Set((await settled).map(({ status }) => status))).toEqual(new Set(["rejected"]));
  expect(calls).toEqual(["many 100", ...Array(4).fill("swap")]);
});

test("changes whose answer was lost with the connection are found made", async () => {
  const { store, calls, rows, changes } = await pageOf(4, (sound) => ({
    async compareAndSwapMany(list) {
      await sound.compareAndSwapMany?.(list);
      throw DOWN;
    },
  }));
  const written = rows.map(next);
  const replaced = written.map((row) => changes.replace(row, 1));
  await changes.end();
  expect((await Promise.all(replaced)).map(({ isReplaced, now }) => [isReplaced, now?.record])).toEqual(
    written.map(({ record }) => [false, record]),
  );
  expect(calls).toEqual(["many 4", ...Array(4).fill("swap"), "scan 4"]);
  expect((await store.scan({ limit: 9 })).map(({ revision }) => revision)).toEqual([2, 2, 2, 2]);
});

test("a store without many changes makes them one by one, as many at a time as rows are in flight", async () => {
  let [inFlight, most] = [0, 0];
  const { compareAndSwapMany: _many, ...plain } = memoryStore();
  const { rows, changes } = await pageOf(
    40,
    (store) => ({
      async compareAndSwap(row, revision) {
        most = Math.max(most, ++inFlight);
        await Promise.resolve();
        inFlight--;
        return await store.compareAndSwap(row, revision);
      },
    }),
    3,
    plain,
  );
  const replaced = rows.map((row) => changes.replace(next(row), 1));
  await changes.end();
  expect(await answersOf(replaced)).toEqual(Array(40).fill(true));
  expect(most).toBe(3);
});

test("`stop` fails what waits with its reason, once what is in flight has ended", async () => {
  const writing = deferred();
  const { store, rows, changes, clock } = await pageOf(4, (sound) => ({
    async compareAndSwapMany(list) {
      await writing.promise;
      return (await sound.compareAndSwapMany?.(list)) ?? [];
    },
  }));
  const begin = rows.slice(0, 2).map((row) => changes.replace(next(row), 1));
  await clock.advance(100);
  const settled = Promise.allSettled([...begin, ...rows.slice(2).map((row) => changes.replace(next(row), 1))]);
  let isStopped = false;
  const stopping = changes.stop(DOWN).then(() => {
    isStopped = true;
  });
  await clock.advance(1000);
  expect(isStopped).toBe(false);
  writing.resolve();
  await stopping;
  expect((await settled).map((end) => end.status === "rejected" && end.reason)).toEqual(Array(4).fill(DOWN));
  expect((await store.scan({ limit: 9 })).map(({ revision }) => revision)).toEqual([2, 2, 1, 1]);
});

test("a change after the end of the page is made at once", async () => {
  const { calls, rows, changes } = await pageOf(2);
  const [row, other] = rows;
  if (row === undefined || other === undefined) throw new Error("no rows");
  const first = changes.replace(next(row), 1);
  await changes.end();
  await first;
  expect(await changes.replace(next(other), 1)).toMatchObject({ isReplaced: true, now: { revision: 2 } });
  expect(calls).toEqual(["swap", "scan 2", "swap", "byKid"]);
});

interface Page {
  readonly store: DataKeyStore;
  readonly calls: readonly string[];
  readonly rows: readonly StoredDataKey[];
  readonly changes: PageChanges;
  readonly clock: ReturnType<typeof fakeClock>;
}

/** A page of rows, and the calls of the store that their changes make. */
async function pageOf(
  count: number,
  differences: (store: DataKeyStore) => Partial<DataKeyStore> = () => ({}),
  workers = 8,
  store: DataKeyStore = memoryStore(),
): Promise<Page> {
  const rows = Array.from({ length: count }, (_, at) => newRow(`s${`${at}`.padStart(3, "0")}`));
  for (const row of rows) await store.insertIfAbsent(row);
  const over: DataKeyStore = { ...store, ...differences(store) };
  const calls: string[] = [];
  const swapMany = over.compareAndSwapMany;
  const told: DataKeyStore = {
    ...over,
    async scan(page) {
      calls.push(`scan ${page.limit}`);
      return await over.scan(page);
    },
    async byKid(scope, kid) {
      calls.push("byKid");
      return await over.byKid(scope, kid);
    },
    async compareAndSwap(row, revision) {
      calls.push("swap");
      return await over.compareAndSwap(row, revision);
    },
    ...(swapMany && {
      async compareAndSwapMany(changes: readonly RowChange[]) {
        calls.push(`many ${changes.length}`);
        return await swapMany(changes);
      },
    }),
  };
  const clock = fakeClock();
  return { store, calls, rows, clock, changes: new PageChanges(told, clock, { limit: count }, workers, {}) };
}

function next(row: StoredDataKey): StoredDataKey {
  return { ...row, record: newRow("").record, revision: row.revision + 1 };
}

async function answersOf(replaced: readonly (Promise<ReplacedRow> | undefined)[]): Promise<readonly (boolean | undefined)[]> {
  return (await Promise.all(replaced)).map((end) => end?.isReplaced);
}
