import { EnvelockError } from "../base/errors.ts";

// Checks that the conformance suites of providers and of stores share. They run wherever the tested object runs.

/** Checks a condition of the contract. @throws `provider-failure` if it does not hold */
export function check(holds: boolean, message: string): void {
  if (!holds) throw broken(message);
}

/** Waits for a failure and returns it. */
export async function failureOf(operation: () => Promise<unknown>, what: string): Promise<unknown> {
  try {
    await operation();
  } catch (error) {
    return error;
  }
  throw broken(`${what} must fail, and it succeeded`);
}

/** Waits for a failure with this code and returns it. */
export async function failsWith(code: string, operation: () => Promise<unknown>, what: string): Promise<EnvelockError> {
  const error = await failureOf(operation, what);
  if (!(error instanceof EnvelockError)) throw broken(`${what} must fail with an EnvelockError, not with ${typeName(error)}`);
  check(error.code === code, `${what} must fail with ${code}, not with ${error.code} (${error.message})`);
  return error;
}

function broken(message: string): EnvelockError {
  return new EnvelockError("provider-failure", `conformance: ${message}`);
}

function typeName(value: unknown): string {
  return value instanceof Error ? value.name : typeof value;
}
