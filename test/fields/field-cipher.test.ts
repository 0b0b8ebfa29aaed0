import fc from "fast-check";
import { describe, expect, expectTypeOf, test } from "vitest";
import type { JsonValue } from "../../src/core/base/json.ts";
import { DataKey } from "../../src/core/data-key/data-key.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import type { FieldCipher } from "../../src/fields/field-cipher.ts";
import type { FieldOptions, NoRow, RowArgument, RowId, RowRequired } from "../../src/fields/field-options.ts";
import type { IndexSettings } from "../../src/fields/keyed-index.ts";
import { noise, runs, texts } from "../support/arbitraries.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { EMAIL, world } from "./set-up.ts";

describe("a token", () => {
  test("gives back any text in its place, as text and as bytes, and adds 57 bytes", async () => {
    const email = await world().open().field(EMAIL);
    fc.assert(
      fc.property(texts, fc.option(fc.integer(), { nil: undefined }), (value, id) => {
        const options = id === undefined ? {} : { row: id };
        const [text, bytes] = [email.encrypt(value, options), email.encryptBytes(value, options)];
        expect([email.decrypt(text, options), email.decrypt(bytes, options)]).toEqual([value, value]);
        expect(bytes).toHaveLength(Buffer.byteLength(value) + 57);
        expect(inspect(text)).toMatchObject({ kind: "token", plaintextBytes: Buffer.byteLength(value) });
      }),
      runs(150, 40),
    );
  });

  test("is what DataKey makes and opens with the same context: docs/format.md §5", async () => {
    const { open, rows, kms } = world();
    const email = await open().field({ ...EMAIL, scope: { tenant: "acme" } });
    const [row] = await rows(Buffer.from([0, 1, 0, 6, ...Buffer.from("tenant"), 0, 4, ...Buffer.from("acme")]).toString("base64url"));
    const key = await new Keyring({ wrapWith: [kms], context: { tenant: "acme" } }).unwrapDataKey(row?.record ?? noise(0));
    const place = { table: "users", column: "email", row: "7" };
    expect(Buffer.from(key.decryptToken(email.encrypt("ada", { row: 7 }), place)).toString()).toBe("ada");
    expect(email.decrypt(key.encryptToken(Buffer.from("ada"), place), { row: "7" })).toBe("ada");
  });

  test("opens nowhere else: not in another row, column, table, scope or form", async () => {
    const dataKeys = world().open();
    const email = await dataKeys.field(EMAIL);
    const token = email.encrypt("ada@example.org", { row: 7 });
    const others = [
      await dataKeys.field({ ...EMAIL, column: "phone" }),
      await dataKeys.field({ ...EMAIL, table: "admins" }),
      await dataKeys.field({ ...EMAIL, scope: { tenant: "acme" } }),
    ];
    for (const other of others) expect(await refusalCode(() => other.decrypt(token, { row: 7 }))).toBe("authentication-failed");
    for (const options of [{ row: 8 }, {}]) expect(await refusalCode(() => email.decrypt(token, options))).toBe("authentication-failed");
    expect(await refusalCode(() => email.decrypt(email.encrypt("x"), { row: 7 }))).toBe("authentication-failed");
    expect(await refusalCode(() => email.record(["email"]).decrypt(token, { row: 7 }))).toBe("authentication-failed");
    const record = email.record(["email"]).encrypt({ email: "x" }, { row: 7 });
    expect(await refusalCode(() => email.decrypt(record, { row: 7 }))).toBe("authentication-failed");
    const tenants = await Promise.all(["a", "b"].map((tenant) => dataKeys.field({ ...EMAIL, scope: { tenant } })));
    const [a, b] = tenants.map((cipher) => cipher.encrypt("x"));
    for (const [cipher, foreign] of [
      [tenants[0], b],
      [tenants[1], a],
    ] as const) {
      expect(await refusalCode(() => cipher?.decrypt(foreign ?? ""))).toBe("authentication-failed");
    }
  });

  test("is not encrypted again, by whichever column of the scope, and plaintext is not decrypted", async () => {
    const dataKeys = world().open();
    const [email, photo] = [await dataKeys.field(EMAIL), await dataKeys.field({ table: "users", column: "photo", type: "bytes" })];
    const token = email.encrypt("x", { row: 1 });
    expect(await refusalCode(() => email.encrypt(token))).toBe("invalid-argument");
    expect(await refusalCode(() => email.encrypt(token.slice(0, -5)))).toBe("invalid-argument");
    expect(await refusalCode(() => photo.encrypt(Buffer.from(token, "base64url")))).toBe("invalid-argument");
    for (const plaintext of ["ada@example.org", "", "nnnn", "x".repeat(100)]) {
      expect(await refusalCode(() => email.decrypt(plaintext))).toBe("malformed-envelope");
    }
    const stranger = Buffer.from(DataKey.from(noise(32)).encryptToken(noise(3))).toString("base64url");
    expect(email.decrypt(email.encrypt(stranger))).toBe(stranger); // looks like a token, and is somebody's secret
  });

  test("under a key that the scope never had is refused, also after a look into the store", async () => {
    const email = await world().open().field(EMAIL);
    const foreign = DataKey.from(noise(32)).encryptToken(noise(3));
    expect(await refusalCode(() => email.decrypt(foreign))).toBe("authentication-failed");
    expect(await refusalCode(() => email.decryptAsync(foreign))).toBe("authentication-failed");
  });
});

describe("deterministic columns", () => {
  test("have equal tokens for equal values, which add 33 bytes and are bound to the column", async () => {
    const dataKeys = world().open();
    const email = await dataKeys.field({ ...EMAIL, deterministic: true });
    const other = await dataKeys.field({ ...EMAIL, column: "phone", deterministic: true });
    fc.assert(
      fc.property(texts, texts, (one, two) => {
        expect(email.encrypt(one) === email.encrypt(two)).toBe(one === two);
        expect(email.decrypt(email.encrypt(one))).toBe(one);
        expect(email.encryptBytes(one)).toHaveLength(Buffer.byteLength(one) + 33);
        expect(other.encrypt(one)).not.toBe(email.encrypt(one));
      }),
      runs(60, 15),
    );
    expect(await refusalCode(() => other.decrypt(email.encrypt("x")))).toBe("authentication-failed");
    expect(await refusalCode(() => email.encrypt(email.encrypt("x")))).toBe("invalid-argument");
  });

  test("take no row, and no tokens of the other kind", async () => {
    const dataKeys = world().open();
    const [fixed, random] = [await dataKeys.field({ ...EMAIL, deterministic: true }), await dataKeys.field(EMAIL)];
    expect(await refusalCode(() => untyped<FieldCipher<string>>(fixed).encrypt("x", { row: 1 }))).toBe("invalid-argument");
    expect(await refusalCode(() => fixed.decrypt(random.encrypt("x")))).toBe("malformed-envelope");
    expect(await refusalCode(() => random.decrypt(fixed.encrypt("x")))).toBe("malformed-envelope");
  });
});

describe("what a column takes", () => {
  test("values of its type, typed", async () => {
    const dataKeys = world().open();
    const born = await dataKeys.field({ ...EMAIL, column: "born", type: "date" });
    const visits = await dataKeys.field({ ...EMAIL, column: "visits", type: "bigint", nullable: true });
    const settings = await dataKeys.field({ ...EMAIL, column: "settings", type: "json" });
    const theme = await dataKeys.field({ ...EMAIL, column: "theme", type: "json", parse: (value) => ({ dark: value === "dark" }) });
    expectTypeOf(born).toEqualTypeOf<FieldCipher<Date, never, RowArgument>>();
    expectTypeOf(visits).toEqualTypeOf<FieldCipher<bigint, null, RowArgument>>();
    expectTypeOf(settings).toEqualTypeOf<FieldCipher<JsonValue, never, RowArgument>>();
    expectTypeOf(theme).toEqualTypeOf<FieldCipher<{ dark: boolean }, never, RowArgument>>();
    expect(born.decrypt(born.encrypt(new Date(0)))).toEqual(new Date(0));
    expect(visits.decrypt(visits.encrypt(-1n))).toBe(-1n);
    expect(settings.decrypt(settings.encrypt(null))).toBeNull();
    expect(await refusalCode(() => untyped<FieldCipher<unknown>>(born).encrypt("2026-01-01"))).toBe("invalid-argument");
    expect(await refusalCode(() => dataKeys.field(untyped<FieldOptions>({ ...EMAIL, type: "text" })))).toBe("invalid-argument");
  });

  test("null only if it is nullable, and then in clear", async () => {
    const dataKeys = world().open();
    const phone = await dataKeys.field({ ...EMAIL, nullable: true });
    expect([phone.encrypt(null), phone.encryptBytes(null), phone.decrypt(null), await phone.decryptAsync(null)]).toEqual([
      null,
      null,
      null,
      null,
    ]);
    const email = untyped<FieldCipher<unknown, null>>(await dataKeys.field(EMAIL));
    for (const work of [() => email.encrypt(null), () => email.decrypt(null), () => email.encrypt(undefined)]) {
      expect(await refusalCode(work)).toBe("invalid-argument");
    }
    expectTypeOf(phone.encrypt("x")).toEqualTypeOf<string>();
    expectTypeOf(phone.encrypt(untyped<string | null>("x"))).toEqualTypeOf<string | null>();
    expectTypeOf<null>().not.toExtend<Parameters<FieldCipher<string>["encrypt"]>[0]>();
  });

  test("the row, where that is required: leaving it out is an error of types", async () => {
    const email = await world()
      .open()
      .field({ ...EMAIL, requireRow: true });
    expectTypeOf(email).toEqualTypeOf<FieldCipher<string, never, RowRequired>>();
    expectTypeOf(email.encrypt).parameters.toEqualTypeOf<[value: string, options: { readonly row: RowId }]>();
    expectTypeOf<[value: string]>().not.toExtend<Parameters<typeof email.encrypt>>();
    expectTypeOf<[value: string, options: { readonly row?: RowId }]>().not.toExtend<Parameters<typeof email.encrypt>>();
    expectTypeOf<[value: string]>().toExtend<Parameters<FieldCipher<string>["encrypt"]>>();
    expectTypeOf<[value: string, { readonly row: RowId }]>().not.toExtend<Parameters<FieldCipher<string, never, NoRow>["encrypt"]>>();
    expect(email.decrypt(email.encrypt("x", { row: 1n }), { row: 1 })).toBe("x");
    for (const options of [undefined, {}, { row: undefined }, { row: "" }, { row: 1.5 }, { row: Number.NaN }, { row: null }]) {
      expect(await refusalCode(() => email.encrypt("x", untyped(options)))).toBe("invalid-argument");
    }
  });

  test("no table, column or scope that is none", async () => {
    const dataKeys = world().open();
    const bad: readonly unknown[] = [
      { table: "", column: "email" },
      { table: "users" },
      { ...EMAIL, scope: { row: "7" } },
      { ...EMAIL, scope: { "envelock:purpose": "x" } },
      { ...EMAIL, scope: { tenant: 5 } },
      { ...EMAIL, deterministic: true, requireRow: true },
      { ...EMAIL, parse: () => 1 },
      { ...EMAIL, type: "json", blindIndex: {} },
      { ...EMAIL, blindIndex: { bits: 0 } },
      { ...EMAIL, blindIndex: { bits: 88, unique: true } },
      { ...EMAIL, blindIndex: { unique: true } },
      { ...EMAIL, blindIndex: { version: 1, olderVersions: [{ version: 1 }] } },
    ];
    for (const options of bad)
      expect(await refusalCode(() => dataKeys.field(untyped<FieldOptions>(options))), JSON.stringify(options)).toBe("invalid-argument");
  });
});

describe("batches", () => {
  test("are lists of what the single call takes, and fail whole, with the place of the first that did", async () => {
    const email = await world()
      .open()
      .field({ ...EMAIL, requireRow: true, nullable: true });
    const calls = ["a", null, "c"].map((value, at) => [value, { row: at }] as const);
    const tokens = email.encryptAll(calls);
    const back = tokens.map((token, at) => [token, { row: at }] as const);
    expect(email.decryptAll(back)).toEqual(["a", null, "c"]);
    expect(await email.decryptAllAsync(back)).toEqual(["a", null, "c"]);
    const error = await refusal(() => email.decryptAll(back.map(([token], at) => [token, { row: at === 2 ? 9 : at }])));
    expect([error.code, error.message.slice(0, 7)]).toEqual(["authentication-failed", "item 2:"]);
    const kid = Buffer.from(`${back[2]?.[0]}`, "base64url").subarray(1, 17).toString("hex");
    expect(error.message).toContain(`(users.email, row 9, data key ${kid})`);
    const later = await refusal(() => email.decryptAllAsync([["plaintext", { row: 4 }]]));
    expect([later.code, later.message]).toEqual(["malformed-envelope", expect.stringMatching(/^item 0: .* \(users\.email, row 4\)$/)]);
    expectTypeOf(email.encryptAll([["x", { row: 1 }]])).toEqualTypeOf<readonly string[]>();
  });
});

describe("a record", () => {
  test("holds several columns in one token, typed", async () => {
    const contact = (
      await world()
        .open()
        .field({ ...EMAIL, column: "contact" })
    ).record({ email: "string", born: "date" });
    const values = { email: "ada@example.org", born: new Date(7) };
    const token = contact.encryptBytes(values, { row: 7 });
    expect(contact.decrypt(token, { row: 7 })).toEqual(values);
    expect(token).toHaveLength(57 + (1 + 5 + 4 + 15) + (1 + 4 + 4 + 8));
    expectTypeOf(contact.decrypt).returns.toEqualTypeOf<{ readonly email: string | null; readonly born: Date | null }>();
    expect(await refusalCode(() => contact.decrypt(token, { row: 8 }))).toBe("authentication-failed");
  });
});

describe("blind indexes", () => {
  test("are equal for equal values, of the length asked for, and differ by column, table and tenant", async () => {
    const dataKeys = world().open();
    const index = { bits: 20, normalise: "caseless" } as const;
    const email = await dataKeys.field({ ...EMAIL, blindIndex: index });
    expect(email.blindIndex("Ada@Example.org ")).toBe(email.blindIndex("ada@example.org"));
    expect(email.blindIndex("ada@example.org")).toMatch(/^[0-9a-f]{5}$/);
    const others = await Promise.all(
      [{ column: "phone" }, { table: "admins" }, { scope: { tenant: "acme" } }].map((other) =>
        dataKeys.field({ ...EMAIL, ...other, blindIndex: { ...index, bits: 256 } }),
      ),
    );
    const wide = await dataKeys.field({ ...EMAIL, blindIndex: { ...index, bits: 256 } });
    expect(new Set([wide, ...others].map((cipher) => cipher.blindIndex("x"))).size).toBe(4);
  });

  test("an index is unique from 96 bits on, if every version of it is", async () => {
    const dataKeys = world().open();
    const isUnique = async (blindIndex: IndexSettings): Promise<boolean> => (await dataKeys.field({ ...EMAIL, blindIndex })).hasUniqueIndex;
    expect(await isUnique({ bits: 96 })).toBe(true);
    expect(await isUnique({ bits: 128, unique: true })).toBe(true);
    expect(await isUnique({ bits: 128, unique: false })).toBe(false);
    expect(await isUnique({ bits: 95 })).toBe(false);
    expect(await isUnique({})).toBe(false);
    expect(await isUnique({ version: 2, bits: 128, olderVersions: [{ bits: 32 }] })).toBe(false);
    expect(await isUnique({ version: 2, bits: 128, olderVersions: [{ bits: 96 }] })).toBe(true);
  });

  test("values are the same to an index after its normalisation, however short it is", async () => {
    const dataKeys = world().open();
    const short = await dataKeys.field({ ...EMAIL, blindIndex: { bits: 1, normalise: "caseless" } });
    expect(short.isSameToIndex("Ada", "ada ")).toBe(true);
    for (let other = 0; other < 8; other++) expect(short.isSameToIndex("Ada", `ada${other}`)).toBe(false);
  });

  test("survive the rotation of data keys, in every process", async () => {
    const { open, clock, rows } = world();
    const options = { ...EMAIL, blindIndex: { bits: 128 } };
    const dataKeys = open({ maxAgeMs: 1000 });
    const before = (await dataKeys.field(options)).blindIndex("x");
    await dataKeys.rotate(undefined, { immediately: true });
    await clock.advance(1_000_000);
    expect((await dataKeys.field(options)).blindIndex("x")).toBe(before);
    expect((await open().field(options)).blindIndex("x")).toBe(before);
    expect((await rows()).length).toBeGreaterThan(2);
    expect((await dataKeys.list()).filter(({ purpose }) => purpose === "blind-indexes")).toMatchObject([{ version: 1, state: "active" }]);
  });

  test("have versions of their own: lookups ask for all that rows may have", async () => {
    const dataKeys = world().open();
    const one = await dataKeys.field({ ...EMAIL, blindIndex: { bits: 32 } });
    const two = await dataKeys.field({ ...EMAIL, blindIndex: { bits: 64, version: 2, olderVersions: [{ bits: 32 }] } });
    expect(two.blindIndexAll("x")).toEqual([two.blindIndex("x"), one.blindIndex("x")]);
    expect(two.blindIndex("x")).toHaveLength(16);
    expect(two.blindIndex("x").startsWith(one.blindIndex("x"))).toBe(false);
  });

  test("of several columns find what agrees in all of them", async () => {
    const dataKeys = world().open();
    const index = await dataKeys.compoundIndex({ table: "users", name: "name-and-birthday", bits: 64 });
    const day = new Date(0);
    expect(index.of(["Ada", day])).toBe(index.of(["Ada", new Date(0)]));
    const others: readonly (readonly (string | Date)[])[] = [["Ada"], ["Ad", "a", day], [day, "Ada"], ["Ada", "1970"]];
    for (const other of others) expect(index.of(other)).not.toBe(index.of(["Ada", day]));
    const alike = await dataKeys.compoundIndex({ table: "users", name: "other", bits: 64 });
    expect(alike.of(["Ada", day])).not.toBe(index.of(["Ada", day]));
  });

  test("are only there where they were asked for", async () => {
    const { open, kms } = world();
    const email = await open().field(EMAIL);
    expect(await refusalCode(() => email.blindIndex("x"))).toBe("invalid-argument");
    expect(kms.calls).toEqual(["wrap", "unwrap"]); // no key for indexes
  });
});

describe("a column that is being encrypted", () => {
  test("says of each value what it was, and takes nothing that begins as a token for plaintext", async () => {
    const dataKeys = world().open();
    const email = await dataKeys.field({ ...EMAIL, migrating: "plaintext-allowed", nullable: true });
    const token = email.encrypt("ada", { row: 1 });
    expect(email.decryptOrPlaintext(token, { row: 1 })).toEqual({ value: "ada", was: "token" });
    expect(email.decryptOrPlaintext("ada", { row: 1 })).toEqual({ value: "ada", was: "plaintext" });
    expect(email.decryptOrPlaintext(null)).toEqual({ value: null, was: "plaintext" });
    expect(await refusalCode(() => email.decryptOrPlaintext(token, { row: 2 }))).toBe("authentication-failed");
    expect(await refusalCode(() => email.decryptOrPlaintext(token.slice(0, 60), { row: 1 }))).toBe("malformed-envelope");
    expect(await refusalCode(() => email.decryptOrPlaintext(`${token.slice(0, 60)}é`, { row: 1 }))).toBe("malformed-envelope");
    const foreign = Buffer.from(DataKey.from(noise(32)).encryptToken(noise(3))).toString("base64url");
    expect(await refusalCode(() => email.decryptOrPlaintext(foreign))).toBe("authentication-failed");
    expect(await refusalCode(() => email.decrypt("ada"))).toBe("malformed-envelope");
  });

  test("of numbers holds numbers or tokens", async () => {
    const salary = await world()
      .open()
      .field({ ...EMAIL, type: "number", migrating: "plaintext-allowed" });
    expect(salary.decryptOrPlaintext(5)).toEqual({ value: 5, was: "plaintext" });
    expect(salary.decryptOrPlaintext(salary.encrypt(5))).toEqual({ value: 5, was: "token" });
    expect(await refusalCode(() => salary.decryptOrPlaintext("5"))).toBe("invalid-argument");
  });

  test("is not what a column is by itself", async () => {
    expect("decryptOrPlaintext" in (await world().open().field(EMAIL))).toBe(false);
  });
});

test("bytes come back in their own ArrayBuffer", async () => {
  const photo = await world()
    .open()
    .field({ ...EMAIL, type: "bytes" });
  const bytes = photo.decrypt(photo.encrypt(noise(20)));
  expectSameBytes(bytes, noise(20));
  expect(bytes.buffer.byteLength).toBe(20);
});
