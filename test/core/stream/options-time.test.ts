import { describe, expect, test } from "vitest";
import type { Context } from "../../../src/core/base/context.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { partDigest } from "../../../src/core/stream/part-digest.ts";
import { noise } from "../../support/arbitraries.ts";
import { expectSameBytes } from "../../support/bytes.ts";
import { kek } from "../../support/keks.ts";
import { collect, collectStream, piecesOf, streamOf } from "../../support/pieces.ts";
import { refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const CHUNK = 16384;
const OBJECTS = ["first", "second", "third"] as const;
const plaintext = noise(CHUNK + 3);

/** Starts one thing for each object with the same options, whose context it changes in between. */
function startAll<T>(start: (options: { context: { object: string } }) => T): readonly T[] {
  const options = { context: { object: "" } };
  const started = OBJECTS.map((object) => {
    options.context.object = object;
    return start(options);
  });
  options.context = { object: "none" };
  return started;
}

describe("a reused options object", () => {
  const keyring = new Keyring(kek());
  const opensAs = async (envelope: Uint8Array, object: string): Promise<void> => {
    expectSameBytes(await keyring.decrypt(envelope, { context: { object } }), plaintext);
  };
  const sealed = (): Promise<readonly Uint8Array[]> =>
    Promise.all(OBJECTS.map((object) => keyring.encrypt(plaintext, { context: { object } })));

  test("binds each of three encrypting streams to what it said when that one was made", async () => {
    const streams = startAll((options) => keyring.encryptStream(options));
    for (const [at, stream] of streams.entries()) {
      await opensAs(await collectStream(streamOf(plaintext).pipeThrough(stream)), OBJECTS[at] ?? "");
    }
  });

  test("the same of pieces", async () => {
    const outputs = startAll((options) => keyring.encryptPieces(piecesOf(plaintext), options));
    for (const [at, output] of outputs.entries()) await opensAs(await collect(output), OBJECTS[at] ?? "");
  });

  test("the same of decrypting streams and pieces", async () => {
    const envelopes = await sealed();
    const streams = startAll((options) => keyring.decryptStream(options));
    for (const [at, stream] of streams.entries()) {
      expectSameBytes(await collectStream(streamOf(envelopes[at] ?? plaintext).pipeThrough(stream)), plaintext);
    }
    let at = 0;
    const decrypting = startAll((options) => keyring.decryptPieces(piecesOf(envelopes[at++] ?? plaintext), options));
    for (const output of decrypting) expectSameBytes(await collect(output), plaintext);
  });

  test("the same of blobs that are read in part", async () => {
    const envelopes = await sealed();
    let at = 0;
    const blobs = startAll((options) => {
      const envelope = envelopes[at++] ?? plaintext;
      const read = async (start: number, end: number): Promise<Uint8Array> => envelope.slice(start, end);
      return keyring.openSeekable({ size: envelope.length, read }, options);
    });
    for (const blob of await Promise.all(blobs)) expectSameBytes(await blob.read(0, plaintext.length), plaintext);
  });

  test("the same of uploads, of their states, and of uploads that go on", async () => {
    const digest = await partDigest(plaintext);
    const plan = { plaintextBytes: plaintext.length, partBytes: 2 * CHUNK, partDigests: [digest] };
    const uploads = await Promise.all(startAll((options) => keyring.startUpload(Object.assign(options, plan))));
    for (const [at, upload] of uploads.entries()) {
      const object = OBJECTS[at] ?? "";
      await opensAs(await upload.part(0, plaintext), object);
      const resumed = await keyring.resumeUpload(await upload.exportState(), { ...plan, context: { object } });
      expect(resumed.isResumed).toBe(true);
    }
    const states = await Promise.all(uploads.map((upload) => upload.exportState()));
    let at = 0;
    const resumed = await Promise.all(startAll((options) => keyring.resumeUpload(states[at++] ?? plaintext, Object.assign(options, plan))));
    for (const [place, upload] of resumed.entries()) await opensAs(await upload.part(0, plaintext), OBJECTS[place] ?? "");
  });
});

describe("a bad context", () => {
  test("is refused when the method is called, of what encrypts", async () => {
    const keyring = new Keyring({ wrapWith: [kek()], context: { tenant: "acme" } });
    const bad: readonly Context[] = [
      { tenant: "other" },
      { "": "x" },
      untyped<Context>(new Map()),
      untyped<Context>("text"),
      { row: untyped<string>(7) },
    ];
    for (const context of bad) {
      for (const call of [
        () => keyring.encryptStream({ context }),
        () => keyring.encryptPieces(piecesOf(plaintext), { context }),
        () => keyring.startUpload({ plaintextBytes: 1, partBytes: CHUNK, context }),
        () => keyring.resumeUpload(plaintext, { plaintextBytes: 1, partBytes: CHUNK, context }),
      ]) {
        expect(await refusalCode(call)).toBe("invalid-argument");
      }
    }
  });

  test("is refused, of what decrypts, unless the envelope has a fault that comes before", async () => {
    const keyring = new Keyring(kek());
    const envelope = await keyring.encrypt(plaintext);
    const context = { "": "x" };
    for (const [bytes, code] of [
      [envelope, "invalid-argument"],
      [envelope.subarray(0, 20), "malformed-envelope"],
    ] as const) {
      expect(await refusalCode(() => collect(keyring.decryptPieces(piecesOf(bytes), { context })))).toBe(code);
      expect(await refusalCode(() => collectStream(streamOf(bytes).pipeThrough(keyring.decryptStream({ context }))))).toBe(code);
      const read = async (start: number, end: number): Promise<Uint8Array> => bytes.slice(start, end);
      expect(await refusalCode(() => keyring.openSeekable({ size: bytes.length, read }, { context }))).toBe(code);
    }
  });
});
