import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { changedRecord, type TenantChange } from "../../src/tenants/life-cycle/change.ts";
import { ruleFor, TENANT_LIFE_CYCLE, type TenantChangeName } from "../../src/tenants/life-cycle/table.ts";
import { encodeTenantRecord, parseTenantRecord, TENANT_STATES } from "../../src/tenants/record/document.ts";
import { DEFAULT_POLICY } from "../../src/tenants/record/policy.ts";
import type { TenantRecord } from "../../src/tenants/record/tenant-record.ts";
import { runs } from "../support/arbitraries.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { INVITE, NOON_MS, recordAfter, STAGE, verifyOf } from "./records.ts";

const CHANGES: readonly TenantChangeName[] = [...new Set(TENANT_LIFE_CYCLE.map(({ change }) => change))];
const HEALTH = { atMs: NOON_MS, outcome: "timeout" } as const;

describe("a tenant's life", () => {
  test("from an invitation to its tombstone", () => {
    const active = recordAfter(STAGE, verifyOf, { change: "activate" });
    expect(active).toMatchObject({ state: "active", epoch: 1, generation: 1, revision: 4, staged: null });
    expect(active.keys).toMatchObject([{ number: 1, role: "wrap", key: "acme-2026" }]);
    const shredded = changedRecord(changedRecord(active, { change: "offboard" }, NOON_MS), { change: "shred" }, NOON_MS);
    expect(shredded).toMatchObject({ state: "shredded", keys: [], identity: {} });
  });

  test("without a key of its own it is under the platform's", () => {
    expect(recordAfter({ change: "activate" }).keys).toMatchObject([{ kind: "platform", role: "wrap" }]);
  });

  test("`shredded` is final, and an id that comes back has a new epoch", async () => {
    const shredded = recordAfter({ change: "offboard" }, { change: "shred" });
    for (const change of CHANGES.filter((name) => name !== "invite")) {
      expect(await refusalCode(() => changedRecord(shredded, changeOf(change, shredded), NOON_MS))).toBe("key-shredded");
    }
    expect(changedRecord(shredded, INVITE, NOON_MS)).toMatchObject({ epoch: 2, state: "invited", keys: [], revision: 4 });
    expect(await refusalCode(() => changedRecord(recordAfter(), INVITE, NOON_MS))).toBe("invalid-argument");
  });

  test("a key wraps only after a verification of this key in this generation that found nothing wrong", async () => {
    const activate: TenantChange = { change: "activate" };
    expect(await refusal(() => recordAfter(STAGE, activate))).toMatchObject({ hint: expect.stringContaining("verify") });
    expect(await refusalCode(() => recordAfter(STAGE, (record) => verifyOf(record, "failed"), activate))).toBe("invalid-argument");
    const verified = recordAfter(STAGE, verifyOf);
    expect(await refusalCode(() => changedRecord({ ...verified, generation: 1 }, activate, NOON_MS))).toBe("invalid-argument");
    const restaged = changedRecord(verified, STAGE, NOON_MS);
    expect(await refusalCode(() => changedRecord(restaged, activate, NOON_MS))).toBe("invalid-argument");
  });
});

describe("a move", () => {
  const other: TenantChange = { ...STAGE, key: { ...STAGE.key, key: "acme-2027" } };
  const dual = recordAfter(STAGE, verifyOf, { change: "activate" }, other, verifyOf, { change: "begin-move" });
  const step = (record: TenantRecord, ...names: readonly TenantChangeName[]): TenantRecord =>
    names.reduce((standing, name) => changedRecord(standing, changeOf(name, standing), NOON_MS), record);
  const roles = ({ keys }: TenantRecord): readonly string[] => keys.map(({ number, role }) => `${number} ${role}`);

  test("goes through dual, announced, rewrapped, proved, retired", () => {
    expect(roles(dual)).toEqual(["1 wrap", "2 wrap"]);
    const retired = step(dual, "announce", "rewrapped", "proved", "retire");
    expect(roles(retired)).toEqual(["1 unwrap", "2 wrap"]);
    expect(retired).toMatchObject({ generation: 3, move: { step: "retired", from: [1], to: 2 } });
    expect(step(retired, "forget")).toMatchObject({ move: null, generation: 4, keys: [{ number: 2 }] });
  });

  test("can be cancelled until `retire`, and what the new key wrapped still opens", async () => {
    for (const names of [[], ["announce"], ["announce", "rewrapped"], ["announce", "rewrapped", "proved"]] as const) {
      expect(roles(step(dual, ...names, "cancel-move"))).toEqual(["1 wrap", "2 unwrap"]);
    }
    expect(await refusalCode(() => step(dual, "announce", "rewrapped", "proved", "retire", "cancel-move"))).toBe("invalid-argument");
  });

  test("does not retire the old key before the pass that proves it, unless it is forced", async () => {
    const rewrapped = step(dual, "announce", "rewrapped");
    expect(await refusal(() => step(rewrapped, "retire"))).toMatchObject({ hint: expect.stringContaining("force") });
    expect(changedRecord(rewrapped, { change: "retire", force: true }, NOON_MS).move?.step).toBe("retired");
    expect(await refusalCode(() => step(dual, "announce", "proved"))).toBe("invalid-argument");
  });

  test("stands still while the tenant is suspended, and goes on afterwards", () => {
    const suspended = step(dual, "announce", "suspend");
    expect(suspended.move?.step).toBe("announced");
    expect(step(suspended, "restore", "rewrapped").move?.step).toBe("rewrapped");
  });
});

test("random sequences reach no illegal state; revision, generation and epoch never go back", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...CHANGES), fc.boolean()), { maxLength: 60 }), (steps) => {
      let record: TenantRecord | undefined;
      for (const [name, isSound] of steps) {
        const before = record;
        try {
          record = changedRecord(record, changeOf(name, record, isSound), NOON_MS);
        } catch (error) {
          expect(EnvelockError.is(error)).toBe(true);
          continue;
        }
        const rule = ruleFor(name, before?.state ?? "none");
        expect(rule).toBeDefined();
        expect(record.state).toBe(rule?.to === "same" ? before?.state : rule?.to);
        expect(record.revision).toBe((before?.revision ?? 0) + 1);
        expect(record.generation - (before?.generation ?? 0)).toBe(rule?.isGeneration === true ? 1 : 0);
        expect(record.epoch - (before?.epoch ?? 0)).toBe(name === "invite" ? 1 : 0);
        expect(parseTenantRecord(encodeTenantRecord(record))).toEqual(record);
        if (["active", "degraded"].includes(record.state)) expect(record.keys.some(({ role }) => role === "wrap")).toBe(true);
        if (record.state === "shredded") expect(record.keys).toEqual([]);
      }
    }),
    runs(500, 50),
  );
});

test("the table speaks of every state, and every change can be reached", () => {
  const reached = new Set(TENANT_LIFE_CYCLE.map(({ to }) => to));
  expect(TENANT_STATES.filter((state) => !reached.has(state))).toEqual([]);
  expect(TENANT_LIFE_CYCLE.filter(({ meaning, event }) => meaning === "" || !event.startsWith("tenant."))).toEqual([]);
});

/** A change of this name that fits the record, as far as any does. */
function changeOf(name: TenantChangeName, record?: TenantRecord, isSound = true): TenantChange {
  switch (name) {
    case "invite":
      return INVITE;
    case "stage":
      return isSound ? STAGE : { ...STAGE, key: { ...STAGE.key, kind: "platform", key: "platform" } };
    case "verify":
      return record === undefined ? verifyOf(recordAfter()) : verifyOf(record, isSound ? "ok" : "failed");
    case "set-policy":
      return { change: name, policy: { ...DEFAULT_POLICY, cacheMaxAgeMs: 1000, autoRestore: isSound } };
    case "degrade":
    case "recover":
    case "restore":
      return { change: name, health: HEALTH };
    case "revoke":
      return { change: name, health: isSound ? HEALTH : undefined };
    case "retire":
      return { change: name, force: !isSound };
    default:
      return { change: name };
  }
}
