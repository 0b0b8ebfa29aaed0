import { describe, expect, test } from "vitest";
import { localKey } from "../../../providers/local/index.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { collect, collectStream, collectUntilFailure, patterned, piecesOf, streamOf, testKeyring } from "../../support/pieces.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const CHUNK = 16384;
const DIRECTIONS = ["encrypt", "decrypt"] as const;
type Direction = (typeof DIRECTIONS)[number];

// vitest itself fails a run in which a rejection stays unhandled

describe.each(DIRECTIONS)("%s, when something beside the cipher fails", (direction) => {
  test("a source that errors: the reader hears of exactly that", async () => {
    const broken = new Error("the disk is gone");
    for (const after of [0, 1, 30_000, 100_000]) {
      const { input, open } = await setUp(direction);
      const source = new ReadableStream<Uint8Array>({
        start(controller) {
          if (after > 0) controller.enqueue(input.slice(0, after));
        },
        pull: (controller) => controller.error(broken),
      });
      await expect(collectStream(source.pipeThrough(open()))).rejects.toBe(broken);
    }
  });

  test("a source that errors, as an iterable: it is not asked again, and nothing hangs", async () => {
    const broken = new Error("the disk is gone");
    const { input, iterate } = await setUp(direction);
    async function* source() {
      yield input.slice(0, 50_000);
      throw broken;
    }
    expect((await collectUntilFailure(iterate(source()))).error).toBe(broken);
  });

  test("a sink that errors: the source is cancelled with exactly that", async () => {
    const full = new Error("the disk is full");
    for (const failing of [1, 2, 3]) {
      const { input, open } = await setUp(direction);
      let cancelled: unknown;
      let at = 0;
      const source = new ReadableStream<Uint8Array>({
        pull(controller) {
          controller.enqueue(input.slice(at % input.length, (at % input.length) + 65536));
          at += 65536;
        },
        cancel(reason) {
          cancelled = reason;
        },
      });
      let writes = 0;
      const sink = new WritableStream<Uint8Array>({
        write() {
          if (++writes === failing) throw full;
        },
      });
      await expect(source.pipeThrough(open()).pipeTo(sink)).rejects.toBe(full);
      expect(cancelled).toBe(full);
    }
  });

  test("a reader that cancels: writes end with its reason, the iterable's source is let go", async () => {
    const enough = new Error("enough");
    const { input, open, iterate } = await setUp(direction);
    const { readable, writable } = open();
    const writer = writable.getWriter();
    const writing = writer.write(input.slice(0, 60_000)).catch((error: unknown) => error);
    const closed = writer.closed.catch((error: unknown) => error);
    const reader = readable.getReader();
    if (direction === "encrypt") await reader.read();
    await reader.cancel(enough);
    expect([await writing, await closed]).toEqual([enough, enough]);

    let isLetGo = false;
    async function* source() {
      try {
        for (;;) yield input.slice(0, input.length);
      } finally {
        isLetGo = true;
      }
    }
    for await (const batch of iterate(source())) {
      if (batch.length > 10_000) break;
    }
    expect(isLetGo).toBe(true);
  });

  test("a writer that aborts: the reader fails with its reason, also while a write waits", async () => {
    const { input, open } = await setUp(direction);
    const never = new Error("never mind");
    for (const isReading of [true, false]) {
      const { readable, writable } = open();
      const reader = readable.getReader();
      const writer = writable.getWriter();
      const reading = isReading ? reader.read().then(() => reader.read()) : undefined;
      const outcome = reading?.catch((error: unknown) => error);
      const write = writer.write(input.slice(0, 9)).catch((error: unknown) => error);
      await writer.abort(never);
      expect(await (outcome ?? reader.read().catch((error: unknown) => error))).toBe(never);
      expect(await write).toSatisfy((result) => result === undefined || result === never);
    }
  });

  test("an abort at every step: both sides fail with the signal's reason", async () => {
    const { input, open } = await setUp(direction);
    for (let step = 0; step < 8; step++) {
      const abort = new AbortController();
      const stop = new Error(`stop at ${step}`);
      if (step === 0) abort.abort(stop);
      let steps = 1;
      let at = 0;
      const tick = (): void => {
        if (steps++ === step) abort.abort(stop);
      };
      const source = new ReadableStream<Uint8Array>(
        {
          pull(controller) {
            tick();
            controller.enqueue(input.slice(at, at + 65536));
            at += 65536;
          },
        },
        { highWaterMark: 0 },
      );
      const sink = new WritableStream<Uint8Array>({ write: tick });
      const outcome = source.pipeThrough(open(abort.signal)).pipeTo(sink);
      await expect(outcome, `step ${step}`).rejects.toBe(stop);
    }
  });

  test("an abort while the source hangs ends an iterable at once, and the source is told", async () => {
    const { input, iterate } = await setUp(direction);
    const abort = new AbortController();
    const stop = new Error("stop");
    let isTold = false;
    let asked = 0;
    const source: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => ({
        next: () =>
          asked++ === 0 ? Promise.resolve({ done: false, value: input.slice(0, 40_000) }) : new Promise(() => abort.abort(stop)),
        return: () => {
          isTold = true;
          return new Promise(() => undefined);
        },
      }),
    };
    expect((await collectUntilFailure(iterate(source, abort.signal))).error).toBe(stop);
    expect(isTold).toBe(true);
  });

  test("an abort after the end does nothing", async () => {
    const { input, open } = await setUp(direction);
    const abort = new AbortController();
    const output = await collectStream(streamOf(input).pipeThrough(open(abort.signal)));
    abort.abort();
    expect(output.length).toBeGreaterThan(0);
  });

  test("a provider that fails: its error comes out of the readable side, the source is cancelled", async () => {
    const { input } = await setUp(direction);
    const refusing = new Keyring(refusingProvider());
    let isCancelled = false;
    const source = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(input),
      cancel() {
        isCancelled = true;
      },
    });
    const stream = direction === "encrypt" ? refusing.encryptStream() : refusing.decryptStream();
    await expect(collectStream(source.pipeThrough(stream))).rejects.toMatchObject({ name: "EnvelockError", code: "access-denied" });
    await expect.poll(() => isCancelled).toBe(true);
  });

  test("a progress callback that throws ends the stream with its error", async () => {
    const { input, iterate } = await setUp(direction);
    const broken = new Error("no terminal");
    const onProgress = (): void => {
      throw broken;
    };
    expect((await collectUntilFailure(iterate(piecesOf(input), undefined, onProgress))).error).toBe(broken);
    const later = () => Promise.reject(broken);
    expect((await collectUntilFailure(iterate(piecesOf(input), undefined, later))).error).toBe(broken);
  });
});

describe("backpressure", () => {
  test("nothing is read from the source before somebody reads the output, and then no more than is needed", async () => {
    let pulled = 0;
    const source = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          pulled++;
          controller.enqueue(new Uint8Array(65536));
        },
      },
      { highWaterMark: 0 },
    );
    const reader = source.pipeThrough(testKeyring().encryptStream({ lanes: 1 })).getReader();
    await settled();
    expect(pulled).toBeLessThanOrEqual(1);
    const header = await reader.read();
    await settled();
    expect([header.done, pulled <= 1]).toEqual([false, true]);
    await reader.read();
    await settled();
    expect(pulled).toBeLessThanOrEqual(18); // a batch is at most sixteen pieces
    await reader.cancel();
  });

  test("a write is not over before its bytes are used", async () => {
    const { readable, writable } = testKeyring().encryptStream();
    const reader = readable.getReader();
    const writer = writable.getWriter();
    let isOver = false;
    const write = writer.write(new Uint8Array(CHUNK * 140)).then(() => {
      isOver = true;
    });
    await reader.read();
    await reader.read();
    await settled();
    expect(isOver).toBe(false);
    const rest = (async () => {
      while (!(await reader.read()).done);
    })();
    await write;
    await writer.close();
    await rest;
  });

  test("a header that was asked for and never used leaves nothing hanging", async () => {
    const stream = testKeyring().encryptStream();
    expect((await stream.header()).length).toBeGreaterThan(8);
    await stream.readable.cancel();
    await expect(stream.writable.getWriter().closed).rejects.toBeUndefined();
  });
});

async function setUp(direction: Direction) {
  const keyring = testKeyring();
  const plaintext = patterned(200 * CHUNK + 7);
  const envelope = await collect(keyring.encryptPieces(piecesOf(plaintext)));
  const options = (signal?: AbortSignal, onProgress?: () => unknown) => ({ ...(signal && { signal }), ...(onProgress && { onProgress }) });
  return {
    input: direction === "encrypt" ? plaintext : envelope,
    open: (signal?: AbortSignal) =>
      direction === "encrypt" ? keyring.encryptStream(options(signal)) : keyring.decryptStream(options(signal)),
    iterate: (pieces: AsyncIterable<Uint8Array>, signal?: AbortSignal, onProgress?: () => unknown) =>
      direction === "encrypt"
        ? keyring.encryptPieces(pieces, options(signal, onProgress))
        : keyring.decryptPieces(pieces, options(signal, onProgress)),
  };
}

function refusingProvider(): KeyProvider {
  const refuse = () => Promise.reject(new EnvelockError("access-denied", "the backend said 403"));
  const local = localKey({ keyId: "test", key: new Uint8Array(32) });
  return { ...local, wrap: refuse, unwrap: refuse };
}

/** Long enough for everything that is due without a timer. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve));
}

describe("a source whose return() fails", () => {
  const failing = (pieces: readonly Uint8Array[], onReturn: () => Promise<IteratorResult<Uint8Array>>): AsyncIterable<Uint8Array> => ({
    [Symbol.asyncIterator]() {
      let at = 0;
      return {
        next: () => (at < pieces.length ? Promise.resolve({ done: false, value: pieces[at++] ?? NOTHING }) : new Promise(() => undefined)),
        return: onReturn,
      };
    },
  });
  const broken = new Error("the source cannot be closed");
  const ways: readonly (readonly [string, () => Promise<IteratorResult<Uint8Array>>])[] = [
    [
      "throws",
      () => {
        throw broken;
      },
    ],
    ["rejects", () => Promise.reject(broken)],
  ];

  test.each(ways)("because it %s: an abort still ends the stream with its reason, and nothing is left uncaught", async (_, onReturn) => {
    const keyring = testKeyring();
    const envelope = await keyring.encrypt(patterned(100));
    for (const start of [
      (signal: AbortSignal) => keyring.encryptPieces(failing([patterned(5)], onReturn), { signal }),
      (signal: AbortSignal) => keyring.decryptPieces(failing([envelope.subarray(0, 3)], onReturn), { signal }),
    ]) {
      const abort = new AbortController();
      const reason = new Error("stop");
      const ending = collectUntilFailure(start(abort.signal));
      setTimeout(() => abort.abort(reason), 5);
      expect((await ending).error).toBe(reason);
    }
  });

  test.each(ways)("because it %s: what was wrong with the envelope is still told", async (_, onReturn) => {
    const keyring = testKeyring();
    const envelope = await keyring.encrypt(patterned(100));
    const changed = envelope.slice();
    changed[envelope.length - 1] = (changed[envelope.length - 1] ?? 0) ^ 1;
    const noEnvelope = collectUntilFailure(keyring.decryptPieces(failing([patterned(100)], onReturn)));
    expect((await noEnvelope).error).toMatchObject({ code: "malformed-envelope" });
    const tooLong = collectUntilFailure(keyring.encryptPieces(failing([patterned(100)], onReturn), { plaintextBytes: 50 }));
    expect((await tooLong).error).toMatchObject({ code: "invalid-argument" });
    const strange = collectUntilFailure(keyring.encryptPieces(failing([untyped<Uint8Array>("text")], onReturn)));
    expect((await strange).error).toMatchObject({ code: "invalid-argument" });
  });

  test("pieces that are none are refused when the method is called", async () => {
    const keyring = testKeyring();
    for (const pieces of [[patterned(5)], undefined, null, "text", patterned(5), {}]) {
      const given = untyped<AsyncIterable<Uint8Array>>(pieces);
      expect(await refusalCode(() => keyring.encryptPieces(given))).toBe("invalid-argument");
      expect(await refusalCode(() => keyring.decryptPieces(given))).toBe("invalid-argument");
    }
  });
});

test("misspelt options are refused by every method that streams, and the right name is told", async () => {
  const keyring = testKeyring();
  const envelope = await keyring.encrypt(patterned(5));
  const blob = await keyring.openSeekable({ size: envelope.length, read: async (start, end) => envelope.slice(start, end) });
  const upload = await keyring.startUpload({ plaintextBytes: 5, partBytes: CHUNK });
  const plan = { plaintextBytes: 5, partBytes: CHUNK };
  for (const call of [
    () => keyring.encryptStream(untyped({ contxt: {} })),
    () => keyring.decryptStream(untyped({ contxt: {} })),
    () => keyring.encryptPieces(piecesOf(envelope), untyped({ contxt: {} })),
    () => keyring.decryptPieces(piecesOf(envelope), untyped({ contxt: {} })),
    () => keyring.openSeekable({ size: 1, read: async () => envelope }, untyped({ contxt: {} })),
    () => keyring.startUpload(untyped({ ...plan, contxt: {} })),
    () => keyring.resumeUpload(envelope, untyped({ ...plan, contxt: {} })),
  ]) {
    const { code, hint } = await refusal(call);
    expect([code, hint]).toEqual(["invalid-argument", "did you mean `context`?"]);
  }
  for (const call of [
    () => blob.read(0, 1, untyped({ abort: 1 })),
    () => blob.size(untyped({ abort: 1 })),
    () => blob.stream(0, 1, untyped({ abort: 1 })),
    () => upload.exportState(untyped({ abort: 1 })),
    () => keyring.openSeekable(untyped(undefined)),
    () => keyring.openSeekable(untyped({ size: 5 })),
    () => keyring.startUpload(untyped(undefined)),
    () => keyring.encryptPieces(piecesOf(envelope), { signal: untyped<AbortSignal>("now") }),
  ]) {
    expect(await refusalCode(call)).toBe("invalid-argument");
  }
});

const NOTHING: Uint8Array = new Uint8Array(0);
