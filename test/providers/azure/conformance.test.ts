import { afterAll, describe, test } from "vitest";
import { type AzureKeyOptions, azureKey } from "../../../providers/azure/index.ts";
import { type ConformanceHarness, conformance } from "../../../providers/conformance/index.ts";
import type { ErrorCode } from "../../../src/core/base/errors.ts";
import { Answer, AzureEmulator, forbidden, type KeySpec, keyNotFound } from "../../../src/testing/azure-emulator/index.ts";
import { withEmptyEnvironment } from "../empty-environment.ts";

const vault = await AzureEmulator.start();
const managedHsm = await AzureEmulator.start({ flavour: "managed-hsm" });
afterAll(() => Promise.all([vault, managedHsm].map((emulator) => emulator[Symbol.asyncDispose]())));

await check(vault, { type: "RSA", bits: 2048 });
await check(vault, { type: "RSA", bits: 2048 }, { wrap: "local" });
await check(vault, { type: "RSA", bits: 3072 });
await check(vault, { type: "RSA", bits: 4096 });
await check(vault, { type: "RSA-HSM", bits: 2048 }, { unwrapRsaOaepSha1: true });
await check(managedHsm, { type: "oct-HSM", bits: 128 }, { aesKeyBits: 128 });
await check(managedHsm, { type: "oct-HSM", bits: 192 }, { aesKeyBits: 192 });
await check(managedHsm, { type: "oct-HSM", bits: 256 });

async function check(emulator: AzureEmulator, spec: KeySpec, options: Partial<AzureKeyOptions> = {}): Promise<void> {
  const harness = await harnessOf(emulator, spec, options);
  describe(`${spec.type} ${spec.bits} ${JSON.stringify(options)}`, () => {
    for (const { name, run } of conformance(harness)) test(name, run);
  });
}

async function harnessOf(emulator: AzureEmulator, spec: KeySpec, options: Partial<AzureKeyOptions>): Promise<ConformanceHarness> {
  const name = `orders-${spec.type}-${spec.bits}-${Object.keys(options).join("-")}`.toLowerCase();
  await emulator.createKey(name, spec);
  await emulator.createKey(`${name}-2`, spec);
  const open = (key: string) => azureKey({ ...emulator.connection, keyUrl: emulator.keyUrl(key), minVersionAgeMs: 0, ...options });
  return {
    bindsContext: false,
    alsoUnwraps: options.unwrapRsaOaepSha1 ? [8] : [],
    flips: spec.type === "oct-HSM" ? "each-bit" : "each-byte",
    secrets: [Buffer.from(emulator.token)],
    hostileKeyIds: [
      `${emulator.keyUrl(name)}/`,
      `${emulator.keyUrl(name)}/${"0".repeat(31)}`,
      `${emulator.keyUrl(name)}/${"A".repeat(32)}`,
      `${emulator.keyUrl(`${name}-3`)}/${"a".repeat(32)}`,
    ],
    open: () => open(name),
    openOther: () => open(`${name}-2`),
    rotate: async () => void (await emulator.rotate(name)),
    expire: (keyId) => emulator.change(name, keyId.slice(-32), { exp: 1_700_000_000 }),
    calls: () => emulator.requests.length,
    maxCalls: { wrap: options.wrap === "local" ? 0 : 1, unwrap: 1, current: 0 },
    failures: failures(emulator),
    hold: () => emulator.holdNext(),
    withEmptyEnvironment,
  };
}

function failures(emulator: AzureEmulator): Partial<Record<ErrorCode, () => void>> {
  return {
    "access-denied": () => emulator.failNext(forbidden("ForbiddenByRbac")),
    "key-disabled": () => emulator.failNext(forbidden("KeyDisabled")),
    "key-not-found": () => emulator.failNext(keyNotFound()),
    "rate-limited": () => emulator.failNext(new Answer(429, { code: "Throttled" })),
    unavailable: () => emulator.failNext("reset"),
    timeout: () => emulator.failNext(new Answer(408, { code: "RequestTimeout" })),
    "provider-failure": () => emulator.failNext("garbage"),
  };
}
