import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fileStore } from "../../../src/stores/file.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { EMAIL, world } from "../set-up.ts";

test.each<[string, object]>([
  ["a date beyond what a Date holds", { createdAtMs: 9e15 }],
  ["a record that is none", { record: "ff" }],
  ["a record that is no hex", { record: "xyz" }],
  ["a scope that is none", { scope: "!!!" }],
  ["an unknown state", { state: "x" }],
  ["a proof that is none", { proof: 7 }],
  ["no kid", { kid: null }],
])("one bad row, with %s, is reported and stepped over by every job, and stays as it is", async (_what, bad) => {
  const folder = mkdtempSync(join(tmpdir(), "envelock-bad-row-"));
  try {
    const path = join(folder, "keys.json");
    const { open } = world(fileStore(path));
    const tenants = ["a", "b", "c"];
    for (const tenant of tenants) await open().field({ ...EMAIL, scope: { tenant } });
    const file = JSON.parse(readFileSync(path, "utf8"));
    file.rows.push({ ...file.rows[1], version: 2, kid: "0".repeat(32), ...bad });
    writeFileSync(path, JSON.stringify(file));

    const dataKeys = open();
    for (const report of [await dataKeys.verifyAll(), await dataKeys.rewrapAll(), await dataKeys.proveAll()]) {
      expect(report).toMatchObject({ rows: 4, failed: 1, failures: [{ version: 2 }] });
    }
    expect(await dataKeys.verifyAll()).toMatchObject({ opened: 3 });
    for (const tenant of ["a", "c"]) expect((await dataKeys.field({ ...EMAIL, scope: { tenant } })).encrypt("x")).not.toBe("");
    await dataKeys.rotate({ tenant: "a" });
    expect(JSON.parse(readFileSync(path, "utf8")).rows).toHaveLength(5);
    if (!("scope" in bad)) expect(await refusalCode(() => dataKeys.field({ ...EMAIL, scope: { tenant: "b" } }))).not.toBe("none");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.each<[string, object]>([
  ["a date beyond what a Date holds", { createdAtMs: 9e15 }],
  ["a record that is none", { record: "ff" }],
  ["a record that is no hex", { record: "xyz" }],
  ["an unknown state", { state: "x" }],
  ["no kid", { kid: null }],
])("one bad row, with %s, is listed with its error and stops no shred of its scope", async (_what, bad) => {
  const folder = mkdtempSync(join(tmpdir(), "envelock-bad-row-"));
  try {
    const path = join(folder, "keys.json");
    const { open } = world(fileStore(path));
    const dataKeys = open();
    const scope = { tenant: "b" };
    await dataKeys.field({ ...EMAIL, scope });
    await dataKeys.rotate(scope);
    const file = JSON.parse(readFileSync(path, "utf8"));
    file.rows[1] = { ...file.rows[1], ...bad };
    writeFileSync(path, JSON.stringify(file));

    expect(await dataKeys.list(scope)).toMatchObject([
      { version: 1, state: "retired", error: undefined, recipients: [{}] },
      { version: 2, error: { code: "malformed-envelope" }, recipients: [] },
    ]);
    const isShreddable = "record" in bad && bad.record === "ff"; // what is in the record is of no account to a shred
    if (isShreddable) expect(await dataKeys.shred(scope)).toBe(2);
    else {
      const { code, message } = await refusal(() => open().shred(scope));
      expect([code, message]).toEqual(["malformed-envelope", expect.stringMatching(/^1 data keys were destroyed.*version 2 for fields$/)]);
    }
    expect((await dataKeys.list(scope)).map(({ state }) => state)).toEqual(["shredded", isShreddable ? "shredded" : "unreadable"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("rows without proofs get them once, from proveAll, and a proof that does not fit is no success", async () => {
  const { open, store } = world();
  const dataKeys = open();
  const email = await dataKeys.field(EMAIL);
  for (let version = 2; version <= 4; version++) await dataKeys.rotate(undefined, { immediately: true });
  const token = email.encrypt("x");
  for (const row of await store.list("")) await store.compareAndSwap({ ...row, proof: null, revision: row.revision + 1 }, row.revision);
  expect(await refusalCode(() => open().field(EMAIL))).toBe("authentication-failed");
  expect(await open().verifyAll()).toMatchObject({ opened: 4, failed: 3 });
  expect(await open().proveAll()).toMatchObject({ rows: 4, proven: 3, failed: 0 });
  expect(await open().proveAll()).toMatchObject({ rows: 4, proven: 0, failed: 0 });
  expect(await open().verifyAll()).toMatchObject({ opened: 4, failed: 0 });
  expect((await open().field(EMAIL)).decrypt(token)).toBe("x");

  const [, , third] = await store.list("");
  if (third === undefined) throw new Error("no row");
  await store.compareAndSwap(
    { ...third, createdAtMs: third.createdAtMs, proof: new Uint8Array([1, 0, 32, ...Array(32).fill(0)]), revision: 9 },
    third.revision,
  );
  expect(await open().proveAll()).toMatchObject({
    proven: 0,
    failed: 1,
    failures: [{ version: 3, error: { code: "authentication-failed" } }],
  });
});
