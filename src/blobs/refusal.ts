import type { EnvelockError } from "../core/base/errors.ts";

/** An answer of a service that may be a result of the call, such as `missing` or `changed`. What takes it for none throws its failure. */
export class Refusal<Kind extends string> extends Error {
  readonly kind: Kind;
  /** The same as an error for the caller. */
  readonly failure: EnvelockError;

  constructor(kind: Kind, failure: EnvelockError) {
    super(failure.message, { cause: failure });
    this.kind = kind;
    this.failure = failure;
  }
}

/** Results in place of some refusals. */
export type Results<Kind extends string, R> = Readonly<Partial<Record<Kind, () => R>>>;

/** Takes some refusals of a service for results; others become errors. */
export async function settledRefusal<Kind extends string, T, R>(
  isRefusal: (error: unknown) => error is Refusal<Kind>,
  failureOf: (error: unknown) => unknown,
  results: Results<Kind, R>,
  work: () => Promise<T>,
): Promise<T | R> {
  try {
    return await work();
  } catch (error) {
    const result = isRefusal(error) ? results[error.kind] : undefined;
    if (result !== undefined) return result();
    throw failureOf(error);
  }
}
