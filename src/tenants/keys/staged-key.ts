import { isTextOfAtMost } from "../../core/base/bytes.ts";
import { invalidArgument } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../core/base/options.ts";
import type { TenantKeyRef } from "../../core/contracts/tenant-keys.ts";
import { PLATFORM_KEY, type StagedKey } from "../life-cycle/change.ts";
import { keyLabel } from "../record/key-label.ts";
import { settingsOf } from "../record/settings.ts";

/** The description of a key that a tenant brings, as `stage` takes it. */
export interface TenantKeyDescription extends TenantKeyRef {
  /** Whether the vendor created this key for the tenant. Only such a key is destroyed with the tenant. Not with `shareable`. Default false. */
  readonly createdByUs?: boolean;
  /** Whether other tenants may use the same key, if they say the same. Default false. */
  readonly shareable?: boolean;
  /**
   * What people call the key, in records, reports and events: at most 100 bytes, without control characters. Nothing is decided by it, and two
   * keys may have the same.
   */
  readonly label?: string;
}

/** Reads a description once. @throws `invalid-argument` */
export function stagedKeyOf(given: TenantKeyDescription | "platform"): StagedKey {
  if (given === "platform") return { ...PLATFORM_KEY, settings: {}, createdByUs: false, shareable: true };
  refuseUnknown(given, DESCRIPTION, "the key of a tenant");
  const { kind, key, settings = {}, createdByUs = false, shareable = false, label } = given;
  if (typeof kind !== "string" || kind === PLATFORM_KEY.kind)
    throw invalidArgument("the kind of a tenant's key is that of an opener", "For the platform's key `stage` takes the text `platform`.");
  if (!isTextOfAtMost(512, key)) throw invalidArgument("the name of a tenant's key is text of 1 to 512 bytes");
  if (typeof createdByUs !== "boolean" || typeof shareable !== "boolean")
    throw invalidArgument("createdByUs and shareable are true or false");
  if (createdByUs && shareable)
    throw invalidArgument(
      "a key that was created for one tenant is shared with no other",
      "It is destroyed with its tenant: create one for each.",
    );
  const named = label === undefined ? {} : { label: keyLabel(label) };
  return { kind, key, settings: settingsOf(settings, "the settings of a key"), createdByUs, shareable, ...named };
}

const DESCRIPTION: OptionNames<TenantKeyDescription> = {
  kind: true,
  key: true,
  settings: true,
  createdByUs: true,
  shareable: true,
  label: true,
};
