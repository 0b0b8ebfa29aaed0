import { PassThrough, Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { faultyBlobs } from "../../src/blobs/conformance/index.ts";
import { type BlobStore, type EncryptedStore, memoryBlobs, rewrapStale, sealUpload } from "../../src/blobs/index.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { deferred } from "../support/deferred.ts";
import { kek, watched } from "../support/keks.ts";
import { refusal } from "../support/refusal.ts";
import { inPieces, keyringOf, storeOf, wholeOf } from "./set-up.ts";

const { ENVELOCK_BLOB_BYTES = "1500000" } = process.env;
const LONG = Number(ENVELOCK_BLOB_BYTES);
const LENGTHS = [
  ["a", 300_000],
  ["b", 100],
] as const;
const SMALL = { bytes: 262_144, leastBytes: 1, mostBytes: 2 ** 22 };

describe("downloads over a bad connection", () => {
  test("a connection broken at every 64 KiB", async () => {
    const backing = memoryBlobs({ blocks: SMALL });
    await storeOf(backing).put("x", noise(LONG));
    const store = storeOf(faultyBlobs(backing, { breakEveryBytes: 65_536 }));
    expectSameBytes(await wholeOf(store, "x"), noise(LONG));
  });

  test.each([
    1, 100, 16_384, 16_390, 16_400, 16_500, 99_999,
  ])("a break after each %i bytes: of the header, a chunk, the last chunk", async (at) => {
    const backing = memoryBlobs({ blocks: SMALL });
    const length = at === 1 ? 40 : 100_000;
    await storeOf(backing).put("x", noise(length));
    const store = storeOf(faultyBlobs(backing, { breakEveryBytes: at }));
    expectSameBytes(await wholeOf(store, "x"), noise(length));
    expect(await store.verify("x")).toMatchObject({ plaintextBytes: length });
  });

  test("five attempts without a byte are enough, and one byte more is progress", async () => {
    const backing = memoryBlobs();
    await storeOf(backing).put("x", noise(100_000));
    const dead = storeOf(faultyBlobs(backing, { fault: (call) => (call === "read" ? "unavailable" : undefined) }));
    expect(await refusal(() => wholeOf(dead, "x"))).toMatchObject({ code: "unavailable" });
    let tries = 0;
    const denied = storeOf(faultyBlobs(backing, { fault: (call) => (call === "read" && ++tries > 0 ? "access-denied" : undefined) }));
    const blob = await denied.get("x");
    expect(await refusal(() => blob.read(50_000, 50_001))).toMatchObject({ code: "access-denied" });
    expect(tries).toBe(1); // what is refused is not asked again
    const lame = storeOf(
      faultyBlobs(backing, { fault: (call, count) => (call === "read" && count % 5 !== 4 ? "unavailable" : undefined) }),
    );
    expectSameBytes(await wholeOf(lame, "x"), noise(100_000));
  });

  test("short reads, slow ones and 503 are made good", async () => {
    const backing = memoryBlobs();
    await storeOf(backing).put("x", noise(LONG));
    const faults = ["short", "slow:50", "unavailable", "rate-limited", undefined] as const;
    const store = storeOf(faultyBlobs(backing, { fault: (call, count) => (call === "put" ? undefined : faults[count % 5]) }));
    expectSameBytes(await wholeOf(store, "x"), noise(LONG));
  });

  test("an abort ends a download with its reason", async () => {
    const backing = memoryBlobs();
    await storeOf(backing).put("x", noise(500_000));
    const stop = new AbortController();
    const blob = await storeOf(backing).get("x");
    const reader = blob.stream(0, undefined, { signal: stop.signal }).getReader();
    await reader.read();
    const reason = new Error("enough");
    stop.abort(reason);
    await expect(
      (async () => {
        for (;;) if ((await reader.read()).done) return;
      })(),
    ).rejects.toBe(reason);
  });
});

describe("uploads over a bad connection", () => {
  test("every call fails now and then, or loses its answer: whole all the same", async () => {
    const backing = memoryBlobs({ blocks: SMALL });
    for (const fault of ["unavailable", "lost", "rate-limited"] as const) {
      const store = storeOf(faultyBlobs(backing, { fault: (_call, count) => (count % 3 === 0 ? fault : undefined) }));
      await store.put(fault, inPieces(noise(LONG), 65_536));
      expectSameBytes(await wholeOf(storeOf(backing), fault), noise(LONG));
    }
  });

  test("a commit whose answer was lost is known for our own, and that of another is not", async () => {
    const backing = memoryBlobs();
    const losing = faultyBlobs(backing, { fault: (call, count) => (call === "commit" && count === 0 ? "lost" : undefined) });
    await storeOf(losing).put("x", noise(100));
    expectSameBytes(await wholeOf(storeOf(backing), "x"), noise(100));
    const failing = faultyBlobs(backing, { fault: (call, count) => (call === "commit" && count === 0 ? "unavailable" : undefined) });
    expect(await refusal(() => storeOf(failing).put("x", noise(100)))).toMatchObject({ detail: "blob-exists" });
  });

  test("what stays broken ends in a typed error, and nothing appears", async () => {
    for (const call of ["create", "put", "commit"]) {
      const backing = memoryBlobs({ blocks: SMALL });
      const aborted: string[] = [];
      const watched = { ...backing };
      watched.create = async (name, content, options) => {
        const upload = await backing.create(name, content, options);
        return { ...upload, abort: async () => void aborted.push(name) };
      };
      const store = storeOf(faultyBlobs(watched, { fault: (made) => (made === call ? "unavailable" : undefined) }));
      expect(await refusal(() => store.put("x", inPieces(noise(LONG), 65_536)))).toMatchObject({ code: "unavailable" });
      expect(await backing.open("x", 1)).toBeUndefined();
      expect(aborted).toEqual(call === "create" ? [] : ["x"]);
    }
  });

  test("destroyed source", async () => {
    const backing = memoryBlobs({ blocks: SMALL });
    const source = new PassThrough();
    source.write(noise(100_000));
    const pending = storeOf(backing).put("x", source);
    setImmediate(() => source.destroy());
    expect(await refusal(() => pending)).toMatchObject({ code: "invalid-argument", detail: "source-truncated" });
    expect(await backing.open("x", 1)).toBeUndefined();
  });

  test("a source that fails while the key service is asked ends the put, and not the process", async () => {
    const asked = deferred();
    const sound = kek("slow");
    const wrap: KeyProvider["wrap"] = async (dataKey, options) => {
      await asked.promise;
      return await sound.wrap(dataKey, options);
    };
    const keyring = new Keyring(watched(sound, { wrap }));
    const error = new Error("the client is gone");
    const uncaught: unknown[] = [];
    const note = (found: unknown): unknown => uncaught.push(found);
    process.on("uncaughtException", note);
    for (const begin of [
      (source: Readable) => storeOf(memoryBlobs(), keyring).put("x", source),
      async (source: Readable) => {
        for await (const _ of keyring.encryptPieces(source));
      },
      (source: Readable) => keyring.decryptPieces(source).next(),
    ]) {
      const source = new PassThrough();
      const pending = begin(source);
      source.destroy(error);
      await new Promise((resolve) => source.once("close", resolve));
      asked.resolve();
      await expect(pending).rejects.toBe(error);
    }
    process.off("uncaughtException", note);
    expect(uncaught).toEqual([]);
  });

  test("idle abort", async () => {
    const backing = memoryBlobs({ blocks: SMALL });
    const source = new PassThrough();
    source.write(noise(100_000));
    const stop = new AbortController();
    const pending = storeOf(backing).put("x", source, { signal: stop.signal });
    const reason = new Error("enough");
    setImmediate(() => stop.abort(reason));
    await expect(pending).rejects.toBe(reason);
    expect(await backing.open("x", 1)).toBeUndefined();
  });

  test("a store that fails ends the wait for an idle source", async () => {
    const backing = memoryBlobs({ blocks: SMALL });
    const source = new PassThrough();
    source.write(noise(1_000_000));
    const store = storeOf(faultyBlobs(backing, { fault: (call) => (call === "put" ? "access-denied" : undefined) }));
    expect(await refusal(() => store.put("x", source))).toMatchObject({ code: "access-denied" });
  });

  test("a tap sees all of the plaintext, and its veto leaves nothing", async () => {
    const backing = memoryBlobs({ blocks: SMALL });
    const seen: Uint8Array[] = [];
    const ends: number[] = [];
    const tap = { onPiece: (piece: Uint8Array) => void seen.push(piece.slice()), onEnd: (bytes: number) => void ends.push(bytes) };
    await storeOf(backing).put("x", inPieces(noise(LONG), 9999), { tap });
    expectSameBytes(Buffer.concat(seen), noise(LONG));
    expect(ends).toEqual([LONG]);
    const veto = new Error("a virus");
    const vetoing = [{ onPiece: async () => Promise.reject(veto) }, { onPiece: () => undefined, onEnd: () => Promise.reject(veto) }];
    for (const each of vetoing) {
      await expect(storeOf(backing).put("y", noise(LONG), { tap: each })).rejects.toBe(veto);
      expect(await backing.open("y", 1)).toBeUndefined();
    }
  });
});

describe("an abort at any call of the store", () => {
  type Action = (store: EncryptedStore, signal: AbortSignal) => Promise<unknown>;
  const all = async (names: AsyncIterable<unknown>): Promise<void> => {
    for await (const _ of names);
  };
  test.each<readonly [string, Action]>([
    ["put", (store, signal) => store.put("new", inPieces(noise(LONG), 65_536), { signal })],
    ["put that replaces", (store, signal) => store.put("b", noise(LONG), { signal, replace: true })],
    [
      "get and stream",
      async (store, signal) => {
        const blob = await store.get("a", { signal });
        await new Response(blob.stream(0, undefined, { signal })).arrayBuffer();
      },
    ],
    ["get and read", async (store, signal) => (await store.get("a", { signal })).read(100_000, 200_000, { signal })],
    ["verify", (store, signal) => store.verify("a", "all", { signal })],
    ["rewrap", (store, signal) => store.rewrap("a", { signal })],
    ["rewrapStale", (store, signal) => all(rewrapStale(store, { signal }))],
    ["findStale", (store, signal) => all(store.findStale({ signal }))],
    ["list", (store, signal) => all(store.list({ signal }))],
    ["delete", (store, signal) => store.delete("b", { signal })],
  ])("%s ends with its reason or is done, and nothing is half done", async (_what, act) => {
    const reason = new Error("enough");
    let ended = 0;
    for (let at = 0, calls = 1; at < calls; at++) {
      calls = 0;
      const stop = new AbortController();
      const backing = memoryBlobs({ blocks: SMALL });
      const whole = storeOf(backing, keyringOf("new", "old"));
      for (const [name, length] of LENGTHS) await storeOf(backing).put(name, noise(length, name));
      let unfinished = 0;
      const counting: BlobStore = {
        ...backing,
        async create(name, content, options) {
          const upload = await backing.create(name, content, options);
          unfinished++;
          const finished = <T>(result: T): T => {
            unfinished--;
            return result;
          };
          return {
            ...upload,
            commit: async (...given) => finished(await upload.commit(...given)),
            abort: async () => finished(await upload.abort()),
          };
        },
      };
      const fault = (): undefined => {
        if (calls++ === at) stop.abort(reason);
      };
      const outcome = await act(storeOf(faultyBlobs(counting, { fault }), keyringOf("new", "old")), stop.signal).catch(
        (error: unknown) => error,
      );
      if (outcome === reason) ended++;
      else expect(outcome, `call ${at}`).not.toBeInstanceOf(Error);
      expect(unfinished).toBe(0);
      for await (const { name } of whole.list()) {
        const lengths = [...LENGTHS, ["new", LONG], ["b", LONG]].flatMap(([known, length]) => (known === name ? [length] : []));
        expect(lengths).toContain((await whole.verify(name, "all")).plaintextBytes);
      }
    }
    expect(ended).toBeGreaterThan(0);
  });

  test("before anything, asks no store", async () => {
    const signal = AbortSignal.abort(new Error("too late"));
    const store = storeOf(faultyBlobs(memoryBlobs(), { fault: (call) => expect.unreachable(call) }));
    for (const call of [
      () => store.put("x", noise(1), { signal }),
      () => store.get("x", { signal }),
      () => store.rewrap("x", { signal }),
      () => store.verify("x", "ends", { signal }),
      () => store.delete("x", { signal }),
      () => store.list({ signal }).next(),
      () => store.findStale({ signal }).next(),
      () => rewrapStale(store, { signal }).next(),
    ])
      await expect(call()).rejects.toBe(signal.reason);
  });

  test("ends the wait for a tap that never answers", async () => {
    const backing = memoryBlobs({ blocks: SMALL });
    const stop = new AbortController();
    const reason = new Error("enough");
    const never = new Promise<void>(() => undefined);
    const onPiece = async (): Promise<void> => {
      setImmediate(() => stop.abort(reason));
      await never;
    };
    await expect(storeOf(backing).put("x", noise(LONG), { signal: stop.signal, tap: { onPiece } })).rejects.toBe(reason);
    const onEnd = new AbortController();
    const tap = {
      onPiece: () => undefined,
      onEnd: async () => {
        setImmediate(() => onEnd.abort(reason));
        await never;
      },
    };
    await expect(storeOf(backing).put("x", noise(LONG), { signal: onEnd.signal, tap })).rejects.toBe(reason);
    expect(await backing.open("x", 1)).toBeUndefined();
  });
});

describe("sealUpload", () => {
  test("truncated form field", async () => {
    const file = Object.assign(Readable.from([noise(1000)]), { truncated: false });
    file.on("end", () => {
      file.truncated = true;
    });
    const backing = memoryBlobs();
    expect(await refusal(() => storeOf(backing).put("x", file))).toMatchObject({ detail: "source-truncated" });
    expect(await backing.open("x", 1)).toBeUndefined();
  });

  test("counts, and says what is wrong", async () => {
    const take = async (source: AsyncIterable<Uint8Array>): Promise<number> => {
      let bytes = 0;
      for await (const piece of source) bytes += piece.length;
      return bytes;
    };
    expect(await take(sealUpload(inPieces(noise(100), 7), { expectedBytes: 100, maxBytes: 100 }))).toBe(100);
    for (const [options, detail] of [
      [{ expectedBytes: 99 }, "other-length"],
      [{ expectedBytes: 101 }, "other-length"],
      [{ maxBytes: 99 }, "too-large"],
    ] as const) {
      expect(await refusal(() => take(sealUpload(inPieces(noise(100), 7), options)))).toMatchObject({ code: "invalid-argument", detail });
    }
    const error = new Error("the client is gone");
    await expect(take(sealUpload(new Readable({ read: (): void => undefined }).destroy(error)))).rejects.toBe(error);
  });

  test("refuses what was read before: its end would look like an empty file", async () => {
    const consumed = Readable.from([noise(5)]);
    for await (const _ of consumed);
    const locked = new Blob([noise(5)]).stream();
    locked.getReader();
    const [node, web, generator] = [Readable.from([noise(5)]), new Blob([noise(5)]).stream(), inPieces(noise(5), 2)];
    const backing = memoryBlobs();
    for (const source of [node, web, generator])
      expect((await storeOf(backing).put("x", source, { replace: true })).plaintextBytes).toBe(5);
    for (const source of [consumed, locked, node, web, generator]) {
      const refused = await refusal(() => storeOf(backing).put("y", source));
      expect(refused).toMatchObject({ code: "invalid-argument", detail: "source-used", hint: expect.any(String) });
    }
    expect(await backing.open("y", 1)).toBeUndefined();
    const list = [noise(2), noise(3)]; // gives its bytes as often as they are asked for
    for (const name of ["y", "z"]) expect((await storeOf(backing).put(name, list)).plaintextBytes).toBe(5);
  });

  test("is read by encryptPieces too", async () => {
    const keyring = keyringOf("old");
    const envelope: Uint8Array[] = [];
    for await (const piece of keyring.encryptPieces(sealUpload(inPieces(noise(50_000), 999)))) envelope.push(piece);
    expectSameBytes(await keyring.decrypt(Buffer.concat(envelope)), noise(50_000));
  });
});
