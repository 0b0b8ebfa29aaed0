import type { Whose } from "../../core/base/errors.ts";

/** One result of the check of a tenant's key, in the order of the checks. */
export interface TenantFinding {
  /** The name of the check, such as `round-trip`, or that of the key service's own doctor. */
  readonly check: string;
  /** `skipped` where an earlier failure left nothing to look at. */
  readonly level: "ok" | "warning" | "failed" | "skipped";
  /** The party that can mend it. */
  readonly whose: Whose;
  readonly detail: string;
  /** The next step. */
  readonly hint?: string;
}
