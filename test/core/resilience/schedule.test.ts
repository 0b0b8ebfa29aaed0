import { describe, expect, test } from "vitest";
import { type ProviderFault, scriptedFaults } from "../../../providers/conformance/index.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import type { KeyringOptions } from "../../../src/core/keyring/keyring-options.ts";
import type { KeyringEvent } from "../../../src/core/telemetry/events.ts";
import { noise } from "../../support/arbitraries.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { kek } from "../../support/keks.ts";
import { refusal } from "../../support/refusal.ts";
import { timed } from "./backends.ts";

const THROTTLED: ProviderFault = { kind: "throttle" };
const DOWN: ProviderFault = { kind: "fail", code: "unavailable" };
const HANGS: ProviderFault = { kind: "hang" };

describe("the schedule of attempts", () => {
  // half of 1, 2, 4, 8 and 16 s, because the fake chance is always one half
  const HALVES = [0, 500, 1500, 3500, 7500, 15_500];
  // a 429 is waited for until the deadline, each time half of 16 s more
  const MORE_HALVES = [23_500, 31_500, 39_500, 47_500, 55_500];

  test.each([
    ["429 without Retry-After", THROTTLED, [...HALVES, ...MORE_HALVES]],
    ["503", DOWN, HALVES],
    [
      "429 that asks for 3 s, more than the first waits",
      { kind: "throttle", retryAfterMs: 3000 } satisfies ProviderFault,
      [0, 3000, 6000, 9000, 13_000, 21_000, 29_000, 37_000, 45_000, 53_000],
    ],
  ])("%s, always", async (_, fault, times) => {
    const { outcome, calls, elapsedMs } = await attempts(Array.from({ length: 20 }, () => fault));
    expect(calls).toEqual(times);
    expect(outcome).toMatchObject({ retryable: true, code: fault.kind === "throttle" ? "rate-limited" : "unavailable" });
    expect(elapsedMs).toBe(times.at(-1));
  });

  test("full jitter waits anything from nothing to the delay", async () => {
    const waits = [0, 0.25, 0.999, 0, 0.5];
    const { calls } = await attempts(
      Array.from({ length: 6 }, () => DOWN),
      {},
      () => waits.shift() ?? 0,
    );
    expect(calls).toEqual([0, 0, 500, 500 + 3996, 500 + 3996, 500 + 3996 + 8000]);
  });

  test("without jitter the waits are 1, 2, 4, 8 and 16 s", async () => {
    const { calls } = await attempts(
      Array.from({ length: 6 }, () => DOWN),
      { retry: { jitter: "none" } },
    );
    expect(calls).toEqual([0, 1000, 3000, 7000, 15_000, 31_000]);
  });

  test("a wait for a throttled call is no shorter than a second where the delays are, and with no delays there is none", async () => {
    const throttled = Array.from({ length: 100 }, () => THROTTLED);
    const { calls } = await attempts(throttled, { retry: { delaysMs: [0, 0], jitter: "none" }, deadlineMs: 3500 });
    expect(calls).toEqual([0, 0, 0, 1000, 2000, 3000]);
    expect((await attempts([THROTTLED], { retry: false })).calls).toEqual([0]);
  });

  test("a success ends it", async () => {
    const { outcome, calls } = await attempts([DOWN, THROTTLED]);
    expect(outcome).toEqual(noise(9));
    expect(calls).toEqual([0, 500, 1500]);
  });

  test("a hang is given up after 10 s and tried again, until the deadline of 60 s", async () => {
    const { outcome, calls, elapsedMs } = await attempts(Array.from({ length: 20 }, () => HANGS));
    expect(calls).toEqual([0, 10_500, 21_500, 33_500, 47_500]);
    expect(outcome).toMatchObject({ code: "timeout", retryable: true });
    expect(elapsedMs).toBe(57_500); // the next wait would end after the deadline
  });

  test("the last attempt gets no more than what is left of the deadline", async () => {
    const { outcome, calls, elapsedMs } = await attempts([HANGS, HANGS, HANGS], { deadlineMs: 12_000 });
    expect(calls).toEqual([0, 10_500]);
    expect(outcome).toMatchObject({ code: "timeout" });
    expect(elapsedMs).toBe(12_000);
  });

  test("a Retry-After beyond the deadline is not waited for", async () => {
    const { outcome, calls, elapsedMs } = await attempts([{ kind: "throttle", retryAfterMs: 60_000 }]);
    expect(calls).toEqual([0]);
    expect(elapsedMs).toBe(0);
    expect(outcome).toMatchObject({ code: "rate-limited", retryAfterMs: 60_000 });
  });

  test.each([
    "access-denied",
    "key-disabled",
    "key-not-found",
    "closed",
    "provider-failure",
    "unwrap-rejected",
  ] as const)("%s is not tried again", async (code) => {
    const { calls, elapsedMs } = await attempts([{ kind: "fail", code }]);
    expect(calls).toEqual([0]);
    expect(elapsedMs).toBe(0);
  });

  test("an error that is none of the library's is not tried again", async () => {
    const { outcome, calls } = await attempts([{ kind: "throw" }]);
    expect(calls).toEqual([0]);
    expect(outcome).toMatchObject({ code: "provider-failure" });
  });

  test("retry: false makes one attempt", async () => {
    const { calls } = await attempts([DOWN], { retry: false });
    expect(calls).toEqual([0]);
  });

  test("each retry is told, with the wait before it", async () => {
    const events: KeyringEvent[] = [];
    await attempts([DOWN, THROTTLED], { onEvent: (event) => events.push(event) });
    expect(events.filter(({ type }) => type === "retry")).toEqual([
      { type: "retry", call: "unwrap", provider: "local", code: "unavailable", attempt: 2, delayMs: 500 },
      { type: "retry", call: "unwrap", provider: "local", code: "rate-limited", attempt: 3, delayMs: 1000 },
    ]);
  });

  test("wrap and current are tried again as unwrap is", async () => {
    const clock = fakeClock();
    const { provider, times } = timed(clock, scriptedFaults([DOWN, undefined, DOWN, undefined]));
    const keyring = new Keyring({ wrapWith: [provider], clock });
    const envelope = await clock.finish(keyring.encrypt(noise(9)));
    expect(await clock.finish(keyring.needsRewrap(envelope))).toBe(false);
    expect(times).toEqual([0, 500, 500, 1000]);
  });
});

describe("an abort", () => {
  test.each([
    ["in the middle of a wait", DOWN, 300],
    ["in the middle of an attempt", HANGS, 300],
    ["in the middle of an attempt that ignores it", { kind: "hang-deaf" } satisfies ProviderFault, 300],
  ])("%s ends the call at once with its own reason", async (_, fault, atMs) => {
    const clock = fakeClock();
    const { provider, times } = timed(clock, () => fault);
    const keyring = new Keyring({ unwrapWith: [provider], clock });
    const envelope = await new Keyring(kek()).encrypt(noise(9));
    const controller = new AbortController();
    const reason = { the: "caller's own" };
    const call = keyring.decrypt(envelope, { signal: controller.signal }).catch((error: unknown) => error);
    await clock.advance(atMs);
    controller.abort(reason);
    expect(await call).toBe(reason);
    expect(clock.monotonicMs()).toBe(atMs);
    expect(times).toEqual([0]);
    expect(clock.timers).toBe(0);
    await clock.advance(100_000);
    expect(times).toEqual([0]);
  });

  test("reaches the provider's own signal, with its reason", async () => {
    const clock = fakeClock();
    const signals: (AbortSignal | undefined)[] = [];
    const keyring = new Keyring({ wrapWith: [noting(signals)], clock });
    const controller = new AbortController();
    const call = keyring.encrypt(noise(1), { signal: controller.signal }).catch((error: unknown) => error);
    await clock.advance(1);
    expect(signals.map((signal) => signal?.aborted)).toEqual([false]);
    controller.abort("enough");
    expect(await call).toBe("enough");
    expect(signals.map((signal) => signal?.reason)).toEqual(["enough"]);
  });

  test("by the attempt's deadline reaches the provider's signal too", async () => {
    const clock = fakeClock();
    const signals: (AbortSignal | undefined)[] = [];
    const keyring = new Keyring({ wrapWith: [noting(signals)], clock, retry: false });
    const { code } = await refusal(() => clock.finish(keyring.encrypt(noise(1))));
    expect(code).toBe("timeout");
    expect(signals.map((signal) => signal?.reason)).toMatchObject([{ code: "timeout" }]);
  });
});

test("a rewrap has one deadline for unwrap and wrap together", async () => {
  const clock = fakeClock();
  const { provider } = timed(clock, (_, method) => (method === "wrap" ? HANGS : { kind: "delay", delayMs: 9000 }));
  const envelope = await new Keyring(kek()).encrypt(noise(9));
  const keyring = new Keyring({ wrapWith: [provider], clock, deadlineMs: 15_000 });
  expect((await refusal(() => clock.finish(keyring.rewrap(envelope)))).code).toBe("timeout");
  expect(clock.monotonicMs()).toBe(15_000);
});

test("a data key that comes back after its caller left is wiped", async () => {
  const clock = fakeClock();
  const late = noise(32);
  const provider = {
    ...kek(),
    unwrap: () => new Promise<Uint8Array>((resolve) => void clock.after(20_000, () => resolve(late), "awaited")),
  };
  const keyring = new Keyring({ unwrapWith: [provider], clock, retry: false });
  const envelope = await new Keyring(kek()).encrypt(noise(9));
  expect((await refusal(() => clock.finish(keyring.decrypt(envelope)))).code).toBe("timeout");
  expect(late).toEqual(noise(32));
  await clock.advance(20_000);
  expect(late).toEqual(new Uint8Array(32));
});

/** A provider that never answers, and keeps the signals that it is handed. */
function noting(signals: (AbortSignal | undefined)[]): KeyProvider {
  return { ...kek(), wrap: (_, { signal }) => new Promise(() => void signals.push(signal)) };
}

/** Decrypts once against a provider that fails by `script`. */
async function attempts(
  script: readonly ProviderFault[],
  options: Partial<KeyringOptions> = {},
  random?: () => number,
): Promise<{ outcome: unknown; calls: readonly number[]; elapsedMs: number }> {
  const clock = fakeClock(random);
  const { provider, times } = timed(clock, scriptedFaults(script));
  const envelope = await new Keyring(kek()).encrypt(noise(9));
  const keyring = new Keyring({ unwrapWith: [provider], clock, ...options });
  const outcome = await clock.finish(keyring.decrypt(envelope).catch((error: unknown) => error));
  if (outcome instanceof Error) expect(outcome).toBeInstanceOf(EnvelockError);
  expect(clock.timers).toBe(0);
  return { outcome, calls: times, elapsedMs: clock.monotonicMs() };
}
