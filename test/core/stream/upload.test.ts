import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { partDigest, partDigests } from "../../../src/core/stream/part-digest.ts";
import type { EncryptedUpload } from "../../../src/core/stream/upload.ts";
import type { UploadOptions } from "../../../src/core/stream/uploads.ts";
import { cutsWithin, patterned, piecesOf, testKeyring } from "../../support/pieces.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const CHUNK = 16384;
const PART = 4 * CHUNK;
const context = { object: "film.mp4" };
const keyring = testKeyring();

describe("the parts of an upload", () => {
  test.each([
    0,
    1,
    CHUNK,
    PART - 1,
    PART,
    PART + 1,
    3 * PART,
    3 * PART + 5,
  ])("of %i bytes, made in any order and again, are one envelope", async (size) => {
    const plaintext = patterned(size);
    const upload = await keyring.startUpload({ plaintextBytes: size, partBytes: PART, context });
    const order = fc.sample(fc.shuffledSubarray([...Array(upload.partCount).keys()], { minLength: upload.partCount }), 2).flat();
    const parts: Uint8Array[] = [];
    for (const index of order) {
      const part = await partOf(upload, plaintext, index);
      if (parts[index] !== undefined) expect(Buffer.compare(part, parts[index])).toBe(0);
      parts[index] = part;
    }
    const envelope = Buffer.concat(parts);
    expect(envelope.length).toBe(upload.encryptedBytes);
    expect(Buffer.compare(await keyring.decrypt(envelope, { context }), plaintext)).toBe(0);
  });

  test("made at the same time, they are the same", async () => {
    const plaintext = patterned(5 * PART);
    const upload = await keyring.startUpload({ plaintextBytes: plaintext.length, partBytes: PART });
    const parts = await Promise.all([...Array(upload.partCount).keys()].map((index) => partOf(upload, plaintext, index)));
    expect(Buffer.compare(await keyring.decrypt(Buffer.concat(parts)), plaintext)).toBe(0);
  });

  test("a part has one plaintext: other bytes are refused, and the first ones still fit", async () => {
    const plaintext = patterned(2 * PART);
    const upload = await keyring.startUpload({ plaintextBytes: plaintext.length, partBytes: PART });
    const first = await partOf(upload, plaintext, 1);
    const other = patterned(2 * PART, 9);
    expect(await refusal(() => partOf(upload, other, 1))).toMatchObject({ code: "invalid-argument", detail: "part-changed" });
    expect(Buffer.compare(await partOf(upload, plaintext, 1), first)).toBe(0);
  });

  test("of two plaintexts given for one part at the same time, one is refused", async () => {
    const upload = await keyring.startUpload({ plaintextBytes: PART, partBytes: PART });
    const outcomes = await Promise.allSettled([1, 2].map((seed) => partOf(upload, patterned(PART, seed), 0)));
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  test("a buffer that changes after the call does not change the part", async () => {
    const plaintext = patterned(100);
    const upload = await keyring.startUpload({ plaintextBytes: 100, partBytes: PART });
    const buffer = plaintext.slice();
    const making = upload.part(0, buffer);
    buffer.fill(0);
    expect(Buffer.compare(await keyring.decrypt(await making), plaintext)).toBe(0);
  });

  test("wrong places and lengths are refused", async () => {
    const upload = await keyring.startUpload({ plaintextBytes: PART + 10, partBytes: PART });
    expect([upload.partRange(0), upload.partRange(1)]).toEqual([
      { start: 0, end: PART },
      { start: PART, end: PART + 10 },
    ]);
    for (const index of [-1, 2, 0.5]) expect(await refusalCode(() => upload.part(index, new Uint8Array(10)))).toBe("invalid-argument");
    for (const [index, length] of [
      [0, PART - 1],
      [0, PART + 1],
      [1, 9],
      [1, 11],
      [1, PART],
    ] as const) {
      expect(await refusalCode(() => upload.part(index, new Uint8Array(length)))).toBe("invalid-argument");
    }
  });

  test.each<Partial<UploadOptions>>([
    { partBytes: 0 },
    { partBytes: CHUNK + 1 },
    { partBytes: 2 ** 32 },
    { plaintextBytes: -1 },
    { plaintextBytes: 0.5 },
    { partDigests: [] },
    { partDigests: [new Uint8Array(31)] },
    { partDigests: [new Uint8Array(32), new Uint8Array(32)] },
  ])("options %j are refused", async (options) => {
    expect(await refusalCode(() => keyring.startUpload({ plaintextBytes: 10, partBytes: PART, ...options }))).toBe("invalid-argument");
  });

  test("closed, it makes nothing more, not even what was under way", async () => {
    const upload = await keyring.startUpload({ plaintextBytes: PART, partBytes: PART });
    const making = upload.part(0, patterned(PART));
    upload.close();
    upload.close();
    expect(await refusalCode(() => making)).toBe("closed");
    expect(await refusalCode(() => upload.part(0, patterned(PART)))).toBe("closed");
    expect(await refusalCode(() => upload.exportState())).toBe("closed");
  });
});

describe("an upload that goes on after a crash", () => {
  test("makes the same parts, from any state of it", async () => {
    const plaintext = patterned(4 * PART + 100);
    const options = await optionsFor(plaintext);
    const before = await keyring.startUpload(options);
    const early = await before.exportState();
    const made = [await partOf(before, plaintext, 0), await partOf(before, plaintext, 3)];
    const late = await before.exportState();
    before.close();
    for (const state of [early, late]) {
      const after = await testKeyring().resumeUpload(state, options);
      expect([after.isResumed, after.encryptedBytes]).toEqual([true, before.encryptedBytes]);
      for (const [at, index] of [0, 3].entries()) {
        expect(Buffer.compare(await partOf(after, plaintext, index), made[at] ?? NOTHING)).toBe(0);
      }
      const rest = await Promise.all([1, 2, 4].map((index) => partOf(after, plaintext, index)));
      const [first = NOTHING, fourth = NOTHING] = made;
      const [second = NOTHING, third = NOTHING, fifth = NOTHING] = rest;
      expect(Buffer.compare(await keyring.decrypt(Buffer.concat([first, second, third, fourth, fifth]), { context }), plaintext)).toBe(0);
    }
  });

  test("a plaintext that has changed has a fresh salt, and its parts share nothing with the old ones", async () => {
    const plaintext = patterned(3 * PART);
    const before = await keyring.startUpload(await optionsFor(plaintext));
    const state = await before.exportState();
    const old = await partOf(before, plaintext, 1);
    const changed = plaintext.slice();
    changed[2 * PART + 7] = 0;
    for (const now of [changed, patterned(3 * PART + 1), patterned(PART)]) {
      const after = await keyring.resumeUpload(state, await optionsFor(now));
      expect(after.isResumed).toBe(false);
      const parts = await Promise.all([...Array(after.partCount).keys()].map((index) => partOf(after, now, index)));
      expect(Buffer.compare(await keyring.decrypt(Buffer.concat(parts), { context }), now)).toBe(0);
      // the second part's plaintext is the same in `changed`: under the old salt it would be the same part
      if (now === changed) expect(Buffer.compare(parts[1] ?? NOTHING, old)).not.toBe(0);
    }
    const cut = await keyring.resumeUpload(state, { ...(await optionsFor(plaintext, 2 * PART)), partBytes: 2 * PART });
    expect(cut.isResumed).toBe(false);
  });

  test("whatever is stated, no nonce is used for two plaintexts: a part that is not what was stated is refused from the start", async () => {
    const plaintext = patterned(2 * PART);
    const options = await optionsFor(plaintext);
    const other = patterned(2 * PART, 5);
    const fresh = await keyring.startUpload(options);
    expect(await refusal(() => partOf(fresh, other, 0))).toMatchObject({ detail: "part-changed" });
    const resumed = await keyring.resumeUpload(await fresh.exportState(), options);
    expect(await refusal(() => partOf(resumed, other, 0))).toMatchObject({ detail: "part-changed" });
  });

  test("without stated digests there is no state, and none is taken up", async () => {
    const upload = await keyring.startUpload({ plaintextBytes: PART, partBytes: PART, context });
    expect(await refusalCode(() => upload.exportState())).toBe("invalid-argument");
    const state = await (await keyring.startUpload(await optionsFor(patterned(PART)))).exportState();
    expect(await refusalCode(() => keyring.resumeUpload(state, { plaintextBytes: PART, partBytes: PART, context }))).toBe(
      "invalid-argument",
    );
  });

  test("a state is secret and whole: changed, in another context, or not a state, it is refused", async () => {
    const options = await optionsFor(patterned(PART));
    const state = await (await keyring.startUpload(options)).exportState();
    const [digest = NOTHING] = options.partDigests ?? [];
    expect(Buffer.from(state).includes(Buffer.from(digest))).toBe(false);
    const changed = state.slice();
    changed[changed.length - 20] = (changed[changed.length - 20] ?? 0) ^ 1;
    expect(await refusalCode(() => keyring.resumeUpload(changed, options))).toBe("authentication-failed");
    expect(await refusalCode(() => keyring.resumeUpload(state, { ...options, context: { object: "other" } }))).toBe(
      "authentication-failed",
    );
    expect(await refusalCode(() => keyring.decrypt(state, { context }))).toBe("authentication-failed");
    const foreign = await keyring.encrypt(new Uint8Array(40), { context: { ...context, "envelock-upload": "state" } });
    expect(await refusalCode(() => keyring.resumeUpload(foreign, options))).toBe("unsupported-version");
    for (const bytes of [[1], [1, ...new Uint8Array(80)]]) {
      const broken = await keyring.encrypt(Uint8Array.from(bytes), { context: { ...context, "envelock-upload": "state" } });
      expect(await refusalCode(() => keyring.resumeUpload(broken, options))).toBe("malformed-envelope");
    }
  });

  test("a state made by a resumed upload is as good", async () => {
    const plaintext = patterned(PART + 1);
    const options = await optionsFor(plaintext);
    const one = await keyring.startUpload(options);
    const two = await keyring.resumeUpload(await one.exportState(), options);
    const three = await keyring.resumeUpload(await two.exportState(), options);
    expect(await partOf(three, plaintext, 1)).toEqual(await partOf(one, plaintext, 1));
  });
});

test.each<[string, unknown]>([
  ["text", "abc"],
  ["a number, which would be a length", 3],
  ["a list", [1, 2]],
  ["nothing", undefined],
])("no digest is made of %s", async (_what, given) => {
  expect(await refusalCode(() => partDigest(untyped(given)))).toBe("invalid-argument");
  for (const plan of [PART, { plaintextBytes: 3, storedPartBytes: PART }]) {
    const pieces = (async function* () {
      yield untyped<Uint8Array>(given);
    })();
    expect(await refusalCode(() => partDigests(pieces, plan))).toBe("invalid-argument");
  }
});

test("part digests do not depend on the pieces", async () => {
  const plaintext = patterned(2 * PART + 9);
  const expected = await Promise.all([0, 1, 2].map((index) => partDigest(plaintext.slice(index * PART, (index + 1) * PART))));
  await fc.assert(
    fc.asyncProperty(cutsWithin(plaintext.length, PART), async (cuts) => {
      expect(await partDigests(piecesOf(plaintext, cuts), PART)).toEqual(expected);
    }),
    { numRuns: 20 },
  );
  expect(await partDigests(piecesOf(new Uint8Array(0)), PART)).toHaveLength(1);
  expect(await partDigests(piecesOf(patterned(2 * PART)), PART)).toHaveLength(2);
});

async function optionsFor(plaintext: Uint8Array, partBytes = PART): Promise<UploadOptions> {
  return { plaintextBytes: plaintext.length, partBytes, partDigests: await partDigests(piecesOf(plaintext), partBytes), context };
}

async function partOf(upload: EncryptedUpload, plaintext: Uint8Array, index: number): Promise<Uint8Array> {
  const { start, end } = upload.partRange(index);
  return await upload.part(index, plaintext.subarray(start, end));
}

const NOTHING: Uint8Array = new Uint8Array(0);
