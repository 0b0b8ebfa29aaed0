import { EnvelockError, type ErrorCode, type Whose } from "../../core/base/errors.ts";
import type { TenantState } from "../record/tenant-record.ts";

/** What a call does: `write` makes new ciphertext, `read` opens what is there. */
export type TenantUse = "read" | "write";

/** Explains why a state forbids a use. Undefined if it does not. No provider is called for it. */
export function stateRefusal(id: string, state: TenantState, use: TenantUse): EnvelockError | undefined {
  const refusal = REFUSALS[state];
  if (refusal === undefined || (state === "offboarding" && use === "read")) return undefined;
  const { code = "access-denied", whose, says, hint } = refusal;
  return new EnvelockError(code, `tenant ${id} ${says}`, { detail: `tenant-${state}`, whose, tenant: id, hint });
}

export function noSuchTenant(id: string): EnvelockError {
  return new EnvelockError("key-not-found", `there is no tenant ${id}`, {
    detail: "tenant-unknown",
    whose: "caller",
    hint: "`invite` makes its record; the id is compared to the letter",
  });
}

interface Refusal {
  readonly code?: ErrorCode;
  readonly whose: Whose;
  readonly says: string;
  readonly hint: string;
}

const REFUSALS: Readonly<Record<TenantState, Refusal | undefined>> = {
  active: undefined,
  degraded: undefined,
  invited: {
    whose: "tenant",
    says: "is not active yet: no key was activated",
    hint: "`stage` and `verify` its key, or `activate` the platform's.",
  },
  verifying: {
    whose: "tenant",
    says: "is not active yet: its key waits for `verify` and `activate`",
    hint: "Run `verify`, mend what it finds, then `activate`.",
  },
  suspended: { whose: "vendor", says: "is suspended by the vendor", hint: "`restore` lets it in again." },
  revoked: {
    whose: "tenant",
    says: "has taken its key away",
    hint: "The tenant gives the right to its key back, then `restore` lets it in.",
  },
  offboarding: {
    whose: "vendor",
    says: "is leaving: its data can be read for an export, and nothing can be written",
    hint: "Write under another tenant.",
  },
  shredded: {
    code: "key-shredded",
    whose: "vendor",
    says: "was shredded: its data keys are gone",
    hint: "`invite` begins a new life of this id, which opens none of the old data.",
  },
};
