import type { Clock } from "../core/base/clock.ts";
import { invalidArgument } from "../core/base/errors.ts";
import { quietly } from "../core/base/quietly.ts";

/** How far a transfer has come. */
export interface BlobProgress {
  /** The bytes that the store has taken or given so far: headers and tags count. */
  readonly bytes: number;
  /** All of them, where that is known. */
  readonly totalBytes: number | undefined;
  /** The mean rate since the start. */
  readonly bytesPerSecond: number;
}

/** @throws `invalid-argument` for what is no function */
export function checkedListener(listener: ((progress: BlobProgress) => void) | undefined): typeof listener {
  if (listener === undefined || typeof listener === "function") return listener;
  throw invalidArgument("onProgress must be a function");
}

/** Makes a function that adds bytes and tells the listener. What the listener throws is dropped. */
export function progressTo(
  listener: ((progress: BlobProgress) => void) | undefined,
  totalBytes: number | undefined,
  clock: Clock,
): (bytes: number) => void {
  if (listener === undefined) return () => undefined;
  const startedMs = clock.monotonicMs();
  let sum = 0;
  return (bytes) => {
    sum += bytes;
    const seconds = Math.max(1, clock.monotonicMs() - startedMs) / 1000;
    const progress = { bytes: sum, totalBytes, bytesPerSecond: sum / seconds };
    quietly(() => listener(progress));
  };
}
