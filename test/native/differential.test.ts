import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { engine } from "#engine";
import { utf8Length } from "../../src/core/base/bytes.ts";
import { bodyBytes } from "../../src/core/crypto/body-sizes.ts";
import type { CoarseXaes } from "../../src/core/crypto/engine/engine.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes, flipped, hexOf } from "../support/bytes.ts";
import { opensslChunks, opensslExpand, opensslXaes } from "../support/openssl.ts";

// @envelock/native against OpenSSL by way of node:crypto. ENVELOCK_NATIVE_CASES makes it longer.

const { ENVELOCK_NATIVE_CASES: cases = "150" } = process.env;
const runs = { numRuns: Number(cases) } as const;
const { coarse } = engine;
if (coarse === undefined) throw new Error("the project node-native has the package");

const bytes = (minLength: number, maxLength = minLength): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength, maxLength });
const long = (max: number): fc.Arbitrary<Uint8Array> => fc.nat({ max }).map((length) => noise(length));
const borders = (...lengths: readonly number[]): fc.Arbitrary<Uint8Array> => fc.constantFrom(...lengths).map((length) => noise(length));
/** Short ones, which pass through the scratch, every border, and long ones. */
const message = fc.oneof(bytes(0, 100), borders(95, 96, 97, 983, 984, 985), long(70_000));
const aad = fc.oneof(bytes(0, 150), borders(8703, 8704), long(8704));
const chunked = fc.oneof(bytes(0, 300), borders(16_383, 16_384, 16_385, 32_768, 32_769), long(70_000));

describe("the package makes what OpenSSL makes by node:crypto", () => {
  test("XAES-256-GCM, and refuses a flipped bit anywhere", () => {
    fc.assert(
      fc.property(bytes(32), bytes(24), aad, message, fc.nat(), (secret, nonce, associated, plaintext, place) => {
        const cipher = keyed(secret);
        const sealed = new Uint8Array(24 + plaintext.length + 16 + 3);
        expect(cipher.sealFresh(associated, plaintext, sealed, 3)).toBe(sealed.length - 3);
        const drawn = sealed.subarray(3, 27);
        expectSameBytes(sealed.subarray(27), opensslXaes(secret, drawn, associated, plaintext));
        expectOpens(cipher.open(associated, sealed, 3), plaintext);
        expect(cipher.open(associated, flipped(sealed, 3 + (place % (sealed.length - 3)), 1 << (place % 8)), 3)).toBe(false);
        if (associated.length > 0) expect(cipher.open(flipped(associated, place % associated.length), sealed, 3)).toBe(false);

        const given = new Uint8Array(plaintext.length + 16);
        const written = cipher.dangerSealWithNonce(nonce, associated, plaintext, given, 0);
        expect(written).toBe(plaintext.length > 984 ? undefined : given.length);
        if (written !== undefined) expectSameBytes(given, opensslXaes(secret, nonce, associated, plaintext));
      }),
      runs,
    );
  });

  test("HKDF-Expand", () => {
    const length = fc.oneof(fc.nat({ max: 1024 }), fc.constantFrom(1, 31, 32, 33, 64, 65, 76, 128, 1024));
    const secret = fc.oneof(bytes(0, 128), bytes(32));
    fc.assert(
      fc.property(
        fc.constantFrom("sha256", "sha512"),
        secret,
        fc.array(bytes(0, 300), { maxLength: 6 }),
        length,
        (hash, key, info, count) => {
          const derived = coarse.expand(hash, key, info, count);
          if (hash === "sha256" && key.length > 64) return expect(derived).toBeUndefined();
          expect(hexOf(derived ?? key)).toBe(opensslExpand(hash, key, Buffer.concat(info), count).toString("hex"));
        },
      ),
      runs,
    );
  });

  test("bodies of any number of chunks, and refuses a flipped bit anywhere", () => {
    fc.assert(
      fc.property(bytes(32), bytes(24), bytes(0, 200), chunked, fc.nat(), (inputKey, salt, context, plaintext, place) => {
        const info = [new Uint8Array(48).fill(7), salt, context];
        const body = new Uint8Array(bodyBytes(plaintext.length) + 5);
        expect(coarse.sealBody(inputKey, salt, info, plaintext, body, 5)).toBe(body.length - 5);
        const keys = opensslExpand("sha512", inputKey, Buffer.concat(info), 76);
        const chunks = opensslChunks(keys.subarray(0, 32), keys.subarray(32, 44), 0, plaintext, true);
        expectSameBytes(body.subarray(5), Buffer.concat([salt, keys.subarray(44), chunks]));
        const owned = body.slice(5);
        expectOpens(coarse.openBody(inputKey, info, owned), plaintext);
        const at = 24 + (place % (owned.length - 24)); // the salt counts where it stands in the info
        expect(coarse.openBody(inputKey, info, flipped(owned, at, 1 << (place % 8)))).toBe(false);
        expect(coarse.openBody(flipped(inputKey, 0), info, owned)).toBe(false);
      }),
      runs,
    );
  });

  test("runs of chunks, from any number on", () => {
    const first = fc.oneof(fc.nat(), fc.constantFrom(0, 255, 256, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 3, 2 ** 48 - 8));
    fc.assert(
      fc.property(bytes(32), bytes(12), first, chunked, fc.boolean(), fc.nat(), (key, base, number, input, isEnd, place) => {
        const plaintext = isEnd ? input : input.subarray(0, input.length - (input.length % 16_384));
        const expected = opensslChunks(key, base, number, plaintext, isEnd);
        const sealed = new Uint8Array(expected.length + 2);
        expect(coarse.sealChunks({ key, base }, number, plaintext, isEnd, sealed, 2)).toBe(expected.length);
        expectSameBytes(sealed.subarray(2), expected);
        const opened = new Uint8Array(plaintext.length + 1).fill(9);
        expect(coarse.openChunks({ key, base }, number, expected, opened, 1)).toBe(plaintext.length);
        expectSameBytes(opened.subarray(1), plaintext);
        if (expected.length === 0) return;
        const changed = flipped(expected, place % expected.length);
        expect(coarse.openChunks({ key, base }, number, changed, opened, 1)).toBe(false);
        const chunks = Math.floor((place % expected.length) / 16_400); // those before are wiped, and the wrong one
        expectSameBytes(opened.subarray(1, 1 + 16_384 * (chunks + 1)), new Uint8Array(Math.min(plaintext.length, 16_384 * (chunks + 1))));
        expect(opened[0]).toBe(9);
      }),
      runs,
    );
  });

  test("text, in its one spelling", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc.string({ unit: "grapheme-ascii", maxLength: 400 }),
      fc.constantFrom("", "\u{feff}mark", "\u{d800}", "a\u{dfff}b", "\u{fffd}", "x".repeat(4096), "\u{20ac}".repeat(1365), "\0"),
      fc.constantFrom("y".repeat(4097), "\u{20ac}".repeat(1366), "\u{1d11e}".repeat(1025)), // one too many, in whatever spelling
    );
    fc.assert(
      fc.property(bytes(32), bytes(0, 32), bytes(0, 120), text, fc.nat(), (secret, prefix, associated, plaintext, place) => {
        const cipher = keyed(secret);
        const token = cipher.sealText(associated, prefix, plaintext);
        if (token === undefined) {
          expect((utf8Length(plaintext) ?? 5000) > 4096 || plaintext.includes("\u{fffd}")).toBe(true);
          return;
        }
        const sealed = Buffer.from(token, "base64url");
        expect(sealed.toString("base64url")).toBe(token);
        expectSameBytes(sealed.subarray(0, prefix.length), prefix);
        expectOpens(cipher.open(associated, sealed, prefix.length), Buffer.from(plaintext));
        expect(cipher.openText(associated, prefix, token)).toBe(plaintext);
        const at = place % token.length;
        for (const instead of ["A", "-", "_", "=", "!", " ", "\u{141}", "\u{ff21}", "\0"]) {
          const changed: string = token.slice(0, at) + instead + token.slice(at + 1);
          if (changed !== token) expect([false, undefined]).toContain(cipher.openText(associated, prefix, changed));
        }
        for (const spelling of [`${token}=`, `${token}A`, `${token} `, token.slice(0, -1), ""]) {
          expect([false, undefined]).toContain(cipher.openText(associated, prefix, spelling));
        }
      }),
      runs,
    );
  });

  test("and no text of bytes that are no UTF-8", () => {
    const cipher = keyed(noise(32));
    const wrong = ["80", "c080", "c1bf", "e08080", "eda080", "f08fbfbf", "f4908080", "f5808080", "ff", "61c3", "e282", "f09f98", "c3c3"];
    for (const hex of [...wrong, ...wrong.map((bytes) => `${"61".repeat(20)}${bytes}`)]) {
      const plaintext = Buffer.from(hex, "hex");
      const sealed = new Uint8Array(40 + plaintext.length);
      cipher.sealFresh(noise(8), plaintext, sealed, 0);
      expect(cipher.openText(noise(8), new Uint8Array(0), Buffer.from(sealed).toString("base64url")), hex).toBeUndefined();
    }
  });
});

test("what is shared with other threads, too long or overlaps is declined, and nothing is written", () => {
  const cipher = keyed(noise(32));
  const shared = new Uint8Array(new SharedArrayBuffer(400));
  const whole = new Uint8Array(1000);
  const target = new Uint8Array(1000);
  const keys = { key: noise(32), base: noise(12) };
  const info = [noise(9000)];
  expect([
    cipher.sealFresh(noise(8705), noise(9), target, 0),
    cipher.sealFresh(noise(9), shared, target, 0),
    cipher.sealFresh(noise(9), whole.subarray(0, 200), whole, 300),
    cipher.open(noise(8705), noise(90), 0),
    cipher.open(noise(9), shared, 0),
    cipher.open(noise(9), noise(39), 0),
    cipher.sealText(noise(9), noise(33), "text"),
    cipher.openText(noise(8705), noise(9), "text"),
    coarse.expand("sha512", noise(129), [], 32),
    coarse.expand("sha512", noise(32), info, 32),
    coarse.expand("sha512", noise(32), [], 1025),
    coarse.sealBody(noise(32), noise(24), info, noise(9), target, 0),
    coarse.sealBody(noise(32), noise(24), [], shared, target, 0),
    coarse.openBody(noise(32), [], shared),
    coarse.openBody(noise(32), [], noise(71)),
    coarse.sealChunks(keys, 0, noise(9), true, shared, 0),
    coarse.openChunks(keys, 0, shared, target, 0),
  ]).toEqual(Array.from({ length: 17 }, () => undefined));
  expectSameBytes(target, new Uint8Array(1000));
  expectSameBytes(whole, new Uint8Array(1000));
});

function keyed(secret: Uint8Array): CoarseXaes {
  return coarse?.xaes(secret) ?? expect.fail("declined a key");
}

function expectOpens(opened: Uint8Array | false | undefined, plaintext: Uint8Array): void {
  if (opened === false || opened === undefined) throw new Error("did not open");
  expect(opened.byteLength).toBe(opened.buffer.byteLength);
  expectSameBytes(opened, plaintext);
}
