import { expect, test } from "vitest";
import { Expiring } from "../../../providers/http/expiring.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { deferred } from "../../support/deferred.ts";
import { type FakeClock, fakeClock } from "../../support/fake-clock.ts";

interface Token {
  readonly text: string;
  readonly endMs: number | undefined;
}

/** Tokens that live for `lifeMs`, counted. */
function tokens(clock: FakeClock, lifeMs: number | undefined, load?: (count: number) => Promise<void>) {
  let count = 0;
  const expiring = new Expiring<Token>({
    clock,
    async load() {
      count++;
      const text = `token ${count}`;
      await load?.(count);
      return { text, endMs: lifeMs === undefined ? undefined : clock.unixMs() + lifeMs };
    },
    expiresAtMs: ({ endMs }) => endMs,
    secretOf: ({ text }) => text,
  });
  return { expiring, text: async () => (await expiring.get()).text, count: () => count };
}

test("a value is kept until two minutes before its end", async () => {
  const clock = fakeClock();
  const { text } = tokens(clock, 3_600_000);
  expect(await text()).toBe("token 1");
  clock.advanceNow(3_600_000 - 120_001);
  expect(await text()).toBe("token 1");
  clock.advanceNow(1);
  expect(await text()).toBe("token 2");
});

test("a short-lived value serves two thirds of its life", async () => {
  const clock = fakeClock();
  const { text } = tokens(clock, 30_000);
  await text();
  clock.advanceNow(19_999);
  expect(await text()).toBe("token 1");
  clock.advanceNow(1);
  expect(await text()).toBe("token 2");
});

test("a value without an end is loaded once, until it is refused", async () => {
  const clock = fakeClock();
  const { expiring, text } = tokens(clock, undefined);
  await text();
  clock.advanceNow(1e12);
  expect(await text()).toBe("token 1");
  const asked: string[] = [];
  const ask = async (value: Token): Promise<string> => {
    asked.push(value.text);
    return value.text;
  };
  expect(await expiring.use(ask, (answer) => answer === "token 1")).toBe("token 2");
  expect(asked).toEqual(["token 1", "token 2"]);
  expect(await text(), "the fresh one is kept").toBe("token 2");
});

test("a value without an end is loaded once, however early it would be renewed", async () => {
  let count = 0;
  const expiring = new Expiring<Token>({
    clock: fakeClock(),
    load: async () => ({ text: `token ${++count}`, endMs: undefined }),
    expiresAtMs: ({ endMs }) => endMs,
    secretOf: ({ text }) => text,
    aheadMs: Number.POSITIVE_INFINITY,
  });
  for (let call = 0; call < 3; call++) expect((await expiring.get()).text).toBe("token 1");
});

test("a value that has ended by a clock that is ahead is kept for a while, for the service may take it", async () => {
  const clock = fakeClock();
  const { text } = tokens(clock, -3_600_000);
  expect(await text()).toBe("token 1");
  clock.advanceNow(29_999);
  expect(await text()).toBe("token 1");
  clock.advanceNow(1);
  expect(await text()).toBe("token 2");
});

test("a refusal of an older value drops no newer one", async () => {
  const { expiring, count } = tokens(fakeClock(), undefined);
  const gates = [deferred(), deferred()];
  const ask = async (value: Token): Promise<string> => {
    if (value.text === "token 1") await gates.shift()?.promise;
    return value.text;
  };
  const both = [1, 2].map(() => expiring.use(ask, (answer) => answer === "token 1"));
  const [first, second] = [...gates];
  first?.resolve();
  await both[0];
  second?.resolve();
  expect(await Promise.all(both)).toEqual(["token 2", "token 2"]);
  expect(count()).toBe(2);
});

test("a fresh value with the same secret is not tried again", async () => {
  const clock = fakeClock();
  const same = new Expiring<Token>({
    clock,
    load: async () => ({ text: "same", endMs: undefined }),
    expiresAtMs: ({ endMs }) => endMs,
    secretOf: ({ text }) => text,
  });
  let asked = 0;
  expect(
    await same.use(
      async () => ++asked,
      () => true,
    ),
  ).toBe(1);
});

test("a value that is about to end is given to the load, a refused one is not", async () => {
  const clock = fakeClock();
  const given: (string | undefined)[] = [];
  const expiring = new Expiring<Token>({
    clock,
    async load(kept) {
      given.push(kept?.text);
      return { text: `token ${given.length}`, endMs: clock.unixMs() + 60_000 };
    },
    expiresAtMs: ({ endMs }) => endMs,
    secretOf: ({ text }) => text,
  });
  await expiring.get();
  clock.advanceNow(50_000);
  await expiring.use(
    async ({ text }) => text,
    (answer) => answer === "token 2",
  );
  expect(given).toEqual([undefined, "token 1", undefined]);
});

test("callers at once share one load, and one that leaves stops none", async () => {
  const gate = deferred();
  const { expiring, count } = tokens(fakeClock(), 3_600_000, () => gate.promise);
  const controller = new AbortController();
  const leaving = expiring.get(controller.signal).catch((error: unknown) => error);
  const staying = Promise.all([expiring.get(), expiring.get()]);
  controller.abort("left");
  gate.resolve();
  expect(await leaving).toBe("left");
  expect((await staying).map(({ text }) => text)).toEqual(["token 1", "token 1"]);
  expect(count()).toBe(1);
});

test("while no fresh one can be had an old one serves to its end, and then the failure is told", async () => {
  const clock = fakeClock();
  const failure = new EnvelockError("unavailable", "the token service is down");
  const { expiring, text } = tokens(clock, 600_000, async (count) => {
    if (count > 1) throw failure;
  });
  await text();
  clock.advanceNow(590_000);
  expect(await text()).toBe("token 1");
  clock.advanceNow(6_000);
  await expect(expiring.get()).rejects.toBe(failure);
});
