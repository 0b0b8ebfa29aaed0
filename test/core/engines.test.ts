import { createHmac } from "node:crypto";
import fc from "fast-check";
import { afterAll, describe, expect, test, vi } from "vitest";
import { engine } from "#engine";
import type { Engine } from "../../src/core/crypto/engine/engine.ts";
import { engine as node } from "../../src/core/crypto/engine/node.ts";
import { release } from "../../src/core/crypto/engine/node-release.ts";
import { engine as wasm } from "../../src/core/crypto/engine/node-wasm.ts";
import { engine as portable } from "../../src/core/crypto/engine/portable.ts";
import { DataKey } from "../../src/core/data-key/data-key.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { noise, plaintexts, runs, splitContexts } from "../support/arbitraries.ts";
import { expectSameBytes, flipped, hexOf } from "../support/bytes.ts";
import { takeTheFineWay } from "../support/fine-way.ts";
import { kek } from "../support/keks.ts";

const ENGINES: readonly Engine[] = [node, wasm, portable, ...(engine.name === "node-native" ? [engine] : [])];

const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
const any: fc.Arbitrary<Uint8Array> = fc.uint8Array({ maxLength: 130 });

describe("all engines make the same bytes", () => {
  test("this suite runs on the engine that its project names", () => {
    const { ENVELOCK_TEST_ENGINE } = process.env;
    expect(engine.name).toBe(ENVELOCK_TEST_ENGINE);
    expect(engine).toBe(ENGINES.find(({ name }) => name === engine.name));
    expect(node).not.toBe(portable);
  });

  test("HMAC, of one part or several, short or long", () => {
    const key = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.constantFrom(0, 63, 64, 65, 127, 128, 129, 2000).map((length) => noise(length)),
    );
    const long = fc.constantFrom(895, 896, 897, 959, 960, 961, 5000).map((length) => noise(length));
    fc.assert(
      fc.property(fc.constantFrom("sha256", "sha512"), key, fc.array(fc.oneof(any, long), { maxLength: 4 }), (hash, secret, parts) => {
        const mac = expectSame((each) => each.hmac(hash, secret, ...parts));
        const reference = createHmac(hash, secret).update(Buffer.concat(parts)).digest("hex");
        expect(hexOf(mac)).toBe(reference);
        expect(hexOf(expectSame((each) => each.publicHmac(hash, secret, ...parts)))).toBe(reference);
      }),
      runs(200, 120),
    );
  });

  test("AES-GCM, which each opens from the other and refuses when changed", () => {
    const key = fc.oneof(bytes(16), bytes(32));
    fc.assert(
      fc.property(key, bytes(12), any, any, fc.nat(), (secret, nonce, aad, plaintext, place) => {
        const sealed = expectSame((each) => {
          const target = new Uint8Array(plaintext.length + 16);
          each.gcm.seal(secret, nonce, aad, plaintext, target, 0);
          return target;
        });
        const changed = flipped(sealed, place % sealed.length);
        for (const each of ENGINES) {
          expect(each.gcm.open(secret, nonce, aad, sealed)).toEqual(plaintext);
          expect(each.gcm.open(secret, nonce, aad, changed)).toBeUndefined();
        }
      }),
      runs(150, 100),
    );
  });

  test("chunks", async () => {
    await fc.assert(
      fc.asyncProperty(bytes(32), bytes(12), plaintexts, fc.nat(), async (key, nonce, plaintext, place) => {
        const sealed = await Promise.all(
          ENGINES.map(async (each) => {
            const target = new Uint8Array(plaintext.length + 16 + 2);
            const given = Uint8Array.from(nonce);
            const sealing = each.chunkCipher(key, 1).seal(given, plaintext, target, 1);
            given.fill(0); // where the caller writes the next nonce
            await sealing;
            return target;
          }),
        );
        const [one, ...others] = sealed;
        if (one === undefined) return expect.fail("no engine");
        for (const other of others) expectSameBytes(one, other);
        const chunk = one.subarray(1, -1);
        for (const each of ENGINES) {
          const opened = new Uint8Array(plaintext.length + 2);
          const given = Uint8Array.from(nonce);
          const opening = each.chunkCipher(key, 1).open(given, chunk, opened, 1);
          given.fill(0);
          await opening;
          expectSameBytes(opened.subarray(1, -1), plaintext);
          const untouched = noise(plaintext.length);
          const changed = flipped(chunk, place % chunk.length);
          await expect((async () => each.chunkCipher(key, 2).open(nonce, changed, untouched, 0))()).rejects.toMatchObject({
            code: "authentication-failed",
          });
          expectSameBytes(untouched, noise(plaintext.length)); // nothing is written before the tag is checked
        }
      }),
      runs(60, 60),
    );
  });

  test("AES blocks, one or many", () => {
    const blocks = fc.nat({ max: 4 }).chain((count) => bytes(16 * count));
    fc.assert(
      fc.property(bytes(32), blocks, blocks, (key, first, second) => {
        expectSame((each) => {
          const cipher = each.blockCipher(key);
          return Buffer.concat([cipher.encrypt(first), cipher.encrypt(second)]);
        });
      }),
      runs(120, 80),
    );
  });

  test("AES-SIV, with no, one and several components", () => {
    const key = fc.oneof(bytes(32), bytes(48), bytes(64));
    fc.assert(
      fc.property(key, fc.array(any, { maxLength: 4 }), any, fc.nat(), (secret, associated, plaintext, place) => {
        const sealed = expectSame((each) => each.siv(secret).seal(associated, plaintext));
        for (const each of ENGINES) {
          expect(each.siv(secret).open(associated, sealed)).toEqual(plaintext);
          expect(each.siv(secret).open(associated, flipped(sealed, place % sealed.length))).toBeUndefined();
          expect(each.siv(secret).open(associated, sealed.subarray(0, place % 16))).toBeUndefined();
        }
      }),
      runs(150, 100),
    );
  });

  test("AES key wrap, and the same refusals", () => {
    const kekBytes = fc.oneof(bytes(16), bytes(24), bytes(32));
    const keyBytes = fc.integer({ min: 2, max: 8 }).chain((words) => bytes(8 * words));
    fc.assert(
      fc.property(kekBytes, keyBytes, fc.nat(), fc.uint8Array({ maxLength: 40 }), (secret, key, place, garbage) => {
        const wrapped = expectSame((each) => each.keyWrap.wrap(secret, key));
        for (const each of ENGINES) {
          expect(each.keyWrap.open(secret, wrapped)).toEqual(key);
          expect(each.keyWrap.open(secret, flipped(wrapped, place % wrapped.length))).toBeUndefined();
          expect(each.keyWrap.open(secret, garbage)).toBeUndefined();
        }
      }),
      runs(120, 80),
    );
  });

  test("X25519, and no secret from points of small order", () => {
    fc.assert(
      fc.property(bytes(32), bytes(32), (secret, other) => {
        const publicKey = expectSame((each) => each.x25519.keyPair(other).publicKey);
        const shared = expectSame((each) => each.x25519.keyPair(secret).sharedSecret(publicKey) ?? new Uint8Array(0));
        expect(shared).toHaveLength(32);
        for (const each of ENGINES) {
          expect(each.x25519.keyPair(secret).sharedSecret(new Uint8Array(32))).toBeUndefined();
          expect(each.x25519.keyPair(secret).sharedSecret(Uint8Array.of(1, ...new Uint8Array(31)))).toBeUndefined();
        }
      }),
      runs(30, 30),
    );
  });

  test("comparison", () => {
    fc.assert(
      fc.property(any, any, fc.nat(), (a, b, place) => {
        for (const each of ENGINES) {
          expect(each.timingSafeEqual(a, Uint8Array.from(a))).toBe(true);
          expect(each.timingSafeEqual(a, b)).toBe(hexOf(a) === hexOf(b));
          if (a.length > 0) expect(each.timingSafeEqual(a, flipped(a, place % a.length, 0x80))).toBe(false);
        }
      }),
      runs(120, 80),
    );
  });

  test.each(
    ENGINES.map((each) => [each.name, each] as const),
  )("randomness of the %s engine is of the length asked for, owned, and never the same", (_, each) => {
    for (const random of [each.randomNonce, each.randomKey]) {
      const drawn = Array.from({ length: 300 }, () => random(24)); // more than the pool of nonces holds at once
      for (const { length, buffer } of drawn) expect([length, buffer.byteLength]).toEqual([24, 24]);
      expect(new Set(drawn.map(hexOf)).size).toBe(300);
      const ones = drawn.reduce(
        (sum, nonce) => sum + nonce.reduce((bits, byte) => bits + byte.toString(2).replaceAll("0", "").length, 0),
        0,
      );
      expect(ones / (300 * 24 * 8)).toBeCloseTo(0.5, 1);
    }
    expect(each.allocate(10_000).buffer.byteLength).toBe(10_000);
  });
});

// node, on which the others are built, against each of them
describe.each(
  ENGINES.filter(({ name }) => name !== engine.name && (engine === node || name === node.name)),
)("$name and this one open what the other sealed", async (other) => {
  const elsewhere = await loadOn(other);
  const here = { Keyring, DataKey, kek };
  const directions = [
    { name: `${engine.name} to ${other.name}`, from: here, to: elsewhere },
    { name: `${other.name} to ${engine.name}`, from: elsewhere, to: here },
  ];

  afterAll(() => {
    vi.doUnmock("#engine");
    vi.resetModules();
  });

  test("the other copy does run on the other engine", () => {
    vi.spyOn(other, "coarse", "get").mockReturnValue(undefined);
    takeTheFineWay();
    const blockCipher = vi.spyOn(other, "blockCipher");
    elsewhere.DataKey.generate().encryptToken(noise(1));
    expect(blockCipher).toHaveBeenCalledOnce();
    blockCipher.mockClear();
    DataKey.generate().encryptToken(noise(1));
    expect(blockCipher).not.toHaveBeenCalled();
    vi.restoreAllMocks();
  });

  test.each(directions)("envelopes and key records, $name", async ({ from, to }) => {
    await fc.assert(
      fc.asyncProperty(plaintexts, splitContexts, async (plaintext, { context, rest }) => {
        const writer = new from.Keyring({ wrapWith: [from.kek()], context });
        const reader = new to.Keyring({ wrapWith: [to.kek()], context });
        const envelope = await writer.encrypt(plaintext, { context: rest });
        expectSameBytes(await reader.decrypt(envelope, { context: rest }), plaintext);
        expectSameBytes(await writer.decrypt(await reader.rewrap(envelope), { context: rest }), plaintext);
        const { dataKey, keyRecord } = await writer.createDataKey();
        expect((await reader.unwrapDataKey(keyRecord)).kid).toBe(dataKey.kid);
      }),
      runs(30, 15),
    );
  });

  test.each(directions)("tokens, $name", ({ from, to }) => {
    fc.assert(
      fc.property(any, splitContexts, (plaintext, { context, rest }) => {
        const [writer, reader] = [from.DataKey.from(noise(32), context), to.DataKey.from(noise(32), context)];
        expectSameBytes(reader.decryptToken(writer.encryptToken(plaintext, rest), rest), plaintext);
        const deterministic = writer.encryptDeterministic(plaintext, rest);
        expectSameBytes(reader.encryptDeterministic(plaintext, rest), deterministic);
        expectSameBytes(reader.decryptDeterministic(deterministic, rest), plaintext);
      }),
      runs(60, 60),
    );
  });
});

/** The result, which all engines agree on. */
function expectSame(work: (each: Engine) => Uint8Array): Uint8Array {
  const [one, ...others] = ENGINES.map(work);
  if (one === undefined) return expect.fail("no engine");
  for (const other of others) expect(hexOf(other)).toBe(hexOf(one));
  return one;
}

/** A second copy of the library in which `#engine` is `other`. */
async function loadOn(other: Engine): Promise<{ Keyring: typeof Keyring; DataKey: typeof DataKey; kek: typeof kek }> {
  vi.resetModules();
  vi.doMock("#engine", () => ({ engine: other }));
  const [keyring, dataKey, keks] = await Promise.all([
    import("../../src/core/keyring/keyring.ts"),
    import("../../src/core/data-key/data-key.ts"),
    import("../support/keks.ts"),
  ]);
  return { Keyring: keyring.Keyring, DataKey: dataKey.DataKey, kek: keks.kek };
}

describe("a cipher's output that has been copied", () => {
  test("is gone at once, also from a runtime without ArrayBuffer.prototype.transfer", () => {
    const outputs = [new Uint8Array(4096), new Uint8Array(16_384), Buffer.allocUnsafeSlow(65_536)];
    for (const output of outputs) release(output);
    expect(outputs.map(({ byteLength }) => byteLength)).toEqual([0, 0, 0]);
  });

  // Bun counts what its collector has found
  test.skipIf("bun" in process.versions)("gives its memory back", () => {
    const large = new Uint8Array(2 ** 26);
    const before = process.memoryUsage().arrayBuffers;
    release(large);
    expect(before - process.memoryUsage().arrayBuffers).toBeGreaterThanOrEqual(2 ** 26);
  });

  test("stays if it shares its memory with others, or is too small to matter", () => {
    const whole = new Uint8Array(16_384).fill(7);
    release(whole.subarray(0, 8192));
    release(new Uint8Array(new SharedArrayBuffer(8192)));
    const small = new Uint8Array(4095);
    release(small);
    expect([whole.length, whole[16_383], small.length]).toEqual([16_384, 7, 4095]);
  });
});
