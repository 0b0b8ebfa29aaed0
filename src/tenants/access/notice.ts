import { invalidArgument } from "../../core/base/errors.ts";
import { readArgument } from "../../core/base/options.ts";
import { tenantId } from "../record/tenant-id.ts";

/** What one process tells others of a change: a `TenantChangeEvent`, or these two members of it, also as JSON gives them back. */
export interface TenantNotice {
  readonly tenant: string;
  /** The revision of the record after the change. */
  readonly revision: number;
}

/** Reads the two members of a notice that came from elsewhere, and nothing else of it. @throws `invalid-argument` */
export function noticeOf(given: TenantNotice): TenantNotice {
  const { tenant, revision } = readArgument("the notice of a change", () => ({ tenant: given?.tenant, revision: given?.revision }));
  if (!Number.isSafeInteger(revision) || revision < 1)
    throw invalidArgument(
      "the notice of a change has a tenant and a revision",
      "Send the events that have a `revision`: those are changes.",
    );
  return { tenant: tenantId(tenant), revision };
}
