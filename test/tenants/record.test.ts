import { describe, expect, test } from "vitest";
import { encodeTenantRecord, parseTenantRecord } from "../../src/tenants/record/document.ts";
import { settingsOf } from "../../src/tenants/record/settings.ts";
import { tenantId } from "../../src/tenants/record/tenant-id.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { recordAfter, STAGE, verifyOf } from "./records.ts";

const record = recordAfter(STAGE, verifyOf, { change: "activate" }, STAGE);
const row = encodeTenantRecord(record);
const content: Record<string, unknown> = JSON.parse(row.document);

describe("a record", () => {
  test("comes back as it was written, frozen", () => {
    const read = parseTenantRecord(row);
    expect(read).toEqual(record);
    expect(Object.isFrozen(read)).toBe(true);
    expect(Object.isFrozen(read.keys)).toBe(true);
  });

  test("of usual size takes less than a quarter of what is allowed", () => {
    expect(row.document.length).toBeLessThan(1024);
  });

  test.each([
    ["no JSON", "{"],
    ["no object", "[]"],
    ["another format", changed({ format: "envelock-tenant/2" })],
    ["an unknown field", changed({ secret: "x" })],
    ["an unknown field of a key", changed({ keys: [{ ...member("keys"), secret: "x" }] })],
    ["a field that is missing", changed({ generation: undefined })],
    ["a field of an odd name", row.document.replace("{", '{"__proto__":1,')],
    ["an unknown state", changed({ state: "paused" })],
    ["half a generation", changed({ generation: 0.5 })],
    ["an epoch of 0", changed({ epoch: 0 })],
    ["settings that are none", changed({ identity: { role: 7 } })],
    ["a secret in its settings", changed({ identity: { clientSecret: "x" } })],
    ["a label of two lines", changed({ keys: [{ ...member("keys"), label: "a\nb" }] })],
    ["a label that is no text", changed({ keys: [{ ...member("keys"), label: null }] })],
    ["two keys of one number", changed({ keys: [member("keys"), member("keys")] })],
    ["a key from the future", changed({ nextKey: 1 })],
    ["a move to a key that is not there", changed({ move: { from: [1], to: 9, step: "dual", sinceMs: 0 } })],
    ["no key that wraps", changed({ keys: [] })],
    ["a verification that is none", changed({ verification: { atMs: 0, generation: 0, key: 0, level: "fine", failed: [] } })],
    ["a check that is no text", changed({ verification: { atMs: 0, generation: 0, key: 0, level: "ok", failed: [1] } })],
    ["an outcome that is none", changed({ health: { atMs: 0, outcome: "sick" } })],
  ])("with %s is refused", async (_what, document) => {
    expect(await refusalCode(() => parseTenantRecord({ ...row, document }))).toBe("provider-failure");
  });

  test("larger than 4,096 bytes is refused, with the next step", async () => {
    const large = { ...record, identity: { a: "x".repeat(4096) } };
    expect(await refusal(() => encodeTenantRecord(large))).toMatchObject({
      code: "invalid-argument",
      hint: expect.stringContaining("Forget"),
    });
  });
});

describe("settings", () => {
  test("are text to text, and have no prototype", () => {
    expect({ ...settingsOf({ mount: "transit" }, "settings") }).toEqual({ mount: "transit" });
    expect(Object.getPrototypeOf(settingsOf({}, "settings"))).toBe(null);
  });

  test.each([
    ["a list", []],
    ["text", "x"],
    ["a number as a value", { a: 1 }],
    ["empty text", { a: "" }],
    ["a lone surrogate", { a: "\ud800" }],
    ["long text", { a: "x".repeat(513) }],
    ["a name with a dot", { "a.b": "x" }],
    ["a password", { clientPassword: "x" }],
    ["an access key", { accessKeyId: "x" }],
    ["a token", { token: "x" }],
    ["too many", Object.fromEntries(Array.from({ length: 13 }, (_, at) => [`a${at}`, "x"]))],
  ])("are not %s", async (_what, given) => {
    expect(await refusalCode(() => settingsOf(given, "settings"))).toBe("invalid-argument");
  });
});

test.each(["", "a b", "é", "x".repeat(129), "a\n", 7, null, undefined])("%o is no tenant id", async (id) => {
  expect(await refusalCode(() => tenantId(id))).toBe("invalid-argument");
});

test.each(["a", "acme", "org_2b1c", "a@b.example", "x".repeat(128)])("%s is a tenant id", (id) => {
  expect(tenantId(id)).toBe(id);
});

function changed(fields: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ ...content, ...fields });
}

function member(list: string): object {
  const members: unknown = content[list];
  const [first]: readonly unknown[] = Array.isArray(members) ? members : [];
  return typeof first === "object" && first !== null ? first : {};
}
