import { expect, test } from "vitest";
import { planBlindIndex } from "../../src/fields/blind-index-plan.ts";
import { DataKeys } from "../../src/fields/data-keys.ts";
import { reencryptTable } from "../../src/fields/jobs/reencrypt-table.ts";
import { contextOfScope } from "../../src/fields/scope.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { EMAIL, world } from "./set-up.ts";

test.each<[string, (given: ReturnType<typeof world>) => unknown, string | undefined]>([
  ["DataKeys", ({ open }) => open(untyped({ maxScope: 1 })), "maxScopes"],
  ["field: tenant", ({ open }) => fieldOf(open(), { ...EMAIL, tenant: "acme" }), undefined],
  ["field: requirerow", ({ open }) => fieldOf(open(), { ...EMAIL, requirerow: true }), "requireRow"],
  ["field: blindindex", ({ open }) => fieldOf(open(), { ...EMAIL, blindindex: {} }), "blindIndex"],
  ["a blind index", ({ open }) => open().field({ ...EMAIL, blindIndex: untyped({ normalize: "caseless" }) }), "normalise"],
  ["an older version", ({ open }) => open().field({ ...EMAIL, blindIndex: { version: 2, olderVersions: [untyped({ bit: 8 })] } }), "bits"],
  ["compoundIndex", ({ open }) => open().compoundIndex(untyped({ table: "t", name: "n", bitz: 8 })), "bits"],
  ["rotate", ({ open }) => open().rotate(undefined, untyped({ immediatly: true })), "immediately"],
  ["rewrapAll", ({ open }) => open().rewrapAll(untyped({ dryrun: true })), "dryRun"],
  ["verifyAll", ({ open }) => open().verifyAll(untyped({ concurency: 1 })), "concurrency"],
  ["proveAll", ({ open }) => open().proveAll(untyped({ dryRun: true })), undefined],
  ["shred", ({ open }) => open().shred({ tenant: "a" }, untyped({ dryRun: true })), undefined],
  ["list", ({ open }) => open().list({}, untyped({ sginal: 1 })), "signal"],
  ["reencryptTable", () => Reflect.apply(reencryptTable, undefined, [{ cypher: 1 }]), "cipher"],
  ["planBlindIndex", () => planBlindIndex(untyped({ distinctValue: 1 })), "distinctValues"],
  ["encrypt", async ({ open }) => (await open().field(EMAIL)).encrypt("x", untyped({ Row: 7 })), "row"],
  [
    "decrypt",
    async ({ open }) => (await open().field(EMAIL)).decrypt((await open().field(EMAIL)).encrypt("x"), untyped({ id: 7 })),
    undefined,
  ],
])("a misspelt option of %s is refused, and the right name told", async (_what, work, meant) => {
  const error = await refusal(async () => await work(world()));
  expect(error.code).toBe("invalid-argument");
  if (meant !== undefined) expect(error.hint).toBe(`did you mean \`${meant}\`?`);
});

test.each<[string, unknown, (given: ReturnType<typeof world>) => unknown]>([
  ["migrating", "plaintext-allowed", ({ open }) => open().field(EMAIL)],
  ["deterministic", true, ({ open }) => open().field(EMAIL)],
  ["scope", { tenant: "mallory" }, ({ open }) => open().field(EMAIL)],
  ["immediately", true, ({ open }) => open().rotate()],
  ["vouchedKids", [], ({ open }) => open()],
])("while all objects inherit %s, what has such an option is refused", async (name, value, work) => {
  expect(await whileInherited(name, value, async () => await work(world()))).toBe("invalid-argument");
});

test("while all objects inherit a row, no value is bound to it", async () => {
  const email = await world().open().field(EMAIL);
  for (const options of [{}, { row: 7 }])
    expect(await whileInherited("row", "9", async () => email.encrypt("x", options))).toBe("invalid-argument");
  expect(email.decrypt(email.encrypt("x", { row: 7 }), { row: 7 })).toBe("x");
});

async function whileInherited(name: string, value: unknown, work: () => Promise<unknown>): Promise<unknown> {
  Object.defineProperty(Object.prototype, name, { value, configurable: true });
  try {
    return await refusalCode(work);
  } finally {
    Reflect.deleteProperty(Object.prototype, name);
  }
}

test.each<[string, unknown]>([
  ["nothing", undefined],
  ["no keyring", { store: world().store }],
  ["another object as keyring", { keyring: { context: {} }, store: world().store }],
  ["no store", { keyring: untyped(undefined) }],
  ["kids that are none", { keyring: undefined, vouchedKids: ["x"] }],
])("arguments of DataKeys that are none are refused: %s", async (_what, options) => {
  expect((await refusal(() => new DataKeys(untyped(options)))).code).toBe("invalid-argument");
});

test.each<[string, Partial<ConstructorParameters<typeof DataKeys>[0]>]>([
  ["a store without scan", { store: untyped({ ...world().store, scan: undefined }) }],
  ["null as store", { store: untyped(null) }],
  ["kids that are none", { vouchedKids: ["x"] }],
  ["a list of kids that is text", { vouchedKids: untyped("0".repeat(32)) }],
  ["an onFailure that is no function", { onFailure: untyped("log") }],
])("and beside a keyring: %s", async (_what, options) => {
  expect((await refusal(() => world().open(options))).code).toBe("invalid-argument");
});

test.each<[string, unknown]>([
  ["nothing", undefined],
  ["text", "abc"],
  ["a list of values", ["a", "b"]],
  ["an object", {}],
])("many values at once are lists of arguments, not %s", async (_what, calls) => {
  const cipher = await world().open().field(EMAIL);
  for (const work of [cipher.encryptAll, cipher.decryptAll, cipher.decryptAllAsync]) {
    expect((await refusal(() => Reflect.apply(work, cipher, [calls]))).code).toBe("invalid-argument");
  }
});

test.each<[string, unknown]>([
  ["nothing", undefined],
  ["text", "email"],
  ["a type that is none", { born: "dat" }],
  ["the name of a method as type", { born: "toString" }],
])("the columns of a record are refused if they are %s", async (_what, columns) => {
  const cipher = await world().open().field(EMAIL);
  expect((await refusal(() => Reflect.apply(cipher.record, cipher, [columns]))).code).toBe("invalid-argument");
});

test("a keyring of another copy of the package is refused with what to do about it", async () => {
  const foreign = Object.defineProperty({}, Symbol.for("envelock.Keyring"), { value: true });
  const { code, hint } = await refusal(() => world().open(untyped({ keyring: foreign })));
  expect(code).toBe("invalid-argument");
  expect(hint).toContain("npm ls envelock");
});

test.each([undefined, null, 3, {}])("contextOfScope knows no scope of %s", (scope) => {
  expect(contextOfScope(untyped(scope))).toBeUndefined();
});

function fieldOf(dataKeys: DataKeys, options: object): unknown {
  return Reflect.apply(dataKeys.field, dataKeys, [options]);
}
