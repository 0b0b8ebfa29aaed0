import type { Clock } from "../../src/core/base/clock.ts";

/** Time that stands still until it is told to move: `monotonicMs` begins at 0, `unixMs` at noon of a fixed day. */
export interface FakeClock extends Clock {
  /** Timers that are set, without those that nothing waits for. */
  readonly timers: number;
  /** Lets `ms` pass at once: runs the timers that are due, and returns before anything follows from them. */
  advanceNow(ms: number): void;
  /** Lets `ms` pass: runs each timer at its time, and all that follows from it, before the next. */
  advance(ms: number): Promise<void>;
  /** Lets time pass until `work` settles. */
  finish<T>(work: Promise<T>): Promise<T>;
}

/** @param random what `random()` gives, each time */
export function fakeClock(random: () => number = () => 0.5): FakeClock {
  let now = 0;
  let order = 0;
  const timers = new Map<number, { readonly at: number; readonly run: () => void; readonly isAwaited: boolean }>();

  const next = (): number | undefined => {
    let soonest: number | undefined;
    let soonestAt = Number.POSITIVE_INFINITY;
    for (const [id, { at }] of timers) {
      if (at >= soonestAt) continue;
      soonest = id;
      soonestAt = at;
    }
    return soonest;
  };
  const waiting = (): number => {
    let awaited = 0;
    for (const { isAwaited } of timers.values()) if (isAwaited) awaited++;
    return awaited;
  };
  const fire = (id: number): void => {
    const timer = timers.get(id);
    timers.delete(id);
    if (timer === undefined) return;
    now = Math.max(now, timer.at);
    timer.run();
  };

  const advance = async (ms: number): Promise<void> => {
    const end = now + ms;
    await settled();
    for (let id = next(); id !== undefined && (timers.get(id)?.at ?? end + 1) <= end; id = next()) {
      fire(id);
      await settled();
    }
    now = end;
  };

  return {
    monotonicMs: () => now,
    unixMs: () => START_MS + now,
    random,
    advanceNow(ms) {
      const end = now + ms;
      for (let id = next(); id !== undefined && (timers.get(id)?.at ?? end + 1) <= end; id = next()) fire(id);
      now = end;
    },
    after(delayMs, run, kind) {
      const id = order++;
      timers.set(id, { at: now + delayMs, run, isAwaited: kind === "awaited" });
      return () => timers.delete(id);
    },
    get timers() {
      return waiting();
    },
    advance,
    async finish(work) {
      let isSettled = false;
      const settle = (): void => {
        isSettled = true;
      };
      work.then(settle, settle);
      for (;;) {
        await settled();
        if (isSettled) return await work;
        // without a timer that somebody waits for, it is real work that has to end: no time passes
        const id = waiting() > 0 ? next() : undefined;
        if (id !== undefined) fire(id);
      }
    },
  };
}

const START_MS = Date.parse("2026-11-22T12:00:00Z");

/** Once everything that can happen without time passing has happened: no WebCrypto call is under way, and nothing followed the last one. */
async function settled(): Promise<void> {
  for (let idleTurns = 0; idleTurns < 3; idleTurns++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (webCryptoCalls.underWay > 0) idleTurns = -1;
  }
}

/**
 * WebCrypto works on other threads in real time. A clock that moved on meanwhile would let a timer overtake a result that was due
 * before it, on a busy machine alone.
 */
const webCryptoCalls = countedWebCryptoCalls();

function countedWebCryptoCalls(): { readonly underWay: number } {
  let underWay = 0;
  const done = (): void => {
    underWay--;
  };
  const { prototype } = SubtleCrypto;
  for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (typeof value !== "function" || name === "constructor") continue;
    Object.defineProperty(prototype, name, {
      configurable: true,
      writable: true,
      value(this: SubtleCrypto, ...args: unknown[]): unknown {
        underWay++;
        const result: unknown = Reflect.apply(value, this, args);
        Promise.resolve(result).then(done, done);
        return result;
      },
    });
  }
  return {
    get underWay() {
      return underWay;
    },
  };
}
