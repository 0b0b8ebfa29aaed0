/** The result of one check of a doctor. */
export interface Finding<Check extends string = string> {
  readonly check: Check;
  /** `skipped` where an earlier failure or a missing right left nothing to look at. */
  readonly status: "ok" | "warning" | "failed" | "skipped";
  readonly message: string;
  /** The next step. A failed check and a warning always have one. */
  readonly advice?: string;
}
