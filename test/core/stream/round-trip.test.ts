import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { encryptedBytes } from "../../../src/core/stream/streams.ts";
import { collect, collectStream, cutsWithin, patterned, piecesOf, streamOf, testKeyring } from "../../support/pieces.ts";
import { refusalCode } from "../../support/refusal.ts";

const CHUNK = 16384;
const SEALED = 16400;
const SIZES = [
  0,
  1,
  15,
  16,
  16383,
  16384,
  16385,
  32768,
  65536,
  65537,
  16 * CHUNK - 1,
  16 * CHUNK,
  16 * CHUNK + 1,
  64 * CHUNK - 1,
  64 * CHUNK,
  64 * CHUNK + 1,
];
const context = { object: "invoices/7.pdf" };

describe("streams and whole values are one format", () => {
  test.each(SIZES)("%i bytes, encrypted by either, decrypted by the other", async (size) => {
    const keyring = testKeyring();
    const plaintext = patterned(size);
    const streamed = await collectStream(streamOf(plaintext).pipeThrough(keyring.encryptStream({ context })));
    expect(Buffer.compare(await keyring.decrypt(streamed, { context }), plaintext)).toBe(0);
    const whole = await keyring.encrypt(plaintext, { context });
    expect(whole.length).toBe(streamed.length);
    expect(Buffer.compare(await collectStream(streamOf(whole).pipeThrough(keyring.decryptStream({ context }))), plaintext)).toBe(0);
  });

  test("whatever the pieces, the plaintext comes back", async () => {
    const keyring = testKeyring();
    const size = 70 * CHUNK + 77;
    const plaintext = patterned(size);
    const sealedSize = (await keyring.encrypt(plaintext)).length;
    const header = sealedSize - 40 * SEALED - 77 - 16 - 56;
    await fc.assert(
      fc.asyncProperty(cutsWithin(size, CHUNK), cutsWithin(sealedSize - header - 56, SEALED), async (cuts, sealedCuts) => {
        const envelope = await collect(keyring.encryptPieces(piecesOf(plaintext, cuts)));
        const shifted = sealedCuts.map((cut) => cut + header + 56);
        expect(Buffer.compare(await collect(keyring.decryptPieces(piecesOf(envelope, shifted))), plaintext)).toBe(0);
      }),
      { numRuns: 20 },
    );
  });

  test("cut at every chunk boundary, one before and one after, and byte by byte through the header", async () => {
    const keyring = testKeyring();
    const plaintext = patterned(3 * CHUNK + 9);
    for (const beside of [-1, 0, 1]) {
      const cuts = [CHUNK, 2 * CHUNK, 3 * CHUNK].map((at) => at + beside);
      const envelope = await collect(keyring.encryptPieces(piecesOf(plaintext, cuts)));
      const start = envelope.length - 3 * SEALED - 25;
      const sealedCuts = [...Array(start + 2).keys(), ...[1, 2, 3].map((chunk) => start + chunk * SEALED + beside)];
      expect(Buffer.compare(await collect(keyring.decryptPieces(piecesOf(envelope, sealedCuts))), plaintext)).toBe(0);
    }
  });

  test("no piece that comes out shares memory with another or with what went in", async () => {
    const keyring = testKeyring();
    const plaintext = patterned(140 * CHUNK);
    const seen = new Set<ArrayBufferLike>([plaintext.buffer]);
    const envelope: Uint8Array[] = [];
    for await (const batch of keyring.encryptPieces(piecesOf(plaintext))) {
      expect(batch.byteLength).toBe(batch.buffer.byteLength);
      expect(seen.has(batch.buffer)).toBe(false);
      seen.add(batch.buffer);
      envelope.push(batch);
    }
    expect(envelope.length).toBeGreaterThan(2);
  });

  test("two writes of one plaintext have fresh salts and share no chunk", async () => {
    const keyring = testKeyring();
    const [a, b] = [await collect(keyring.encryptPieces(piecesOf(patterned(CHUNK)))), await keyring.encrypt(patterned(CHUNK))];
    const start = a.length - SEALED - 16 - 56;
    expect(Buffer.compare(a.subarray(start, start + 24), b.subarray(start, start + 24))).not.toBe(0);
    expect(Buffer.compare(a.subarray(start + 56), b.subarray(start + 56))).not.toBe(0);
  });
});

describe("what a stream tells in advance", () => {
  test.each([0, 1, 16383, 16384, 300_000])("the envelope of %i bytes has exactly the length that was told", async (size) => {
    const stream = testKeyring().encryptStream({ plaintextBytes: size });
    const header = await stream.header();
    const envelope = await collectStream(streamOf(patterned(size)).pipeThrough(stream));
    expect(envelope.length).toBe(encryptedBytes(size, header));
    expect(envelope.length).toBe(encryptedBytes(size, header.length));
    expect(Buffer.compare(envelope.subarray(0, header.length), header)).toBe(0);
  });

  test("a padded header has the length that was asked for", async () => {
    const stream = testKeyring().encryptStream({ minHeaderBytes: 1000 });
    expect((await stream.header()).length).toBe(1000);
  });

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])("a length of %d is refused", async (length) => {
    expect(await refusalCode(() => encryptedBytes(length, 100))).toBe("invalid-argument");
    expect(await refusalCode(() => encryptedBytes(100, length))).toBe("invalid-argument");
    expect(await refusalCode(() => testKeyring().encryptStream({ plaintextBytes: length }))).toBe("invalid-argument");
  });

  test.each([0, -1, 1.5, 65, "many"])("lanes of %s are refused", async (lanes) => {
    const options = JSON.parse(JSON.stringify({ lanes }));
    expect(await refusalCode(() => testKeyring().encryptStream(options))).toBe("invalid-argument");
    expect(await refusalCode(() => testKeyring().decryptStream(options))).toBe("invalid-argument");
  });

  test.each([
    ["less", 99],
    ["more", 101],
  ])("a source that gives %s than it stated fails before the end is written", async (_, given) => {
    const keyring = testKeyring();
    const outcome = collect(keyring.encryptPieces(piecesOf(patterned(given)), { plaintextBytes: 100 }));
    expect(await refusalCode(() => outcome)).toBe("invalid-argument");
  });

  test("progress counts plaintext bytes, up to the whole", async () => {
    const keyring = testKeyring();
    const size = 140 * CHUNK + 3;
    const encrypted: number[] = [];
    const decrypted: number[] = [];
    const envelope = await collect(
      keyring.encryptPieces(piecesOf(patterned(size), [100_000, 700_000]), { onProgress: (bytes) => encrypted.push(bytes) }),
    );
    await collect(keyring.decryptPieces(piecesOf(envelope), { onProgress: (bytes) => decrypted.push(bytes) }));
    for (const counts of [encrypted, decrypted]) {
      expect(counts.length).toBeGreaterThan(2);
      expect(counts.at(-1)).toBe(size);
      expect(counts).toEqual(counts.toSorted((a, b) => a - b));
    }
  });
});

test("a closed keyring opens no stream", async () => {
  const keyring = testKeyring();
  const envelope = await keyring.encrypt(patterned(10));
  await keyring.close();
  expect(await refusalCode(() => collect(keyring.encryptPieces(piecesOf(patterned(10)))))).toBe("closed");
  expect(await refusalCode(() => collect(keyring.decryptPieces(piecesOf(envelope))))).toBe("closed");
});

test("a piece that is no Uint8Array is refused on both sides of a web stream", async () => {
  const { readable, writable } = testKeyring().encryptStream();
  const failed = collectStream(readable).catch((error: unknown) => error);
  const inner = writable.getWriter();
  const write = Reflect.apply(inner.write, inner, ["text"]).catch((error: unknown) => error);
  expect(await failed).toBeInstanceOf(EnvelockError);
  expect(await write).toBeInstanceOf(EnvelockError);
});
