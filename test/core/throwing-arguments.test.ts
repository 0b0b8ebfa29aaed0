import { describe, expect, test } from "vitest";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { planBlindIndex } from "../../src/fields/blind-index-plan.ts";
import { DataKeys } from "../../src/fields/data-keys.ts";
import { reencryptTable } from "../../src/fields/jobs/reencrypt-table.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import { kek } from "../support/keks.ts";
import { refusal } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";

// Arguments that throw while they are read: getters, and proxies that were revoked. Whatever comes out of them is the cause of a refusal.

const ONE = new Uint8Array(1);
const OWN = new RangeError("the caller's own");
const keyring = new Keyring(kek());
const dataKeys = new DataKeys({ keyring, store: memoryStore() });

/** An object whose member throws. */
function throwing<T>(name: string): T {
  return untyped(
    Object.defineProperty({}, name, {
      enumerable: true,
      get: () => {
        throw OWN;
      },
    }),
  );
}

function revoked<T>(): T {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return untyped(proxy);
}

type Case = readonly [what: string, call: (given: never) => unknown, member: string];

const OPTIONS: readonly Case[] = [
  ["new Keyring", (given) => new Keyring(given), "wrapWith"],
  ["encrypt", (given) => keyring.encrypt(ONE, given), "context"],
  ["decrypt", (given) => keyring.decrypt(ONE, given), "signal"],
  ["rewrap", (given) => keyring.rewrap(ONE, given), "signal"],
  ["encryptText", (given) => keyring.encryptText("a", given), "context"],
  ["encryptJson", (given) => keyring.encryptJson(1, given), "context"],
  ["encryptStream", (given) => keyring.encryptStream(given), "context"],
  ["decryptStream", (given) => keyring.decryptStream(given), "lanes"],
  ["openSeekable", (given) => keyring.openSeekable({ size: 1, read: async () => ONE }, given), "context"],
  ["startUpload", (given) => keyring.startUpload(given), "plaintextBytes"],
  ["createDataKey", (given) => keyring.createDataKey(given), "keyContext"],
  ["new DataKeys", (given) => new DataKeys(given), "store"],
  ["field", (given) => dataKeys.field(given), "table"],
  ["rotate", (given) => dataKeys.rotate(undefined, given), "immediately"],
  ["rewrapAll", (given) => dataKeys.rewrapAll(given), "onProgress"],
  ["reencryptTable", (given) => reencryptTable(given), "cipher"],
  ["planBlindIndex", (given) => planBlindIndex(given), "rows"],
];

describe.each(OPTIONS)("the options of %s", (_what, call, member) => {
  test("with a getter that throws are refused", async () => {
    const error = await refusal(() => call(throwing(member)));
    expect([error.code, error.cause]).toEqual(["invalid-argument", OWN]);
    expect(error.message).toContain("could not be read");
    expect(error.hint).toContain("plain objects");
  });

  test("that are a revoked proxy are refused", async () => {
    const error = await refusal(() => call(revoked()));
    expect(error.code).toBe("invalid-argument");
    expect(error.cause).toBeInstanceOf(TypeError);
  });
});

const CONTEXTS: readonly Case[] = [
  ["a keyring", (context) => new Keyring({ wrapWith: [kek()], context }), "tenant"],
  ["encrypt", (context) => keyring.encrypt(ONE, { context }), "tenant"],
  ["encryptStream", (context) => keyring.encryptStream({ context }), "tenant"],
  ["createDataKey", (keyContext) => keyring.createDataKey({ keyContext }), "tenant"],
  ["a scope", (scope) => dataKeys.field({ table: "t", column: "c", scope }), "tenant"],
  ["list", (scope) => dataKeys.list(scope), "tenant"],
  ["shred", (scope) => dataKeys.shred(scope), "tenant"],
];

describe.each(CONTEXTS)("the context of %s", (_what, call, member) => {
  test("with a getter that throws is refused", async () => {
    const error = await refusal(() => call(throwing(member)));
    expect([error.code, error.cause]).toEqual(["invalid-argument", OWN]);
  });

  test("that is a revoked proxy is refused", async () => {
    expect((await refusal(() => call(revoked()))).code).toBe("invalid-argument");
  });
});

test("the row of a cipher that throws is refused, and the plaintext is wiped", async () => {
  const cipher = await dataKeys.field({ table: "users", column: "email" });
  for (const options of [throwing<{ row: string }>("row"), revoked<{ row: string }>()])
    expect((await refusal(() => cipher.encrypt("a", options))).code).toBe("invalid-argument");
});

test.each([
  ["a revoked proxy", revoked<Uint8Array>()],
  ["a proxy of bytes, which has none itself", new Proxy(new Uint8Array(3), {})],
  [
    "an object whose tag throws",
    untyped<Uint8Array>({
      get [Symbol.toStringTag]() {
        throw OWN;
      },
    }),
  ],
])("%s in place of bytes is refused", async (_what, bytes) => {
  const cipher = await dataKeys.field({ table: "users", column: "email" });
  for (const call of [() => keyring.encrypt(bytes), () => keyring.decrypt(bytes), () => inspect(bytes), () => cipher.decrypt(bytes)])
    expect((await refusal(call)).code).toBe("invalid-argument");
});

test("a source that throws is refused", async () => {
  const read = async (): Promise<Uint8Array> => ONE;
  const source = Object.defineProperty(throwing<{ size: number }>("size"), "read", { value: read });
  expect((await refusal(() => keyring.openSeekable(untyped(source)))).cause).toBe(OWN);
  expect((await refusal(() => keyring.openSeekable(revoked()))).code).toBe("invalid-argument");
});

test("an error of the library's own that a getter meets stays as it is", async () => {
  const closed = new EnvelockError("closed", "the caller's other keyring");
  const context = untyped<Record<string, string>>({
    get tenant() {
      throw closed;
    },
  });
  expect(await refusal(() => keyring.encrypt(ONE, { context }))).toBe(closed);
});
