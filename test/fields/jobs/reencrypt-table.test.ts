import { describe, expect, test } from "vitest";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import type { DataKeyStore } from "../../../src/core/contracts/data-key-store.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { DataKeys } from "../../../src/fields/data-keys.ts";
import type { Checkpoint } from "../../../src/fields/jobs/checkpoint.ts";
import type { ColumnRow } from "../../../src/fields/jobs/column-job.ts";
import { type ReencryptTableOptions, reencryptTable } from "../../../src/fields/jobs/reencrypt-table.ts";
import { memoryStore } from "../../../src/fields/stores/memory.ts";
import { brokenToken } from "../../support/broken-token.ts";
import { kek } from "../../support/keks.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";

const EMAIL = { table: "users", column: "email" } as const;
const MIGRATING = { ...EMAIL, migrating: "plaintext-allowed" } as const;

describe("the first encryption of a column", () => {
  test("encrypts plaintext, leaves nulls and tokens, and tells which it was", async () => {
    const cipher = await keysOf(memoryStore()).field({ ...MIGRATING, nullable: true });
    const users = table(["ann", null, cipher.encrypt("bob"), "cid"]);
    expect(await reencryptTable({ cipher, rows: users.rows, update: users.update })).toMatchObject({
      rows: 4,
      plaintext: 2,
      empty: 1,
      current: 1,
      old: 0,
      failed: 0,
    });
    expect(users.stored.map((stored) => stored && cipher.decrypt(stored))).toEqual(["ann", null, "bob", "cid"]);
  });

  test("a progress callback that fails later ends the job with its failure", async () => {
    const cipher = await keysOf(memoryStore()).field(MIGRATING);
    const broken = new Error("no terminal");
    const { rows, update } = table(["ann"]);
    const job = reencryptTable<string>({ cipher, rows, update, onProgress: () => Promise.reject(broken) });
    await expect(job).rejects.toBe(broken);
  });

  test("binds each value to its row, and hands it on for a blind index", async () => {
    const cipher = await keysOf(memoryStore()).field({ ...MIGRATING, requireRow: true });
    const users = table(["ann", "bob"]);
    const values: unknown[] = [];
    const report = await reencryptTable<string>({
      cipher,
      rows: async (after, limit) => (await users.rows(after, limit)).map((row) => ({ ...row, row: row.key })),
      async update(change) {
        values.push(change.value);
        return await users.update(change);
      },
    });
    expect(report).toMatchObject({ plaintext: 2, failed: 0 });
    expect(values.sort()).toEqual(["ann", "bob"]);
    expect(cipher.decrypt(users.stored[0] ?? "", { row: 1 })).toBe("ann");
    expect(await refusalCode(() => cipher.decrypt(users.stored[0] ?? "", { row: 2 }))).toBe("authentication-failed");
  });

  test("without a migrating cipher plaintext is a failure, and stays what it was", async () => {
    const cipher = await keysOf(memoryStore()).field(EMAIL);
    const users = table(["ann", "bob"]);
    const report = await reencryptTable({ cipher, rows: users.rows, update: users.update });
    expect(report).toMatchObject({ rows: 2, plaintext: 0, failed: 2 });
    expect(report.failures.map(({ key, error }) => [key, error.code])).toEqual([
      [1, "malformed-envelope"],
      [2, "malformed-envelope"],
    ]);
    expect(users.stored).toEqual(["ann", "bob"]);
  });

  test("a token that was changed is a failure and no plaintext", async () => {
    const cipher = await keysOf(memoryStore()).field(MIGRATING);
    const token = cipher.encrypt("ann");
    const broken = [brokenToken(token), token.slice(0, 60)];
    const users = table([...broken, "bob"]);
    expect(await reencryptTable({ cipher, rows: users.rows, update: users.update })).toMatchObject({ plaintext: 1, failed: 2 });
    expect(users.stored.slice(0, 2)).toEqual(broken);
  });
});

describe("a rotation of the data key", () => {
  test("moves old tokens to the newest key, and leaves those that are under it", async () => {
    const keys = keysOf(memoryStore());
    const cipher = await keys.field(EMAIL);
    const old = ["ann", "bob", "cid"].map((value) => cipher.encrypt(value));
    await keys.rotate(undefined, { immediately: true });
    const users = table([...old, cipher.encrypt("dan")]);
    expect(await reencryptTable({ cipher, rows: users.rows, update: users.update })).toMatchObject({
      rows: 4,
      old: 3,
      current: 1,
      plaintext: 0,
    });
    expect(users.stored.map((token) => cipher.decrypt(token ?? ""))).toEqual(["ann", "bob", "cid", "dan"]);
    expect(users.stored.every((token) => cipher.isCurrent(token ?? ""))).toBe(true);
    expect(await reencryptTable({ cipher, rows: users.rows, update: users.update })).toMatchObject({ old: 0, current: 4 });
    expect(users.updates()).toBe(3);
  });

  test("fetches key versions that are not loaded", async () => {
    const store = memoryStore();
    const writer = keysOf(store);
    const tokens: string[] = [];
    for (let version = 1; version <= 5; version++) {
      tokens.push((await writer.field(EMAIL)).encrypt(`by ${version}`));
      await writer.rotate(undefined, { immediately: true });
    }
    const cipher = await keysOf(store, { maxVersions: 2, announceMs: 0 }).field(EMAIL);
    const users = table(tokens);
    expect(await reencryptTable({ cipher, rows: users.rows, update: users.update, concurrency: 1 })).toMatchObject({ old: 5, failed: 0 });
    expect(cipher.decrypt(users.stored[0] ?? "")).toBe("by 1");
  });

  test("while the newest key is being announced the job says when to come again", async () => {
    const keys = keysOf(memoryStore(), { announceMs: 60_000 });
    const cipher = await keys.field(EMAIL);
    const users = table([cipher.encrypt("ann")]);
    await keys.rotate();
    const error = await refusal(() => reencryptTable({ cipher, rows: users.rows, update: users.update }));
    expect(error.code).toBe("unavailable");
    expect(error.retryAfterMs).toBeGreaterThan(0);
  });

  test("a cipher for each row: tenants side by side, and one that was shredded", async () => {
    const store = memoryStore();
    const keys = keysOf(store);
    const tenants = ["a", "b", "c"];
    const tokens: string[] = [];
    for (const tenant of tenants) tokens.push((await keys.field({ ...EMAIL, scope: { tenant } })).encrypt(`of ${tenant}`));
    for (const tenant of tenants) await keys.rotate({ tenant }, { immediately: true });
    await keys.shred({ tenant: "b" });
    const users = table(tokens);
    const cipher = async ({ key }: ColumnRow<string>) => await keys.field({ ...EMAIL, scope: { tenant: tenants[Number(key) - 1] ?? "" } });
    expect(await reencryptTable<string>({ cipher, rows: users.rows, update: users.update })).toMatchObject({
      rows: 3,
      old: 2,
      shredded: 1,
      failed: 0,
    });
    expect(users.stored[1]).toBe(tokens[1]);
  });
});

describe("rows that others change meanwhile", () => {
  test("a row that was written since it was read is read again, and nothing is lost", async () => {
    const cipher = await keysOf(memoryStore()).field(MIGRATING);
    const users = table(["ann", "bob", "cid"]);
    let isFirst = true;
    const report = await reencryptTable({
      cipher,
      rows: users.rows,
      async update(change) {
        if (isFirst) users.stored[0] = "anna";
        isFirst = false;
        return await users.update(change);
      },
      concurrency: 1,
    });
    expect(report).toMatchObject({ plaintext: 3, failed: 0 });
    expect(users.stored.map((token) => cipher.decrypt(token ?? ""))).toEqual(["anna", "bob", "cid"]);
  });

  test("a row that was deleted is gone", async () => {
    const cipher = await keysOf(memoryStore()).field(MIGRATING);
    const users = table(["ann", "bob"]);
    const update = async (change: { key: unknown; from: unknown; to: string }): Promise<boolean> => {
      if (change.key !== 1) return await users.update(change);
      users.gone.add(1);
      return false;
    };
    expect(await reencryptTable({ cipher, rows: users.rows, update })).toMatchObject({ rows: 2, plaintext: 1, gone: 1, failed: 0 });
  });

  test("an update that never changes anything fails the row", async () => {
    const cipher = await keysOf(memoryStore()).field(MIGRATING);
    const users = table(["ann", "bob"]);
    const checkpoint = memoryCheckpoint();
    expect(await reencryptTable({ cipher, rows: users.rows, update: async () => false, checkpoint })).toMatchObject({
      failed: 2,
      plaintext: 0,
    });
    expect(await checkpoint.load()).toBeUndefined();
  });

  test("two jobs at once", async () => {
    const cipher = await keysOf(memoryStore()).field(MIGRATING);
    const users = table(Array.from({ length: 300 }, (_, at) => `user ${at}`));
    const reports = await Promise.all([
      reencryptTable({ cipher, rows: users.rows, update: users.update }),
      reencryptTable({ cipher, rows: users.rows, update: users.update, concurrency: 3 }),
    ]);
    expect(reports.map(({ failed }) => failed)).toEqual([0, 0]);
    expect(users.stored.map((token) => cipher.decrypt(token ?? ""))).toEqual(Array.from({ length: 300 }, (_, at) => `user ${at}`));
    expect(users.updates()).toBe(300);
  });
});

describe("a job that is stopped", () => {
  test("goes on behind its checkpoint, and counts as if it had not been", async () => {
    const cipher = await keysOf(memoryStore()).field(MIGRATING);
    const users = table(Array.from({ length: 600 }, (_, at) => `user ${at}`));
    const checkpoint = memoryCheckpoint();
    let updates = 0;
    const dying = async (change: { key: unknown; from: unknown; to: string }): Promise<boolean> => {
      if (++updates > 300) throw new Error("killed");
      return await users.update(change);
    };
    await expect(reencryptTable({ cipher, rows: users.rows, update: dying, checkpoint })).rejects.toThrow("killed");
    const read: unknown[] = [];
    const report = await reencryptTable({
      cipher,
      async rows(after, limit) {
        read.push(after);
        return await users.rows(after, limit);
      },
      update: users.update,
      checkpoint,
    });
    expect(read).toEqual([256, 512, 600]);
    expect(report).toMatchObject({ rows: 600, plaintext: 600 - (300 - 256), current: 300 - 256, failed: 0 });
    expect(users.stored.map((token) => cipher.decrypt(token ?? ""))).toEqual(Array.from({ length: 600 }, (_, at) => `user ${at}`));
    expect(await checkpoint.load()).toBeUndefined();
  });

  test("a row that failed holds no checkpoint, and is tried again at the end, also by the next process", async () => {
    const cipher = await keysOf(memoryStore()).field(MIGRATING);
    const stored = Array.from({ length: 600 }, (_, at) => `user ${at}`);
    for (const at of [100, 300]) stored[at] = brokenToken(cipher.encrypt("x"));
    const users = table(stored);
    const checkpoint = memoryCheckpoint();
    const dying = async (change: { key: unknown; from: unknown; to: string }): Promise<boolean> => {
      if (change.key === 590) throw new Error("killed");
      return await users.update(change);
    };
    await expect(reencryptTable({ cipher, rows: users.rows, update: dying, checkpoint })).rejects.toThrow("killed");
    expect(JSON.parse(checkpoint.states.at(-1) ?? "")).toMatchObject({
      after: 512,
      failed: [
        { key: 101, before: 100 },
        { key: 301, before: 300 },
      ],
    });
    users.stored[300] = "put right";
    const report = await reencryptTable({ cipher, rows: users.rows, update: users.update, checkpoint });
    expect(report).toMatchObject({ rows: 600, failed: 1, failures: [{ key: 101, error: { code: "authentication-failed" } }] });
    expect(report.plaintext + report.current).toBe(599);
    expect(users.updates()).toBe(599); // each row once
    expect(cipher.decrypt(users.stored[300] ?? "")).toBe("put right");
    expect(await checkpoint.load()).toBeUndefined();
    users.stored[100] = "put right too";
    expect(await reencryptTable({ cipher, rows: users.rows, update: users.update, checkpoint })).toMatchObject({ failed: 0, plaintext: 1 });
  });

  test("a failed row that was deleted before it was tried again is gone", async () => {
    const cipher = await keysOf(memoryStore()).field(MIGRATING);
    const users = table([brokenToken(cipher.encrypt("x")), ...Array.from({ length: 300 }, (_, at) => `user ${at}`)]);
    const update = async (change: { key: unknown; from: unknown; to: string }): Promise<boolean> => {
      users.gone.add(1);
      return await users.update(change);
    };
    expect(await reencryptTable({ cipher, rows: users.rows, update })).toMatchObject({ rows: 301, plaintext: 300, gone: 1, failed: 0 });
  });

  test("a ledger that is full holds the checkpoint", async () => {
    const cipher = await keysOf(memoryStore()).field(EMAIL);
    const users = table(Array.from({ length: 1300 }, (_, at) => `user ${at}`));
    const checkpoint = memoryCheckpoint();
    expect(await reencryptTable({ cipher, rows: users.rows, update: users.update, checkpoint })).toMatchObject({
      rows: 1300,
      failed: 1300,
    });
    expect(JSON.parse(checkpoint.states.at(-1) ?? "").after).toBe(768);
  });

  test.each(["{}", "7", '{"key":null}'])("a checkpoint whose ledger holds %s is refused", async (entry) => {
    const cipher = await keysOf(memoryStore()).field(MIGRATING);
    const users = table(["ann"]);
    const checkpoint = memoryCheckpoint();
    await checkpoint.save(`{"job":"reencrypt-table/1","after":0,"counts":{},"keyVersions":{},"failed":[${entry}]}`);
    expect(await refusalCode(() => reencryptTable({ cipher, rows: users.rows, update: users.update, checkpoint }))).toBe(
      "invalid-argument",
    );
  });

  test("a dry run counts and changes nothing", async () => {
    const cipher = await keysOf(memoryStore()).field(MIGRATING);
    const users = table(["ann", cipher.encrypt("bob")]);
    const checkpoint = memoryCheckpoint();
    expect(await reencryptTable({ cipher, rows: users.rows, update: users.update, dryRun: true, checkpoint })).toMatchObject({
      plaintext: 1,
      current: 1,
    });
    expect(users.updates()).toBe(0);
    expect(checkpoint.states).toEqual([]);
  });

  test("an aborted signal stops it, with its reason", async () => {
    const cipher = await keysOf(memoryStore()).field(MIGRATING);
    const users = table(["ann", "bob", "cid"]);
    const controller = new AbortController();
    const reason = new Error("enough");
    const update: ReencryptTableOptions<string>["update"] = async (change) => {
      controller.abort(reason);
      return await users.update(change);
    };
    const running = reencryptTable({ cipher, rows: users.rows, update, signal: controller.signal, concurrency: 1 });
    await expect(running).rejects.toBe(reason);
    expect(users.updates()).toBe(1);
  });
});

test("rows that do not go on are refused, and do not run for ever", async () => {
  const cipher = await keysOf(memoryStore()).field(MIGRATING);
  const rows = async () => [{ key: 1, stored: null }];
  expect(await refusalCode(() => reencryptTable({ cipher, rows, update: async () => true }))).toBe("invalid-argument");
});

test("what `update` throws ends the job, and no error of a database passes for a row's", async () => {
  const cipher = await keysOf(memoryStore()).field(MIGRATING);
  const reason = new EnvelockError("unavailable", "the database is down");
  const update = () => Promise.reject(reason);
  await expect(reencryptTable({ cipher, rows: table(["ann"]).rows, update })).rejects.toBe(reason);
});

function keysOf(store: DataKeyStore, options: Partial<ConstructorParameters<typeof DataKeys>[0]> = {}): DataKeys {
  return new DataKeys({ keyring: new Keyring(kek()), store, ...options });
}

/** A table of one column, whose keys count from 1. */
function table(values: readonly (string | null)[]): Pick<ReencryptTableOptions<string>, "rows"> & {
  readonly stored: (string | null)[];
  readonly gone: Set<number>;
  readonly update: (change: { key: unknown; from: unknown; to: string }) => Promise<boolean>;
  updates(): number;
} {
  const stored = [...values];
  const gone = new Set<number>();
  let updates = 0;
  return {
    stored,
    gone,
    async rows(after, limit) {
      const all = stored.map((value, at) => ({ key: at + 1, stored: value }));
      return all.filter(({ key }) => key > Number(after ?? 0) && !gone.has(key)).slice(0, limit);
    },
    async update({ key, from, to }) {
      if (stored[Number(key) - 1] !== from) return false;
      stored[Number(key) - 1] = to;
      updates++;
      return true;
    },
    updates: () => updates,
  };
}

function memoryCheckpoint(): Checkpoint & { readonly states: string[] } {
  const states: string[] = [];
  let saved: string | undefined;
  return {
    states,
    load: async () => saved,
    async save(state) {
      saved = state;
      if (state !== undefined) states.push(state);
    },
  };
}
