import { describe, expect, test, vi } from "vitest";
import { sleep, waitFor, waitWithin } from "../../../src/core/base/wait.ts";
import { whenAborted } from "../../../src/core/base/when-aborted.ts";
import { fakeClock } from "../../support/fake-clock.ts";

const never = new Promise<string>(() => undefined);

test("a wait gives what it waited for, and leaves neither timer nor listener", async () => {
  const clock = fakeClock();
  const { signal, listeners } = watchedSignal();
  const limit = { clock, ms: 10, error: () => new Error("late") };
  expect(await waitFor(Promise.resolve("value"), { signal, limit })).toBe("value");
  await expect(waitFor(Promise.reject(new Error("own")), { signal, limit })).rejects.toThrow("own");
  expect([clock.timers, listeners()]).toEqual([0, 0]);
});

test("a signal that is aborted already ends every wait at once with its reason", async () => {
  const clock = fakeClock();
  const signal = AbortSignal.abort("left");
  await expect(waitFor(never, { signal })).rejects.toBe("left");
  await expect(sleep(clock, 10, signal)).rejects.toBe("left");
  await expect(waitWithin({ signal }, () => undefined)).rejects.toBe("left");
  expect(clock.timers).toBe(0);
});

test("an abort and a limit end a wait, whichever comes first", async () => {
  const clock = fakeClock();
  const controller = new AbortController();
  const limit = { clock, ms: 10, error: () => "late" };
  const first = waitFor(never, { signal: controller.signal, limit });
  const second = sleep(clock, 20, controller.signal);
  clock.advanceNow(10);
  await expect(first).rejects.toBe("late");
  controller.abort("left");
  await expect(second).rejects.toBe("left");
  expect(clock.timers).toBe(0);
});

test("what comes too late goes to onLate, and a late failure to nobody", async () => {
  const late: string[] = [];
  const gates: { resolve(value: string): void; reject(error: unknown): void }[] = [];
  const pending = (): Promise<string> => new Promise((resolve, reject) => gates.push({ resolve, reject }));
  const signal = AbortSignal.abort("left");
  const waits = [waitFor(pending(), { signal }, (value) => late.push(value)), waitFor(pending(), { signal })];
  for (const wait of waits) await expect(wait).rejects.toBe("left");
  gates[0]?.resolve("value");
  gates[1]?.reject(new Error("an unhandled rejection would fail this file"));
  await new Promise((resolve) => setTimeout(resolve));
  expect(late).toEqual(["value"]);
});

test("a wait tidies up once, however it ends, and says whether a call came in time", async () => {
  const controller = new AbortController();
  let tidied = 0;
  const tidy = (): void => {
    tidied++;
  };
  const answers: boolean[] = [];
  await waitWithin<void>({}, (resolve) => {
    answers.push(resolve());
    answers.push(resolve());
    return tidy;
  });
  const wait = waitWithin<void>({ signal: controller.signal }, (resolve) => {
    controller.signal.addEventListener("abort", () => answers.push(resolve()));
    return tidy;
  });
  controller.abort("left");
  await wait.catch(() => undefined);
  expect([answers, tidied]).toEqual([[true, false, true], 2]);
});

function watchedSignal(): { readonly signal: AbortSignal; readonly listeners: () => number } {
  const { signal } = new AbortController();
  let count = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (type: string, listener: EventListenerOrEventListenerObject): void => {
    count++;
    addEventListener.call(signal, type, listener);
  };
  signal.removeEventListener = (type: string, listener: EventListenerOrEventListenerObject): void => {
    count--;
    removeEventListener.call(signal, type, listener);
  };
  return { signal, listeners: () => count };
}

describe("whenAborted", () => {
  test("has one listener for all that wait for a signal, and none once nothing waits", async () => {
    const stop = new AbortController();
    const added = vi.spyOn(stop.signal, "addEventListener");
    const removed = vi.spyOn(stop.signal, "removeEventListener");
    const told: number[] = [];
    const run = (): void => void told.push(0);
    const ends = [whenAborted(stop.signal, run), whenAborted(stop.signal, run)];
    const waits = Array.from({ length: 20 }, () => waitFor(new Promise(() => undefined), { signal: stop.signal }));
    expect(added).toHaveBeenCalledTimes(1);
    ends[0]?.();
    ends[0]?.();
    stop.abort(new Error("enough"));
    for (const wait of waits) await expect(wait).rejects.toThrow("enough");
    expect(told).toEqual([0]);
    ends[1]?.();
    expect(removed).toHaveBeenCalledTimes(1);
    whenAborted(stop.signal, run)();
    expect([added.mock.calls.length, removed.mock.calls.length, told.length]).toEqual([2, 2, 1]);
    expect(whenAborted(undefined, run)()).toBeUndefined();
  });

  test("does not run what other work has ended meanwhile", () => {
    const stop = new AbortController();
    const told: string[] = [];
    whenAborted(stop.signal, () => {
      told.push("first");
      end();
    });
    const end = whenAborted(stop.signal, () => void told.push("second"));
    stop.abort();
    expect(told).toEqual(["first"]);
  });
});
