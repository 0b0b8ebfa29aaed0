/**
 * Calls a listener of the caller's. Its failures stay with it: neither an exception nor a rejected promise ends the work that it is told
 * of, or the process.
 *
 * @returns what it returns, undefined if it throws
 */
export function quietly<T>(tell: () => T): T | undefined {
  try {
    const told = tell();
    if (typeof told === "object" && told !== null && "then" in told) Promise.resolve(told).catch(() => undefined);
    return told;
  } catch {
    return undefined;
  }
}
