import { describe, expect, test } from "vitest";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import type { Tenants } from "../../src/tenants/tenants.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { vendor } from "./bench.ts";
import { pausing } from "./moving.ts";

// What a caller has asked for before a change and holds on to, and ids that mean something elsewhere.

const CHANGES = ["suspend", "revoke", "offboard", "shred"] as const;

describe("what was asked for before", () => {
  test.each(
    CHANGES.flatMap((change) => [[change, "here"] as const, [change, "elsewhere"] as const]),
  )("a %s that was made %s closes: keyring, keyring of jobs, data keys and ciphers, without a call of any key", async (change, where) => {
    const { tenants, another, onboard, service, clock } = vendor();
    const name = await onboard("acme");
    const held = await heldOf(where === "here" ? tenants : another());
    expect(await heldRefusals(held)).toEqual({});
    if (change === "shred") await tenants.offboard("acme");
    await tenants[change]("acme");
    if (where === "elsewhere") await clock.advance(30_000);
    const calls = service.calls(name);
    const refusals = await heldRefusals(held);
    const reads = ["decrypt", "decrypt of a token"];
    const writes = ["encrypt", "rewrap by a job", "encrypt of a token", "a new scope"];
    expect(Object.keys(refusals)).toEqual(expect.arrayContaining(change === "offboard" ? writes : [...reads, ...writes]));
    if (change === "offboard") for (const read of reads) expect(refusals[read]).toBe(undefined);
    for (const { code, tenant } of Object.values(refusals)) {
      expect(["access-denied", "key-shredded", "closed"]).toContain(code);
      expect(tenant ?? "acme").toBe("acme");
    }
    if (change !== "offboard") expect(service.calls(name)).toBe(calls); // a read may call it
  });
});

type Held = Readonly<Record<string, () => unknown>>;

async function heldOf(tenants: Tenants): Promise<Held> {
  const keyring = await tenants.keyring("acme");
  const dataKeys = await tenants.dataKeys("acme");
  const ofJobs = await tenants.keyringOf({ tenant: "acme" });
  if (!(ofJobs instanceof Keyring)) throw new Error("an active tenant is not skipped");
  const cipher = await dataKeys.field({ table: "users", column: "email" });
  const [envelope, token] = [await keyring.encryptText("x"), cipher.encrypt("x")];
  await keyring.decryptText(envelope); // it is in the cache
  let scopes = 0;
  return {
    encrypt: () => keyring.encryptText("y"),
    decrypt: () => keyring.decryptText(envelope),
    "rewrap by a job": () => ofJobs.rewrap(envelope),
    "encrypt of a token": () => cipher.encrypt("y"),
    "decrypt of a token": () => cipher.decrypt(token),
    "a new scope": async () => await dataKeys.field({ table: "users", column: "email", scope: { project: `${scopes++}` } }),
  };
}

async function heldRefusals(held: Held): Promise<Readonly<Record<string, EnvelockError>>> {
  const refused: Record<string, EnvelockError> = {};
  for (const [what, work] of Object.entries(held)) {
    try {
      await work();
    } catch (error) {
      if (!EnvelockError.is(error)) throw error;
      refused[what] = error;
    }
  }
  return refused;
}

describe("the id of a tenant", () => {
  test.each([
    "__proto__",
    "constructor",
    "toString",
    "used:acme",
    "1:acme",
    "%2e%2e",
    "../acme",
    "'; drop table tenants; --".replaceAll(" ", "+"),
  ])("%s is an id like any other", async (id) => {
    const { tenants, events } = vendor();
    await tenants.invite(id);
    await tenants.activate(id);
    const keyring = await tenants.keyring(id);
    expect(await keyring.decryptText(await keyring.encryptText("x"))).toBe("x");
    const field = await (await tenants.dataKeys(id)).field({ table: "users", column: "email" });
    expect(field.decrypt(field.encrypt("x"))).toBe("x");
    expect((await tenants.healthOf(id, { countRecords: true })).records?.keyVersions).toMatchObject([{ records: 1 }]);
    await tenants.offboard(id);
    expect(await tenants.shred(id)).toMatchObject({ shredded: 1, record: { id, state: "shredded" } });
    expect(events.filter(({ type }) => type === "tenant.shredded")).toMatchObject([{ tenant: id }]);
  });

  test("is compared to the letter: no other case, width or composition is the same tenant", async () => {
    const { tenants } = vendor();
    for (const id of ["acme", "ACME"]) {
      await tenants.invite(id);
      await tenants.activate(id);
    }
    const envelope = await (await tenants.keyring("acme")).encryptText("x");
    expect(await refusalCode(async () => await (await tenants.keyring("ACME")).decryptText(envelope))).toBe("authentication-failed");
    for (const id of ["ａcme", "ácme", "a\u0301cme", "acme\u0000", "acme ", "\u200bacme", "acmé", "acme\n", "x".repeat(129)]) {
      for (const call of [() => tenants.invite(id), () => tenants.keyring(id), () => tenants.suspend(id), () => tenants.healthOf(id)])
        expect(await refusalCode(call)).toBe("invalid-argument");
      expect(await tenants.keyringOf({ tenant: id })).toEqual({ skip: "no tenant" });
    }
  });
});

test("of two processes that onboard one key at the same time one tenant may use it, whichever write comes first", async () => {
  for (let at = 1; at <= 2; at++) {
    const { store, dataKeyStore, arm } = pausing();
    const { tenants, another, service, clock } = vendor({ store, dataKeyStore });
    service.addKey("vaults/group/keys/one");
    const key = { kind: "fake", key: "vaults/group/keys/one" };
    for (const id of ["a", "b"]) await tenants.invite(id);
    const elsewhere = another();
    arm(at, async () => void (await elsewhere.stage("b", key).catch(() => undefined)));
    await tenants.stage("a", key).catch(() => undefined);
    arm(Number.POSITIVE_INFINITY, async () => undefined);
    const active: string[] = [];
    for (const id of ["a", "b"]) {
      await clock.advance(10_000);
      const activated = async (): Promise<void> => {
        await elsewhere.verify(id);
        await elsewhere.activate(id);
        await (await elsewhere.keyring(id)).encryptText("x");
        active.push(id);
      };
      await activated().catch(() => undefined);
    }
    expect(active.length).toBe(1);
  }
});

test("a shred while a restore asks the key ends in the tombstone, and the restore is refused", async () => {
  const { tenants, another, onboard, store } = vendor();
  await onboard("acme");
  const ops = another();
  const get = store.get.bind(store);
  let meanwhile: (() => Promise<unknown>) | undefined = async () => {
    await ops.offboard("acme");
    await ops.shred("acme");
  };
  const slow = another({
    store: {
      ...store,
      async get(place, options) {
        const run = place.kind === "canary" ? meanwhile : undefined;
        if (run !== undefined) meanwhile = undefined;
        await run?.();
        return await get(place, options);
      },
    },
  });
  await tenants.suspend("acme");
  expect(["invalid-argument", "key-shredded", "access-denied"]).toContain(await refusalCode(() => slow.restore("acme")));
  expect((await ops.show("acme")).state).toBe("shredded");
  expect(await refusal(() => slow.keyring("acme"))).toMatchObject({ code: "key-shredded" });
});
