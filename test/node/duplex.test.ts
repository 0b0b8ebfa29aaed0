import { createWriteStream } from "node:fs";
import { Readable, Writable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import { describe, expect, test } from "vitest";
import { encryptedBytes } from "../../src/core/stream/streams.ts";
import { decryptDuplex, encryptDuplex } from "../../src/node/index.ts";
import { flipped } from "../support/bytes.ts";
import { collect, patterned, piecesOf, testKeyring } from "../support/pieces.ts";
import { refusalCode } from "../support/refusal.ts";

const CHUNK = 16384;
const DIRECTIONS = ["encrypt", "decrypt"] as const;
const keyring = testKeyring();
const plaintext = patterned(140 * CHUNK + 7);

describe("Node streams", () => {
  test.each([0, 1, 16383, 16384, 16385, 140 * CHUNK + 7])("%i bytes through a pipeline of both", async (size) => {
    const sealing = encryptDuplex(keyring, { plaintextBytes: size });
    const sealed = await collect(Readable.from(piecesOf(plaintext.slice(0, size), [7, 50_000])).pipe(sealing));
    expect(sealed.length).toBe(encryptedBytes(size, await sealing.header()));
    expect(Buffer.compare(await keyring.decrypt(sealed), plaintext.subarray(0, size))).toBe(0);
    const parts: Uint8Array[] = [];
    const sink = new Writable({ write: (part, _, done) => done(void parts.push(part)) });
    await pipeline(Readable.from(piecesOf(sealed, [3, 100_000])), decryptDuplex(keyring), sink);
    expect(Buffer.compare(Buffer.concat(parts), plaintext.subarray(0, size))).toBe(0);
  });

  test("text is taken as UTF-8, as any Node stream takes it", async () => {
    const sealing = encryptDuplex(keyring);
    sealing.end("grüezi");
    expect(Buffer.from(await keyring.decrypt(await collect(sealing))).toString()).toBe("grüezi");
  });
});

describe("writes that nobody has waited for", () => {
  test("are taken together, in order, and each is told when it was used", async () => {
    const sealing = encryptDuplex(keyring);
    const used: number[] = [];
    const cuts = [0, 1, 16384, 16384, 40_000, 1_200_000];
    for await (const piece of piecesOf(plaintext, cuts)) sealing.write(piece, () => used.push(piece.length));
    sealing.end();
    const sealed = await collect(sealing);
    expect(Buffer.compare(await keyring.decrypt(sealed), plaintext)).toBe(0);
    expect(used).toEqual([0, 1, 16383, 0, 23616, 1_160_000, plaintext.length - 1_200_000]);
  });

  test("may be many and tiny", async () => {
    const sealing = encryptDuplex(keyring);
    for (let at = 0; at < 130_000; at++) sealing.write(plaintext.subarray(at, at + 1));
    sealing.end();
    expect(Buffer.compare(await keyring.decrypt(await collect(sealing)), plaintext.subarray(0, 130_000))).toBe(0);
  });

  test("all fail when one of them does not fit", async () => {
    const envelope = flipped(await keyring.encrypt(plaintext), 100_000);
    const opening = decryptDuplex(keyring);
    const outcomes: Promise<unknown>[] = [];
    for await (const piece of piecesOf(envelope, [500, 90_000, 600_000, 1_800_000])) {
      outcomes.push(new Promise((resolve) => opening.write(piece, (error) => resolve(error))));
    }
    expect(await refusalCode(() => collect(opening))).toBe("authentication-failed");
    expect((await Promise.all(outcomes)).at(-1)).toMatchObject({ code: "authentication-failed" });
  });
});

describe.each(DIRECTIONS)("%s, when something beside the cipher fails", (direction) => {
  test("a source that errors", async () => {
    const { open, source } = await setUp(direction);
    const broken = new Error("the disk is gone");
    const failing = async function* () {
      yield* source([10]);
      throw broken;
    };
    await expect(pipeline(failing(), open(), nullSink())).rejects.toBe(broken);
  });

  test("a sink that errors: source and stream are destroyed", async () => {
    const { open, source } = await setUp(direction);
    const full = new Error("the disk is full");
    for (const failing of [1, 2, 3]) {
      const input = Readable.from(source([CHUNK, 5 * CHUNK, 40 * CHUNK, 70 * CHUNK, 100 * CHUNK]));
      const stream = open();
      let writes = 0;
      const sink = new Writable({ highWaterMark: 1, write: (_, __, done) => done(++writes === failing ? full : null) });
      await expect(pipeline(input, stream, sink)).rejects.toBe(full);
      expect([input.destroyed, stream.destroyed]).toEqual([true, true]);
    }
  });

  test("an abort by the option, with the signal's reason, at every step", async () => {
    for (let step = 0; step < 6; step++) {
      const { open, source } = await setUp(direction);
      const abort = new AbortController();
      const stop = new Error(`stop at ${step}`);
      if (step === 0) abort.abort(stop);
      let steps = 0;
      const tick = async function* () {
        for await (const piece of source([CHUNK, 5 * CHUNK, 40 * CHUNK, 70 * CHUNK, 100 * CHUNK])) {
          if (++steps === step) abort.abort(stop);
          yield piece;
        }
      };
      await expect(pipeline(tick(), open(abort.signal), nullSink())).rejects.toBe(stop);
    }
  });

  test("a reason that is no Error comes as an AbortError", async () => {
    const { open } = await setUp(direction);
    await expect(finished(open(AbortSignal.abort("enough")))).rejects.toMatchObject({ name: "AbortError", message: "enough" });
  });

  test("destroyed before and in the middle: no error unless one is given, and writes end", async () => {
    const { open, source } = await setUp(direction);
    const unused = open();
    unused.destroy();
    await expect(finished(unused)).rejects.toMatchObject({ code: "ERR_STREAM_PREMATURE_CLOSE" });
    const used = open();
    for await (const piece of source()) used.write(piece);
    const broken = new Error("broken");
    used.destroy(broken);
    await expect(finished(used)).rejects.toBe(broken);
  });
});

test("a disk that is full: the file system's own error", async () => {
  const writing = pipeline(Readable.from(piecesOf(plaintext)), encryptDuplex(keyring), createWriteStream("/dev/full"));
  await expect(writing).rejects.toMatchObject({ code: "ENOSPC" });
});

test("a changed envelope destroys the stream with a typed error", async () => {
  const envelope = await keyring.encrypt(plaintext);
  for (const at of [0, 100, envelope.length - 1]) {
    const changed = envelope.slice();
    changed[at] = (changed[at] ?? 0) ^ 1;
    const code = await refusalCode(() => pipeline(Readable.from(piecesOf(changed, [1000])), decryptDuplex(keyring), nullSink()));
    expect(code).toMatch(/^(authentication-failed|malformed-envelope)$/);
  }
});

async function setUp(direction: (typeof DIRECTIONS)[number]) {
  const input = direction === "encrypt" ? plaintext : await keyring.encrypt(plaintext);
  return {
    open: (signal?: AbortSignal) => (direction === "encrypt" ? encryptDuplex : decryptDuplex)(keyring, signal && { signal }),
    source: (cuts: readonly number[] = []) => piecesOf(input, cuts),
  };
}

function nullSink(): Writable {
  return new Writable({ write: (_, __, done) => done() });
}
