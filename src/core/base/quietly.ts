/**
 * Calls a listener of the caller's. Its failures stay with it: neither an exception nor a rejected promise ends the work that it is told
 * of, or the process.
 *
 * @returns what it returns, undefined if it throws
 */
export function quietly<T>(tell: () => T): T | undefined {
  try {
    const told = tell();
    unwaited(told);
    return told;
  } catch {
    return undefined;
  }
}

/** Lets a promise that a listener returned, and that nothing waits for, fail without ending the process. */
export function unwaited(told: unknown): void {
  if (typeof told === "object" && told !== null && "then" in told) Promise.resolve(told).catch(() => undefined);
}
