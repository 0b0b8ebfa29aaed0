import { expect, test } from "vitest";
import { sleep } from "../../src/core/base/wait.ts";
import { FairLimits } from "../../src/core/resilience/fair-limits.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import { deferred } from "../support/deferred.ts";
import { kek } from "../support/keks.ts";
import { EMAIL, world } from "./set-up.ts";

const SCOPES = Array.from({ length: 200 }, (_, at) => ({ project: `${at}` }));

test("scopes that are due at the same time leave room for callers of their tenant", async () => {
  const { clock, open } = world();
  const failures: unknown[] = [];
  const inner = kek();
  let [active, most, isSlow] = [0, 0, false];
  const slow = {
    ...inner,
    async unwrap(...args: Parameters<typeof inner.unwrap>) {
      if (isSlow) await sleep(clock, 10);
      return await inner.unwrap(...args);
    },
  };
  const store = memoryStore();
  const counted: typeof store = {
    ...store,
    async list(scope, options) {
      most = Math.max(most, ++active);
      if (isSlow) await sleep(clock, 1);
      active--;
      return await store.list(scope, options);
    },
  };
  const limits = new FairLimits({ clock, maxQueued: 40 });
  const dataKeys = open(
    { store: counted, maxKeyAgeMs: 1000, refreshMs: 2000, onFailure: (error) => failures.push(error) },
    { wrapWith: [slow], tenant: { id: "acme" }, limits, retry: false },
  );
  for (const scope of SCOPES) await dataKeys.field({ ...EMAIL, scope });
  [most, isSlow] = [0, true];
  await clock.advance(2000);
  const cipher = await clock.finish(dataKeys.field({ ...EMAIL, scope: { project: "new" } }));
  expect(cipher.decrypt(cipher.encrypt("a@b.example"))).toBe("a@b.example");
  await clock.advance(10_000);
  expect(failures.slice(0, 3)).toEqual([]);
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(17); // and the one that a caller waited for
  await dataKeys.close();
});

test("a store that never answers some scopes holds up no other", async () => {
  const { clock, open } = world();
  const store = memoryStore();
  let hanging = new Set<string>();
  const reads = new Map<string, number>();
  const partly: typeof store = {
    ...store,
    async list(scope, options) {
      reads.set(scope, (reads.get(scope) ?? 0) + 1);
      if (hanging.has(scope)) await deferred().promise;
      return await store.list(scope, options);
    },
  };
  const dataKeys = open({ store: partly, refreshMs: 1000, maxStaleMs: 1_000_000 });
  for (const scope of SCOPES) await clock.finish(dataKeys.field({ ...EMAIL, scope }));
  const [others, stuck] = [[...reads.keys()].slice(40), [...reads.keys()].slice(0, 40)];
  hanging = new Set(stuck);
  await clock.advance(100_000); // some of the stuck ones have had their turns, and gave them back
  reads.clear();
  await clock.advance(40_000);
  for (const scope of others) expect(reads.get(scope) ?? 0, scope).toBeGreaterThanOrEqual(1);
  await dataKeys.close();
});
