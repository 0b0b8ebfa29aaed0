import { describe, expect, test } from "vitest";
import { EnvelockError, type ErrorCode } from "../../src/core/base/errors.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { DataKeys } from "../../src/fields/data-keys.ts";
import { watched } from "../support/keks.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { EMAIL, type World, world } from "./set-up.ts";

const HOUR = 3_600_000;

describe("a KEK that may not be used any more", () => {
  test.each<ErrorCode>(["key-disabled", "access-denied", "key-not-found"])("%s: data keys end with their age, and say so", async (code) => {
    const { open, clock, answer } = revocable();
    const failures: unknown[] = [];
    const dataKeys = open({ onFailure: (error) => failures.push(error) });
    const email = await dataKeys.field({ ...EMAIL, blindIndex: {} });
    const token = email.encrypt("x");
    answer.code = code;
    await clock.advance(HOUR - 60_000);
    expect(email.decrypt(token)).toBe("x");
    await clock.advance(120_000);
    const again = await dataKeys.field({ ...EMAIL, blindIndex: {} }).catch(() => email);
    for (const cipher of [email, again]) {
      for (const work of [
        () => cipher.decrypt(token),
        () => cipher.encrypt("y"),
        () => cipher.decryptAsync(token),
        () => cipher.blindIndex("x"),
      ]) {
        expect(await refusalCode(work)).toBe(code);
      }
    }
    expect(failures).toContainEqual(expect.objectContaining({ code }));
    answer.code = undefined;
    await clock.advance(60_000);
    expect([email.decrypt(token), email.decrypt(email.encrypt("y"))]).toEqual(["x", "y"]);
  });

  test("ends every version of the scope as soon as one of them is refused", async () => {
    const { open, clock, answer, kms } = revocable();
    const tokens: string[] = [];
    const writer = open();
    const written = await writer.field(EMAIL);
    for (let version = 1; version <= 3; version++) {
      tokens.push(written.encrypt("x"));
      await writer.rotate(undefined, { immediately: true });
    }
    const email = await open({ maxVersions: 2 }).field(EMAIL);
    const [oldest = "", , newest = ""] = tokens;
    expect(email.decrypt(newest)).toBe("x");
    answer.code = "key-disabled";
    expect(await refusalCode(() => email.decryptAsync(oldest))).toBe("key-disabled");
    await clock.advance(1);
    expect(await refusalCode(() => email.decrypt(newest))).toBe("key-disabled");
    const calls = kms.calls.length;
    await clock.advance(1000);
    expect(kms.calls.length).toBe(calls); // it is not asked again and again
  });

  test("that does not answer ends nothing before maxStaleMs more have passed", async () => {
    const { open, clock, answer } = revocable();
    const failures: unknown[] = [];
    const email = await open({ maxKeyAgeMs: 600_000, maxStaleMs: 300_000, onFailure: (error) => failures.push(error) }).field(EMAIL);
    const token = email.encrypt("x");
    answer.code = "unavailable";
    await clock.advance(880_000);
    expect(email.decrypt(token)).toBe("x");
    expect(failures).toContainEqual(expect.objectContaining({ code: "unavailable" }));
    await clock.advance(200_000);
    expect(await refusal(() => email.decrypt(token))).toMatchObject({ code: "unavailable", retryable: true });
    answer.code = undefined;
    await clock.advance(200_000);
    expect(email.decrypt(token)).toBe("x");
  });

  test("is asked once an hour for each data key, and maxKeyAgeMs says how often", async () => {
    const { open, clock, kms } = revocable();
    await open({ maxKeyAgeMs: 100_000 }).field(EMAIL);
    kms.calls.length = 0;
    await clock.advance(1_000_000);
    expect(kms.calls.length).toBeGreaterThan(6);
    expect(kms.calls.length).toBeLessThan(11);
    const other = revocable();
    await other.open().field(EMAIL);
    other.kms.calls.length = 0;
    await other.clock.advance(HOUR + 60_000);
    expect(other.kms.calls).toEqual(["unwrap"]);
    expect(await refusalCode(() => open({ maxKeyAgeMs: 0 }))).toBe("invalid-argument");
  });
});

describe("keyring.forget", () => {
  test("wipes the keys of every scope, also where the store shows a record that is none", async () => {
    const { kms, clock, store } = world();
    const keyring = new Keyring({ wrapWith: [kms], clock });
    const dataKeys = new DataKeys({ keyring, store, clock });
    for (const tenant of ["a", "b", "c"]) await dataKeys.field({ ...EMAIL, scope: { tenant } });
    for (const row of await store.scan({ limit: 2 }))
      await store.compareAndSwap({ ...row, record: Uint8Array.of(0x9d, 0), revision: 2 }, 1);
    await clock.advance(60_000); // every scope reads its rows again, and still holds its key
    expect(keyring.forget({ keyId: "k1" })).toBe(3);
  });

  test("wipes the data keys of scopes too: they are unwrapped again once they are used, and not before", async () => {
    const { open, clock, kms, keyring, answer } = revocable();
    const dataKeys = open({ keyring });
    const [email, acme] = [await dataKeys.field(EMAIL), await dataKeys.field({ ...EMAIL, scope: { tenant: "acme" } })];
    const [token, other] = [email.encrypt("x"), acme.encrypt("y")];
    expect(keyring.forget({ context: { tenant: "acme" } })).toBe(1);
    kms.calls.length = 0;
    await clock.advance(600_000);
    expect([email.decrypt(token), kms.calls]).toEqual(["x", []]);
    expect(await refusal(() => acme.decrypt(other))).toMatchObject({ code: "unavailable", retryable: true });
    await clock.advance(0);
    expect([acme.decrypt(other), kms.calls]).toEqual(["y", ["unwrap"]]);

    expect(keyring.forget()).toBe(2);
    expect(await acme.decryptAsync(other)).toBe("y");
    expect((await dataKeys.field(EMAIL)).decrypt(token)).toBe("x");

    answer.code = "key-disabled";
    expect(keyring.forget({ provider: "local", keyId: "another" })).toBe(0);
    expect(email.decrypt(token)).toBe("x");
    expect(keyring.forget({ provider: "local", keyId: "k1" })).toBe(2);
    expect(await refusalCode(() => email.decryptAsync(token))).toBe("key-disabled");
    await refusalCode(() => acme.encrypt("z"));
    await clock.advance(0);
    expect(await refusalCode(() => acme.encrypt("z"))).toBe("key-disabled");
  });

  test("does not keep what an unwrap that is under way gives", async () => {
    const { open, clock, keyring, kms, gate } = revocable();
    const dataKeys = open({ keyring, maxKeyAgeMs: 60_000 });
    const email = await dataKeys.field(EMAIL);
    const token = email.encrypt("x");
    let go = (): void => undefined;
    gate.wait = new Promise((resolve) => {
      go = resolve;
    });
    await clock.advance(120_000);
    keyring.forget();
    gate.wait = undefined;
    go();
    await clock.advance(0);
    kms.calls.length = 0;
    expect(await refusalCode(() => email.decrypt(token))).toBe("unavailable");
    await clock.advance(0);
    expect([email.decrypt(token), kms.calls]).toEqual(["x", ["unwrap"]]);
  });
});

test("a keyring that is closed ends its data keys, and those of nobody else", async () => {
  const { open, keyring } = revocable();
  const dataKeys = open({ keyring });
  const email = await dataKeys.field(EMAIL);
  const other = await open().field(EMAIL);
  const token = email.encrypt("x");
  await keyring.close();
  for (const work of [() => email.decrypt(token), () => email.encrypt("x"), () => email.decryptAsync(token), () => dataKeys.field(EMAIL)]) {
    expect(await refusalCode(work)).toBe("closed");
  }
  expect(other.decrypt(token)).toBe("x");
});

test.each([
  [
    "throws",
    () => {
      throw new Error("the logger is broken too");
    },
  ],
  ["rejects", () => Promise.reject(new Error("the logger is broken too"))],
])("onFailure that %s ends nothing", async (_how, onFailure) => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => {
    unhandled.push(reason);
  };
  process.on("unhandledRejection", note);
  const { open, clock, store } = world();
  const isDown = { value: false };
  const list: typeof store.list = (scope) => (isDown.value ? Promise.reject(new Error("down")) : store.list(scope));
  const email = await open({ store: { ...store, list }, onFailure }).field(EMAIL);
  isDown.value = true;
  await clock.advance(120_000);
  expect(email.decrypt(email.encrypt("x"))).toBe("x");
  await new Promise((resolve) => setTimeout(resolve, 0));
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});

interface Revocable extends World {
  readonly keyring: Keyring;
  /** What the key service says to each unwrap from now on. */
  readonly answer: { code: ErrorCode | undefined };
  readonly gate: { wait: Promise<void> | undefined };
}

function revocable(): Revocable {
  const base = world();
  const answer: Revocable["answer"] = { code: undefined };
  const gate: Revocable["gate"] = { wait: undefined };
  const kms = watched(base.kms, {
    async unwrap(...call) {
      await gate.wait;
      if (answer.code !== undefined) throw new EnvelockError(answer.code, "the key service says so");
      return await base.kms.unwrap(...call);
    },
  });
  const keyringOf = (): Keyring => new Keyring({ wrapWith: [kms], clock: base.clock, retry: false });
  return { ...base, kms, answer, gate, keyring: keyringOf(), open: (options = {}) => base.open({ keyring: keyringOf(), ...options }) };
}
