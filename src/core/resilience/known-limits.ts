import { notOwn } from "../base/own-class.ts";

// What every keyring needs to know of `FairLimits`, without the class: a page that shares no limits loads none of it.

/** Marks the refusal of a full queue. Trying it again at once would only fill the queue again. */
export const QUEUE_FULL = "queue-full";

const known = new WeakSet<object>();

/** Called by the constructor of `FairLimits`. */
export function noteLimits(limits: object): void {
  known.add(limits);
}

/** Refuses limits of another copy of the package. @throws `invalid-argument` */
export function checkedLimits<T extends object>(value: T): T {
  if (known.has(value)) return value;
  throw notOwn(value, "FairLimits", "limits");
}
