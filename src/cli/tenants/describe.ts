import type { TenantKey, TenantPolicy, TenantRecord, UnreadableTenant } from "../../tenants/index.ts";
import { tellFailure } from "../failure.ts";
import { plainError } from "../keys/describe.ts";
import { terminalText } from "../terminal-text.ts";

/** One line on a key: its number, kind, name, role and label. */
export function keyLine({ number, kind, key, role, label }: TenantKey): string {
  return terminalText(`${number} ${kind} ${kind === key ? "" : `${key} `}(${role}s)${label === undefined ? "" : ` "${label}"`}`);
}

export function timeText(unixMs: number): string {
  return new Date(unixMs).toISOString();
}

/** What a change has made of a tenant. */
export function stateLine({ id, state, generation, epoch }: TenantRecord): string {
  const life = epoch === 1 ? "" : `, epoch ${epoch}`;
  return terminalText(`${id} is ${state}, generation ${generation}${life}`);
}

/** One row for each member of a policy. */
export function policyRows(policy: TenantPolicy): readonly (readonly [name: string, value: string])[] {
  return Object.entries(policy).map(([name, value]) => [name, Array.isArray(value) ? value.join(",") : `${value ?? "default"}`] as const);
}

/** Tells of records that cannot be read on standard error, and makes the command fail. */
export function tellUnreadable(found: readonly (object | UnreadableTenant)[], isDebug: boolean): void {
  for (const tenant of found) {
    if (!("error" in tenant)) continue;
    tellFailure(tenant.error, isDebug, terminalText(tenant.id));
    process.exitCode = 1;
  }
}

/** A tenant as JSON gives it, or the error of a record that cannot be read. */
export function plainTenant(found: object | UnreadableTenant): unknown {
  return "error" in found ? { id: found.id, error: plainError(found.error) } : found;
}
