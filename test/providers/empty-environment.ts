/** For `withEmptyEnvironment` of a conformance harness: no variable is there while `run` runs. */
export async function withEmptyEnvironment(run: () => Promise<void>): Promise<void> {
  const environment = process.env;
  process.env = {};
  try {
    await run();
  } finally {
    process.env = environment;
  }
}
