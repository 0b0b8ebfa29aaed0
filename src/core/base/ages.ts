/** The greatest of some ages. Undefined if there is none. */
export function oldestOf(agesMs: readonly (number | undefined)[]): number | undefined {
  let oldest: number | undefined;
  for (const ageMs of agesMs) if (ageMs !== undefined && ageMs > (oldest ?? -1)) oldest = ageMs;
  return oldest;
}
