import { createCipheriv, createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { utf8Length } from "../../src/core/base/bytes.ts";
import { engine as node } from "../../src/core/crypto/engine/node.ts";
import { engine as wasm } from "../../src/core/crypto/engine/node-wasm.ts";
import { engine as portable } from "../../src/core/crypto/engine/portable.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes, flipped, hexOf } from "../support/bytes.ts";
import { opensslExpand, opensslXaes } from "../support/openssl.ts";

// The module against OpenSSL, which node:crypto calls. ENVELOCK_WASM_CASES makes it longer.

const { ENVELOCK_WASM_CASES: cases = "300" } = process.env;
const runs = { numRuns: Number(cases) } as const;

const bytes = (minLength: number, maxLength = minLength): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength, maxLength });
/** Random keys, and those that tables of AES would not hide: all bytes alike. */
const key = fc.oneof(
  bytes(32),
  fc.nat({ max: 255 }).map((byte) => new Uint8Array(32).fill(byte)),
);
/** Short ones, every border of blocks, and long ones. */
const message = fc.oneof(
  bytes(0, 80),
  fc.nat({ max: 1200 }).map((length) => noise(length)),
  fc.constantFrom(32_767, 32_768, 32_769, 65_535, 65_536, 65_537, 100_000).map((length) => noise(length)),
);
const aad = fc.oneof(
  bytes(0, 150),
  fc.nat({ max: 9000 }).map((length) => noise(length)),
);

describe("the module makes what OpenSSL makes", () => {
  test("XAES-256-GCM, and refuses a flipped bit anywhere", () => {
    fc.assert(
      fc.property(key, bytes(24), aad, message, fc.nat(), (secret, nonce, associated, plaintext, place) => {
        const expected = opensslXaes(secret, nonce, associated, plaintext);
        for (const { coarse } of [wasm, portable]) {
          const cipher = coarse?.xaes(secret);
          if (cipher === undefined) return expect.fail("no module");
          const sealed = new Uint8Array(24 + plaintext.length + 16);
          sealed.set(nonce);
          if (cipher.dangerSealWithNonce(nonce, associated, plaintext, sealed, 24) === undefined) continue; // too long for it
          expectSameBytes(sealed.subarray(24), expected);
          expect(cipher.open(associated, flipped(sealed, place % sealed.length, 1 << (place % 8)), 0)).toBe(false);
          const opened = cipher.open(associated, sealed, 0);
          expectSameBytes(opened === false || opened === undefined ? sealed : opened, plaintext);
        }
      }),
      runs,
    );
  });

  test("AES-256-GCM under a key that is used once", () => {
    fc.assert(
      fc.property(key, bytes(12), aad, message, fc.nat(), (secret, nonce, associated, plaintext, place) => {
        const [ours, theirs] = [portable, node].map((engine) => {
          const sealed = new Uint8Array(plaintext.length + 16);
          expect(engine.gcm.seal(secret, nonce, associated, plaintext, sealed, 0)).toBe(sealed.length);
          return sealed;
        });
        if (ours === undefined || theirs === undefined) return;
        expectSameBytes(ours, theirs);
        expectSameBytes(portable.gcm.open(secret, nonce, associated, ours) ?? ours, plaintext);
        expect(portable.gcm.open(secret, nonce, associated, flipped(ours, place % ours.length))).toBeUndefined();
      }),
      runs,
    );
  });

  test("AES-SIV with AES-256, and single blocks", () => {
    fc.assert(
      fc.property(bytes(64), fc.array(bytes(0, 60), { maxLength: 4 }), message, fc.nat(), (secret, associated, plaintext, place) => {
        const [ours, theirs] = [portable.siv(secret), node.siv(secret)];
        const sealed = ours.seal(associated, plaintext);
        expectSameBytes(sealed, theirs.seal(associated, plaintext));
        expectSameBytes(ours.open(associated, sealed) ?? sealed, plaintext);
        expect(ours.open(associated, flipped(sealed, place % sealed.length))).toBeUndefined();
        const blocks = noise(16 * (place % 12));
        const once = secret.subarray(0, 32);
        expectSameBytes(portable.blockCipher(once).encrypt(blocks), node.blockCipher(once).encrypt(blocks));
      }),
      runs,
    );
  });

  test("HMAC-SHA-512 and HKDF-Expand", () => {
    const length = fc.oneof(fc.nat({ max: 1024 }), fc.constantFrom(1, 32, 64, 65, 76, 128));
    fc.assert(
      fc.property(bytes(0, 140), fc.array(bytes(0, 200), { maxLength: 5 }), bytes(32), length, (secret, parts, pseudorandom, count) => {
        const joined = Buffer.concat(parts);
        expect(hexOf(portable.hmac("sha512", secret, ...parts))).toBe(createHmac("sha512", secret).update(joined).digest("hex"));
        const derived = wasm.coarse?.expand("sha512", pseudorandom, parts, count);
        if (derived === undefined) return expect.fail("declined");
        expect(hexOf(derived)).toBe(opensslExpand("sha512", pseudorandom, joined, count).toString("hex"));
      }),
      runs,
    );
  });

  test("bodies of one chunk, and refuses a flipped bit anywhere", () => {
    const part = fc.oneof(
      bytes(0, 200),
      fc.constantFrom(8000).map((length) => noise(length)),
    );
    fc.assert(
      fc.property(key, bytes(24), part, fc.nat({ max: 8192 }), fc.nat(), (inputKey, salt, context, length, place) => {
        const coarse = portable.coarse;
        const info = [new Uint8Array(48).fill(7), salt, context];
        const plaintext = noise(length);
        const body = new Uint8Array(72 + length);
        expect(coarse?.sealBody(inputKey, salt, info, plaintext, body, 0)).toBe(body.length);
        const keys = coarse?.expand("sha512", inputKey, info, 76) ?? new Uint8Array(76);
        const expected = createCipheriv("aes-256-gcm", keys.subarray(0, 32), keys.subarray(32, 44));
        const ciphertext = Buffer.concat([expected.update(plaintext), expected.final(), expected.getAuthTag()]);
        expectSameBytes(body, Buffer.concat([salt, keys.subarray(44), ciphertext]));
        const opened = coarse?.openBody(inputKey, info, body);
        expectSameBytes(opened === false || opened === undefined ? body : opened, plaintext);
        const at = 24 + (place % (body.length - 24)); // the salt is in the info
        expect(coarse?.openBody(inputKey, info, flipped(body, at, 1 << (place % 8)))).toBe(false);
      }),
      runs,
    );
  });

  test("base64url, in its one spelling", () => {
    const text = fc.oneof(fc.string({ unit: "binary", maxLength: 300 }), fc.string({ unit: "grapheme-ascii", maxLength: 400 }));
    fc.assert(
      fc.property(key, bytes(17), bytes(0, 120), text, fc.nat(), (secret, prefix, associated, plaintext, place) => {
        for (const { coarse } of [wasm, portable]) {
          const cipher = coarse?.xaes(secret);
          const token = cipher?.sealText(associated, prefix, plaintext);
          if (cipher === undefined || token === undefined) {
            expect(3 * plaintext.length > 384 || utf8Length(plaintext) === undefined).toBe(true);
            continue;
          }
          const sealed = Buffer.from(token, "base64url");
          expect(sealed.toString("base64url")).toBe(token);
          expectSameBytes(sealed.subarray(0, 17), prefix);
          const opened = cipher.open(associated, sealed, 17);
          expect(opened !== false && Buffer.from(opened ?? []).toString()).toBe(plaintext);
          expect(cipher.openText(associated, prefix, token)).toBe(plaintext);
          const at = place % token.length;
          for (const instead of ["A", "-", "_", "=", "!", " ", "\u{141}", "\u{ff21}"]) {
            const changed: string = token.slice(0, at) + instead + token.slice(at + 1);
            if (changed !== token) expect(cipher.openText(associated, prefix, changed), changed).not.toBe(plaintext);
          }
          for (const spelling of [`${token}=`, `${token}A`, `${token} `, token.slice(0, -1)]) {
            expect(cipher.openText(associated, prefix, spelling)).not.toBe(plaintext);
          }
        }
      }),
      runs,
    );
  });
});
