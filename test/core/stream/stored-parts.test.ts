import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { partDigests } from "../../../src/core/stream/part-digest.ts";
import type { EncryptedUpload } from "../../../src/core/stream/upload.ts";
import type { UploadOptions } from "../../../src/core/stream/uploads.ts";
import { cutsWithin, patterned, piecesOf, testKeyring } from "../../support/pieces.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";

const CHUNK = 16_384;
const SEALED = CHUNK + 16;
const HEADER = 512;
const STORED = 65_536;
const context = { object: "film.mp4" };
const keyring = testKeyring();

describe("parts of equal stored length", () => {
  // Borders that cut a chunk, lie between two, in the tag of the last one, and just before and behind the end.
  const chunksIn = (parts: number): number => (parts * STORED - HEADER - 56) / SEALED;
  test.each([
    0,
    1,
    CHUNK,
    Math.floor(chunksIn(1)) * CHUNK,
    Math.ceil(chunksIn(1)) * CHUNK,
    2 * STORED - HEADER - 56 - 16 * Math.ceil(chunksIn(2)),
    2 * STORED - HEADER - 56 - 16 * Math.ceil(chunksIn(2)) + 1,
    2 * STORED - HEADER - 56 - 16 * Math.ceil(chunksIn(2)) + 9,
    5 * STORED + 77,
  ])("of %i bytes, all but the last have it, and in order they are one envelope", async (size) => {
    await expectEqualParts(size, STORED, HEADER);
  });

  test("where no border cuts a chunk, they are equal too", async () => {
    await expectEqualParts(20 * CHUNK, 5 * SEALED, SEALED - 56);
  });

  test("whatever the sizes are", async () => {
    const sizes = fc.record({
      size: fc.nat(400_000),
      stored: fc.integer({ min: 50_000, max: 200_000 }),
      header: fc.integer({ min: 200, max: 700 }),
    });
    await fc.assert(
      fc.asyncProperty(sizes, async ({ size, stored, header }) => await expectEqualParts(size, stored, header)),
      { numRuns: 40, examples: [[{ size: 400_000, stored: 50_000, header: 700 }]] },
    );
  });

  test("its header stands alone too, as long as was stated, and 8,192 bytes unless stated", async () => {
    const plaintext = patterned(STORED);
    for (const [minHeaderBytes, expected] of [
      [HEADER, HEADER],
      [undefined, 8192],
    ] as const) {
      const upload = await keyring.startUpload({
        plaintextBytes: STORED,
        storedPartBytes: STORED,
        ...(minHeaderBytes && { minHeaderBytes }),
      });
      expect(upload.header).toHaveLength(expected);
      expect((await partOf(upload, plaintext, 0)).subarray(0, expected)).toEqual(upload.header);
      const rest = Buffer.concat(await allOf(upload, plaintext)).subarray(expected);
      expect(Buffer.compare(await keyring.decryptDetached({ header: upload.header, body: rest }), plaintext)).toBe(0);
    }
  });

  test("a chunk in two parts has one plaintext: the second part is refused if it brings another", async () => {
    const plaintext = patterned(3 * STORED);
    const upload = await keyring.startUpload({ plaintextBytes: plaintext.length, storedPartBytes: STORED, minHeaderBytes: HEADER });
    await partOf(upload, plaintext, 1);
    for (const index of [0, 2]) {
      const { start, end } = upload.partRange(index);
      const shared = index === 0 ? end - 1 : start;
      const other = plaintext.slice();
      other[shared] = (other[shared] ?? 0) ^ 1;
      expect(await refusal(() => partOf(upload, other, index))).toMatchObject({ code: "invalid-argument", detail: "part-changed" });
      await partOf(upload, plaintext, index); // what was refused left nothing behind
    }
    expect(Buffer.compare(await keyring.decrypt(Buffer.concat(await allOf(upload, plaintext))), plaintext)).toBe(0);
  });

  test.each<Partial<UploadOptions>>([
    { partBytes: 4 * CHUNK },
    { storedPartBytes: HEADER + 56 + 3 * SEALED - 1 },
    { storedPartBytes: STORED + 0.5 },
    { storedPartBytes: 2 ** 32 },
    { minHeaderBytes: 0 },
    { minHeaderBytes: 65_545, storedPartBytes: 2 ** 20 },
    { minHeaderBytes: 60 }, // no recipient fits
    { partDigests: [new Uint8Array(32), new Uint8Array(32)] },
  ])("options %j are refused", async (options) => {
    const given = { plaintextBytes: STORED, storedPartBytes: STORED, minHeaderBytes: HEADER };
    expect(await refusalCode(() => keyring.startUpload({ ...given, ...options }))).toBe("invalid-argument");
  });
});

describe("an upload in parts of equal stored length that goes on after a crash", () => {
  test("makes the same parts", async () => {
    const plaintext = patterned(4 * STORED + 100);
    const options = await optionsFor(plaintext);
    const before = await keyring.startUpload(options);
    const state = await before.exportState();
    const parts = await allOf(before, plaintext);
    before.close();
    const after = await testKeyring().resumeUpload(state, options);
    expect([after.isResumed, after.partCount, after.header]).toEqual([true, parts.length, before.header]);
    for (const [index, part] of parts.entries()) expect(Buffer.compare(await partOf(after, plaintext, index), part)).toBe(0);
  });

  test("starts over if a byte, the cut or the header's size has changed", async () => {
    const plaintext = patterned(3 * STORED);
    const options = await optionsFor(plaintext);
    const state = await (await keyring.startUpload(options)).exportState();
    const { end } = (await keyring.startUpload(options)).partRange(0);
    const changed = plaintext.slice();
    changed[end - 1] = (changed[end - 1] ?? 0) ^ 1; // in the chunk that is cut
    const digests = await partDigests(piecesOf(plaintext), 4 * CHUNK);
    const byPlaintext = { plaintextBytes: plaintext.length, partBytes: 4 * CHUNK, partDigests: digests, context };
    const others: readonly [UploadOptions, Uint8Array][] = [
      [await optionsFor(changed), changed],
      [await optionsFor(plaintext, STORED + 1), plaintext],
      [await optionsFor(plaintext, STORED, HEADER + 1), plaintext],
      [byPlaintext, plaintext],
    ];
    for (const [other, bytes] of others) {
      const after = await keyring.resumeUpload(state, other);
      expect(after.isResumed).toBe(false);
      expect(Buffer.compare(await keyring.decrypt(Buffer.concat(await allOf(after, bytes)), { context }), bytes)).toBe(0);
    }
  });

  test("two that go on together seal a shared chunk with one plaintext: digests hold it, not what was made", async () => {
    const plaintext = patterned(3 * STORED);
    const options = await optionsFor(plaintext);
    const one = await keyring.startUpload(options);
    const two = await keyring.resumeUpload(await one.exportState(), options);
    const other = plaintext.slice();
    const { start } = two.partRange(1);
    other[start] = (other[start] ?? 0) ^ 1;
    await partOf(one, plaintext, 0);
    expect(await refusal(() => partOf(two, other, 1))).toMatchObject({ detail: "part-changed" });
  });
});

test("the digests do not depend on the pieces, and pieces of another length are refused", async () => {
  const plaintext = patterned(2 * STORED + 9);
  const plan = { plaintextBytes: plaintext.length, storedPartBytes: STORED, minHeaderBytes: HEADER };
  const expected = await partDigests(piecesOf(plaintext), plan);
  expect(expected).toHaveLength(5); // three parts, two borders
  await fc.assert(
    fc.asyncProperty(cutsWithin(plaintext.length, STORED), async (cuts) => {
      expect(await partDigests(piecesOf(plaintext, cuts), plan)).toEqual(expected);
    }),
    { numRuns: 20 },
  );
  for (const bytes of [plaintext.subarray(1), patterned(plaintext.length + 1), new Uint8Array(0)]) {
    expect(await refusalCode(() => partDigests(piecesOf(bytes), plan))).toBe("invalid-argument");
  }
});

async function expectEqualParts(size: number, storedPartBytes: number, minHeaderBytes: number): Promise<void> {
  const plaintext = patterned(size);
  const upload = await keyring.startUpload({ plaintextBytes: size, storedPartBytes, minHeaderBytes, context });
  const order = fc.sample(fc.shuffledSubarray([...Array(upload.partCount).keys()], { minLength: upload.partCount }), 1).flat();
  const parts: Uint8Array[] = [];
  for (const index of order) parts[index] = await partOf(upload, plaintext, index);
  expect(new Set(parts.slice(0, -1).map(({ length }) => length))).toEqual(new Set(parts.length > 1 ? [storedPartBytes] : []));
  const last = parts.at(-1)?.length ?? 0;
  expect(last > 0 && last <= storedPartBytes).toBe(true);
  const envelope = Buffer.concat(parts);
  expect(envelope.length).toBe(upload.encryptedBytes);
  expect(Buffer.compare(await keyring.decrypt(envelope, { context }), plaintext)).toBe(0);
  upload.close();
}

async function optionsFor(plaintext: Uint8Array, storedPartBytes = STORED, minHeaderBytes = HEADER): Promise<UploadOptions> {
  const plan = { plaintextBytes: plaintext.length, storedPartBytes, minHeaderBytes };
  return { ...plan, partDigests: await partDigests(piecesOf(plaintext), plan), context };
}

async function allOf(upload: EncryptedUpload, plaintext: Uint8Array): Promise<readonly Uint8Array[]> {
  return await Promise.all([...Array(upload.partCount).keys()].map((index) => partOf(upload, plaintext, index)));
}

async function partOf(upload: EncryptedUpload, plaintext: Uint8Array, index: number): Promise<Uint8Array> {
  const { start, end } = upload.partRange(index);
  return await upload.part(index, plaintext.subarray(start, end));
}
