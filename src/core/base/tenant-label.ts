import { isTextOfAtMost } from "./bytes.ts";
import { invalidArgument } from "./errors.ts";
import { type OptionNames, refuseUnknown } from "./options.ts";

/**
 * The tenant that a keyring works for. It names the tenant in events and errors, and it is the share of a shared cache and of shared
 * limits. It is no part of any context: what binds data to a tenant is the key context.
 */
export interface TenantLabel {
  /** 1 to 128 bytes of well-formed text. */
  readonly id: string;
  /** The number of changes of the tenant's keys so far, for events. */
  readonly generation?: number;
  /** The time that a data key of this tenant serves from the cache, in place of the cache's own `maxAgeMs`. 0 keeps none. */
  readonly cacheMaxAgeMs?: number;
}

/** Reads a label once, so that later changes have no effect. @throws `invalid-argument` */
export function checkedTenant(tenant: TenantLabel): TenantLabel {
  refuseUnknown(tenant, TENANT_OPTIONS, "tenant");
  const { id, generation, cacheMaxAgeMs } = tenant;
  if (!isTextOfAtMost(MAX_ID_BYTES, id)) throw invalidArgument(`tenant.id has 1 to ${MAX_ID_BYTES} bytes of well-formed text`);
  if (generation !== undefined && !(Number.isSafeInteger(generation) && generation >= 0)) {
    throw invalidArgument("tenant.generation must be an integer of at least 0");
  }
  if (cacheMaxAgeMs !== undefined && !(typeof cacheMaxAgeMs === "number" && cacheMaxAgeMs >= 0)) {
    throw invalidArgument("tenant.cacheMaxAgeMs must be a number of at least 0");
  }
  return { id, ...(generation !== undefined && { generation }), ...(cacheMaxAgeMs !== undefined && { cacheMaxAgeMs }) };
}

const TENANT_OPTIONS: OptionNames<TenantLabel> = { id: true, generation: true, cacheMaxAgeMs: true };
const MAX_ID_BYTES = 128;
