/** Time and timers, as they are handed in. */
export interface AzureClock {
  /** Unix time in milliseconds. */
  now(): number;
  /** Calls `run` once, `delayMs` from now. @returns what cancels it; too late or twice is fine */
  after(delayMs: number, run: () => void): () => void;
}

/** The machine's. Dates of key versions are compared with it. */
export const systemClock: AzureClock = {
  now: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};
