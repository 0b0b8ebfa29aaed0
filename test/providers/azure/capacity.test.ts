import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AzureCapacityOptions, azureCapacity } from "../../../providers/azure/index.ts";
import { TransactionLimits } from "../../../src/testing/azure-emulator/transaction-limits.ts";
import { refusalCode } from "../../support/refusal.ts";

describe("the capacity of a vault", () => {
  test.each<readonly ["RSA" | "RSA-HSM", number]>([
    ["RSA", 2048],
    ["RSA", 3072],
    ["RSA", 4096],
    ["RSA-HSM", 2048],
    ["RSA-HSM", 3072],
    ["RSA-HSM", 4096],
  ])("with %s %d is what the emulator lets through in 10 seconds", (keyType, bits) => {
    const limits = new TransactionLimits(() => 0);
    let passed = 0;
    while (limits.take({ type: keyType, bits, curve: "P-256" })) passed++;
    const { maxUnwrapsPerSecond, maxWrapsPerSecond, basis } = azureCapacity({ service: "vault", keyType, bits });
    expect([maxWrapsPerSecond, maxUnwrapsPerSecond, basis]).toEqual([passed / 10, passed / 10, "limit"]);
  });

  test("says how many vaults and subscriptions a load needs", () => {
    const load = (unwrapsPerSecond: number): readonly number[] => {
      const { utilisation, needed, subscriptionsNeeded } = azureCapacity({ ...HSM_4096, unwrapsPerSecond });
      return [utilisation, needed, subscriptionsNeeded];
    };
    expect(load(0)).toEqual([0, 1, 1]);
    expect(load(18.75)).toEqual([0.75, 1, 1]);
    expect(load(20)).toEqual([0.8, 2, 1]);
    expect(load(100)).toEqual([4, 6, 2]);
  });

  test("never says less for more (property)", () => {
    const load = fc.record({ wrapsPerSecond: fc.nat(10_000), unwrapsPerSecond: fc.nat(10_000) });
    fc.assert(
      fc.property(load, fc.nat(1000), (some, more) => {
        const before = azureCapacity({ ...HSM_4096, ...some });
        const after = azureCapacity({ ...HSM_4096, ...some, unwrapsPerSecond: some.unwrapsPerSecond + more });
        expect(after.needed).toBeGreaterThanOrEqual(before.needed);
        expect(before.needed * 0.75 + 1e-6).toBeGreaterThanOrEqual(before.utilisation);
      }),
    );
  });
});

test("a Managed HSM wraps and unwraps at different speeds, and they add up", () => {
  const capacity = azureCapacity({ service: "managed-hsm", keyType: "RSA-HSM", bits: 3072, wrapsPerSecond: 190, unwrapsPerSecond: 180 });
  expect(capacity).toMatchObject({ maxWrapsPerSecond: 1900, maxUnwrapsPerSecond: 360, basis: "measured", needed: 1 });
  expect(capacity.utilisation).toBeCloseTo(0.6);
});

test.each<Partial<AzureCapacityOptions>>([
  { keyType: "oct-HSM", bits: 256 },
  { bits: 1024 },
  { service: "managed-hsm", keyType: "RSA" },
  { unwrapsPerSecond: -1 },
  { wrapsPerSecond: Number.NaN },
])("nothing is said of %j", async (options) => {
  expect(await refusalCode(() => azureCapacity({ ...HSM_4096, ...options }))).toBe("invalid-argument");
});

const HSM_4096 = { service: "vault", keyType: "RSA-HSM", bits: 4096 } as const;
