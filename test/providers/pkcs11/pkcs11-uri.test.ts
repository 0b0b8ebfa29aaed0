import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatKeyId, ownedKey, parseKeyId } from "../../../providers/pkcs11/key-id.ts";
import { parsePkcs11Uri } from "../../../providers/pkcs11/pkcs11-uri.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";

describe("a pkcs11: URI", () => {
  test("of p11-kit, with all that it writes", () => {
    const uri =
      "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=e6fc1a2b;token=The%20Software%20PKCS%2311%20Softtoken;" +
      "id=%69%95%3E%5C%F4%BD%EC%91;object=my%3Bkey;type=private?pin-source=file:/etc/token_pin&module-path=/usr/lib/x.so";
    expect(parsePkcs11Uri(uri)).toEqual({
      model: "SoftHSM v2",
      manufacturer: "SoftHSM project",
      serial: "e6fc1a2b",
      token: "The Software PKCS#11 Softtoken",
      id: Uint8Array.of(0x69, 0x95, 0x3e, 0x5c, 0xf4, 0xbd, 0xec, 0x91),
      object: "my;key",
      type: "private",
      pinSource: "file:/etc/token_pin",
      modulePath: "/usr/lib/x.so",
    });
  });

  test("with text beyond ASCII, raw bytes as id, and characters that need no %", () => {
    expect(parsePkcs11Uri("PKCS11:token=%C3%A9;object=a:b[c]@!$'()*+,=&.-_~;id=a%00b")).toMatchObject({
      token: "é",
      object: "a:b[c]@!$'()*+,=&.-_~",
      id: Uint8Array.of(0x61, 0, 0x62),
    });
  });

  test.each([
    ["another scheme", "pkcs12:token=a"],
    ["a fragment", "pkcs11:token=a#b"],
    ["an attribute without a value", "pkcs11:token"],
    ["an empty value", "pkcs11:token="],
    ["an attribute twice", "pkcs11:token=a;token=a"],
    ["an unknown attribute", "pkcs11:colour=red"],
    ["a vendor's attribute", "pkcs11:x-muppet=cookie"],
    ["a query attribute in the path", "pkcs11:module-path=%2Ftmp%2Fx.so"],
    ["a path attribute in the query", "pkcs11:?token=a"],
    ["half a pair of digits", "pkcs11:token=%4"],
    ["digits that are none", "pkcs11:token=%zz"],
    ["a space", "pkcs11:token=a b"],
    ["a slash in the path", "pkcs11:token=a/b"],
    ["an ampersand in a query value", "pkcs11:token=a?module-path=/a&b"],
    ["text that is not UTF-8", "pkcs11:token=%FF"],
    ["a NUL in text", "pkcs11:token=a%00"],
    ["a type that is no key", "pkcs11:type=cert"],
    ["a slot", "pkcs11:slot-id=1"],
    ["a library by name", "pkcs11:token=a?module-name=softhsm2"],
    ["a PIN", "pkcs11:token=a?pin-value=1234"],
    ["an empty attribute", "pkcs11:token=a;;object=b"],
  ])("is refused with %s", async (_what, uri) => {
    expect(await refusalCode(() => parsePkcs11Uri(uri))).toBe("invalid-argument");
  });

  test("shows no PIN in the error that refuses it", async () => {
    const { message, hint } = await refusal(() => parsePkcs11Uri("pkcs11:token=a?pin-value=very-secret"));
    expect(message).toContain("pin-value");
    expect(`${message} ${hint}`).not.toContain("very-secret");
  });

  test("ends in a value or in `invalid-argument`, whatever the text", async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string({ unit: "binary" }), fc.stringMatching(/^pkcs11:[a-z%=;?&0-9-]*$/)), async (text) => {
        try {
          parsePkcs11Uri(text);
        } catch (error) {
          expect(error).toMatchObject({ code: "invalid-argument" });
        }
      }),
    );
  });
});

describe("a key id", () => {
  const name = fc.record({
    token: fc.string({ unit: "grapheme" }),
    label: fc.string({ unit: "grapheme" }),
    id: fc.uint8Array({ maxLength: 40 }).map((id) => Uint8Array.from(id)),
    serial: fc.string({ unit: "grapheme" }),
  });

  test("is read back to what it was made of", () => {
    const roundTrip = fc.property(name, (key) => {
      expect(parseKeyId(formatKeyId(key))).toEqual(key);
    });
    fc.assert(roundTrip);
  });

  test("is a pkcs11: URI that means the same", () => {
    const keyId = formatKeyId({ token: "prod #1", label: "kek/é", id: Uint8Array.of(1, 0xab), serial: "00:ff" });
    expect(keyId).toBe("pkcs11:token=prod%20%231;object=kek%2F%C3%A9;id=%01%AB;serial=00%3Aff");
    expect(parsePkcs11Uri(keyId)).toMatchObject({ token: "prod #1", object: "kek/é", id: Uint8Array.of(1, 0xab), serial: "00:ff" });
  });

  test.each([
    "pkcs11:token=a;object=b;id=%ab;serial=c",
    "pkcs11:token=a;object=%62;id=%01;serial=c",
    "pkcs11:token=a;id=%01;object=b;serial=c",
    "pkcs11:token=a;object=b;id=a;serial=c",
    "pkcs11:token=a;object=b;id=%01;serial=c?module-path=/tmp/x.so",
    "pkcs11:token=a;object=b;id=%01;serial=c;slot-id=1",
    "PKCS11:token=a;object=b;id=%01;serial=c",
    "pkcs11:token=%FF;object=b;id=%01;serial=c",
    "pkcs11:token=a;object=;id=%01;serial=c",
    "pkcs11:object=b;id=%01;serial=c",
  ])("has one form: not %s", (keyId) => {
    expect(parseKeyId(keyId)).toBeUndefined();
  });

  test("belongs to the selector that names it, and to no other", () => {
    const keyId = formatKeyId({ token: "prod", label: "kek", id: Uint8Array.of(1), serial: "7" });
    const owned = (token: object, key: object): boolean => ownedKey(keyId, token, [key]) !== undefined;
    expect(owned({ label: "prod" }, { label: "kek" })).toBe(true);
    expect(owned({ serial: "7" }, { id: Uint8Array.of(1) })).toBe(true);
    expect(owned({ label: "prod", serial: "7" }, { label: "kek", id: Uint8Array.of(1) })).toBe(true);
    expect(owned({ label: "prod2" }, { label: "kek" })).toBe(false);
    expect(owned({ serial: "77" }, { label: "kek" })).toBe(false);
    expect(owned({ label: "prod" }, { label: "ke" })).toBe(false);
    expect(owned({ label: "prod" }, { label: "kek", id: Uint8Array.of(1, 0) })).toBe(false);
    expect(ownedKey(keyId, { label: "prod" }, [{ label: "x" }, { label: "kek" }])).toMatchObject({ label: "kek" });
  });
});
