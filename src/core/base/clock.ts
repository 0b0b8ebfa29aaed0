/**
 * Time, timers and chance, handed in: the library reads them nowhere else. One object serves keyrings, data keys, providers and the
 * emulators, so that a test moves all of them at once.
 */
export interface Clock {
  /** Milliseconds since a fixed moment of any choice. Never goes back. Measures durations, deadlines and ages in this process. */
  monotonicMs(): number;

  /** Milliseconds since 1970. May go back when the machine's time is set. Compared with dates that other machines wrote. */
  unixMs(): number;

  /** A number of at least 0 and below 1. Spreads retries over time; nothing secret comes from it. */
  random(): number;

  /**
   * Calls `run` once, `delayMs` from now. A process may end while only `idle` timers are left.
   *
   * @returns a function that cancels the timer; a call that is too late, or a second one, does nothing
   */
  after(delayMs: number, run: () => void, kind: "awaited" | "idle"): () => void;
}

/** The machine's clock. Where the system does not count the time that it is suspended, `monotonicMs` does not either. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  unixMs: () => Date.now(),
  random: () => (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2 ** 32,
  after(delayMs, run, kind) {
    const timer = setTimeout(run, Math.min(delayMs, MAX_TIMER_MS));
    if (kind === "idle") timer.unref?.(); // a browser's timer is a number
    return () => clearTimeout(timer);
  },
};

/**
 * A clock of which `monotonicMs` goes on while the machine is suspended: it follows `unixMs` where that runs ahead by more than a second. A
 * time that is set forward ages what is kept, and one that is set back prolongs nothing.
 */
export function countingSleep(clock: Clock): Clock {
  let offsetMs = clock.unixMs() - clock.monotonicMs();
  let sleptMs = 0;
  return {
    monotonicMs() {
      const nowMs = clock.monotonicMs();
      const aheadMs = clock.unixMs() - nowMs - offsetMs;
      if (Math.abs(aheadMs) > STEP_MS) {
        offsetMs += aheadMs;
        sleptMs += Math.max(aheadMs, 0);
      }
      return nowMs + sleptMs;
    },
    unixMs: () => clock.unixMs(),
    random: () => clock.random(),
    after: (delayMs, run, kind) => clock.after(delayMs, run, kind),
  };
}

/** The two clocks of a machine differ by less while nothing sets one of them. */
const STEP_MS = 1000;
const MAX_TIMER_MS = 2 ** 31 - 1;
