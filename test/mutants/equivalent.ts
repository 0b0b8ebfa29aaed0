// Mutations that no test can notice, each with the reason. They are not run and not counted.

export interface Equivalent {
  readonly path: string;
  readonly before: string;
  /** All mutations of the line without it. */
  readonly after?: string;
  readonly why: string;
}

export const EQUIVALENT: readonly Equivalent[] = [];
