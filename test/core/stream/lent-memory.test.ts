import { describe, expect, test, vi } from "vitest";
import { engine } from "#engine";
import { concatBytes, type OwnedBytes } from "../../../src/core/base/bytes.ts";
import { collectStream, patterned, streamOf, testKeyring } from "../../support/pieces.ts";
import { refusalCode } from "../../support/refusal.ts";

const CHUNK = 16384;
const SEALED = CHUNK + 16;
const context = { object: "invoices/7.pdf" };

describe("a reader that hands in its own memory", () => {
  test.each([1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, SEALED, 3 * CHUNK + 5, 2 ** 21])("of %i bytes gets all of a stream", async (room) => {
    const keyring = testKeyring();
    const plaintext = patterned(room < 1000 ? 3000 : 70 * CHUNK + 77);
    const envelope = await readInto(streamOf(plaintext).pipeThrough(keyring.encryptStream({ context })), room);
    expect(Buffer.compare(await keyring.decrypt(envelope, { context }), plaintext)).toBe(0);
    const opened = streamOf(envelope, 50_000).pipeThrough(keyring.decryptStream({ context }));
    expect(Buffer.compare(await readInto(opened, room), plaintext)).toBe(0);
  });

  // an engine of promises works in memory of its own
  test.runIf(engine.name !== "portable")("gets chunks written there, and no array is made for a batch", async () => {
    const keyring = testKeyring();
    const plaintext = patterned(100 * CHUNK + 7);
    const envelope = await keyring.encrypt(plaintext, { context });
    const allocate = vi.spyOn(engine, "allocate");
    const batchesMade = async (read: (stream: ReadableStream<OwnedBytes>) => Promise<OwnedBytes>): Promise<number> => {
      allocate.mockClear();
      const opened = await read(streamOf(envelope).pipeThrough(keyring.decryptStream({ context })));
      expect(Buffer.compare(opened, plaintext)).toBe(0);
      const sealed = await read(streamOf(plaintext).pipeThrough(keyring.encryptStream({ context })));
      expect(sealed.length).toBe(envelope.length);
      return allocate.mock.calls.filter(([bytes]) => bytes >= CHUNK).length;
    };
    const [lent, fresh] = [await batchesMade((stream) => readInto(stream, 4 * SEALED)), await batchesMade(collectStream)];
    allocate.mockRestore();
    expect(lent).toBe(0);
    expect(fresh).toBeGreaterThan(2);
  });

  test.each([
    [0, 70 * CHUNK + 77],
    [0, Number.MAX_SAFE_INTEGER],
    [5, 69 * CHUNK],
    [40 * CHUNK, 40 * CHUNK + 1],
    [70 * CHUNK + 3, 2 ** 40],
    [2 ** 40, 2 ** 41],
  ])("gets bytes %i to %i of a blob, and hears how far it has come", async (start, end) => {
    const keyring = testKeyring();
    const plaintext = patterned(70 * CHUNK + 77);
    const envelope = await keyring.encrypt(plaintext, { context });
    async function* pieces(from: number, to: number): AsyncGenerator<Uint8Array> {
      for (let at = from; at < to; at += 50_000) yield envelope.subarray(at, Math.min(at + 50_000, to));
    }
    const read = async (from: number, to: number): Promise<Uint8Array> => envelope.subarray(from, to);
    for (const source of [
      { size: envelope.length, read, pieces },
      { size: envelope.length, read },
    ]) {
      const blob = await keyring.openSeekable(source, { context });
      for (const room of [1, SEALED, 3 * CHUNK + 5, 2 ** 21].filter((bytes) => bytes > 1 || end < 40 * CHUNK + 2)) {
        let told = 0;
        const onProgress = (bytes: number): void => {
          told = bytes;
        };
        const opened = await readInto(blob.stream(start, end, { onProgress }), room);
        expect(Buffer.compare(opened, plaintext.subarray(start, end))).toBe(0);
        expect(told).toBe(opened.length);
      }
    }
  });

  test("of a blob fails with what its listener throws or rejects with", async () => {
    const keyring = testKeyring();
    const envelope = await keyring.encrypt(patterned(3 * CHUNK), { context });
    const blob = await keyring.openSeekable({ size: envelope.length, read: async (from, to) => envelope.subarray(from, to) }, { context });
    const broken = new Error("no terminal");
    const thrown = (): void => {
      throw broken;
    };
    for (const onProgress of [thrown, () => Promise.reject(broken)])
      await expect(collectStream(blob.stream(0, CHUNK, { onProgress }))).rejects.toBe(broken);
  });

  test("may take turns with one that does not", async () => {
    const keyring = testKeyring();
    const plaintext = patterned(50 * CHUNK + 7);
    const envelope = await keyring.encrypt(plaintext);
    const stream = streamOf(envelope, 30_000).pipeThrough(keyring.decryptStream());
    const parts: Uint8Array[] = [];
    for (let turn = 0; ; turn++) {
      const part = turn % 2 === 0 ? await readOnce(stream, new Uint8Array(2 * CHUNK)) : await takeOnce(stream);
      if (part === undefined) break;
      parts.push(part);
    }
    expect(Buffer.compare(concatBytes(...parts), plaintext)).toBe(0);
  });

  test("may ask for words, or for a middle part of its memory", async () => {
    const keyring = testKeyring();
    const plaintext = patterned(20 * CHUNK);
    const envelope = await keyring.encrypt(plaintext);
    const stream = streamOf(envelope).pipeThrough(keyring.decryptStream());
    const reader = stream.getReader({ mode: "byob" });
    const words = await reader.read(new Uint32Array(new ArrayBuffer(5 * CHUNK + 64), 32, CHUNK));
    if (words.value === undefined) throw new Error("the stream has ended");
    const { buffer, byteOffset, byteLength } = words.value;
    expect(byteOffset).toBe(32);
    const first = new Uint8Array(buffer, byteOffset, byteLength);
    expect(Buffer.compare(first, plaintext.subarray(0, byteLength))).toBe(0);
    expect(new Uint8Array(buffer, 0, 32)).toEqual(new Uint8Array(32));
    expect(new Uint8Array(buffer, byteOffset + byteLength)).toEqual(new Uint8Array(buffer.byteLength - byteOffset - byteLength));
    reader.releaseLock();
    expect(Buffer.compare(await collectStream(stream), plaintext.subarray(byteLength))).toBe(0);
  });

  test("gets verified bytes alone: what comes before a fault, and then the fault", async () => {
    const keyring = testKeyring();
    const plaintext = patterned(30 * CHUNK);
    const envelope = await keyring.encrypt(plaintext);
    envelope[envelope.length - 8 * SEALED] = (envelope[envelope.length - 8 * SEALED] ?? 0) ^ 1;
    const reader = streamOf(envelope).pipeThrough(keyring.decryptStream()).getReader({ mode: "byob" });
    let verified = 0;
    const reading = (async () => {
      for (;;) {
        const { value } = await reader.read(new Uint8Array(3 * CHUNK));
        if (value === undefined) return;
        expect(Buffer.compare(value, plaintext.subarray(verified, verified + value.length))).toBe(0);
        verified += value.length;
      }
    })();
    expect(await refusalCode(() => reading)).toBe("authentication-failed");
    expect(verified).toBeLessThan(23 * CHUNK);
  });

  test("may leave while a read is pending", async () => {
    const keyring = testKeyring();
    const { readable, writable } = keyring.decryptStream();
    const writer = writable.getWriter();
    writer.closed.catch(() => undefined);
    const envelope = await keyring.encrypt(patterned(10 * CHUNK));
    const reader = readable.getReader({ mode: "byob" });
    const reading = reader.read(new Uint8Array(4 * CHUNK));
    const writing = writer.write(envelope.subarray(0, envelope.length - 9 * SEALED)).catch(() => "ended");
    await reader.cancel("enough");
    expect((await reading).done).toBe(true);
    await writing;
  });
});

async function readInto(stream: ReadableStream<OwnedBytes>, room: number): Promise<OwnedBytes> {
  const reader = stream.getReader({ mode: "byob" });
  const parts: Uint8Array[] = [];
  let memory = new Uint8Array(room);
  for (;;) {
    const { done, value } = await reader.read(memory);
    if (done) return concatBytes(...parts);
    parts.push(value.slice());
    memory = new Uint8Array(value.buffer);
  }
}

async function readOnce(stream: ReadableStream<OwnedBytes>, memory: OwnedBytes): Promise<Uint8Array | undefined> {
  const reader = stream.getReader({ mode: "byob" });
  const { done, value } = await reader.read(memory);
  reader.releaseLock();
  return done ? undefined : value;
}

async function takeOnce(stream: ReadableStream<OwnedBytes>): Promise<Uint8Array | undefined> {
  const reader = stream.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return value;
}
