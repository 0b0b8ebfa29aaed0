import { describe, expect, test } from "vitest";
import { EnvelockError } from "../../src/core/base/errors.ts";
import type { Gate, GateRequest } from "../../src/core/keyring/gate.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { DataKeys } from "../../src/fields/data-keys.ts";
import { refusal } from "../support/refusal.ts";
import { EMAIL, world } from "./set-up.ts";

describe("the ciphers of a keyring whose gate has closed", () => {
  const SUSPENDED = new EnvelockError("access-denied", "suspended", { detail: "tenant-suspended" });

  test("refuse every synchronous use of the keys that they hold, with the gate's own error", async () => {
    const { email, token, gate, kms } = await opened();
    const calls = kms.calls.length;
    gate.error = SUSPENDED;
    const record = email.record(["first", "second"]);
    const uses = [
      () => email.encrypt("y"),
      () => email.encryptBytes("y"),
      () => email.encryptAll([["y"]]),
      () => email.decrypt(token),
      () => email.decryptAll([[token]]),
      () => email.reencrypt(token),
      () => email.blindIndex("x"),
      () => email.blindIndexAll("x"),
      () => email.isSameToIndex("x", "y"),
      () => record.encrypt({ first: "a", second: "b" }),
      () => email.decryptAsync(token),
      () => email.decryptAllAsync([[token]]),
    ];
    for (const use of uses) expect(await refusal(use)).toMatchObject({ code: "access-denied", detail: "tenant-suspended" });
    expect(await refusal(() => email.decrypt(token))).toBe(SUSPENDED);
    expect(kms.calls).toHaveLength(calls);
    gate.error = undefined;
    expect(email.decrypt(token)).toBe("x");
  });

  test("may still read where only writing is refused, and say which use it is", async () => {
    const { email, token, gate } = await opened();
    gate.asked.length = 0;
    gate.refuses = ({ operation }) => operation === "encrypt-field";
    gate.error = SUSPENDED;
    expect(email.decrypt(token)).toBe("x");
    expect(await refusal(() => email.encrypt("y"))).toBe(SUSPENDED);
    email.blindIndex("x");
    expect(JSON.parse(JSON.stringify(gate.asked))).toEqual([
      { operation: "decrypt-field", keyContext: { tenant: "acme" }, isSync: true },
      { operation: "encrypt-field", keyContext: { tenant: "acme" }, isSync: true },
      { operation: "index-field", keyContext: { tenant: "acme", "envelock:purpose": "blind-indexes" }, isSync: true },
    ]);
  });

  test("unwrap nothing again, also at the age of their keys", async () => {
    const { email, token, gate, kms, clock } = await opened();
    const calls = kms.calls.length;
    gate.error = SUSPENDED;
    await clock.advance(3 * 3_600_000);
    expect(kms.calls).toHaveLength(calls);
    expect(await refusal(() => email.decrypt(token))).toBe(SUSPENDED);
    gate.error = undefined;
    await clock.advance(60_000);
    expect(email.decrypt(token)).toBe("x");
  });

  test("refuse a gate that answers a synchronous call with a promise, admitting or not", async () => {
    for (const answer of [() => Promise.resolve(), () => Promise.reject(new Error("late"))]) {
      const { open } = world();
      let isOpen = true;
      const gate: Gate = () => (isOpen ? undefined : answer());
      const email = await open({}, { gate }).field(EMAIL);
      isOpen = false;
      const { code, hint } = await refusal(() => email.encrypt("x"));
      expect([code, hint]).toEqual(["invalid-argument", expect.stringContaining("isSync")]);
    }
  });
});

test("forget of one tenant leaves the ciphers of another", async () => {
  const { store, clock, kms } = world();
  const keyring = new Keyring({ wrapWith: [kms], clock, tenant: { id: "acme" } });
  const email = await new DataKeys({ keyring, store, clock }).field(EMAIL);
  const token = email.encrypt("x");
  expect(keyring.forget({ tenant: "globex" })).toBe(0);
  expect(email.decrypt(token)).toBe("x");
  expect(keyring.forget({ tenant: "acme" })).toBe(1);
  expect((await refusal(() => email.decrypt(token))).code).toBe("unavailable");
});

async function opened() {
  const { open, kms, clock } = world();
  const gate: {
    error: unknown;
    refuses: (request: GateRequest) => boolean;
    readonly asked: GateRequest[];
  } = { error: undefined, refuses: () => true, asked: [] };
  const decide: Gate = (request) => {
    gate.asked.push(request);
    if (gate.error !== undefined && gate.refuses(request)) throw gate.error;
  };
  const dataKeys = open({}, { gate: decide, context: { tenant: "acme" } });
  const email = await dataKeys.field({ ...EMAIL, blindIndex: {} });
  return { email, token: email.encrypt("x"), gate, kms, clock };
}
