import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FairLimits, type FairLimitsOptions, type Place } from "../../../src/core/resilience/fair-limits.ts";
import type { Lane } from "../../../src/core/resilience/fair-queues.ts";
import { runs } from "../../support/arbitraries.ts";
import { type FakeClock, fakeClock } from "../../support/fake-clock.ts";
import { kek } from "../../support/keks.ts";
import { refusal } from "../../support/refusal.ts";

describe("places", () => {
  test("are at most so many for a tenant, and first come, first served within it", async () => {
    const { enter, granted, leave } = bench({ perTenant: 2 });
    for (const name of ["a1", "a2", "a3", "a4"]) enter("a", name);
    expect(granted).toEqual(["a1", "a2"]);
    await leave("a1");
    await leave("a2");
    expect(granted).toEqual(["a1", "a2", "a3", "a4"]);
  });

  test("are at most so many in all, and tenants take turns", async () => {
    const { enter, granted, leave } = bench({ total: 2, perTenant: 2 });
    for (const name of ["a1", "a2", "a3", "a4", "a5"]) enter("a", name);
    for (const name of ["b1", "b2"]) enter("b", name);
    enter("c", "c1");
    for (const name of ["a1", "a2", "a3", "b1", "c1", "a4"]) await leave(name);
    expect(granted).toEqual(["a1", "a2", "a3", "b1", "c1", "a4", "b2", "a5"]);
  });

  test("are not waited for by more than so many: the others are refused as the vendor's", async () => {
    const { limits, enter, clock } = bench({ perTenant: 1, maxQueued: 2 });
    for (const name of ["a1", "a2", "a3"]) enter("a", name);
    const { code, detail, whose, tenant, retryable } = await refusal(() => limits.enter(kek(), "a", "request", () => ({})));
    expect([code, detail, whose, tenant, retryable]).toEqual(["rate-limited", "queue-full", "vendor", "a", true]);
    enter("b", "b1");
    expect(limits.status()).toEqual({ active: 2, background: 0, queued: 2 });
    expect([limits.status("a"), limits.status("nobody")]).toEqual([
      { active: 1, background: 0, queued: 2 },
      { active: 0, background: 0, queued: 0 },
    ]);
    expect(clock.timers).toBe(0);
  });

  test("that an aborted attempt waited for go to the next, and none is lost", async () => {
    const { enter, granted, leave, limits, abort } = bench({ total: 1 });
    for (const [tenant, name] of [
      ["a", "a1"],
      ["b", "b1"],
      ["c", "c1"],
    ] as const)
      enter(tenant, name);
    await abort("b1");
    expect(limits.status()).toEqual({ active: 1, background: 0, queued: 1 });
    await leave("a1");
    expect(granted).toEqual(["a1", "c1"]);
    await leave("c1");
    expect(limits.status()).toEqual({ active: 0, background: 0, queued: 0 });
  });
});

describe("rates", () => {
  test("of a tenant hold it back alone", async () => {
    const { enter, at, clock } = bench({ tenantRate: { perSecond: 10, burst: 2 } });
    for (let call = 1; call <= 5; call++) enter("a", `a${call}`);
    enter("b", "b1");
    await clock.advance(1000);
    expect(at).toEqual({ a1: 0, a2: 0, b1: 0, a3: 100, a4: 200, a5: 300 });
  });

  test("of a payer are shared by turns among those that it pays for", async () => {
    const { enter, at, clock } = bench({ payerRate: { perSecond: 10, burst: 1 }, payerOf: () => "aws" });
    for (const name of ["a1", "a2", "a3"]) enter("a", name);
    enter("b", "b1");
    enter("c", "c1");
    await clock.advance(1000);
    expect(at).toEqual({ a1: 0, a2: 100, b1: 200, c1: 300, a3: 400 });
  });

  test("of two payers do not hold up each other", async () => {
    const { enter, at, clock } = bench({ payerRate: { perSecond: 1, burst: 1 } }); // each tenant pays for itself
    for (const name of ["a1", "a2"]) enter("a", name);
    enter("b", "b1");
    await clock.advance(2000);
    expect(at).toEqual({ a1: 0, b1: 0, a2: 1000 });
  });

  test("stop for all of a payer while its service asks for it, and for no other", async () => {
    const { enter, place, at, clock } = bench({ payerOf: (provider) => (provider.name === "local" ? "aws" : undefined) });
    enter("a", "a1");
    await clock.advance(0);
    place("a1").throttled(5000);
    enter("b", "b1");
    await clock.advance(4999);
    expect(at).toEqual({ a1: 0 });
    await clock.advance(1);
    expect(at).toEqual({ a1: 0, b1: 5000 });
  });

  test("stop for a moment if the service names no time, and never for longer than a minute", async () => {
    const { enter, place, at, clock } = bench({ payerOf: () => "aws" });
    enter("a", "a1");
    await clock.advance(0);
    place("a1").throttled(undefined);
    enter("b", "b1");
    await clock.advance(100);
    place("a1").throttled(3_600_000);
    enter("b", "b2");
    await clock.advance(60_000);
    expect(at).toEqual({ a1: 0, b1: 100, b2: 60_100 });
  });
});

describe("the background lane", () => {
  test("takes at most its share of places, in all and of a tenant", () => {
    const { enter, granted } = bench({ total: 10, perTenant: 8 });
    for (const tenant of ["a", "b", "c"]) for (let call = 1; call <= 3; call++) enter(tenant, `${tenant}${call}`, "background");
    expect(granted).toEqual(["a1", "b1"]);
    for (let call = 4; call <= 20; call++) enter("a", `a${call}`);
    expect(granted).toHaveLength(9); // the seven that the tenant has left
  });

  test("takes what requests leave", async () => {
    const { enter, granted, leave } = bench({ total: 1 });
    enter("a", "a1");
    enter("b", "job", "background");
    enter("c", "c1");
    await leave("a1");
    await leave("c1");
    expect(granted).toEqual(["a1", "c1", "job"]);
  });

  test("has its share of a rate", async () => {
    const { enter, at, clock, leave } = bench({ tenantRate: { perSecond: 10, burst: 10 } });
    for (const name of ["j1", "j2", "j3", "j4"]) {
      enter("a", name, "background");
      await clock.advance(name < "j3" ? 0 : 500);
      await leave(name);
    }
    expect(at).toEqual({ j1: 0, j2: 0, j3: 500, j4: 1000 });
  });

  test("stops at the first throttling of its payer, while requests go on", async () => {
    const { enter, place, at, clock, leave } = bench({ payerOf: () => "aws" });
    enter("a", "a1");
    await clock.advance(0);
    place("a1").throttled(1000);
    enter("b", "job", "background");
    enter("c", "c1");
    await clock.advance(1000);
    expect(at).toEqual({ a1: 0, c1: 1000 });
    await leave("c1");
    await clock.advance(30_000);
    expect(at).toEqual({ a1: 0, c1: 1000, job: 31_000 });
  });
});

test("places, turns and counts hold whatever comes and goes (property)", async () => {
  const step = fc.record({
    does: fc.constantFrom("enter", "enter", "enter", "leave", "abort", "wait"),
    tenant: fc.constantFrom("a", "b", "c", "d"),
    lane: fc.constantFrom<Lane>("request", "background"),
    pick: fc.nat(50),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const options = { total: 4, perTenant: 3, maxQueued: 5, payerRate: { perSecond: 50, burst: 3 }, payerOf: () => "p" };
      const { enter, leave, abort, limits, clock, holding, waiting } = bench(options);
      for (const [at, { does, tenant, lane, pick }] of steps.entries()) {
        if (does === "enter") enter(tenant, `${tenant}${at}`, lane);
        else if (does === "wait") await clock.advance(pick);
        else {
          const names = [...(does === "leave" ? holding() : waiting())];
          const name = names[pick % Math.max(1, names.length)];
          if (name !== undefined) await (does === "leave" ? leave(name) : abort(name));
        }
        const { active, background, queued } = limits.status();
        expect(active).toBe(holding().length);
        expect(queued).toBe(waiting().length);
        expect(active).toBeLessThanOrEqual(4);
        expect(background).toBeLessThanOrEqual(1);
        for (const id of ["a", "b", "c", "d"]) expect(limits.status(id).active).toBeLessThanOrEqual(3);
      }
      for (let round = 0; round < 200 && waiting().length + holding().length > 0; round++) {
        for (const name of holding()) await leave(name);
        await clock.advance(100);
      }
      expect([waiting(), holding(), limits.status(), clock.timers]).toEqual([[], [], { active: 0, background: 0, queued: 0 }, 0]);
    }),
    runs(60, 60),
  );
});

test.each<readonly [string, object]>([
  ["perTenant", { perTenant: 0 }],
  ["total", { total: 1.5 }],
  ["maxQueued", { maxQueued: 0 }],
  ["backgroundShare", { backgroundShare: 0 }],
  ["backgroundShare", { backgroundShare: 1.1 }],
  ["tenantRate.perSecond", { tenantRate: { perSecond: 0 } }],
  ["payerRate.burst", { payerRate: { perSecond: 1, burst: 0.5 } }],
  ["payerRate", { payerRate: { perMinute: 1 } }],
  ["payerOf", { payerOf: "aws" }],
  ["perTenants", { perTenants: 1 }],
])("%s is checked", async (name, options) => {
  const { code, message } = await refusal(() => Reflect.construct(FairLimits, [options]));
  expect([code, message]).toEqual(["invalid-argument", expect.stringContaining(name)]);
});

/** Limits that are used without keyrings: attempts by name, which enter, hold their place, leave and are aborted. */
function bench(options: FairLimitsOptions) {
  const clock: FakeClock = fakeClock();
  const limits = new FairLimits({ clock, ...options });
  const granted: string[] = [];
  const at: Record<string, number> = {};
  const places = new Map<string, Place>();
  const pending = new Map<string, AbortController>();
  const take = (name: string, place: Place): void => {
    granted.push(name);
    at[name] = clock.monotonicMs();
    pending.delete(name);
    places.set(name, place);
  };
  const place = (name: string): Place => places.get(name) ?? expect.fail(`${name} has no place`);
  return {
    limits,
    clock,
    granted,
    at,
    place,
    holding: () => [...places.keys()],
    waiting: () => [...pending.keys()],
    enter(tenant: string, name: string, lane: Lane = "request"): void {
      const controller = new AbortController();
      let entering: Place | Promise<Place>;
      try {
        entering = limits.enter(kek(), tenant, lane, () => ({ signal: controller.signal }));
      } catch {
        return; // the queue is full
      }
      if (entering instanceof Promise) {
        pending.set(name, controller);
        entering.then(
          (given) => take(name, given),
          () => pending.delete(name),
        );
      } else take(name, entering);
    },
    async leave(name: string): Promise<void> {
      place(name).leave();
      places.delete(name);
      await clock.advance(0);
    },
    async abort(name: string): Promise<void> {
      pending.get(name)?.abort("left");
      await clock.advance(0);
    },
  };
}
