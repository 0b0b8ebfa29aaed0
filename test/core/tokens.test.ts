import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { engine } from "#engine";
import type { Context } from "../../src/core/base/context.ts";
import { DataKey } from "../../src/core/data-key/data-key.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import { contexts, noise, plaintexts, runs, sameContext, splitContexts } from "../support/arbitraries.ts";
import { expectSameBytes, hexOf } from "../support/bytes.ts";
import { takeTheFineWay } from "../support/fine-way.ts";
import { refusalCode } from "../support/refusal.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Both kinds, behind one shape. */
const KINDS = [
  {
    kind: "token",
    head: 0x9c,
    overhead: 57,
    encrypt: (key: DataKey, plaintext: Uint8Array, context?: Context) => key.encryptToken(plaintext, context),
    decrypt: (key: DataKey, token: Uint8Array | string, context?: Context) => key.decryptToken(token, context),
  },
  {
    kind: "deterministic-token",
    head: 0xbc,
    overhead: 33,
    encrypt: (key: DataKey, plaintext: Uint8Array, context?: Context) => key.encryptDeterministic(plaintext, context),
    decrypt: (key: DataKey, token: Uint8Array | string, context?: Context) => key.decryptDeterministic(token, context),
  },
] as const;

describe.each(KINDS)("$kind (format.md §5)", ({ kind, head, overhead, encrypt, decrypt }) => {
  test("decrypt inverts encrypt, from bytes and from text, for any bytes and contexts", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), splitContexts, (plaintext, { context, rest }) => {
        const key = DataKey.from(noise(32), context);
        const token = encrypt(key, plaintext, rest);
        expectSameBytes(decrypt(key, token, rest), plaintext);
        expectSameBytes(decrypt(DataKey.from(noise(32), context), textOf(token), rest), plaintext);
      }),
      runs(150, 60),
    );
  });

  test(`adds ${overhead} bytes, and stands in clear as its head and its key's name`, () => {
    fc.assert(
      fc.property(plaintexts, (plaintext) => {
        const key = DataKey.from(noise(32));
        const token = encrypt(key, plaintext);
        expect(token).toHaveLength(plaintext.length + overhead);
        expect(token[0]).toBe(head);
        expect(hexOf(token.subarray(1, 17))).toBe(key.kid);
        expect(inspect(token)).toEqual({ kind, kid: key.kid, plaintextBytes: plaintext.length });
        expect(inspect(textOf(token))).toEqual(inspect(token));
      }),
      runs(60, 15),
    );
  });

  test("opens in its own context alone", async () => {
    const key = DataKey.from(noise(32));
    await fc.assert(
      fc.asyncProperty(contexts, contexts, async (context, other) => {
        fc.pre(!sameContext(context, other));
        const token = encrypt(key, noise(9), context);
        expect(await refusalCode(() => decrypt(key, token, other))).toBe("authentication-failed");
      }),
      runs(200, 60),
    );
  });

  test("is bound to the key context by the key's name: the same secret in another tenant is another key", async () => {
    const [acme, other, none] = [
      DataKey.from(noise(32), { tenant: "acme" }),
      DataKey.from(noise(32), { tenant: "other" }),
      DataKey.from(noise(32)),
    ];
    expect(new Set([acme.kid, other.kid, none.kid]).size).toBe(3);
    const token = encrypt(acme, noise(9));
    expect(await refusalCode(() => decrypt(other, token))).toBe("authentication-failed");
    expect(await refusalCode(() => decrypt(none, token, { tenant: "acme" }))).toBe("authentication-failed");
  });

  test("of a foreign key is refused by its name, without a call of the AEAD", async () => {
    takeTheFineWay();
    const token = encrypt(DataKey.generate(), noise(9));
    const key = DataKey.generate();
    encrypt(key, noise(9));
    const [gcmOpen, blockCipher, siv] = [vi.spyOn(engine.gcm, "open"), vi.spyOn(engine, "blockCipher"), vi.spyOn(engine, "siv")];
    expect(await refusalCode(() => decrypt(key, token))).toBe("authentication-failed");
    expect(await refusalCode(() => decrypt(DataKey.generate(), token))).toBe("authentication-failed");
    for (const spy of [gcmOpen, blockCipher, siv]) expect(spy).not.toHaveBeenCalled();
  });

  test("of the other kind is refused as malformed, without a call of the AEAD", async () => {
    takeTheFineWay();
    const key = DataKey.from(noise(32));
    for (const each of KINDS) {
      if (each.kind === kind) continue;
      const gcmOpen = vi.spyOn(engine.gcm, "open");
      const token = each.encrypt(key, noise(30));
      expect(await refusalCode(() => decrypt(key, token))).toBe("malformed-envelope");
      expect(await refusalCode(() => decrypt(key, textOf(token)))).toBe("malformed-envelope");
      expect(gcmOpen).not.toHaveBeenCalled();
    }
  });

  test("that is too short for its kind is malformed, down to nothing", async () => {
    const key = DataKey.from(noise(32));
    const token = encrypt(key, new Uint8Array(0));
    expect(token).toHaveLength(overhead);
    expectSameBytes(decrypt(key, token), new Uint8Array(0));
    for (let length = 0; length < overhead; length++) {
      expect(await refusalCode(() => decrypt(key, token.subarray(0, length))), `${length}`).toBe("malformed-envelope");
      expect(await refusalCode(() => decrypt(key, textOf(token.subarray(0, length)))), `${length}`).toBe("malformed-envelope");
    }
  });

  test("as text has one spelling: padding, foreign characters, spaces and idle bits are malformed", async () => {
    const key = DataKey.from(noise(32));
    for (const size of [0, 1, 2, 3]) {
      const token = encrypt(key, noise(size));
      const text = textOf(token);
      expectSameBytes(decrypt(key, text), noise(size));
      const spellings = [
        ...["=", "==", " ", "\n", "\u{0}"].map((tail) => text + tail),
        ...[" ", "\u{feff}", "data:"].map((start) => start + text),
        ...["+", "/", ".", "~", "é", "\u{1f600}", "="].map((foreign) => text.slice(0, 10) + foreign + text.slice(11)),
        Buffer.from(token).toString("base64").concat("="),
        Buffer.from(token).toString("hex"),
        ...idleBits(text, token.length),
      ];
      for (const spelling of spellings) {
        if (spelling === text) continue;
        expect(await refusalCode(() => decrypt(key, spelling)), spelling).toBe("malformed-envelope");
      }
    }
  });

  test("as text changed in any one character is refused", async () => {
    const key = DataKey.from(noise(32));
    const text = textOf(encrypt(key, noise(20)));
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: text.length - 1 }), fc.string({ unit: "binary", maxLength: 2 }), async (at, other) => {
        fc.pre(other !== text[at]);
        const code = await refusalCode(() => decrypt(key, text.slice(0, at) + other + text.slice(at + 1)));
        expect(["malformed-envelope", "authentication-failed"]).toContain(code);
      }),
      runs(500, 200),
    );
  });
});

describe("random tokens", () => {
  test("of one value differ each time, in their nonce and in all after it", () => {
    const key = DataKey.from(noise(32));
    const tokens = Array.from({ length: 200 }, () => key.encryptToken(noise(16))); // past the nonces that are made ahead
    expect(new Set(tokens.map((token) => hexOf(token.subarray(17, 41)))).size).toBe(200);
    expect(new Set(tokens.map((token) => hexOf(token.subarray(41)))).size).toBe(200);
    for (const token of tokens) expectSameBytes(DataKey.from(noise(32)).decryptToken(token), noise(16));
  });

  test("refuse a context that contradicts the key context, at both ends", async () => {
    const key = DataKey.from(noise(32), { tenant: "acme" });
    expect(await refusalCode(() => key.encryptToken(noise(1), { tenant: "other" }))).toBe("invalid-argument");
    expect(await refusalCode(() => key.decryptToken(key.encryptToken(noise(1)), { tenant: "other" }))).toBe("invalid-argument");
    expect(key.decryptToken(key.encryptToken(noise(1)), { tenant: "acme" })).toEqual(noise(1));
  });
});

describe("deterministic tokens", () => {
  test("are equal exactly when value, context and key are", () => {
    const small = fc.uint8Array({ maxLength: 2, max: 2 });
    const few = fc.constantFrom<Context>({}, { column: "a" }, { column: "b" });
    fc.assert(
      fc.property(
        small,
        small,
        few,
        few,
        fc.nat({ max: 1 }),
        fc.nat({ max: 1 }),
        (value, other, context, otherContext, seed, otherSeed) => {
          const one = DataKey.from(noise(32, seed)).encryptDeterministic(value, context);
          const two = DataKey.from(noise(32, otherSeed)).encryptDeterministic(other, otherContext);
          const isSame = hexOf(value) === hexOf(other) && JSON.stringify(context) === JSON.stringify(otherContext) && seed === otherSeed;
          expect(hexOf(one) === hexOf(two)).toBe(isSame);
        },
      ),
      runs(400, 200),
    );
  });

  test("do not depend on the order in which the context was written", () => {
    fc.assert(
      fc.property(contexts, fc.uint8Array({ maxLength: 20 }), (context, value) => {
        const key = DataKey.from(noise(32));
        const reversed = Object.fromEntries(Object.entries(context).reverse());
        expectSameBytes(key.encryptDeterministic(value, reversed), key.encryptDeterministic(value, context));
      }),
      runs(200, 60),
    );
  });
});

function textOf(token: Uint8Array): string {
  return Buffer.from(token).toString("base64url");
}

/** The other spellings of the last character, which differ in bits that belong to no byte. */
function idleBits(text: string, bytes: number): readonly string[] {
  const idle = [0, 4, 2][bytes % 3] ?? 0;
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const value = alphabet.indexOf(text.slice(-1));
  return Array.from({ length: 1 << idle }, (_, low) => text.slice(0, -1) + (alphabet[(value & ~((1 << idle) - 1)) | low] ?? ""));
}
