import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { engine } from "#engine";
import { localKey } from "../../../providers/local/index.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import type { SeekableBlob } from "../../../src/core/stream/seekable.ts";
import type { SeekableSource, SourcePart } from "../../../src/core/stream/seekable-source.ts";
import { deferred } from "../../support/deferred.ts";
import { takeTheFineWay } from "../../support/fine-way.ts";
import { collectStream, patterned, testKeyring } from "../../support/pieces.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const CHUNK = 16384;
const SEALED = 16400;
const keyring = testKeyring();

describe("ranges of a blob", () => {
  test("any range is what slicing the whole gives, as bytes and as a stream", async () => {
    for (const size of [0, 1, 16383, 16384, 16385, 5 * CHUNK, 6 * CHUNK + 77]) {
      const { blob, plaintext } = await sample(size);
      const offset = fc.oneof(
        fc.integer({ min: 0, max: size + 20_000 }),
        fc.tuple(fc.integer({ min: 0, max: 7 }), fc.constantFrom(-1, 0, 1)).map(([chunk, beside]) => Math.max(0, chunk * CHUNK + beside)),
      );
      await fc.assert(
        fc.asyncProperty(offset, offset, async (a, b) => {
          const [start, end] = [Math.min(a, b), Math.max(a, b)];
          const expected = plaintext.slice(start, end);
          expect(Buffer.compare(await blob.read(start, end), expected)).toBe(0);
          expect(Buffer.compare(await collectStream(blob.stream(start, end)), expected)).toBe(0);
        }),
        { numRuns: 15 },
      );
    }
  });

  test("a stream without a range is the whole, over several windows", async () => {
    const { blob, plaintext, reads } = await sample(150 * CHUNK + 5);
    expect(Buffer.compare(await collectStream(blob.stream()), plaintext)).toBe(0);
    expect(reads.slice(2).map(([start, end]) => end - start)).toEqual([64 * SEALED, 64 * SEALED, 22 * SEALED + 21]);
  });

  test("what comes out owns its memory", async () => {
    const { blob } = await sample(3 * CHUNK);
    for (const [start, end] of [
      [0, CHUNK],
      [5, 6],
      [0, 3 * CHUNK],
    ] as const) {
      const bytes = await blob.read(start, end);
      expect([bytes.length, bytes.buffer.byteLength]).toEqual([end - start, end - start]);
    }
  });

  test("fetched is at most the header, its 56 bytes, the range in whole chunks, and the last chunk once", async () => {
    const size = 20 * CHUNK + 500;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: size }), fc.integer({ min: 0, max: size }), fc.boolean(), async (a, b, asksSize) => {
        const { blob, fetched, headerBytes } = await sample(size);
        expect(fetched()).toBe(headerBytes + 56);
        const [start, end] = [Math.min(a, b), Math.max(a, b)];
        await blob.read(start, end);
        if (asksSize) expect([await blob.size(), await blob.size()]).toEqual([size, size]);
        const chunks = start === end ? 0 : Math.floor((end - 1) / CHUNK) - Math.floor(start / CHUNK) + 1;
        expect(fetched()).toBeLessThanOrEqual(headerBytes + 56 + chunks * SEALED + (asksSize ? 516 : 0));
      }),
      { numRuns: 40 },
    );
  });

  test("neighbouring chunks are one read", async () => {
    const { blob, reads } = await sample(20 * CHUNK);
    await blob.read(CHUNK - 1, 9 * CHUNK + 1);
    expect(reads.slice(2)).toHaveLength(1);
  });

  test("the size is told only after the last chunk has opened, and that is fetched once", async () => {
    const { blob, reads } = await sample(3 * CHUNK + 7);
    expect([await blob.size(), await blob.size()]).toEqual([3 * CHUNK + 7, 3 * CHUNK + 7]);
    await blob.read(4 * CHUNK, 5 * CHUNK);
    expect(reads).toHaveLength(3);
  });

  test.each([
    [-1, 5],
    [5, 4],
    [0.5, 1],
    [0, Number.NaN],
    [0, Number.POSITIVE_INFINITY],
  ])("%d to %d is no range", async (start, end) => {
    const { blob } = await sample(10);
    expect(await refusalCode(() => blob.read(start, end))).toBe("invalid-argument");
    expect(await refusalCode(() => collectStream(blob.stream(start, end)))).toBe("invalid-argument");
  });

  test("closed while a read is under way: that read says `closed`, whatever it was doing", async () => {
    const envelope = await keyring.encrypt(patterned(3 * CHUNK));
    for (const use of [
      (blob: SeekableBlob) => blob.read(0, 5),
      (blob: SeekableBlob) => blob.read(CHUNK, 3 * CHUNK),
      (blob: SeekableBlob) => blob.size(),
    ]) {
      const gate = deferred();
      let isOpened = false;
      const source = {
        size: envelope.length,
        async read(start: number, end: number) {
          if (isOpened) await gate.promise;
          return envelope.slice(start, end);
        },
      };
      const late = await keyring.openSeekable(source);
      isOpened = true;
      const reading = refusalCode(() => use(late));
      late.close();
      gate.resolve();
      expect(await reading).toBe("closed");

      takeTheFineWay();
      const { chunkCipher } = engine;
      let close = (): void => undefined;
      const spy = vi.spyOn(engine, "chunkCipher").mockImplementation((key, chunks) => {
        const cipher = chunkCipher(key, chunks);
        return {
          ...cipher,
          open(nonce, sealed, target, offset) {
            close(); // in the midst of the work
            return cipher.open(nonce, sealed, target, offset);
          },
        };
      });
      const blob = await keyring.openSeekable({ size: envelope.length, read: async (start, end) => envelope.slice(start, end) });
      close = () => blob.close();
      expect(await refusalCode(() => use(blob))).toBe("closed");
      spy.mockRestore();
    }
  });

  test("closed, it reads nothing more; twice is fine", async () => {
    const { blob } = await sample(10);
    await blob.size();
    blob.close();
    blob.close();
    for (const use of [() => blob.size(), () => blob.read(0, 1), () => collectStream(blob.stream())]) {
      expect(await refusalCode(use)).toBe("closed");
    }
  });
});

describe("a source that gives pieces", () => {
  test("any range is what slicing the whole gives, whatever the pieces, with one request", async () => {
    for (const size of [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 90 * CHUNK, 90 * CHUNK + 77]) {
      const { envelope, plaintext } = await sample(size);
      const offset = fc.integer({ min: 0, max: size + 20_000 });
      await fc.assert(
        fc.asyncProperty(offset, offset, fc.integer({ min: 1000, max: 300_000 }), async (a, b, length) => {
          const [start, end] = [Math.min(a, b), Math.max(a, b)];
          const { blob, asked } = await flowing(envelope, (pieces) => pieces, length);
          expect(Buffer.compare(await collectStream(blob.stream(start, end)), plaintext.slice(start, end))).toBe(0);
          expect(asked).toHaveLength(start === end ? 0 : 1);
        }),
        { numRuns: 8 },
      );
    }
  });

  test("batches own their memory, the first one comes early, the last one once the end is verified", async () => {
    const { envelope } = await sample(80 * CHUNK);
    const { blob } = await flowing(envelope);
    const batches: Uint8Array[] = [];
    for await (const batch of blob.stream()) batches.push(batch);
    for (const { length, buffer } of batches) expect(buffer.byteLength).toBe(length);
    const lengths = batches.map(({ length }) => length);
    expect(lengths[0]).toBe(16 * CHUNK);
    const damaged = envelope.slice();
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1; // the tag of the last chunk, which is empty
    const given: number[] = [];
    const reading = async (): Promise<void> => {
      for await (const { length } of (await flowing(damaged)).blob.stream()) given.push(length);
    };
    expect(await refusalCode(reading)).toBe("authentication-failed");
    expect(given).toEqual(lengths.slice(0, -1));
  });

  test.each([
    ["too few bytes", (pieces: Uint8Array[]) => pieces.slice(0, -1), "malformed-envelope"],
    ["too many", (pieces: Uint8Array[]) => [...pieces, new Uint8Array(1)], "malformed-envelope"],
    ["nothing", () => [], "malformed-envelope"],
    ["other bytes", (pieces: Uint8Array[]) => pieces.toReversed(), "authentication-failed"],
    ["text", () => ["text"], "invalid-argument"],
  ])("it gives %s", async (_, change, code) => {
    const { envelope } = await sample(5 * CHUNK + 77);
    const { blob } = await flowing(envelope, (pieces) => change(pieces));
    expect(await refusalCode(() => collectStream(blob.stream()))).toBe(code);
  });

  test("its own error is the cause, an abort is the caller's, and `close` says `closed`", async () => {
    const { envelope } = await sample(5 * CHUNK);
    const gone = new Error("connection reset");
    const broken = await flowing(envelope, () => {
      throw gone;
    });
    expect(await refusal(() => collectStream(broken.blob.stream()))).toMatchObject({ code: "unavailable", cause: gone });
    const stop = new AbortController();
    const reason = new Error("stop");
    const { blob } = await flowing(envelope, () => {
      stop.abort(reason);
      return [];
    });
    await expect(collectStream(blob.stream(0, 5, { signal: stop.signal }))).rejects.toBe(reason);
    const closing = await flowing(envelope, (pieces) => {
      closing.blob.close();
      return pieces;
    });
    expect(await refusalCode(() => collectStream(closing.blob.stream()))).toBe("closed");
    expect(await refusalCode(() => collectStream(closing.blob.stream()))).toBe("closed");
  });

  test("a reader that leaves ends the pieces, also while they wait", async () => {
    const { envelope } = await sample(200 * CHUNK);
    let ended = 0;
    const endless: SeekableSource = {
      ...sourceOf(envelope),
      async *pieces(start, _end, signal) {
        try {
          yield envelope.slice(start, start + 100 * SEALED);
          await new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
        } finally {
          ended++;
        }
      },
    };
    const blob = await keyring.openSeekable(endless);
    for (const reads of [1, 3]) {
      const reader = blob.stream().getReader();
      const reading = Array.from({ length: reads }, () => reader.read());
      expect((await reading[0])?.done).toBe(false);
      await reader.cancel("enough");
      await Promise.all(reading);
    }
    await expect.poll(() => ended).toBe(2);
  });
});

describe("a source that is not what it says", () => {
  test("any flipped bit in what is read is refused, elsewhere it does not show", async () => {
    const size = 3 * CHUNK + 100;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 3 * SEALED + 115 }), fc.integer({ min: 0, max: 3 }), async (at, chunk) => {
        const { blob, plaintext } = await sample(size, (envelope, headerBytes) => {
          const place = headerBytes + 56 + at;
          envelope[place] = (envelope[place] ?? 0) ^ 1;
        });
        const start = chunk * CHUNK;
        const end = Math.min(size, start + CHUNK);
        if (Math.floor(at / SEALED) === chunk) expect(await refusalCode(() => blob.read(start, end))).toBe("authentication-failed");
        else expect(Buffer.compare(await blob.read(start, end), plaintext.subarray(start, end))).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  test("a blob that is cut at a chunk, and says so, is opened; its size and its end are refused, its middle is true", async () => {
    const { envelope, headerBytes, plaintext } = await sample(5 * CHUNK);
    for (const length of [headerBytes + 56 + 3 * SEALED + 16, headerBytes + 56 + 3 * SEALED + 5000]) {
      const blob = await keyring.openSeekable(sourceOf(envelope.slice(0, length)));
      expect(await refusalCode(() => blob.size())).toBe("authentication-failed");
      expect(await refusalCode(() => blob.read(3 * CHUNK, 4 * CHUNK))).toBe("authentication-failed");
      expect(await refusalCode(() => blob.read(10 * CHUNK, 11 * CHUNK))).toBe("authentication-failed");
      expect(await refusalCode(() => collectStream(blob.stream()))).toBe("authentication-failed");
      expect(Buffer.compare(await blob.read(0, 3 * CHUNK), plaintext.subarray(0, 3 * CHUNK))).toBe(0);
    }
  });

  test("no envelope has such a length, or so few bytes", async () => {
    const { envelope, headerBytes } = await sample(5 * CHUNK);
    for (const length of [
      0,
      7,
      8,
      headerBytes,
      headerBytes + 55,
      headerBytes + 56,
      headerBytes + 56 + SEALED,
      headerBytes + 56 + SEALED + 15,
    ]) {
      expect(await refusalCode(() => keyring.openSeekable(sourceOf(envelope.slice(0, length)))), `${length}`).toBe("malformed-envelope");
    }
  });

  test("it claims more than it has: refused where that shows, and no memory is taken for the claim", async () => {
    const { envelope } = await sample(3 * CHUNK);
    const blob = await keyring.openSeekable({ ...sourceOf(envelope), size: 2 ** 50 });
    expect(await refusalCode(() => blob.size())).toBe("malformed-envelope");
    expect(await refusalCode(() => blob.read(0, 2 ** 49))).toBe("malformed-envelope");
    expect((await blob.read(0, CHUNK)).length).toBe(CHUNK);
  });

  test.each([
    ["short", (bytes: Uint8Array) => bytes.subarray(1)],
    ["long", (bytes: Uint8Array) => Buffer.concat([bytes, bytes])],
    ["empty", () => new Uint8Array(0)],
  ])("it gives %s parts", async (_, change) => {
    const { envelope } = await sample(3 * CHUNK);
    const source = sourceOf(envelope);
    const changed: SeekableSource = { ...source, read: async (start, end) => change(await source.bytes(start, end)) };
    expect(await refusalCode(() => keyring.openSeekable(changed))).toBe("malformed-envelope");
  });

  test("it changes between reads, and its ETag tells", async () => {
    const { envelope } = await sample(3 * CHUNK);
    let etag = '"one"';
    const source = sourceOf(envelope);
    const versioned: SeekableSource = { ...source, read: async (start, end) => ({ bytes: await source.bytes(start, end), etag }) };
    const blob = await keyring.openSeekable(versioned);
    expect((await blob.read(0, 10)).length).toBe(10);
    etag = '"two"';
    expect(await refusal(() => blob.read(0, 10))).toMatchObject({ code: "malformed-envelope", detail: "source-changed" });
    expect(await refusal(() => blob.size())).toMatchObject({ detail: "source-changed" });
    expect(await refusal(() => keyring.openSeekable({ ...versioned, etag: '"zero"' }))).toMatchObject({ detail: "source-changed" });
  });

  test("it changes between reads, and has no ETag: chunks of another write do not open", async () => {
    const one = await sample(3 * CHUNK);
    const two = await sample(3 * CHUNK);
    let current = one.envelope;
    const blob = await keyring.openSeekable({ size: current.length, read: async (start, end) => current.slice(start, end) });
    current = two.envelope;
    expect(await refusalCode(() => blob.read(0, 10))).toBe("authentication-failed");
  });

  test("its own error is the cause; an abort is the caller's", async () => {
    const { envelope } = await sample(3 * CHUNK);
    const gone = new Error("connection reset");
    let isBroken = false;
    const source = sourceOf(envelope);
    const blob = await keyring.openSeekable({
      ...source,
      read: async (start, end, signal) => {
        signal?.throwIfAborted();
        if (isBroken) throw gone;
        return await source.bytes(start, end);
      },
    });
    isBroken = true;
    expect(await refusal(() => blob.read(0, 1))).toMatchObject({ code: "unavailable", cause: gone, retryable: true });
    isBroken = false;
    expect((await blob.read(0, 1)).length).toBe(1);
    const stop = new Error("stop");
    await expect(blob.read(0, 1, { signal: AbortSignal.abort(stop) })).rejects.toBe(stop);
    await expect(blob.size({ signal: AbortSignal.abort(stop) })).rejects.toBe(stop);
    await expect(collectStream(blob.stream(0, 1, { signal: AbortSignal.abort(stop) }))).rejects.toBe(stop);
  });

  test("a reader that leaves aborts the read under way", async () => {
    const { envelope } = await sample(3 * CHUNK);
    const source = sourceOf(envelope);
    let reads = 0;
    let told: unknown;
    const blob = await keyring.openSeekable({
      ...source,
      read: (start, end, signal) => {
        if (++reads <= 2) return source.bytes(start, end);
        return new Promise((_, reject) => {
          signal?.addEventListener("abort", () => {
            told = signal.reason;
            reject(signal.reason);
          });
        });
      },
    });
    const reader = blob.stream().getReader();
    const reading = reader.read();
    await expect.poll(() => reads).toBe(3);
    await reader.cancel("enough");
    expect((await reading).done).toBe(true);
    expect(told).toBe("enough");
  });

  test("wrong context or key: refused when opened", async () => {
    const { envelope } = await sample(10);
    const stranger = new Keyring(localKey({ keyId: "other", key: new Uint8Array(32) }));
    expect(await refusalCode(() => keyring.openSeekable(sourceOf(envelope), { context: { a: "b" } }))).toBe("authentication-failed");
    expect(await refusalCode(() => stranger.openSeekable(sourceOf(envelope)))).toBe("no-matching-provider");
  });

  test.each([-1, 0.5, Number.NaN])("a size of %d is refused", async (size) => {
    const { envelope } = await sample(10);
    expect(await refusalCode(() => keyring.openSeekable({ ...sourceOf(envelope), size }))).toBe("invalid-argument");
  });
});

async function sample(size: number, change?: (envelope: Uint8Array, headerBytes: number) => void) {
  const plaintext = patterned(size);
  const envelope = await keyring.encrypt(plaintext);
  const headerBytes = 8 + Buffer.from(envelope).readUInt32BE(4);
  change?.(envelope, headerBytes);
  const source = sourceOf(envelope);
  const { reads } = source;
  const fetched = () => reads.reduce((sum, [start, end]) => sum + end - start, 0);
  return { plaintext, envelope, headerBytes, blob: await keyring.openSeekable(source), reads, fetched };
}

/** Opens an envelope in a source that gives pieces of one length, changed in some way. */
async function flowing(envelope: Uint8Array, change: (pieces: Uint8Array[]) => readonly unknown[] = (pieces) => pieces, length = 65_536) {
  const asked: number[] = [];
  const source = {
    ...sourceOf(envelope),
    async *pieces(start: number, end: number) {
      asked.push(end - start);
      const count = Math.ceil((end - start) / length);
      yield* change(
        Array.from({ length: count }, (_, at) => envelope.slice(start + at * length, Math.min(end, start + (at + 1) * length))),
      );
    },
  };
  return { blob: await keyring.openSeekable(untyped(source)), asked };
}

/** The envelope as a source that keeps book. */
function sourceOf(envelope: Uint8Array) {
  const reads: [number, number][] = [];
  const bytes = async (start: number, end: number): Promise<Uint8Array> => {
    reads.push([start, end]);
    return envelope.slice(start, end);
  };
  const read = async (start: number, end: number): Promise<Uint8Array | SourcePart> => await bytes(start, end);
  return { size: envelope.length, read, bytes, reads };
}
