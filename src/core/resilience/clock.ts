import { engine } from "#engine";
import { readUint32 } from "../base/bytes.ts";

/** Time and chance, handed in: the core reads neither anywhere else. */
export interface Clock {
  /** Milliseconds since a fixed moment of any choice; never goes back. */
  now(): number;

  /** At least 0, below 1. Spreads retries; nothing secret comes from it. */
  random(): number;

  /**
   * Calls `run` once, `delayMs` from now. A process may end while only `idle` timers are left.
   *
   * @returns what cancels it; too late or twice is fine
   */
  after(delayMs: number, run: () => void, kind: "awaited" | "idle"): () => void;
}

/** The machine's monotonic clock. Where the system does not count the time that it is suspended, neither does this. */
export const systemClock: Clock = {
  now: () => performance.now(),
  random: () => readUint32(engine.randomNonce(4), 0) / 2 ** 32,
  after(delayMs, run, kind) {
    const timer = setTimeout(run, Math.min(delayMs, MAX_TIMER_MS));
    if (kind === "idle") timer.unref?.(); // a browser's timer is a number
    return () => clearTimeout(timer);
  },
};

/** Milliseconds since 1970: for what several machines and restarts share, such as the age of a stored key. */
export function wallTime(): number {
  return Date.now();
}

const MAX_TIMER_MS = 2 ** 31 - 1;
