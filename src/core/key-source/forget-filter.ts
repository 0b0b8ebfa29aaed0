import type { Context, KeyContext } from "../base/context.ts";
import type { KeyVersion } from "../telemetry/events.ts";

/** Which cached data keys to forget: those that meet every part that is given. */
export interface ForgetFilter {
  /** A provider's name. */
  readonly provider?: string;
  /** An exact key version. */
  readonly keyId?: string;
  /** Pairs that all stand in the key context, such as the tenant. */
  readonly context?: Context;
}

/** Whether a key meets every part that the filter gives. */
export function meets(keyContext: KeyContext, { provider, keyId }: KeyVersion, filter: ForgetFilter): boolean {
  return (
    (filter.provider === undefined || filter.provider === provider) &&
    (filter.keyId === undefined || filter.keyId === keyId) &&
    Object.entries(filter.context ?? {}).every(([key, value]) => keyContext.map[key] === value)
  );
}
