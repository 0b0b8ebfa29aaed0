import type { Finding } from "../../core/contracts/finding.ts";
import type { TenantKey } from "../record/tenant-record.ts";
import type { TenantFinding } from "./finding.ts";

/**
 * How near the end of a key is, as far as a verification has found it. `unknown` if no verification found an end: the key does not end, or
 * its service does not say.
 */
export type KeyExpiry = "unknown" | "ahead" | "within-30-days" | "within-7-days" | "expired";

/** Says how near the end of a key is. */
export function expiryOf({ notAfterMs }: Pick<TenantKey, "notAfterMs">, nowMs: number): KeyExpiry {
  if (notAfterMs === null) return "unknown";
  const leftMs = notAfterMs - nowMs;
  if (leftMs <= 0) return "expired";
  if (leftMs <= 7 * DAY_MS) return "within-7-days";
  return leftMs <= 30 * DAY_MS ? "within-30-days" : "ahead";
}

/** Draws the end of a key from the findings of its doctor: the earliest, null if none of them ends, undefined if none says. */
export function endOf(found: readonly Finding[]): number | null | undefined {
  const said = found.map(({ notAfterMs }) => notAfterMs).filter((end) => end !== undefined);
  const ends = said.filter((end) => end !== null);
  if (ends.length > 0) return Math.min(...ends);
  return said.length > 0 ? null : undefined;
}

/** Turns the end of a key into a finding: a warning from 30 days before, a failure of the tenant's afterwards. */
export function expiryFinding(notAfterMs: number | null | undefined, nowMs: number): TenantFinding {
  const check = "key-expiry";
  if (notAfterMs === undefined)
    return { check, level: "skipped", whose: "service", detail: "the key service does not say whether the key ends" };
  if (notAfterMs === null) return { check, level: "ok", whose: "service", detail: "the key does not end" };
  const date = new Date(notAfterMs).toISOString().slice(0, 10);
  const hint = "The tenant extends the key, rotates it or imports its material again, and the vendor verifies it again.";
  const expiry = expiryOf({ notAfterMs }, nowMs);
  switch (expiry) {
    case "expired":
      return { check: "key-expired", level: "failed", whose: "tenant", detail: `the key ended on ${date}`, hint };
    case "within-7-days":
    case "within-30-days":
      return { check, level: "warning", whose: "tenant", detail: `the key ends on ${date}, ${expiry.replaceAll("-", " ")}`, hint };
    default:
      return { check, level: "ok", whose: "service", detail: `the key ends on ${date}` };
  }
}

const DAY_MS = 86_400_000;
