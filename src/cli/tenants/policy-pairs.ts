import type { Context } from "../../core/base/context.ts";
import type { TenantPolicy } from "../../tenants/index.ts";
import { requireEnforced } from "../../tenants/record/policy.ts";
import { usageError } from "../failure.ts";

/**
 * Reads `name=value` pairs as parts of a policy: whole numbers, `true` or `false`, and regions with commas between them. `default` stands for
 * the vendor's own bound.
 *
 * @throws `invalid-argument` for a name that a policy does not have, and for a value of another kind
 */
export function policyOfPairs(pairs: Context): Partial<TenantPolicy> {
  requireEnforced(pairs);
  const { cacheMaxAgeMs, reuseMaxAgeMs, autoRestore, maxConcurrent, callsPerSecond, regions } = pairs;
  return {
    ...(cacheMaxAgeMs !== undefined && { cacheMaxAgeMs: numberIn("cacheMaxAgeMs", cacheMaxAgeMs) }),
    ...(reuseMaxAgeMs !== undefined && { reuseMaxAgeMs: numberIn("reuseMaxAgeMs", reuseMaxAgeMs) }),
    ...(autoRestore !== undefined && { autoRestore: flagIn("autoRestore", autoRestore) }),
    ...(maxConcurrent !== undefined && { maxConcurrent: numberIn("maxConcurrent", maxConcurrent) }),
    ...(callsPerSecond !== undefined && { callsPerSecond: numberIn("callsPerSecond", callsPerSecond) }),
    ...(regions !== undefined && { regions: regions === DEFAULT ? null : regions.split(",") }),
  };
}

function numberIn(name: string, text: string): number | null {
  if (text === DEFAULT) return null;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw usageError(`${name} is a whole number or ${DEFAULT}, not "${text}"`);
}

function flagIn(name: string, text: string): boolean {
  if (text === "true" || text === "false") return text === "true";
  throw usageError(`${name} is true or false, not "${text}"`);
}

const DEFAULT = "default";
