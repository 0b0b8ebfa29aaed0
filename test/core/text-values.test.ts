import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { noise, runs } from "../support/arbitraries.ts";
import { kek } from "../support/keks.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";

const keyring = new Keyring(kek());
const context = { object: "notes/7" };

describe("text", () => {
  test("comes back as it was, and is the UTF-8 of an envelope like any other", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "grapheme" }), async (text) => {
        const envelope = await keyring.encryptText(text, { context });
        expect(await keyring.decryptText(envelope, { context })).toBe(text);
        expect(Buffer.from(await keyring.decrypt(envelope, { context })).toString()).toBe(text);
      }),
      runs(30, 10),
    );
  });

  test("is refused where it is none", async () => {
    expect(await refusalCode(() => keyring.encryptText("\ud800"))).toBe("invalid-argument");
    for (const value of [7, null, undefined, noise(3), { toString: () => "text" }]) {
      expect(await refusalCode(() => keyring.encryptText(untyped<string>(value)))).toBe("invalid-argument");
    }
    const { code, hint } = await refusal(async () => keyring.decryptText(await keyring.encrypt(Uint8Array.of(0xff))));
    expect([code, hint]).toEqual(["malformed-envelope", "decrypt gives it as bytes"]);
  });

  test("is bound to its context, and misspelt options are refused", async () => {
    const envelope = await keyring.encryptText("text", { context });
    expect(await refusalCode(() => keyring.decryptText(envelope))).toBe("authentication-failed");
    expect(await refusalCode(() => keyring.encryptText("text", untyped({ contxt: {} })))).toBe("invalid-argument");
    expect(await refusalCode(() => keyring.decryptText(envelope, untyped({ contxt: {} })))).toBe("invalid-argument");
  });
});

describe("JSON", () => {
  test("comes back equal", async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (value) => {
        const given = JSON.parse(JSON.stringify(value));
        expect(await keyring.decryptJson(await keyring.encryptJson(given))).toEqual(given);
      }),
      runs(30, 10),
    );
  });

  test("is read when the method is called", async () => {
    const value = { name: "Ada" };
    const encrypting = keyring.encryptJson(value);
    value.name = "Grace";
    expect(await keyring.decryptJson(await encrypting)).toEqual({ name: "Ada" });
  });

  test("refuses what would not come back the same, and what is no JSON", async () => {
    for (const value of [undefined, Number.NaN, 1n, new Date(0), new Map(), [undefined], { a: undefined }]) {
      expect(await refusalCode(() => keyring.encryptJson(untyped(value)))).toBe("invalid-argument");
    }
    for (const text of ["", "{", "undefined", "{'a':1}"]) {
      const envelope = await keyring.encryptText(text);
      expect(await refusalCode(() => keyring.decryptJson(envelope))).toBe("malformed-envelope");
    }
  });
});
