import type { Context, KeyContext } from "../base/context.ts";
import { invalidArgument } from "../base/errors.ts";
import { type OptionNames, refuseUnknown } from "../base/options.ts";
import type { KeyVersion } from "../telemetry/events.ts";

/** Selects cached data keys to forget: those that match every given part. */
export interface ForgetFilter {
  /** The name of a provider. */
  readonly provider?: string;
  /** An exact key version. */
  readonly keyId?: string;
  /** Pairs that the key context contains, such as the tenant. */
  readonly context?: Context;
  /** The `id` of the option `tenant` of the keyring that unwrapped it. */
  readonly tenant?: string;
}

/** Whether a key matches every given part of the filter. */
export function meets(keyContext: KeyContext, version: KeyVersion, filter: ForgetFilter, tenant?: string): boolean {
  return meetsOwner(keyContext, filter, tenant) && meetsVersion(version, filter);
}

/** Whether the owner of keys matches the parts of the filter that speak of it. */
export function meetsOwner(keyContext: KeyContext, { context = {}, tenant: wanted }: ForgetFilter, tenant?: string): boolean {
  if (wanted !== undefined && wanted !== tenant) return false;
  return Object.entries(context).every(([key, value]) => keyContext.map[key] === value);
}

/** Whether a key version matches the parts of the filter that speak of it. */
export function meetsVersion({ provider, keyId }: KeyVersion, filter: ForgetFilter): boolean {
  return (filter.provider === undefined || filter.provider === provider) && (filter.keyId === undefined || filter.keyId === keyId);
}

/**
 * Refuses a filter that would match more than the caller meant: a misspelt part, or one of another type, would count as not given.
 *
 * @throws `invalid-argument`
 */
export function checkedFilter(filter: ForgetFilter): ForgetFilter {
  refuseUnknown(filter, FILTER_PARTS, "forget");
  const { provider, keyId, context, tenant } = filter;
  for (const [name, part] of Object.entries({ provider, keyId, tenant })) {
    if (part !== undefined && typeof part !== "string") throw invalidArgument(`${name} of forget must be a string`);
  }
  if (context !== undefined && (typeof context !== "object" || context === null || Symbol.iterator in context)) {
    throw invalidArgument("context of forget must be an object of strings");
  }
  return { ...filter, ...(context !== undefined && { context: { ...context } }) };
}

const FILTER_PARTS: OptionNames<ForgetFilter> = { provider: true, keyId: true, context: true, tenant: true };
