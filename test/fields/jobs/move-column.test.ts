import { expect, test } from "vitest";
import type { ColumnChange, TableKey } from "../../../src/fields/jobs/column-job.ts";
import { type MovedRow, moveColumn } from "../../../src/fields/jobs/move-column.ts";
import { refusalCode } from "../../support/refusal.ts";

import { EMAIL, world } from "../set-up.ts";

test("a renamed column: each value is moved once, and what is moved is left alone", async () => {
  const dataKeys = world().open();
  const [from, to] = [await dataKeys.field({ table: "users", column: "mail" }), await dataKeys.field(EMAIL)];
  const users = table(["ann", "bob", null, "cid"].map((value, at) => value && from.encrypt(value, { row: at + 1 })));
  users.stored[1] = to.encrypt("bob", { row: 2 });
  const options = { from, to, rows: users.rows, update: users.update };
  expect(await moveColumn({ ...options, dryRun: true })).toMatchObject({ rows: 4, old: 2, current: 1, empty: 1 });
  expect(users.updates()).toBe(0);
  expect(await moveColumn(options)).toMatchObject({ rows: 4, old: 2, current: 1, empty: 1, failed: 0 });
  expect(users.stored.map((token, at) => token && to.decrypt(token, { row: at + 1 }))).toEqual(["ann", "bob", null, "cid"]);
  expect(await moveColumn(options)).toMatchObject({ old: 0, current: 3 });
});

test("merged tenants with new ids: from cipher and row to cipher and row, and what was shredded is told", async () => {
  const dataKeys = world().open();
  const fieldOf = (tenant: string) => dataKeys.field({ ...EMAIL, requireRow: true, scope: { tenant } });
  const [a, gone, merged] = [await fieldOf("a"), await fieldOf("gone"), await fieldOf("merged")];
  const users = table([a.encrypt("ann", { row: "a1" }), gone.encrypt("bob", { row: "a2" }), "plaintext"]);
  await dataKeys.shred({ tenant: "gone" });
  const rows = async (after: TableKey | undefined, limit: number): Promise<readonly MovedRow<string>[]> =>
    (await users.rows(after, limit)).map((row) => ({ ...row, row: `a${row.key}`, newRow: `m${row.key}` }));
  const report = await moveColumn<string>({ from: ({ key }) => (key === 2 ? gone : a), to: () => merged, rows, update: users.update });
  expect(report).toMatchObject({ rows: 3, old: 1, shredded: 1, failed: 1, failures: [{ key: 3, error: { code: "malformed-envelope" } }] });
  expect(merged.decrypt(users.stored[0] ?? "", { row: "m1" })).toBe("ann");
  expect(users.changes.map(({ value }) => value)).toEqual(["ann"]);
});

test("a store that is away ends the job: nothing is taken for a value of another place", async () => {
  const { open, clock, store } = world();
  const isDown = { value: false };
  const list: typeof store.list = (scope) => (isDown.value ? Promise.reject(new Error("down")) : store.list(scope));
  const dataKeys = open({ store: { ...store, list } });
  const [from, to] = [await dataKeys.field({ table: "users", column: "mail" }), await dataKeys.field(EMAIL)];
  const users = table([from.encrypt("ann")]);
  isDown.value = true;
  await clock.advance(600_000);
  expect(await refusalCode(() => moveColumn({ from, to, rows: users.rows, update: users.update }))).toBe("unavailable");
  expect(await refusalCode(() => Reflect.apply(moveColumn, undefined, [{ form: from, to, rows: users.rows, update: users.update }]))).toBe(
    "invalid-argument",
  );
});

function table(values: readonly (string | null)[]): {
  readonly stored: (string | null)[];
  readonly changes: ColumnChange<string>[];
  rows(after: TableKey | undefined, limit: number): Promise<readonly MovedRow<string>[]>;
  update(change: ColumnChange<string>): Promise<boolean>;
  updates(): number;
} {
  const stored = [...values];
  const changes: ColumnChange<string>[] = [];
  return {
    stored,
    changes,
    async rows(after, limit) {
      const all = stored.map((token, at) => ({ key: at + 1, stored: token, row: at + 1 }));
      return all.filter(({ key }) => key > Number(after ?? 0)).slice(0, limit);
    },
    async update(change) {
      if (stored[Number(change.key) - 1] !== change.from) return false;
      stored[Number(change.key) - 1] = change.to;
      changes.push(change);
      return true;
    },
    updates: () => changes.length,
  };
}
