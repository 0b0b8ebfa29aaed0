import { describe, expect, test } from "vitest";
import type { TableKey } from "../../src/fields/jobs/column-job.ts";
import { integerBounds, jobStatus, type PlanReencryptOptions, planReencrypt, runPartitions, uuidBounds } from "../../src/jobs/index.ts";
import { brokenToken } from "../support/broken-token.ts";
import { refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { fleetOf } from "./set-up.ts";

type Rows = PlanReencryptOptions<string>["rows"];

const EMAIL = { table: "users", column: "email" } as const;

describe("a re-encryption over a fleet", () => {
  test.each<[string, ((n: number) => readonly TableKey[]) | undefined]>([
    ["its bounds", (n) => integerBounds(1, 1000, n)],
    ["a walk over its keys", undefined],
  ])("with %s, by several processes, changes each value once", async (_what, bounds) => {
    const { clock, jobs, open } = await fleetOf(1);
    const dataKeys = open();
    const cipher = await dataKeys.field({ ...EMAIL, migrating: "plaintext-allowed" });
    const users = table(Array.from({ length: 1000 }, (_, at) => `user ${at}`));
    const members = Array.from({ length: 3 }, async () => {
      const own = { column: "users.email", rows: users.rows, update: users.update, ...(bounds && { bounds }) };
      return await runPartitions(await planReencrypt<string>({ id: "emails", jobs, cipher, partitions: 4, clock, ...own }), { lanes: 2 });
    });
    const ends = await clock.finish(Promise.all(members));
    for (const end of ends) {
      expect(end).toMatchObject({ state: "done", phase: "work", partitions: { total: 4 } });
      expect(end.report).toMatchObject({ counts: { rows: 1000, plaintext: 1000, failed: 0 }, keyVersions: [], retirable: [] });
    }
    expect(users.updates()).toBe(1000);
    expect(users.stored.map((token) => cipher.decrypt(token))).toEqual(Array.from({ length: 1000 }, (_, at) => `user ${at}`));
  });

  test("a value that cannot be read is in the ledger with its key, and done in the next round", async () => {
    const { clock, jobs, open } = await fleetOf(1);
    const cipher = await open().field({ ...EMAIL, migrating: "plaintext-allowed" });
    const users = table(Array.from({ length: 600 }, (_, at) => (at === 300 ? brokenToken(cipher.encrypt("x")) : `user ${at}`)));
    const own = { column: "users.email", rows: users.rows, update: users.update, bounds: (n: number) => integerBounds(1, 600, n) };
    const job = await planReencrypt<string>({ id: "emails", jobs, cipher, partitions: 3, clock, ...own });
    const status = await runPartitions(job, { retries: 0 });
    expect(status).toMatchObject({
      state: "failing",
      failures: [{ code: "authentication-failed", entries: 1, example: "row/number/301" }],
    });
    users.stored[300] = "put right";
    expect(await clock.finish(runPartitions(job))).toMatchObject({ state: "done", round: 1, partitions: { total: 1 } });
    expect(users.updates()).toBe(600);
  });

  test.each<[string, ((n: number) => readonly TableKey[]) | undefined]>([
    ["bounds of integers", (n) => integerBounds(1, 40, n)],
    ["bounds of UUIDs", uuidBounds],
    ["a walk over its keys", undefined],
  ])("is one partition with %s if the caller says so", async (_what, bounds) => {
    const { clock, jobs, open } = await fleetOf(1);
    const cipher = await open().field({ ...EMAIL, migrating: "plaintext-allowed" });
    const { rows, update } = table(Array.from({ length: 40 }, (_, at) => `user ${at}`));
    const own = { column: "users.email", rows, update, ...(bounds && { bounds }) };
    const job = await planReencrypt<string>({ id: "emails", jobs, cipher, partitions: 1, clock, ...own });
    expect(await runPartitions(job)).toMatchObject({ state: "done", partitions: { total: 1 }, counts: { plaintext: 40 } });
  });

  test.each<[string, number, ((n: number) => readonly TableKey[]) | undefined]>([
    ["bounds", 64, (n) => integerBounds(1, 1_000_000, n)],
    ["a walk over its keys", 16, undefined],
  ])("of a small table with %s has %d partitions", async (_what, parts, bounds) => {
    const { clock, jobs, open } = await fleetOf(1);
    const cipher = await open().field({ ...EMAIL, migrating: "plaintext-allowed" });
    const { rows, update } = table(Array.from({ length: 400 }, (_, at) => `user ${at}`));
    const own = { column: "users.email", rows, update, ...(bounds && { bounds }) };
    const job = await planReencrypt<string>({ id: "emails", jobs, cipher, clock, ...own });
    expect(await clock.finish(runPartitions(job))).toMatchObject({ state: "done", partitions: { total: parts } });
  });

  test("keys that JavaScript rounds are refused, and go through as text", async () => {
    const { clock, jobs, open } = await fleetOf(1);
    const cipher = await open().field({ ...EMAIL, migrating: "plaintext-allowed" });
    const first = 9_007_199_254_740_993n;
    const stored = new Map(Array.from({ length: 600 }, (_, at) => [first + BigInt(at), `user ${at}`]));
    const rowsAs = (keyOf: (key: bigint) => unknown) => async (after: TableKey | undefined, limit: number, to: TableKey | undefined) =>
      [...stored]
        .filter(([key]) => key > BigInt(after ?? 0) && (to === undefined || key <= BigInt(to)))
        .slice(0, limit)
        .map(([key, value]) => ({ key: untyped<TableKey>(keyOf(key)), stored: value }));
    const update = async ({ key, to }: { readonly key: TableKey; readonly to: string }): Promise<boolean> =>
      stored.has(BigInt(key)) && stored.set(BigInt(key), to).size > 0;
    const own = { jobs, cipher, column: "users.email", update, clock, partitions: 3, bounds: () => [`${first + 200n}`, `${first + 400n}`] };
    for (const [id, keyOf] of [
      ["number", Number],
      ["bigint", (key: bigint) => key],
    ] as const) {
      const job = await planReencrypt<string>({ ...own, id, rows: rowsAs(keyOf) });
      expect(await refusalCode(() => runPartitions(job))).toBe("invalid-argument");
    }
    const job = await planReencrypt<string>({ ...own, id: "text", rows: rowsAs(String) });
    expect(await clock.finish(runPartitions(job))).toMatchObject({ state: "done", report: { counts: { rows: 600, plaintext: 600 } } });
  });

  test.each<[string, (at: number) => TableKey, (read: Rows) => Rows]>([
    ["gives one row for ever", String, (read) => (_after, limit, to) => read(undefined, Math.min(1, limit), to)],
    ["begins anew behind its end", String, (read) => async (after, limit, to) => read(after === "9" ? undefined : after, limit, to)],
    [
      "gives numbers in descending order",
      (at) => at,
      (read) =>
        async (...page) =>
          (await read(...page)).toReversed(),
    ],
    ["does not heed the end of a range", (at) => at, (read) => (after, limit) => read(after, limit, undefined)],
    ["does not heed the beginning of a range", (at) => at, (read) => (_after, limit, to) => read(undefined, limit, to)],
    ["has keys that are null", () => untyped(null), (read) => read],
    ["has one key for all rows", () => 5, (read) => read],
    ["has keys that are no numbers", () => Number.NaN, (read) => (_after, limit) => read(undefined, limit, undefined)],
    ["gives no list", (at) => at, () => untyped(async () => undefined)],
    ["gives rows that are none", (at) => at, () => untyped(async () => [null])],
  ])("a table that %s is refused, and no value is changed twice", async (_what, keyOf, spoilt) => {
    const { clock, jobs, open } = await fleetOf(1);
    const cipher = await open().field({ ...EMAIL, migrating: "plaintext-allowed" });
    const all = Array.from({ length: 10 }, (_, at) => ({ key: keyOf(at), stored: `user ${at}` }));
    const read: Rows = async (after, limit, to) =>
      all.filter(({ key }) => (after === undefined || key > after) && (to === undefined || key <= to)).slice(0, Math.min(4, limit));
    const changed: unknown[] = [];
    const update = async ({ from, to }: { readonly from: unknown; readonly to: string }): Promise<boolean> => {
      const row = all.find(({ stored }) => stored === from);
      if (row === undefined) return false;
      changed.push(from);
      row.stored = to;
      return true;
    };
    const own = { id: "spoilt", jobs, cipher, clock, column: "users.email", rows: spoilt(read), update, bounds: () => [4].map(keyOf) };
    const running = async () => await runPartitions(await planReencrypt<string>({ ...own, partitions: 2 }));
    expect(await refusalCode(() => clock.finish(running()))).toBe("invalid-argument");
    const { bounds: _bounds, ...walked } = { ...own, id: "walked" };
    const walking = async () => await runPartitions(await planReencrypt<string>({ ...walked, partitions: 2 }));
    expect(await refusalCode(() => clock.finish(walking()))).toBe("invalid-argument");
    expect(new Set(changed).size).toBe(changed.length);
  });

  test.each([
    ["text"],
    [undefined],
    [{ code: 7 }],
  ])("what `update` throws ends the call, also %s, and frees the partition", async (thrown) => {
    const { clock, jobs, open } = await fleetOf(1);
    const cipher = await open().field({ ...EMAIL, migrating: "plaintext-allowed" });
    const users = table(["a", "b", "c"]);
    const own = { id: "thrown", jobs, cipher, clock, column: "users.email", rows: users.rows, partitions: 1 };
    const throwing = await planReencrypt<string>({ ...own, update: () => Promise.reject(thrown) });
    const end = await clock.finish(
      runPartitions(throwing).then(
        () => "none",
        (error: unknown) => ({ error }),
      ),
    );
    expect(end).toEqual({ error: thrown });
    expect((await jobStatus({ jobs, id: "thrown", clock })).partitions).toMatchObject({ free: 1, held: 0 });
    const job = await planReencrypt<string>({ ...own, update: users.update });
    expect(await clock.finish(runPartitions(job))).toMatchObject({ state: "done", counts: { plaintext: 3 } });
  });

  test("rows that failed and are deleted are no failures of the next round", async () => {
    const { clock, jobs, open } = await fleetOf(1);
    const cipher = await open().field({ ...EMAIL, migrating: "plaintext-allowed" });
    const users = table(Array.from({ length: 30 }, (_, at) => (at > 20 ? brokenToken(cipher.encrypt("x")) : `user ${at}`)));
    const own = { column: "users.email", rows: users.rows, update: users.update, bounds: (n: number) => integerBounds(1, 30, n) };
    const job = await planReencrypt<string>({ id: "deleted", jobs, cipher, partitions: 3, clock, ...own });
    expect(await runPartitions(job, { retries: 0 })).toMatchObject({ state: "failing", failures: [{ entries: 9 }] });
    users.stored.length = 21;
    expect(await clock.finish(runPartitions(job))).toMatchObject({
      state: "done",
      failures: [],
      report: { counts: { rows: 21, failed: 0 } },
    });
  });

  test.each<[string, (at: number) => TableKey, readonly TableKey[]]>([
    ["negative numbers", (at) => at - 300, [-150, -1, 0]],
    ["fractions", (at) => at / 8, [0.5, 20.25]],
    ["bigints as text, of which some are negative", (at) => `${BigInt(at - 300) * 10n ** 16n}`, [`${-(10n ** 18n)}`, "0"]],
    ["UUIDs", (at) => `${at.toString(16).padStart(8, "0")}-0000-4000-8000-000000000000`, uuidBounds(3)],
    ["texts in no order that a machine knows, with bounds that lie", (at) => `${(at * 7919) % 600}é'"%\u0000 ${at}`, ["zz", "", "a"]],
  ])("goes over keys that are %s once", async (_what, keyOf, bounds) => {
    const { clock, jobs, open } = await fleetOf(1);
    const cipher = await open().field({ ...EMAIL, migrating: "plaintext-allowed" });
    const inOrder = (one: TableKey, other: TableKey): number => {
      if (typeof one === "number" || typeof other === "number") return Number(one) - Number(other);
      const areWhole = [one, other].every((text) => /^-?\d+$/.test(text));
      return areWhole ? (BigInt(one) < BigInt(other) ? -1 : Number(one !== other)) : one < other ? -1 : Number(one !== other);
    };
    const all = Array.from({ length: 600 }, (_, at) => ({ key: keyOf(at), stored: `user ${at}` })).sort((a, b) => inOrder(a.key, b.key));
    const rows: Rows = async (after, limit, to) =>
      all
        .filter(({ key }) => (after === undefined || inOrder(key, after) > 0) && (to === undefined || inOrder(key, to) <= 0))
        .slice(0, limit);
    let updates = 0;
    const update = async ({ key, from, to }: { readonly key: TableKey; readonly from: unknown; readonly to: string }) => {
      const row = all.find((one) => one.key === key && one.stored === from);
      if (row === undefined) return false;
      row.stored = to;
      updates++;
      return true;
    };
    const job = await planReencrypt<string>({
      id: "keys",
      jobs,
      cipher,
      clock,
      column: "users.email",
      rows,
      update,
      bounds: () => bounds,
      partitions: 4,
    });
    expect(await clock.finish(runPartitions(job, { lanes: 2 }))).toMatchObject({ state: "done", failures: [] });
    expect(updates).toBe(600);
    expect(all.every(({ stored }) => cipher.decrypt(stored).startsWith("user "))).toBe(true);
  });

  test("a table without rows is done", async () => {
    const { clock, jobs, open } = await fleetOf(1);
    const cipher = await open().field(EMAIL);
    const job = await planReencrypt<string>({
      id: "none",
      jobs,
      cipher,
      clock,
      column: "c",
      rows: async () => [],
      update: async () => true,
    });
    expect(await runPartitions(job)).toMatchObject({ state: "done", partitions: { total: 1 }, report: { counts: { rows: 0 } } });
  });

  test("a job of another column is left alone, and bad options are refused", async () => {
    const { clock, jobs, open } = await fleetOf(1);
    const cipher = await open().field(EMAIL);
    const own = { id: "emails", jobs, cipher, clock, column: "users.email", rows: async () => [], update: async () => true };
    await planReencrypt<string>(own);
    expect(await refusalCode(() => planReencrypt<string>({ ...own, column: "users.name" }))).toBe("invalid-argument");
    for (const bad of [{ column: "a b" }, { rows: 7 }, { update: undefined }, { cipher: 7 }, { bounds: 7 }, { row: 7 }])
      expect(await refusalCode(() => planReencrypt<string>(untyped({ ...own, ...bad })))).toBe("invalid-argument");
    for (const bounds of [() => 7, () => [null], () => [3, 3], () => [5, 3]])
      expect(await refusalCode(() => planReencrypt<string>(untyped({ ...own, id: "other", bounds })))).toBe("invalid-argument");
  });
});

describe("bounds", () => {
  test("of integers have equal widths, and each key is in one part", () => {
    expect(integerBounds(1, 100, 3)).toEqual([25, 50, 75]);
    expect(integerBounds(0, 9, 1)).toEqual([4]);
    expect(integerBounds(5, 5, 3)).toEqual([]);
    expect(integerBounds(-100, 100, 1)).toEqual([0].map((bound) => bound - 1 + 0.5).map(Math.floor));
  });

  test("of UUIDs are in their order", () => {
    expect(uuidBounds(1)).toEqual(["80000000-0000-0000-0000-000000000000"]);
    const bounds = uuidBounds(255);
    expect(bounds[0]).toBe("01000000-0000-0000-0000-000000000000");
    expect([...bounds].sort()).toEqual(bounds);
    expect(new Set(bounds).size).toBe(255);
  });

  test.each<[string, () => unknown]>([
    ["half a key", () => integerBounds(0.5, 9, 2)],
    ["an end before the beginning", () => integerBounds(9, 1, 2)],
    ["no parts", () => uuidBounds(0)],
  ])("with %s are refused", async (_what, make) => {
    expect(await refusalCode(async () => make())).toBe("invalid-argument");
  });
});

/** A table of one column, whose keys count from 1. */
function table(values: readonly string[]) {
  const stored = [...values];
  let updates = 0;
  return {
    stored,
    async rows(after: TableKey | undefined, limit: number, to: TableKey | undefined) {
      const all = stored.map((value, at) => ({ key: at + 1, stored: value }));
      return all.filter(({ key }) => key > Number(after ?? 0) && key <= Number(to ?? stored.length)).slice(0, limit);
    },
    async update({ key, from, to }: { readonly key: TableKey; readonly from: unknown; readonly to: string }) {
      if (stored[Number(key) - 1] !== from) return false;
      stored[Number(key) - 1] = to;
      updates++;
      return true;
    },
    updates: () => updates,
  };
}
