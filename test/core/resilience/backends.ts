import { type FaultPlan, faultyProvider } from "../../../providers/conformance/index.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import type { FakeClock } from "../../support/fake-clock.ts";
import { kek, type WatchedProvider, watched } from "../../support/keks.ts";

/** A provider that answers when the test says so, and notes when it was called. */
export interface HeldProvider extends WatchedProvider {
  /** Lets the oldest call that waits go on, with its answer or with an error. */
  answer(error?: EnvelockError): void;
  readonly waiting: number;
}

export function held(inner: KeyProvider = kek()): HeldProvider {
  const gates: ((error: EnvelockError | undefined) => void)[] = [];
  const gate = (): Promise<void> =>
    new Promise((resolve, reject) => {
      gates.push((error) => (error === undefined ? resolve() : reject(error)));
    });
  const provider = watched(inner, {
    async wrap(dek, options) {
      await gate();
      return await inner.wrap(dek, options);
    },
    async unwrap(recipient, options) {
      await gate();
      return await inner.unwrap(recipient, options);
    },
  });
  return {
    ...provider,
    get waiting() {
      return gates.length;
    },
    answer: (error) => gates.shift()?.(error),
  };
}

/** A provider that fails by plan, with the times at which it was called. */
export function timed(
  clock: FakeClock,
  plan: FaultPlan,
  inner: KeyProvider = kek(),
): { readonly provider: KeyProvider; readonly times: number[] } {
  const times: number[] = [];
  const sleep = (delayMs: number): Promise<void> => new Promise((resolve) => clock.after(delayMs, resolve, "awaited"));
  const provider = faultyProvider(
    inner,
    (call, method) => {
      times.push(clock.monotonicMs());
      return plan(call, method);
    },
    { sleep },
  );
  return { provider, times };
}

export function unavailable(): EnvelockError {
  return new EnvelockError("unavailable", "down");
}
