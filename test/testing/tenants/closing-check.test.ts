import { describe, expect, test } from "vitest";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { type ClosingCheck, requireClosing, TestClock } from "../../../src/testing/tenants/index.ts";
import { refusal } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

/** A vendor whose tenants close as the test says: each is open, closed, or fails, by the time since the key was taken away. */
interface Behaviour {
  readonly own: (ms: number) => string | EnvelockError | Error;
  readonly other?: (ms: number) => string | EnvelockError | Error;
  readonly stateOf?: (ms: number) => unknown;
}

const OPEN = "the data";
const DENIED = new EnvelockError("access-denied", "no");
const DOWN = new EnvelockError("unavailable", "nobody answers");
const closesAt = (closedMs: number) => (ms: number) => (ms < closedMs ? OPEN : DENIED);

function checkOf({ own, other = () => OPEN, stateOf }: Behaviour, more: Partial<ClosingCheck> = {}): ClosingCheck {
  const clock = new TestClock();
  let takenAt = Number.POSITIVE_INFINITY;
  const since = (): number => Math.max(-1, clock.monotonicMs() - takenAt);
  return {
    tenant: "acme",
    others: ["globex"],
    async read(tenant) {
      const answer = tenant === "acme" ? own(since()) : other(since());
      if (typeof answer === "string") return answer;
      throw answer;
    },
    close: () => {
      takenAt = clock.monotonicMs();
    },
    boundMs: 10_000,
    clock,
    ...(stateOf !== undefined && { stateOf: () => stateOf(since()) }),
    ...more,
  };
}

describe("a vendor that keeps the promise passes", () => {
  test.each([
    ["at once", 0, 0],
    ["within the bound", 4001, 4200],
    ["at its last moment", 10_000, 10_000],
  ])("closed %s", async (_when, closedMs, seenMs) => {
    const report = await requireClosing(checkOf({ own: closesAt(closedMs) }));
    expect(report).toMatchObject({ closedAfterMs: seenMs, boundMs: 10_000 });
    expect(report.reads).toBeGreaterThan(50);
  });

  test("with errors of its own that mean closed", async () => {
    const gone = new Error("HTTP 423");
    const check = checkOf({ own: (ms) => (ms < 0 ? OPEN : gone) }, { isClosed: (error) => error === gone });
    expect(await requireClosing(check)).toMatchObject({ closedAfterMs: 0 });
  });
});

// Each is an implementation that breaks the promise in one way. The check must see it.
describe("a vendor that breaks the promise is found out", () => {
  const broken: readonly (readonly [what: string, Behaviour, message: string])[] = [
    ["closes a moment too late", { own: closesAt(10_001.5) }, "beyond the bound of 10000 ms"],
    ["closes long after the bound", { own: closesAt(60_000) }, "beyond the bound of 10000 ms"],
    ["never closes", { own: () => OPEN }, "beyond the bound of 10000 ms"],
    ["opens again", { own: (ms) => (ms >= 3000 && ms < 9000 ? DENIED : OPEN) }, "was open again after 9000 ms"],
    ["opens again after the bound", { own: (ms) => (ms >= 3000 && ms < 12_900 ? DENIED : OPEN) }, "was open again"],
    ["fails by an outage", { own: (ms) => (ms < 0 ? OPEN : DOWN) }, "an error that is no refusal of its key"],
    ["fails by a slip in the test", { own: (ms) => (ms < 0 ? OPEN : new TypeError("x is not a function")) }, "no refusal of its key"],
    [
      "closes a neighbour",
      { own: closesAt(1000), other: (ms) => (ms < 2000 ? OPEN : DENIED) },
      "globex lost nothing, and its read failed after 2000 ms",
    ],
    ["closes a neighbour for a moment", { own: closesAt(1000), other: (ms) => (ms === 5000 ? DENIED : OPEN) }, "globex lost nothing"],
    ["closes a neighbour late", { own: closesAt(1000), other: (ms) => (ms < 10_900 ? OPEN : DENIED) }, "globex lost nothing"],
    ["fails a neighbour", { own: closesAt(1000), other: (ms) => (ms < 1000 ? OPEN : DOWN) }, "globex lost nothing"],
    ["gives a neighbour other data", { own: closesAt(1000), other: (ms) => (ms < 1000 ? OPEN : "acme's data") }, "gave something else"],
    ["changes a neighbour's record", { own: closesAt(1000), stateOf: (ms) => ({ revision: ms < 1000 ? 1 : 2 }) }, "its state was changed"],
  ];

  test.each(broken)("%s", async (_what, behaviour, message) => {
    expect(await refusal(() => requireClosing(checkOf(behaviour)))).toMatchObject({
      code: "provider-failure",
      message: expect.stringContaining(message),
    });
  });

  test.each([
    ["the tenant", { own: () => DENIED }],
    ["a neighbour", { own: closesAt(0), other: () => DOWN }],
  ])("%s that was never open cannot be seen to close", async (_who, behaviour) => {
    expect(await refusal(() => requireClosing(checkOf(behaviour)))).toMatchObject({
      code: "invalid-argument",
      message: expect.stringContaining("must be open before the check"),
    });
  });
});

test("on the machine's clock it waits in real time", async () => {
  let closedAt = Number.POSITIVE_INFINITY;
  const read = async (tenant: string): Promise<string> => {
    if (tenant === "acme" && performance.now() >= closedAt) throw DENIED;
    return OPEN;
  };
  const close = (): void => {
    closedAt = performance.now() + 20;
  };
  const report = await requireClosing({ tenant: "acme", others: ["globex"], read, close, boundMs: 30_000, staysClosedMs: 50, everyMs: 5 });
  expect(report.closedAfterMs).toBeGreaterThanOrEqual(15);
});

test.each([
  ["an unknown option", { bounds: 5 }, "requireClosing has no option `bounds`"],
  ["no neighbour", { others: [] }, "at least one"],
  ["itself as a neighbour", { others: ["acme"] }, "at least one"],
  ["a bound of nothing", { boundMs: 0 }, "boundMs is 0"],
  ["a bound without an end", { boundMs: Number.POSITIVE_INFINITY }, "boundMs is Infinity"],
  ["no read", { read: "x" }, "read must be a function"],
  ["no close", { close: undefined }, "close must be a function"],
  ["a clock that is none", { clock: {} }, "clock must be a Clock"],
  ["no tenant", { tenant: "" }, "tenant is the id"],
])("%s is refused", async (_what, more, message) => {
  const check = { ...checkOf({ own: closesAt(0) }), ...more };
  expect(await refusal(() => requireClosing(untyped(check)))).toMatchObject({
    code: "invalid-argument",
    message: expect.stringContaining(message),
  });
});
