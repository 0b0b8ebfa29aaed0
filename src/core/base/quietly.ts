/**
 * Calls a listener of the caller's, whose failure is its own: what it throws, and a promise of it that rejects, ends neither the work
 * that it is told of nor the process.
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
