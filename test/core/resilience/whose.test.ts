import { describe, expect, test } from "vitest";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import type { TenantLabel } from "../../../src/core/base/tenant-label.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { noise } from "../../support/arbitraries.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { kek } from "../../support/keks.ts";
import { refusal } from "../../support/refusal.ts";

const ACME: TenantLabel = { id: "acme", generation: 3 };

describe("a failed call", () => {
  test("names the tenant of its keyring, and the service for what the service did", async () => {
    const shared = new EnvelockError("unavailable", "down");
    for (const id of ["acme", "globex"]) {
      const error = await refusal(() => failing(shared, { id }).encrypt(noise(1)));
      expect([error.code, error.tenant, error.whose]).toEqual(["unavailable", id, "service"]);
    }
    expect(shared.tenant).toBeUndefined();
  });

  test("keeps the party that its provider names, also with several providers", async () => {
    const denied = new EnvelockError("access-denied", "no", { whose: "tenant" });
    const error = await refusal(() => failing(denied, ACME).encrypt(noise(1)));
    expect([error.code, error.whose, error.tenant]).toEqual(["access-denied", "tenant", "acme"]);
    const both = new Keyring({ wrapWith: [throwing(denied), throwing(denied, "k2")], tenant: ACME, retry: false });
    const several = await refusal(() => both.encrypt(noise(1)));
    expect([several.code, several.whose, several.tenant]).toEqual(["access-denied", "tenant", "acme"]);
    expect(several.cause).toBeInstanceOf(AggregateError);
  });

  test("of a key that nobody may judge names no party", async () => {
    const error = await refusal(() => failing(new EnvelockError("key-disabled", "off"), ACME).encrypt(noise(1)));
    expect([error.tenant, error.whose]).toEqual(["acme", undefined]);
  });

  test("is the service's after a timeout, and the vendor's if no place was free", async () => {
    const clock = fakeClock();
    const hanging: KeyProvider = { ...kek(), wrap: () => new Promise(() => undefined) };
    const options = { clock, retry: false, maxConcurrent: 1, deadlineMs: 5000, attemptDeadlineMs: 8000, tenant: ACME } as const;
    const keyring = new Keyring({ wrapWith: [hanging], ...options });
    const errors = [keyring.encrypt(noise(1)), keyring.encrypt(noise(1))].map((call) => refusal(() => call));
    const parties = (await clock.finish(Promise.all(errors))).map(({ code, whose, tenant }) => [code, whose, tenant]);
    expect(parties).toEqual([
      ["timeout", "service", "acme"],
      ["timeout", "vendor", "acme"],
    ]);
  });

  test("is the same error without a tenant", async () => {
    const error = new EnvelockError("unavailable", "down");
    expect(await refusal(() => failing(error).encrypt(noise(1)))).toBe(error);
  });
});

test.each<readonly [string, object]>([
  ["an empty id", { id: "" }],
  ["an id of 129 bytes", { id: "x".repeat(129) }],
  ["a lone surrogate", { id: "\ud800" }],
  ["a generation below 0", { id: "a", generation: -1 }],
  ["an age below 0", { id: "a", cacheMaxAgeMs: -1 }],
  ["an age that is no number", { id: "a", cacheMaxAgeMs: Number.NaN }],
  ["an unknown name", { id: "a", generations: 1 }],
])("a tenant label with %s is refused", async (_, tenant) => {
  const options: object = { wrapWith: [kek()], tenant };
  const { code, whose } = await refusal(() => Reflect.construct(Keyring, [options]));
  expect([code, whose]).toEqual(["invalid-argument", "caller"]);
});

function failing(error: EnvelockError, tenant?: TenantLabel): Keyring {
  return new Keyring({ wrapWith: [throwing(error)], retry: false, ...(tenant && { tenant }) });
}

function throwing(error: EnvelockError, keyId = "k1"): KeyProvider {
  return { ...kek(keyId), wrap: () => Promise.reject(error) };
}
