import { describe, expect, test } from "vitest";
import { Tenants } from "../../src/tenants/tenants.ts";
import type { TenantsOptions } from "../../src/tenants/tenants-options.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { revoked, untyped } from "../support/untyped.ts";
import { vendor } from "./bench.ts";

const NO_OBJECT: readonly unknown[] = [null, 5, "text", Symbol("x"), 10n, revoked()];

describe("Tenants of a caller without types", () => {
  const { store } = vendor();

  test.each([
    ["store", [...NO_OBJECT, {}, []]],
    ["platform", [...NO_OBJECT, {}, [null], [{}]]],
    ["open", [...NO_OBJECT, {}, [null]]],
    ["addresses", [...NO_OBJECT, {}, [null]]],
    ["dataKeyStore", [...NO_OBJECT, {}]],
    ["cache", [...NO_OBJECT, { maxEntry: 5 }]],
    ["reuse", [...NO_OBJECT, { maxUse: 5 }]],
    ["resilience", [...NO_OBJECT, { deadline: 5 }]],
    ["telemetry", NO_OBJECT],
    ["clock", [...NO_OBJECT, {}]],
    ["cache", [{ maxAgeMs: Number.POSITIVE_INFINITY }]],
    ["reuse", [{ maxAgeMs: Number.POSITIVE_INFINITY }]],
    ["resilience", [{ attemptDeadlineMs: Number.POSITIVE_INFINITY }]],
    ["grantSpreadMs", [-1, Number.NaN, Number.POSITIVE_INFINITY]],
    ["refreshMs", [999, Number.POSITIVE_INFINITY, Number.NaN, Object.create(null), Symbol("x"), 10n, revoked()]],
    ["maxStaleMs", [0, Number.POSITIVE_INFINITY, Number.NaN, Object.create(null), Symbol("x"), revoked()]],
    ["maxResident", [0, Object.create(null), Symbol("x"), 10n, revoked()]],
  ])("refuse a bad %s", async (name, values) => {
    for (const value of values) {
      const options = untyped<TenantsOptions>({ store, [name]: value });
      expect(await refusalCode(() => new Tenants(options)), String(typeof value)).toBe("invalid-argument");
    }
  });

  test("refuse what is no signal, before the store is asked", async () => {
    const { tenants } = vendor();
    for (const signal of [null, 5, "", {}, revoked()]) {
      const options = untyped<{ readonly signal: AbortSignal }>({ signal });
      for (const call of [
        () => tenants.invite("acme", options),
        () => tenants.activate("acme", options),
        () => tenants.suspend("acme", options),
        () => tenants.verify("acme", options),
        () => tenants.shred("acme", options),
        () => tenants.move("acme", options),
      ]) {
        expect(await refusalCode(call)).toBe("invalid-argument");
      }
    }
    expect(await refusalCode(() => tenants.show("acme"))).toBe("key-not-found");
  });

  test("refuse settings that cannot be read, a force that is no boolean, and a scope that is none", async () => {
    const { tenants } = vendor();
    const identity = new Proxy(
      {},
      {
        ownKeys: () => {
          throw new TypeError("trap");
        },
      },
    );
    expect((await refusal(() => tenants.invite("acme", { identity }))).hint).toContain("plain objects");
    for (const none of [[], new Map([["autoRestore", true]]), Promise.resolve({ autoRestore: true })]) {
      expect(await refusalCode(() => tenants.setPolicy("acme", untyped(none)))).toBe("invalid-argument");
      expect(await refusalCode(() => tenants.invite("acme", { policy: untyped(none) }))).toBe("invalid-argument");
      expect(await refusalCode(() => tenants.invite("acme", { identity: untyped(none) }))).toBe("invalid-argument");
      expect(await refusalCode(() => tenants.suspend("acme", untyped(none)))).toBe("invalid-argument");
    }
    expect(await refusalCode(() => tenants.retire("acme", untyped({ force: "no" })))).toBe("invalid-argument");
    expect(await refusalCode(() => tenants.list(untyped({ after: Symbol("x") })).next())).toBe("invalid-argument");
    expect(await tenants.keyringOf(untyped(null))).toEqual({ skip: "no tenant" });
  });
});
