/** Time and timers of an emulator. The clocks of a keyring and of an Azure key fit too. */
export interface EmulatorClock {
  /** Milliseconds of Unix time; dates of keys are compared with it. */
  now(): number;
  /** Calls `run` once, `delayMs` from now. @returns what cancels it */
  after(delayMs: number, run: () => void, kind: "awaited"): () => void;
}

/** The machine's. */
export const systemClock: EmulatorClock = {
  now: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};
