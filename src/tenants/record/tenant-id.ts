import { invalidArgument } from "../../core/base/errors.ts";

/** Requires the id of a tenant. @throws `invalid-argument` */
export function tenantId(value: unknown): string {
  if (isTenantId(value)) return value;
  throw invalidArgument("a tenant id is 1 to 128 printable ASCII characters without spaces");
}

export function isTenantId(value: unknown): value is string {
  return typeof value === "string" && TENANT_ID.test(value);
}

const TENANT_ID = /^[\x21-\x7e]{1,128}$/;
