import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { newRow, newScope } from "../../src/stores/conformance/bench.ts";
import { storeConformance } from "../../src/stores/conformance/index.ts";
import { fileCheckpoint, fileStore } from "../../src/stores/file.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { fileHolds } from "./kept-bytes.ts";

const folder = mkdtempSync(join(tmpdir(), "envelock-file-store-"));
const path = join(folder, "keys.json");
afterAll(() => rmSync(folder, { recursive: true }));

for (const { name, run } of storeConformance({ open: () => fileStore(path), holds: (bytes) => fileHolds(path, bytes) })) {
  test(`the file store: ${name}`, run);
}

test("the file is its owner's alone, and nothing stands beside it", async () => {
  const own = join(folder, "own");
  mkdirSync(own);
  await fileStore(join(own, "keys.json")).insertIfAbsent(newRow(newScope()));
  expect(readdirSync(own)).toEqual(["keys.json"]);
  expect(statSync(join(own, "keys.json")).mode & 0o777).toBe(0o600);
});

test("a byte order mark before the rows is skipped", async () => {
  const marked = join(folder, "marked.json");
  const row = newRow(newScope());
  await fileStore(marked).insertIfAbsent(row);
  writeFileSync(marked, `\ufeff${readFileSync(marked, "utf8").replaceAll("\n", "\r\n")}`);
  expect(await fileStore(marked).list(row.scope)).toEqual([row]);
});

test("a pipe is refused, and not waited for", async () => {
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  expect(await refusal(() => fileStore(pipe).scan({ limit: 1 }))).toMatchObject({ code: "invalid-argument", message: /no regular file/ });
  expect(await refusalCode(() => fileCheckpoint(pipe).load())).toBe("invalid-argument");
  expect(await refusalCode(() => fileStore(folder).scan({ limit: 1 }))).toBe("invalid-argument");
});

test("what a killed writer left is removed by the next one", async () => {
  const own = join(folder, "left");
  mkdirSync(own);
  writeFileSync(join(own, `.envelock-${crypto.randomUUID()}-keys.json.tmp`), "half of");
  writeFileSync(join(own, "keys.json.old"), "somebody else's");
  await fileStore(join(own, "keys.json")).insertIfAbsent(newRow(newScope()));
  expect(readdirSync(own).sort()).toEqual(["keys.json", "keys.json.old"]);
});

describe("the lock", () => {
  const lock = `${path}.lock`;
  const owner = { host: hostname(), pid: process.pid, startedAt: startOf(process.pid), id: "1" };

  test.each([
    ["of a process that has ended", { ...owner, pid: endedPid() }],
    ["of an earlier process of the same number", { ...owner, startedAt: "1" }],
  ])("%s is taken away", async (_whose, holder) => {
    writeFileSync(lock, JSON.stringify(holder));
    expect(await fileStore(path).insertIfAbsent(newRow(newScope()))).toBe(true);
    expect(readdirSync(folder).filter((name) => name.includes(".lock"))).toEqual([]);
  });

  test("of a process that runs is waited for", async () => {
    writeFileSync(lock, JSON.stringify(owner));
    let isDone = false;
    const inserted = fileStore(path)
      .insertIfAbsent(newRow(newScope()))
      .finally(() => {
        isDone = true;
      });
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(isDone).toBe(false);
    rmSync(lock);
    expect(await inserted).toBe(true);
  });

  test.each([
    ["of another machine", JSON.stringify({ ...owner, host: "elsewhere", pid: endedPid() })],
    ["that names nobody", "not JSON"],
  ])("%s is left alone, and reading needs none", async (_whose, holder) => {
    const other = fileStore(path, { maxLockWaitMs: 50 });
    const row = newRow(newScope());
    await other.insertIfAbsent(row);
    writeFileSync(lock, holder);
    expect(await other.list(row.scope)).toEqual([row]);
    expect(await refusal(() => other.insertIfAbsent(newRow(row.scope, { version: 2 })))).toMatchObject({
      code: "unavailable",
      hint: expect.stringContaining(lock),
    });
    rmSync(lock);
  });
});

describe("what is no store", () => {
  const row = { ...newRow("a"), record: "00", proof: null };

  test.each([
    ["no JSON", "{"],
    ["another format", JSON.stringify({ format: "envelock-data-keys/2", rows: [] })],
    ["no rows", JSON.stringify({ format: "envelock-data-keys/1" })],
    ["a row that is none", JSON.stringify({ format: "envelock-data-keys/1", rows: [null] })],
    ["half a version", JSON.stringify({ format: "envelock-data-keys/1", rows: [{ ...row, version: 1.5 }] })],
    ["a row twice", JSON.stringify({ format: "envelock-data-keys/1", rows: [row, row] })],
  ])("%s is refused, and not replaced", async (_what, text) => {
    const bad = join(folder, "bad.json");
    writeFileSync(bad, text);
    expect(await refusalCode(() => fileStore(bad).list("a"))).toBe("provider-failure");
    expect(await refusalCode(() => fileStore(bad).insertIfAbsent(newRow("b")))).toBe("provider-failure");
    expect(readFileSync(bad, "utf8")).toBe(text);
  });

  test.each([
    ["a record in capitals", { ...row, record: "AB" }],
    ["an unknown state", { ...row, state: "lost" }],
    ["no date", { ...row, createdAtMs: undefined }],
  ])("a row with %s spoils its scope alone, is shown by a scan, and stays where it is", async (_what, bad) => {
    const path = join(folder, "bad-row.json");
    writeFileSync(path, JSON.stringify({ format: "envelock-data-keys/1", rows: [bad] }));
    const store = fileStore(path);
    for (const work of [() => store.list("a"), () => store.byKid("a", row.kid), () => store.insertIfAbsent(newRow("a", { version: 2 }))]) {
      expect(await refusalCode(work)).toBe("provider-failure");
    }
    expect(await store.list("b")).toEqual([]);
    expect(await store.insertIfAbsent(newRow("b"))).toBe(true);
    expect(JSON.parse(readFileSync(path, "utf8")).rows).toContainEqual(JSON.parse(JSON.stringify(bad)));
    expect(await store.scan({ limit: 10 })).toMatchObject([
      { scope: "a", version: 1, state: "unreadable" },
      { scope: "b", state: "active" },
    ]);
  });

  test("a folder that is not there", async () => {
    const nowhere = fileStore(join(folder, "nowhere/keys.json"));
    expect(await nowhere.list("a")).toEqual([]);
    expect(await refusalCode(() => nowhere.insertIfAbsent(newRow("b")))).toBe("key-not-found");
  });
});

function endedPid(): number {
  return spawnSync(process.execPath, ["--version"]).pid;
}

function startOf(pid: number): string | undefined {
  const status = readFileSync(`/proc/${pid}/stat`, "utf8");
  return status.slice(status.lastIndexOf(")") + 2).split(" ")[19];
}
