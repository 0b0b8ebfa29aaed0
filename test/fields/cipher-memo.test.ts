import { describe, expect, test } from "vitest";
import type { FieldOptions } from "../../src/fields/field-options.ts";
import { refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { EMAIL, world } from "./set-up.ts";

describe("field() with options that it has seen", () => {
  test("gives the cipher that it made", async () => {
    const keys = world().open();
    const email = await keys.field({ ...EMAIL, scope: { tenant: "a" } });
    expect(await keys.field({ table: "users", column: "email", scope: { tenant: "a" } })).toBe(email);
    for (const other of [
      { ...EMAIL },
      { ...EMAIL, scope: { tenant: "b" } },
      { ...EMAIL, scope: { tenant: "a" }, requireRow: true },
      { ...EMAIL, scope: { tenant: "a" }, nullable: true },
      { table: "users", column: "emai", scope: { l: "a" } },
    ]) {
      expect(await keys.field(other)).not.toBe(email);
    }
    const deterministic = await keys.field({ ...EMAIL, scope: { tenant: "a" }, deterministic: true });
    expect(deterministic.encrypt("x")).toBe(deterministic.encrypt("x"));
    expect(email.encrypt("x")).not.toBe(email.encrypt("x"));
  });

  test("still refuses what is misspelt, hidden or no plain object", async () => {
    const keys = world().open();
    await keys.field(EMAIL);
    await keys.field({ ...EMAIL, scope: {} });
    for (const wrong of [
      { ...EMAIL, requireRows: true },
      { ...EMAIL, scope: new Map([["tenant", "a"]]) },
      { ...EMAIL, scope: { tenant: 7 } },
      { ...EMAIL, nullable: true, type: "text" },
    ]) {
      expect(await refusalCode(() => keys.field(untyped<FieldOptions>(wrong)))).toBe("invalid-argument");
    }
    const hidden = Object.defineProperty({ ...EMAIL }, "deterministic", { value: true, enumerable: false });
    const cipher = await keys.field(hidden);
    expect(cipher.encrypt("x")).toBe(cipher.encrypt("x"));
  });

  test("reads a getter once for one cipher: what it is remembered by is what it is bound to", async () => {
    const keys = world().open();
    let reads = 0;
    const shifting = {
      table: "users",
      get column() {
        return reads++ % 2 === 0 ? "email" : "phone";
      },
    };
    for (let call = 0; call < 6; call++) await keys.field(shifting);
    const [email, phone] = [await keys.field(EMAIL), await keys.field({ table: "users", column: "phone" })];
    const bound = await keys.field({ ...EMAIL, type: "string" }); // another name of the first, made anew
    expect(bound.decrypt(email.encrypt("x"))).toBe("x");
    expect(await refusalCode(() => phone.decrypt(email.encrypt("x")))).toBe("authentication-failed");
  });

  test("makes another once the keys were shredded, evicted or closed", async () => {
    const one = world();
    const keys = one.open({ maxScopes: 1 });
    const a = { ...EMAIL, scope: { tenant: "a" } };
    const first = await keys.field(a);
    await one.clock.advance(3_600_000);
    await keys.field({ ...EMAIL, scope: { tenant: "b" } });
    const again = await keys.field(a);
    expect(again).not.toBe(first);
    expect(again.decrypt(again.encrypt("x"))).toBe("x");
    await keys.shred({ tenant: "a" });
    expect(await refusalCode(() => keys.field(a))).toBe("key-shredded");
    await keys.close();
    expect(await refusalCode(() => keys.field({ ...EMAIL, scope: { tenant: "b" } }))).toBe("closed");
  });
});
