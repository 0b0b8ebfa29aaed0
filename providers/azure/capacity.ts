import { invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";

export interface AzureCapacityOptions {
  readonly service: "vault" | "managed-hsm";
  readonly keyType: "RSA" | "RSA-HSM" | "oct-HSM";
  /** The size of the key: 2048, 3072 or 4096; for an oct-HSM key 128, 192 or 256. */
  readonly bits: number;
  /** The load in remote wraps and unwraps a second. With `reuse` and `cache` it is far below the number of values: docs/operations.md. */
  readonly wrapsPerSecond?: number;
  readonly unwrapsPerSecond?: number;
}

export interface AzureCapacity {
  /** The most operations of one vault or HSM that does nothing else. */
  readonly maxWrapsPerSecond: number;
  readonly maxUnwrapsPerSecond: number;
  /**
   * The meaning of the figure. `limit`: beyond it a vault answers 429. `measured`: by Microsoft, on one partition with one key; an HSM
   * grows slow instead.
   */
  readonly basis: "limit" | "measured";
  /** The share of one vault or HSM that the load takes. Above 1 it is too much. */
  readonly utilisation: number;
  /** The number of vaults or HSMs that hold the load, filled to three quarters. */
  readonly needed: number;
  /** The number of subscriptions that those need in one region: each allows five vaults' worth. */
  readonly subscriptionsNeeded: number;
}

/**
 * Computes whether a vault or Managed HSM holds a load, by the service's documentation as of 2026. Other operations on the same vault count
 * too: all requests in any 10 seconds make one weighted sum.
 *
 * @throws `invalid-argument` for a kind of key that the service lacks or publishes no figures for, and for a negative load
 * @example
 * ```ts
 * import { azureCapacity } from "envelock/providers/azure";
 *
 * const { needed } = azureCapacity({ service: "vault", keyType: "RSA-HSM", bits: 3072, unwrapsPerSecond: 80 });
 * console.log(`${needed} vaults`);
 * ```
 */
export function azureCapacity(options: AzureCapacityOptions): AzureCapacity {
  refuseUnknown(options, CAPACITY_OPTIONS, "azureCapacity");
  const { service, keyType, bits, wrapsPerSecond = 0, unwrapsPerSecond = 0 } = options;
  if (!(wrapsPerSecond >= 0 && unwrapsPerSecond >= 0)) throw invalidArgument("a load is a number of at least 0");
  const [maxWrapsPerSecond, maxUnwrapsPerSecond] = service === "managed-hsm" ? hsmRates(keyType, bits) : vaultRates(keyType, bits);
  const utilisation = wrapsPerSecond / maxWrapsPerSecond + unwrapsPerSecond / maxUnwrapsPerSecond;
  const needed = Math.max(1, Math.ceil(utilisation / FULL_ENOUGH - ROUNDING));
  return {
    maxWrapsPerSecond,
    maxUnwrapsPerSecond,
    basis: service === "managed-hsm" ? "measured" : "limit",
    utilisation,
    needed,
    subscriptionsNeeded: Math.ceil(needed / 5),
  };
}

/** Wraps and unwraps weigh the same. */
function vaultRates(keyType: AzureCapacityOptions["keyType"], bits: number): readonly [number, number] {
  const inTenSeconds = VAULT_LIMITS[`${keyType} ${bits}`];
  if (inTenSeconds === undefined) throw unknownKey("vault", keyType, bits);
  return [inTenSeconds / 10, inTenSeconds / 10];
}

function hsmRates(keyType: AzureCapacityOptions["keyType"], bits: number): readonly [number, number] {
  const rates = HSM_RATES[`${keyType} ${bits}`];
  if (rates === undefined) throw unknownKey("Managed HSM", keyType, bits);
  return rates;
}

function unknownKey(service: string, keyType: string, bits: number): ReturnType<typeof invalidArgument> {
  return invalidArgument(`no figures are published for ${keyType} keys of ${bits} bits in a ${service}`);
}

const FULL_ENOUGH = 0.75;
const ROUNDING = 1e-9;
/** The transactions in any 10 seconds. */
const VAULT_LIMITS: Readonly<Record<string, number>> = {
  "RSA 2048": 4000,
  "RSA 3072": 1000,
  "RSA 4096": 500,
  "RSA-HSM 2048": 2000,
  "RSA-HSM 3072": 500,
  "RSA-HSM 4096": 250,
};
/** The wraps and unwraps a second. */
const HSM_RATES: Readonly<Record<string, readonly [number, number]>> = {
  "RSA-HSM 2048": [2200, 1100],
  "RSA-HSM 3072": [1900, 360],
  "RSA-HSM 4096": [1900, 160],
  "oct-HSM 128": [2100, 1800],
  "oct-HSM 192": [2100, 1900],
  "oct-HSM 256": [2100, 2200],
};
const CAPACITY_OPTIONS: OptionNames<AzureCapacityOptions> = {
  service: true,
  keyType: true,
  bits: true,
  wrapsPerSecond: true,
  unwrapsPerSecond: true,
};
