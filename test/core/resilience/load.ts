const { ENVELOCK_TEST_ENGINE } = process.env;

/** How often a test of many calls does what it does: a fifth of `count` with the portable engine, which takes that much longer. */
export function timesFor(count: number): number {
  return ENVELOCK_TEST_ENGINE === "portable" ? count / 5 : count;
}
