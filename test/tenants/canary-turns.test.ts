import { describe, expect, test } from "vitest";
import type { TenantPlace, TenantRow, TenantStore } from "../../src/core/contracts/tenant-store.ts";
import { type CanaryPage, CanaryTurns } from "../../src/tenants/health/canary-turns.ts";
import { memoryTenantStore } from "../../src/tenants/stores/memory.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { vendor } from "./bench.ts";

/** The number that is to the budget here what a million are to the default one. */
const { TENANTS_WATCHED = "1800" } = process.env;
const TENANTS = Number(TENANTS_WATCHED);
const PER_SECOND = (28 * TENANTS) / 1_000_000;
const PAGE = 100;

interface Watched {
  /** The times of the canaries of each tenant, in seconds. */
  readonly sent: ReadonlyMap<string, readonly number[]>;
  /** The times of all of them. */
  readonly all: readonly number[];
}

/** Lets the turns run over tenants of which the first ones have traffic: due every 300 s, and the others every 3,600 s. */
async function watched({ inUse, forS, failingAt = [] }: { inUse: number; forS: number; failingAt?: readonly number[] }): Promise<Watched> {
  const clock = fakeClock();
  const ids = Array.from({ length: TENANTS }, (_, at) => `t${`${at}`.padStart(7, "0")}`);
  const dueAtS = new Map<string, number>();
  const sent = new Map<string, number[]>(ids.map((id) => [id, []]));
  const all: number[] = [];
  let looks = 0;
  const nowS = (): number => clock.monotonicMs() / 1000;
  const isDue = (id: string): boolean => nowS() >= (dueAtS.get(id) ?? 0);
  const page = async (of: readonly string[], after: string | undefined): Promise<CanaryPage> => {
    if (failingAt.includes(looks++)) throw new Error("the store cannot be read");
    const from = after === undefined ? 0 : of.indexOf(after) + 1;
    const listed = of.slice(from, from + PAGE);
    return { due: listed.filter(isDue), after: from + PAGE < of.length ? listed.at(-1) : undefined };
  };
  const first = ids.slice(-inUse); // at the end of the list of all
  const isFirst = new Set(first);
  const turns = new CanaryTurns({
    clock,
    pageOfFirst: (after) => page(first, after),
    pageOfAll: (after) => page(ids, after),
    from: undefined,
    async send(id) {
      if (!isDue(id)) return false;
      dueAtS.set(id, nowS() + (isFirst.has(id) ? 300 : 3600));
      sent.get(id)?.push(nowS());
      all.push(nowS());
      return true;
    },
  });
  const end = new AbortController();
  const running = turns.run({ signal: end.signal, perSecond: PER_SECOND, everyMs: 60_000 });
  await clock.advance(forS * 1000);
  end.abort();
  await clock.finish(running);
  return { sent, all };
}

describe("ten times as many tenants as the budget is for", () => {
  test("the budget is kept in every minute, tenants with traffic come first, and each tenant's turn comes", async () => {
    const inUse = Math.floor(PER_SECOND * 300 * 0.5); // they need half of the budget
    const roundS = TENANTS / (PER_SECOND / 4);
    const { sent, all } = await watched({ inUse, forS: roundS });
    const window = 60 + 1 / PER_SECOND;
    for (const [at, time] of all.entries()) {
      const within = all.slice(at).findIndex((later) => later >= time + window);
      if (within > 0) expect(within).toBeLessThanOrEqual(Math.ceil(window * PER_SECOND) + 1);
    }
    const lists = [...sent.values()];
    expect(lists.filter((times) => times.length === 0).length).toBe(0);
    for (const times of lists.slice(-inUse)) {
      const gaps = times.slice(1).map((time, at) => time - (times[at] ?? 0));
      expect(Math.max(...gaps)).toBeLessThanOrEqual(300 + 60 + inUse / (PER_SECOND / 2)); // due, the pause of its round, and its line
    }
    const others = lists.slice(0, -inUse).map((times) => times.length);
    expect(Math.max(...others) - Math.min(...others)).toBeLessThanOrEqual(1); // one after the other
  });

  test("also where those with traffic alone need ten times the budget", async () => {
    const inUse = Math.floor(TENANTS * 0.9);
    const { sent } = await watched({ inUse, forS: TENANTS / (PER_SECOND / 4) });
    expect([...sent.values()].filter((times) => times.length === 0).length).toBe(0);
  });

  test("a store that fails now and then sets no round back to its beginning", async () => {
    const failingAt = Array.from({ length: 400 }, (_, at) => 3 * at + 2);
    const { sent } = await watched({ inUse: 1, forS: (1.5 * TENANTS) / PER_SECOND, failingAt });
    expect([...sent.values()].filter((times) => times.length === 0).length).toBe(0);
  });
});

test("a process that takes over goes on where the round stood: no tenant is left out, however short processes live", async () => {
  const store = memoryTenantStore();
  const canaries: string[] = [];
  const bench = vendor({ store: counting(store, canaries) });
  const { tenants, service, clock } = bench;
  service.addKey("vaults/group/keys/shared");
  await tenants.invite("t0000");
  await tenants.stage("t0000", { kind: "fake", key: "vaults/group/keys/shared", shareable: true });
  await tenants.verify("t0000");
  await tenants.activate("t0000");
  const [row] = await store.list({ kind: "tenant", limit: 1 });
  if (row === undefined) throw new Error("no tenant was onboarded");
  for (let at = 1; at < 1200; at++) await store.insertIfAbsent({ ...row, id: `t${`${at}`.padStart(4, "0")}` });
  for (let life = 0; life < 5; life++) {
    const end = new AbortController();
    const process = bench.another();
    const watching = process.watchHealth({ signal: end.signal, perSecond: 5 });
    await clock.advance(130_000); // 650 canaries
    end.abort();
    await clock.finish(watching);
    await process.close();
  }
  expect(new Set(canaries).size).toBe(1200);
});

/** Notes of which tenants a canary was read. */
function counting(store: TenantStore, canaries: string[]): TenantStore {
  return {
    ...store,
    async get(place: TenantPlace): Promise<TenantRow | undefined> {
      if (place.kind === "canary" && /^\d+:/.test(place.id)) canaries.push(place.id);
      return await store.get(place);
    },
  };
}
