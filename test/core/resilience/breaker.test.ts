import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ProviderFault } from "../../../providers/conformance/index.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import type { KeyringOptions } from "../../../src/core/keyring/keyring-options.ts";
import { Breaker } from "../../../src/core/resilience/breaker.ts";
import { ProviderGuards } from "../../../src/core/resilience/policy.ts";
import type { KeyringEvent } from "../../../src/core/telemetry/events.ts";
import { noise, runs } from "../../support/arbitraries.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { kek, watched } from "../../support/keks.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { held, timed, unavailable } from "./backends.ts";

const DOWN: ProviderFault = { kind: "fail", code: "unavailable" };

describe("a circuit breaker", () => {
  test("opens after so many retryable failures in a row, and then makes no call", async () => {
    const { keyring, envelope, times, clock } = await broken({ breaker: { failures: 3, openMs: 5000 } });
    for (let call = 0; call < 3; call++) {
      expect(breakerOf(keyring)).toBe("closed");
      expect(await refusal(() => keyring.decrypt(envelope))).toMatchObject({ code: "unavailable", detail: undefined });
    }
    expect(breakerOf(keyring)).toBe("open");
    await clock.advance(2000);
    expect(await refusal(() => keyring.decrypt(envelope))).toMatchObject({
      code: "unavailable",
      detail: "circuit-open",
      retryable: true,
      retryAfterMs: 3000,
    });
    expect(times).toEqual([0, 0, 0]);
  });

  test("lets one call through when its time is over, and closes if that is answered", async () => {
    const clock = fakeClock();
    const inner = held();
    const envelope = await new Keyring(kek()).encrypt(noise(9));
    const events: KeyringEvent[] = [];
    const onEvent = (event: KeyringEvent): unknown => event.type === "breaker" && events.push(event);
    const keyring = new Keyring({ unwrapWith: [inner], clock, retry: false, breaker: { failures: 1, openMs: 1000 }, onEvent });
    const first = keyring.decrypt(envelope).catch((error: unknown) => error);
    await clock.advance(0);
    inner.answer(unavailable());
    await first;
    await clock.advance(1000);
    expect(breakerOf(keyring)).toBe("half-open");

    // of another data key, so that it cannot share the probe's flight
    const other = await new Keyring(kek()).encrypt(noise(8));
    const probe = keyring.decrypt(envelope);
    await clock.advance(0);
    expect(await refusal(() => keyring.decrypt(other))).toMatchObject({ detail: "circuit-open", retryAfterMs: undefined });
    expect(inner.calls).toHaveLength(2);
    inner.answer();
    expect(await probe).toEqual(noise(9));
    expect(breakerOf(keyring)).toBe("closed");
    expect(events).toMatchObject([{ state: "open" }, { state: "half-open" }, { state: "closed" }]);
  });

  test("stays closed for a provider that throttles, and closes if the one call is throttled", async () => {
    const throttled: ProviderFault = { kind: "throttle" };
    const script = [throttled, throttled, throttled, DOWN, throttled, throttled];
    const { keyring, envelope, clock } = await broken({ breaker: { failures: 1, openMs: 1000 } }, script);
    const states: (string | undefined)[] = [];
    for (const fault of script) {
      const code = await refusalCode(() => keyring.decrypt(envelope));
      expect(code).toBe(fault === DOWN ? "unavailable" : "rate-limited");
      states.push(breakerOf(keyring));
      await clock.advance(1000);
    }
    expect(states).toEqual(["closed", "closed", "closed", "open", "closed", "closed"]);
  });

  test("opens again if the one call fails", async () => {
    const { keyring, envelope, times, clock } = await broken({ breaker: { failures: 1, openMs: 1000 } });
    await refusal(() => keyring.decrypt(envelope));
    await clock.advance(1000);
    expect(await refusal(() => keyring.decrypt(envelope))).toMatchObject({ detail: undefined });
    expect(breakerOf(keyring)).toBe("open");
    expect(times).toEqual([0, 1000]);
  });

  test("goes on probing after a probe whose caller left", async () => {
    const clock = fakeClock();
    const inner = held();
    const envelope = await new Keyring(kek()).encrypt(noise(9));
    const keyring = new Keyring({ unwrapWith: [inner], clock, retry: false, breaker: { failures: 1, openMs: 1000 } });
    const first = keyring.decrypt(envelope).catch((error: unknown) => error);
    await clock.advance(0);
    inner.answer(unavailable());
    await first;
    await clock.advance(1000);
    const controller = new AbortController();
    const left = keyring.decrypt(envelope, { signal: controller.signal }).catch((error: unknown) => error);
    await clock.advance(0);
    controller.abort("left");
    expect(await left).toBe("left");
    await clock.advance(0);
    const next = keyring.decrypt(envelope);
    await clock.advance(0);
    inner.answer();
    inner.answer();
    expect(await next).toEqual(noise(9));
  });

  test("a refusal is an answer", async () => {
    const { keyring, envelope } = await broken({ breaker: { failures: 2 } }, [DOWN, { kind: "fail", code: "access-denied" }, DOWN, DOWN]);
    for (const state of ["closed", "closed", "closed", "open"]) {
      await refusal(() => keyring.decrypt(envelope));
      expect(breakerOf(keyring)).toBe(state);
    }
  });

  test("can be turned off", async () => {
    const { keyring, envelope, times } = await broken({ breaker: false });
    for (let call = 0; call < 50; call++) await refusal(() => keyring.decrypt(envelope));
    expect(times).toHaveLength(50);
    expect(breakerOf(keyring)).toBe("closed");
  });

  test("does not end a call that was waiting to try again before it opened", async () => {
    const clock = fakeClock();
    const { provider, times } = timed(clock, (call) => (call < 4 ? DOWN : undefined));
    const envelope = await new Keyring(kek()).encrypt(noise(9));
    const keyring = new Keyring({ unwrapWith: [provider], clock, breaker: { failures: 2, openMs: 4000 } });
    expect(await clock.finish(keyring.decrypt(envelope))).toEqual(noise(9));
    expect(times).toEqual([0, 500, 4500, 8500, 16_500]);
  });

  test("makes decrypt go on to the next recipient", async () => {
    const clock = fakeClock();
    const envelope = await new Keyring({ wrapWith: [kek("a"), kek("b")] }).encrypt(noise(9));
    const { provider, times } = timed(clock, () => DOWN, kek("a"));
    const second = watched(kek("b"));
    const keyring = new Keyring({ unwrapWith: [provider, second], clock, breaker: { failures: 2 } });
    for (let call = 0; call < 10; call++) expect(await keyring.decrypt(envelope)).toEqual(noise(9));
    expect(times).toHaveLength(2);
    expect(second.calls).toHaveLength(10);
  });

  test("of each provider is its own, in one keyring and between keyrings, unless the guards are shared", async () => {
    const envelope = await new Keyring(kek()).encrypt(noise(9));
    const clock = fakeClock();
    const { provider, times } = timed(clock, () => DOWN);
    const guards = new ProviderGuards({ breaker: { failures: 1 } });
    const alone = new Keyring({ unwrapWith: [provider], clock, retry: false, breaker: { failures: 1 } });
    const shared = [1, 2].map(() => new Keyring({ unwrapWith: [provider], clock, retry: false, guards }));
    for (const keyring of [alone, ...shared]) await refusal(() => keyring.decrypt(envelope));
    expect(times).toHaveLength(2);
    expect([alone, ...shared].map(breakerOf)).toEqual(["open", "open", "open"]);
  });

  test("opens exactly when the run of failures reaches its bound (property)", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 60 }), fc.integer({ min: 1, max: 8 }), (answers, failures) => {
        const breaker = new Breaker({ failures, openMs: 1 });
        let run = 0;
        for (const isAnswer of answers) {
          if (!breaker.isClosed) break;
          const isProbe = breaker.begin();
          expect(isProbe).toBe(false);
          run = isAnswer ? 0 : run + 1;
          if (isAnswer) breaker.answered();
          else breaker.failed(isProbe, 0);
          expect(breaker.isClosed).toBe(run < failures);
        }
      }),
      runs(300, 300),
    );
  });
});

describe("places and the queue", () => {
  test("a provider gets maxConcurrent calls at once, and the others in the order in which they came", async () => {
    const clock = fakeClock();
    const inner = held();
    const keyring = new Keyring({ wrapWith: [inner], clock, maxConcurrent: 3 });
    const done: number[] = [];
    const calls = Array.from({ length: 10 }, (_, index) => keyring.encrypt(noise(index)).then(() => done.push(index)));
    await clock.advance(0);
    for (let answered = 0; answered < 10; answered++) {
      expect(inner.waiting).toBe(Math.min(3, 10 - answered));
      expect(keyring.status().providers).toMatchObject([{ active: Math.min(3, 10 - answered), queued: Math.max(0, 7 - answered) }]);
      inner.answer();
      await clock.advance(0);
    }
    await Promise.all(calls);
    expect(done).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(keyring.status().providers).toMatchObject([{ active: 0, queued: 0 }]);
  });

  test("who leaves the queue, by abort or deadline, takes no place", async () => {
    const clock = fakeClock();
    const inner = held();
    const options: KeyringOptions = { wrapWith: [inner], clock, maxConcurrent: 1, deadlineMs: 5000, attemptDeadlineMs: 5000, retry: false };
    const keyring = new Keyring(options);
    const controller = new AbortController();
    const first = keyring.encrypt(noise(1)).catch((error: unknown) => error);
    const aborted = keyring.encrypt(noise(2), { signal: controller.signal }).catch((error: unknown) => error);
    await clock.advance(1000);
    const late = keyring.encrypt(noise(3));
    await clock.advance(0);
    controller.abort("left");
    expect(await aborted).toBe("left");
    expect(keyring.status().providers).toMatchObject([{ active: 1, queued: 1 }]);
    await clock.advance(4000);
    expect(await first).toMatchObject({ code: "timeout" });
    expect(inner.waiting).toBe(2);
    inner.answer();
    inner.answer();
    await clock.advance(0);
    await late;
    expect(keyring.status().providers).toMatchObject([{ active: 0, queued: 0 }]);
    expect(clock.timers).toBe(0);
  });

  test("a wait in line that outlasts the deadline is a timeout", async () => {
    const clock = fakeClock();
    const inner = held();
    const keyring = new Keyring({ wrapWith: [inner], clock, maxConcurrent: 1, deadlineMs: 3000 });
    const calls = [keyring.encrypt(noise(1)), keyring.encrypt(noise(2))].map((call) => call.catch((error: unknown) => error));
    await clock.finish(Promise.all(calls));
    expect(clock.monotonicMs()).toBe(3000);
    for (const call of calls) expect(await call).toMatchObject({ code: "timeout" });
    expect(inner.calls).toHaveLength(1);
  });

  test("one provider's trouble does not slow another", async () => {
    const clock = fakeClock();
    const stuck = held(kek("a"));
    const well = watched(kek("b"));
    const keyring = new Keyring({ wrapWith: [kek("c")], unwrapWith: [stuck, well], clock, maxConcurrent: 2 });
    const slow = await Promise.all([1, 2, 3, 4].map((seed) => new Keyring(kek("a")).encrypt(noise(4, seed))));
    const fast = await new Keyring(kek("b")).encrypt(noise(9));
    const waiting = slow.map((envelope) => keyring.decrypt(envelope));
    await clock.advance(0);
    for (let call = 0; call < 20; call++) expect(await keyring.decrypt(fast)).toEqual(noise(9));
    expect(clock.monotonicMs()).toBe(0);
    for (let call = 0; call < 4; call++) {
      stuck.answer();
      await clock.advance(0);
    }
    expect(await Promise.all(waiting)).toEqual([1, 2, 3, 4].map((seed) => noise(4, seed)));
  });
});

test.each([
  [{ deadlineMs: 0 }],
  [{ deadlineMs: Number.NaN }],
  [{ attemptDeadlineMs: -1 }],
  [{ maxConcurrent: 0 }],
  [{ maxConcurrent: 1.5 }],
  [{ breaker: { failures: 0 } }],
  [{ breaker: { openMs: 0 } }],
  [{ retry: { delaysMs: [-1] } }],
  [{ guards: new ProviderGuards(), maxConcurrent: 3 }],
  [{ reuse: { maxAgeMs: 0 } }],
  [{ reuse: { maxUses: 0 } }],
  [{ reuse: { maxBytes: 0 } }],
  [{ reuse: { maxAgeMs: 10, refreshAheadMs: 10 } }],
  [{ cache: { maxEntries: 0 } }],
  [{ cache: { maxEntries: Number.POSITIVE_INFINITY } }],
  [{ cache: { maxAgeMs: 0 } }],
] satisfies readonly [Partial<KeyringOptions>][])("%j is refused", async (options) => {
  expect(await refusalCode(() => new Keyring({ wrapWith: [kek()], ...options }))).toBe("invalid-argument");
});

/** A keyring over a provider that is down, or that fails by `script`, without retries. */
async function broken(options: Partial<KeyringOptions>, script?: readonly ProviderFault[]) {
  const clock = fakeClock();
  const { provider, times } = timed(clock, (call) => (script === undefined ? DOWN : script[call]));
  const envelope = await new Keyring(kek()).encrypt(noise(9));
  return { keyring: new Keyring({ unwrapWith: [provider], clock, retry: false, ...options }), envelope, times, clock };
}

function breakerOf(keyring: Keyring): string | undefined {
  return keyring.status().providers[0]?.breaker;
}
