import { expect, test } from "vitest";
import { CALL_SIGNAL, CallSignal, throwIfAborted } from "../../../src/core/contracts/call-signal.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { kek } from "../../support/keks.ts";
import { refusalCode } from "../../support/refusal.ts";

/** A provider that keeps every signal that it was given, and answers as `behave` says. */
function remembering(behave: (call: number) => Promise<void> | undefined): {
  readonly provider: KeyProvider;
  readonly signals: AbortSignal[];
} {
  const inner = kek();
  const signals: AbortSignal[] = [];
  const note = (signal: AbortSignal | undefined): Promise<void> | undefined => {
    if (signal !== undefined) signals.push(signal);
    return behave(signals.length);
  };
  const provider: KeyProvider = {
    ...inner,
    async wrap(dek, options) {
      const wait = note(options.signal);
      if (wait !== undefined) await wait;
      return await inner.wrap(dek, options);
    },
  };
  return { provider, signals };
}

test("the signal of a call that has ended never fires, whatever later calls end in", async () => {
  const clock = fakeClock();
  const { provider, signals } = remembering((call) => (call <= 3 ? undefined : new Promise(() => undefined)));
  const keyring = new Keyring({ wrapWith: [provider], clock, retry: false, attemptDeadlineMs: 10, maxConcurrent: 1 });
  for (let call = 0; call < 3; call++) await keyring.encrypt(new Uint8Array(1));
  expect(await refusalCode(() => clock.finish(keyring.encrypt(new Uint8Array(1))))).toBe("timeout");
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, false, false, true]);
  expect(new Set(signals).size).toBe(4);
});

test("nor does the signal of a call that took its time, or failed by itself", async () => {
  const clock = fakeClock();
  const { provider, signals } = remembering(async (call) => {
    await new Promise((resolve) => setTimeout(resolve));
    if (call === 2) throw new Error("its own failure");
  });
  const keyring = new Keyring({ wrapWith: [provider], clock, retry: false });
  const controller = new AbortController();
  await keyring.encrypt(new Uint8Array(1), { signal: controller.signal });
  expect(await refusalCode(() => keyring.encrypt(new Uint8Array(1), { signal: controller.signal }))).toBe("provider-failure");
  controller.abort();
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, false]);
});

test("a call that is left says so through its signal, with the reason", async () => {
  const clock = fakeClock();
  const { provider, signals } = remembering(() => new Promise(() => undefined));
  const keyring = new Keyring({ wrapWith: [provider], clock });
  const controller = new AbortController();
  const left = keyring.encrypt(new Uint8Array(1), { signal: controller.signal });
  await clock.advance(1);
  controller.abort("left");
  await expect(left).rejects.toBe("left");
  expect(signals.map(({ reason }) => reason)).toEqual(["left"]);
});

test("options that are copied keep a signal that works, and one put in its place counts", () => {
  const call = new CallSignal();
  const options = call.carriedBy({
    [CALL_SIGNAL]: call,
    get signal() {
      return call.signal;
    },
  });
  throwIfAborted(options);
  expect(() => throwIfAborted({ ...options, signal: AbortSignal.abort("other") })).toThrow("other");
  const copy = { ...options };
  throwIfAborted(copy);
  call.abort("left");
  expect(() => throwIfAborted(options)).toThrow("left");
  expect(copy.signal.reason).toBe("left");
  expect(() => throwIfAborted({ signal: AbortSignal.abort("plain") })).toThrow("plain");
  throwIfAborted({});
});
