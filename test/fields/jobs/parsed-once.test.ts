import { afterEach, expect, test, vi } from "vitest";
import type { DataKeyStore } from "../../../src/core/contracts/data-key-store.ts";
import { DataKey } from "../../../src/core/data-key/data-key.ts";
import { parseKeyRecord } from "../../../src/core/format/key-record.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { DataKeys } from "../../../src/fields/data-keys.ts";
import { memoryStore } from "../../../src/fields/stores/memory.ts";
import { kek } from "../../support/keks.ts";
import { EMAIL, type World, world } from "../set-up.ts";

vi.mock("../../../src/core/format/key-record.ts", async (importOriginal) => {
  const original = await importOriginal<typeof import("../../../src/core/format/key-record.ts")>();
  return { ...original, parseKeyRecord: vi.fn(original.parseKeyRecord) };
});
const parser = vi.mocked(parseKeyRecord);

afterEach(() => parser.mockClear());

/** 100 scopes with three versions each: a page of 256 rows ends within a scope. */
async function filled(store: DataKeyStore): Promise<World> {
  const all = world(store);
  const keys = all.open();
  for (let tenant = 0; tenant < 100; tenant++) {
    for (let version = 1; version <= 3; version++) await keys.rotate({ tenant: `${tenant}` }, { immediately: true });
  }
  await keys.close();
  parser.mockClear();
  return all;
}

test("rewrapAll parses a stale record once in each pass, and once what replaces it", async () => {
  const { open, kms } = await filled(memoryStore());
  const report = await open({}, { wrapWith: [kek("new")], unwrapWith: [kms] }).rewrapAll();
  expect(report).toMatchObject({ rows: 300, rewrapped: 300, failed: 0 });
  expect(parser).toHaveBeenCalledTimes(3 * 300);
});

test("rewrapAll parses a record that stays once in each pass", async () => {
  const { open } = await filled(memoryStore());
  expect(await open().rewrapAll()).toMatchObject({ rows: 300, stale: 0 });
  expect(parser).toHaveBeenCalledTimes(2 * 300);
});

test("verifyAll and proveAll parse a record once, though its key also judges the version after it", async () => {
  const { open } = await filled(memoryStore());
  expect(await open().verifyAll()).toMatchObject({ rows: 300, opened: 300, failed: 0 });
  expect(parser).toHaveBeenCalledTimes(300);
  parser.mockClear();
  expect(await open().proveAll()).toMatchObject({ rows: 300, proven: 0, failed: 0 });
  expect(parser).toHaveBeenCalledTimes(300);
});

test("verifyAll and proveAll unwrap a key once, and once more where a page ends within its scope", async () => {
  const { open, kms } = await filled(memoryStore());
  kms.calls.length = 0;
  expect(await open().verifyAll({ concurrency: 3 })).toMatchObject({ opened: 300, failed: 0 });
  expect(kms.calls).toEqual(Array(301).fill("unwrap"));
  kms.calls.length = 0;
  expect(await open().proveAll({ concurrency: 3 })).toMatchObject({ rows: 300, failed: 0 });
  expect(kms.calls).toEqual(Array(300).fill("unwrap"));
});

test("the keys of a page are wiped at its end, also when the job has failed", async () => {
  const { open } = await filled(memoryStore());
  const made = vi.spyOn(DataKey.prototype, "destroy");
  const stopped = new Error("enough");
  await expect(
    open().verifyAll({
      onProgress: () => {
        throw stopped;
      },
    }),
  ).rejects.toBe(stopped);
  expect(made).toHaveBeenCalledTimes(256);
  made.mockRestore();
});

test("a cold field() parses each record once", async () => {
  const { open } = await filled(memoryStore());
  await open().field({ ...EMAIL, scope: { tenant: "7" } });
  expect(parser).toHaveBeenCalledTimes(3);
});

test("verifyAll and proveAll find the version before in the scan, and read no scope beside it", async () => {
  const inner = memoryStore();
  const { open } = await filled(inner);
  const list = vi.fn(inner.list);
  const dataKeys = open({ store: { ...inner, list } });
  expect(await dataKeys.verifyAll()).toMatchObject({ opened: 300, failed: 0 });
  expect(await dataKeys.proveAll()).toMatchObject({ rows: 300, failed: 0 });
  expect(list).not.toHaveBeenCalled();
});

test("a scope whose scan lacks a version is read once, for all rows behind it", async () => {
  const inner = memoryStore();
  const { open } = world(inner);
  const keys = open();
  for (let version = 1; version <= 9; version++) await keys.rotate(undefined, { immediately: true });
  const list = vi.fn(inner.list);
  const lacking: DataKeyStore = {
    ...inner,
    list,
    scan: async (page, options) => (await inner.scan(page, options)).filter(({ version }) => version % 2 === 1),
  };
  expect(await open({ store: lacking }).verifyAll()).toMatchObject({ rows: 5, opened: 5, failed: 0 });
  expect(list).toHaveBeenCalledTimes(1);
});

test("forget parses no record of a scope that is not meant", async () => {
  const store = memoryStore();
  const keyring = new Keyring({ wrapWith: [kek()] });
  const dataKeys = new DataKeys({ keyring, store });
  for (const tenant of ["a", "b", "c"]) await dataKeys.field({ ...EMAIL, scope: { tenant } });
  parser.mockClear();
  expect(keyring.forget({ context: { tenant: "b" } })).toBe(1);
  expect(parser).toHaveBeenCalledTimes(1);
  expect(keyring.forget({ context: { tenant: "d" } })).toBe(0);
  expect(parser).toHaveBeenCalledTimes(1);
});
