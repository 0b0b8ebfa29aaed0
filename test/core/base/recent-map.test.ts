import fc from "fast-check";
import { assert, expect, test } from "vitest";
import { RecentMap } from "../../../src/core/base/recent-map.ts";

test("the least recently used entry leaves, and whatever leaves is disposed of once", () => {
  const left: string[] = [];
  const map = new RecentMap<string, number>({ maxEntries: 2, onLeave: (value, key) => left.push(`${key}${value}`) });
  map.set("a", 1);
  map.set("b", 2);
  expect(map.get("a")).toBe(1);
  map.set("c", 3);
  expect([left, map.entries()]).toEqual([
    ["b2"],
    [
      ["a", 1],
      ["c", 3],
    ],
  ]);
  map.set("a", 4);
  map.set("a", 4); // the same value stays
  expect([map.delete("c"), map.delete("c")]).toEqual([true, false]);
  map.clear();
  expect([left, map.size]).toEqual([["b2", "a1", "c3", "a4"], 0]);
});

test("an entry in use is never evicted: the bound yields, until there is one that may leave", () => {
  const inUse = new Set(["a", "b"]);
  const map = new RecentMap<string, number>({ maxEntries: 1, isInUse: (_, key) => inUse.has(key) });
  map.set("a", 1);
  map.set("b", 2);
  map.set("c", 3);
  expect(map.size).toBe(3);
  inUse.clear();
  map.set("d", 4);
  expect(map.entries()).toEqual([["d", 4]]);
});

test("peek does not count as a use", () => {
  const map = new RecentMap<string, number>({ maxEntries: 1 });
  map.set("a", 1);
  expect([map.peek("a"), map.peek("b")]).toEqual([1, undefined]);
  const two = new RecentMap<string, number>({ maxEntries: 2 });
  two.set("a", 1);
  two.set("b", 2);
  two.peek("a");
  two.set("c", 3);
  expect(two.peek("a")).toBeUndefined();
});

test("law: it holds what a list of the last uses says", () => {
  const step = fc.record({ key: fc.integer({ min: 0, max: 7 }), kind: fc.constantFrom("get", "set", "delete") });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step, { maxLength: 60 }), (maxEntries, steps) => {
      let alive = 0;
      const map = new RecentMap<number, object>({ maxEntries, onLeave: () => alive-- });
      let model: number[] = [];
      for (const { key, kind } of steps) {
        const isThere = model.includes(key);
        if (kind === "get") assert.equal(map.get(key) !== undefined, isThere);
        if (kind === "delete") assert.equal(map.delete(key), isThere);
        if (kind === "set") {
          map.set(key, {});
          alive++;
        }
        if (kind !== "get" || isThere) model = model.filter((other) => other !== key);
        if (kind === "set" || (kind === "get" && isThere)) model.push(key);
        model = model.slice(-maxEntries);
        assert.deepEqual(
          map.entries().map(([at]) => at),
          model,
        );
        assert.equal(alive, model.length);
      }
    }),
  );
});
