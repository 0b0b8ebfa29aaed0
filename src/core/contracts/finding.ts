import type { ErrorCode } from "../base/errors.ts";

/** The result of one check of a doctor. */
export interface Finding<Check extends string = string> {
  readonly check: Check;
  /** `skipped` where an earlier failure or a missing right left nothing to look at. */
  readonly status: "ok" | "warning" | "failed" | "skipped";
  readonly message: string;
  /** The next step. A failed check and a warning always have one. */
  readonly advice?: string;
  /** The code of the failure behind a failed check, where there is one. */
  readonly code?: ErrorCode;
  /**
   * When the key ends, in milliseconds since 1970; null if the service says that it does not. Left out where a check says nothing about the
   * end.
   */
  readonly notAfterMs?: number | null;
}
