import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { withFileLock } from "../../../src/core/base/file-lock.ts";
import { refusalCode } from "../../support/refusal.ts";

const folder = mkdtempSync(join(tmpdir(), "envelock-lease-"));
afterAll(() => rmSync(folder, { recursive: true }));

const LEFT = JSON.stringify({ host: `${hostname()}-before`, pid: 1, startedAt: "5", id: "a" });

test("a lock that a container with another host name left is taken once its lease has expired", async () => {
  const path = join(folder, "left.lock");
  writeFileSync(path, LEFT);
  let isDone = false;
  await withFileLock(
    path,
    20_000,
    async () => {
      isDone = true;
      expect(readFileSync(path, "utf8")).not.toBe(LEFT);
    },
    150,
  );
  expect([isDone, existsSync(path)]).toEqual([true, false]);
});

test("a lock of another machine whose owner renews it stays", async () => {
  const path = join(folder, "renewed.lock");
  writeFileSync(path, LEFT);
  let tick = 0;
  const renewing = setInterval(() => utimesSync(path, 1000 + tick, 1000 + tick++), 5);
  expect(await refusalCode(() => withFileLock(path, 400, async () => undefined, 200))).toBe("unavailable");
  clearInterval(renewing);
  expect(readFileSync(path, "utf8")).toBe(LEFT);
});

test("the lock that is held is renewed, and one that was taken away meanwhile is left to its new owner", async () => {
  const path = join(folder, "held.lock");
  await withFileLock(
    path,
    1000,
    async () => {
      const past = new Date(0);
      utimesSync(path, past, past);
      while (mtimeOf(path) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      writeFileSync(path, LEFT);
    },
    40,
  );
  expect(readFileSync(path, "utf8")).toBe(LEFT);
});

test("a lock that names nobody is left alone", async () => {
  const path = join(folder, "other.lock");
  writeFileSync(path, "another program's");
  expect(await refusalCode(() => withFileLock(path, 100, async () => undefined, 10))).toBe("unavailable");
});

function mtimeOf(path: string): number {
  return statSync(path).mtimeMs;
}
