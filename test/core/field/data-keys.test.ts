import { describe, expect, test } from "vitest";
import { refusalCode } from "../../refusal.ts";
import { EMAIL, world } from "./set-up.ts";

describe("data keys of a scope", () => {
  test("are made when first asked for, durable before their first use, and found again by another process", async () => {
    const { store, open } = world();
    const email = await open().field(EMAIL);
    const rows = await store.list("");
    expect(rows).toMatchObject([{ scope: "", version: 1, state: "active", revision: 1 }]);
    const token = email.encrypt("ada@example.org", { row: 7 });
    const elsewhere = await open().field(EMAIL);
    expect(elsewhere.decrypt(token, { row: "7" })).toBe("ada@example.org");
    expect(await store.list("")).toEqual(rows);
  });

  test("are one key, however many processes start at once", async () => {
    const { store, open } = world();
    const ciphers = await Promise.all(Array.from({ length: 8 }, () => open().field({ ...EMAIL, scope: { tenant: "acme" } })));
    const tokens = ciphers.map((cipher, at) => cipher.encrypt(`${at}`));
    for (const cipher of ciphers) expect(tokens.map((token) => cipher.decrypt(token))).toEqual(["0", "1", "2", "3", "4", "5", "6", "7"]);
    expect(await store.scan({ limit: 10 })).toHaveLength(1);
  });

  test("take one unwrap each, whatever is done with them", async () => {
    const { kms, open } = world();
    const dataKeys = open();
    const ciphers = await Promise.all(["a", "b", "c"].map((column) => dataKeys.field({ table: "users", column })));
    for (let round = 0; round < 50; round++)
      for (const cipher of ciphers) cipher.decrypt(cipher.encrypt("x", { row: round }), { row: round });
    expect(kms.calls).toEqual(["wrap", "unwrap"]);
  });

  test("are rotated: the new one encrypts once it is announced, the old one decrypts for ever", async () => {
    const { open, clock, rows } = world();
    const dataKeys = open();
    const email = await dataKeys.field(EMAIL);
    const old = email.encrypt("x");
    expect(await dataKeys.rotate()).toMatchObject({ version: 2, state: "active" });
    expect((await rows()).map(({ state }) => state)).toEqual(["retired", "active"]);
    expect(email.encrypt("x").slice(0, 22)).toBe(old.slice(0, 22));
    await clock.advance(180_000);
    const fresh = email.encrypt("x");
    expect(fresh.slice(0, 22)).not.toBe(old.slice(0, 22));
    expect([email.decrypt(old), email.decrypt(fresh)]).toEqual(["x", "x"]);
  });

  test("are shredded: here at once, elsewhere within the refresh interval, and the wrapped bytes are gone", async () => {
    const { open, clock, rows } = world();
    const [here, elsewhere] = [open(), open()];
    const [email, warm] = [await here.field(EMAIL), await elsewhere.field(EMAIL)];
    const token = email.encrypt("x");
    expect(await here.shred()).toBe(1);
    expect((await rows()).map(({ state, record }) => [state, record])).toEqual([["shredded", null]]);
    expect(await refusalCode(() => email.decrypt(token))).toBe("key-shredded");
    expect(warm.decrypt(token)).toBe("x");
    await clock.advance(60_000);
    expect(await refusalCode(() => warm.decrypt(token))).toBe("key-shredded");
    expect(await refusalCode(() => warm.encrypt("y"))).toBe("key-shredded");
    expect(await refusalCode(() => open().field(EMAIL))).toBe("key-shredded");
    expect(await refusalCode(() => here.rotate())).toBe("key-shredded");
  });
});
