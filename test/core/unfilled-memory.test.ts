import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { engine } from "#engine";
import { viewOf } from "../../src/core/base/bytes.ts";
import { requireFilled } from "../../src/core/base/filled.ts";
import { DataKey } from "../../src/core/data-key/data-key.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { partDigests } from "../../src/core/stream/part-digest.ts";
import { DataKeys } from "../../src/fields/data-keys.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { deferred } from "../support/deferred.ts";
import { takeTheFineWay } from "../support/fine-way.ts";
import { kek, watched } from "../support/keks.ts";
import { collect, patterned, piecesOf } from "../support/pieces.ts";
import { refusal, refusalCode } from "../support/refusal.ts";

const CHUNK = 16384;
const PATTERN = 0xa5;

type Call = (keyring: Keyring, plaintext: Uint8Array) => Promise<readonly Uint8Array[]>;

const sealing = {
  encrypt: async (keyring, plaintext) => [await keyring.encrypt(plaintext)],
  encryptDetached: async (keyring, plaintext) => Object.values(await keyring.encryptDetached(plaintext)),
  encryptPieces: async (keyring, plaintext) => [await collect(keyring.encryptPieces(piecesOf(plaintext, [5, CHUNK + 1])))],
  encryptPiecesInLanes: async (keyring, plaintext) => [await collect(keyring.encryptPieces(piecesOf(plaintext), { lanes: "auto" }))],
  upload: async (keyring, plaintext) => {
    const upload = await keyring.startUpload({ plaintextBytes: plaintext.length, partBytes: CHUNK });
    const parts: Uint8Array[] = [];
    for (let part = 0; part < upload.partCount; part++) {
      const { start, end } = upload.partRange(part);
      parts.push(await upload.part(part, plaintext.subarray(start, end)));
    }
    return parts;
  },
  encryptToken: async (_, plaintext) => [DataKey.generate().encryptToken(plaintext)],
  encryptField: async (keyring, plaintext) => {
    const field = await new DataKeys({ keyring, store: memoryStore() }).field({ table: "t", column: "c", type: "bytes" });
    return [field.encryptBytes(plaintext)];
  },
} satisfies Record<string, Call>;

const opening = {
  decrypt: async (keyring, plaintext) => [await keyring.decrypt(await keyring.encrypt(plaintext))],
  decryptPieces: async (keyring, plaintext) => [
    await collect(keyring.decryptPieces(piecesOf(await keyring.encrypt(plaintext), [5, 900, CHUNK + 700]))),
  ],
  read: async (keyring, plaintext) => {
    const envelope = await keyring.encrypt(plaintext);
    const blob = await keyring.openSeekable({ size: envelope.length, read: async (start, end) => envelope.slice(start, end) });
    return [await blob.read(0, plaintext.length), await blob.read(1, plaintext.length + 7)];
  },
  rewrap: async (keyring, plaintext) => [await keyring.rewrap(await keyring.encrypt(plaintext))],
  decryptToken: async (_, plaintext) => {
    const key = DataKey.generate();
    return [key.decryptToken(key.encryptToken(plaintext)), key.decryptDeterministic(key.encryptDeterministic(plaintext))];
  },
} satisfies Record<string, Call>;

const CALLS: Readonly<Record<string, Call>> = { ...sealing, ...opening };

beforeEach(takeTheFineWay);
afterEach(() => {
  vi.restoreAllMocks();
});

describe("memory that was not filled", () => {
  test("never leaves: with a pattern in all of it, no call gives any of the pattern out", async () => {
    const allocated = fillWithPattern();
    const keyring = new Keyring(kek());
    for (const [name, run] of Object.entries(CALLS)) {
      for (const size of [0, 1, 5000, CHUNK, 3 * CHUNK + 5]) {
        for (const output of await run(keyring, noise(size, name))) expect(holdsPattern(output), `${name} of ${size} bytes`).toBe(false);
      }
    }
    expect(allocated.length).toBeGreaterThan(50);
  });

  test.each(Object.entries(sealing))("is wiped and refused, where a cipher sealed less than it should: %s", async (_, run) => {
    const keyring = new Keyring(kek());
    const plaintext = noise(2 * CHUNK + 100);
    const allocated = fillWithPattern();
    const { chunkCipher, gcm } = engine;
    const { seal } = gcm;
    vi.spyOn(engine, "chunkCipher").mockImplementation((key, chunks) => {
      const cipher = chunkCipher(key, chunks);
      return { ...cipher, seal: (nonce, chunk, target, offset) => cipher.seal(nonce, chunk.subarray(1), target, offset) };
    });
    vi.spyOn(gcm, "seal").mockImplementation((key, nonce, aad, bytes, target, offset) =>
      seal(key, nonce, aad, bytes.length > 1000 ? bytes.subarray(1) : bytes, target, offset),
    );
    const { code, message } = await refusal(() => run(keyring, plaintext));
    expect([code, message]).toEqual(["invalid-argument", expect.stringContaining("bytes were made: the input was resized")]);
    expect(allocated.some(holdsPattern)).toBe(false);
  });

  test("is wiped and refused, where a cipher opened less than it should", async () => {
    const keyring = new Keyring(kek());
    const envelope = await keyring.encrypt(noise(2 * CHUNK + 100));
    const blob = await keyring.openSeekable({ size: envelope.length, read: async (start, end) => envelope.slice(start, end) });
    const { chunkCipher } = engine;
    vi.spyOn(engine, "chunkCipher").mockImplementation((key, chunks) => {
      const cipher = chunkCipher(key, chunks);
      return { ...cipher, open: (nonce, chunk, target, offset) => (chunk.length < 200 ? 0 : cipher.open(nonce, chunk, target, offset)) };
    });
    const allocated = fillWithPattern();
    for (const open of [() => keyring.decrypt(envelope), () => collect(keyring.decryptPieces(piecesOf(envelope)))]) {
      expect(await refusalCode(open)).toBe("invalid-argument");
    }
    vi.restoreAllMocks();
    expect(allocated.length).toBeGreaterThanOrEqual(2);
    expect(allocated.some(holdsPattern)).toBe(false);
    expectSameBytes(await blob.read(0, 10), noise(2 * CHUNK + 100).subarray(0, 10));
  });

  test("requireFilled wipes what is not whole, and gives back what is", async () => {
    const target = new Uint8Array(4).fill(PATTERN);
    expect(requireFilled(target, 4)).toBe(target);
    for (const bytes of [0, 3, 5, Number.NaN]) {
      const broken = new Uint8Array(4).fill(PATTERN);
      expect(await refusalCode(() => requireFilled(broken, bytes))).toBe("invalid-argument");
      expect(broken).toEqual(new Uint8Array(4));
    }
  });
});

describe("memory that is shared or can be resized", () => {
  test("is copied at the edge if it is shared, other memory is not", () => {
    const own = noise(10);
    expect(viewOf(own)).toBe(own);
    const { bytes } = sharedCopy(own);
    const view = viewOf(bytes);
    expect(view.buffer).not.toBe(bytes.buffer);
    bytes.fill(0);
    expect(view).toEqual(own);
  });

  test("an envelope that shrinks while its data key is unwrapped is refused", async () => {
    const { keyring, gate } = slowKeyring();
    const plaintext = patterned(8 * CHUNK + 100);
    const envelope = await new Keyring(kek()).encrypt(plaintext);
    const { headerBytes } = inspected(envelope);
    const { bytes, resize } = resizableCopy(envelope);
    const opening = refusalCode(() => keyring.decrypt(bytes));
    resize(headerBytes + 56 + 2 * (CHUNK + 16)); // whole chunks are left, the last one is missing
    gate.resolve();
    expect(await opening).toBe("invalid-argument");
  });

  test("bytes whose memory was gone before the call are refused, not taken for empty ones", async () => {
    for (const call of [sealing.encrypt, sealing.encryptDetached, sealing.encryptToken, sealing.encryptField]) {
      const moved = patterned(100);
      structuredClone(moved, { transfer: [moved.buffer] });
      expect(await refusalCode(() => call(new Keyring(kek()), moved))).toBe("invalid-argument");
      const { bytes, resize } = resizableCopy(patterned(100));
      const tail = bytes.subarray(50);
      resize(10);
      expect(await refusalCode(() => call(new Keyring(kek()), tail))).toBe("invalid-argument");
      expect(await call(new Keyring(kek()), new Uint8Array())).toBeTruthy();
    }
  });

  test("of a subclass the bytes are taken, whatever its getters and methods say", async () => {
    class Lying extends Uint8Array {}
    for (const [name, value] of Object.entries({
      length: 3,
      byteLength: 3,
      byteOffset: 1,
      buffer: new ArrayBuffer(9),
      constructor: Uint8Array,
    }))
      Object.defineProperty(Lying.prototype, name, { get: () => value });
    for (const name of ["slice", "subarray", "set", "at"]) Object.defineProperty(Lying.prototype, name, { value: () => new Uint8Array(3) });
    const truth = patterned(100);
    const lying = Lying.from(truth);
    expectSameBytes(viewOf(lying), truth);
    const keyring = new Keyring(kek());
    expectSameBytes(await keyring.decrypt(await keyring.encrypt(lying)), truth);
    expectSameBytes(await keyring.decrypt(Lying.from(await keyring.encrypt(truth))), truth);
    const key = DataKey.generate();
    expectSameBytes(key.decryptToken(key.encryptToken(lying)), truth);
    const field = await new DataKeys({ keyring, store: memoryStore() }).field({ table: "t", column: "c", type: "bytes", blindIndex: {} });
    expectSameBytes(field.decrypt(field.encrypt(lying)), truth);
    expect(field.blindIndex(lying)).toBe(field.blindIndex(truth));
  });

  test("a plaintext or an envelope that is transferred away while a provider works is refused, not taken for an empty one", async () => {
    const calls: readonly ((keyring: Keyring, bytes: Uint8Array) => Promise<unknown>)[] = [
      (keyring, bytes) => keyring.encrypt(bytes),
      (keyring, bytes) => keyring.encryptDetached(bytes),
      async (keyring, bytes) => await keyring.rewrap(bytes),
    ];
    const envelope = await new Keyring(kek()).encrypt(patterned(100));
    for (const call of calls) {
      const { keyring, gate } = slowKeyring();
      const bytes = Uint8Array.from(envelope);
      const working = refusalCode(() => call(keyring, bytes));
      structuredClone(bytes, { transfer: [bytes.buffer] });
      gate.resolve();
      expect(await working).toBe("invalid-argument");
    }
  });

  test("an envelope that is transferred away while its data key is unwrapped is refused", async () => {
    for (const plaintextBytes of [0, 100, 3 * CHUNK + 100]) {
      const { keyring, gate } = slowKeyring();
      const envelope = await new Keyring(kek()).encrypt(patterned(plaintextBytes));
      const opening = refusalCode(() => keyring.decrypt(envelope));
      structuredClone(envelope, { transfer: [envelope.buffer] });
      gate.resolve();
      expect(await opening, `${plaintextBytes} bytes`).toBe("invalid-argument");
    }
  });

  test("a piece that shrinks before all of it was used is refused", async () => {
    const keyring = new Keyring(kek());
    const plaintext = patterned(300 * CHUNK);
    const envelope = await keyring.encrypt(plaintext);
    for (const whole of [plaintext, envelope]) {
      const { bytes, resize } = resizableCopy(whole);
      const source = piecesInOne(bytes);
      const output = whole === plaintext ? keyring.encryptPieces(source) : keyring.decryptPieces(source);
      await output.next(); // the header or some chunks
      await output.next();
      resize(CHUNK);
      expect(await refusalCode(() => collect(output))).toBe("invalid-argument");
    }
  });

  test("a piece that shrinks while parts are digested is refused", async () => {
    const { bytes, resize } = resizableCopy(patterned(4 * CHUNK));
    const { digest } = crypto.subtle;
    vi.spyOn(crypto.subtle, "digest").mockImplementation((name, data) => {
      resize(CHUNK);
      return digest.call(crypto.subtle, name, data);
    });
    expect(await refusalCode(() => partDigests(piecesInOne(bytes), CHUNK))).toBe("invalid-argument");
  });

  test("a piece that is transferred away before it is used is refused, and nothing of it is lost in silence", async () => {
    const keyring = new Keyring(kek());
    for (const lanes of [1, "auto"] as const) {
      const pieces = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
        const piece = patterned(300 * CHUNK);
        transfer = () => structuredClone(piece, { transfer: [piece.buffer] });
        yield piece;
      };
      let transfer = (): unknown => undefined;
      const output = keyring.encryptPieces(pieces(), { lanes });
      await output.next(); // the header
      await output.next(); // some chunks
      transfer();
      expect(await refusalCode(() => collect(output))).toBe("invalid-argument");
    }
  });

  test("what a source gives of shared memory is a copy before it is opened", async () => {
    const keyring = new Keyring(kek());
    const plaintext = patterned(5 * CHUNK + 9);
    const envelope = await keyring.encrypt(plaintext);
    const given: Uint8Array[] = [];
    const blob = await keyring.openSeekable({
      size: envelope.length,
      async read(start, end) {
        const { bytes } = sharedCopy(envelope.subarray(start, end));
        given.push(bytes);
        return bytes;
      },
    });
    expectSameBytes(await blob.read(0, plaintext.length), plaintext);
    expect(given.length).toBeGreaterThan(1);
    const { chunkCipher } = engine;
    vi.spyOn(engine, "chunkCipher").mockImplementation((key, chunks) => {
      const cipher = chunkCipher(key, chunks);
      return {
        ...cipher,
        open(nonce, sealed, target, offset) {
          given.at(-1)?.fill(0); // as another thread would, at the worst moment
          return cipher.open(nonce, sealed, target, offset);
        },
      };
    });
    const again = await keyring.openSeekable({
      size: envelope.length,
      async read(start, end) {
        const { bytes } = sharedCopy(envelope.subarray(start, end));
        given.push(bytes);
        return bytes;
      },
    });
    expectSameBytes(await again.read(0, plaintext.length), plaintext);
  });

  test("a provider's wrapped key is copied when it comes", async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(200));
    const provider = kek();
    const late = kek("k2");
    const keyring = new Keyring({
      wrapWith: [
        {
          ...provider,
          async wrap(dek, options) {
            const recipient = await provider.wrap(dek, options);
            shared.set(recipient.wrapped);
            return { ...recipient, wrapped: shared.subarray(0, recipient.wrapped.length) };
          },
        },
        watched(late, {
          async wrap(dek, options) {
            await new Promise((resolve) => setTimeout(resolve, 1)); // the first answer is in by now
            shared.fill(0);
            return await late.wrap(dek, options);
          },
        }),
      ],
    });
    const envelope = await keyring.encrypt(noise(5));
    expectSameBytes(await new Keyring(provider).decrypt(envelope), noise(5));
  });
});

function inspected(envelope: Uint8Array): { readonly headerBytes: number } {
  const found = inspect(envelope);
  if (found.kind !== "envelope") throw new Error("this is no envelope");
  return found;
}

/** Makes all memory that the engine hands out hold a pattern, and keeps what was handed out. */
function fillWithPattern(): readonly Uint8Array[] {
  const allocated: Uint8Array[] = [];
  const { allocate } = engine;
  vi.spyOn(engine, "allocate").mockImplementation((bytes) => {
    const array = allocate(bytes).fill(PATTERN);
    allocated.push(array);
    return array;
  });
  return allocated;
}

/** Whether eight bytes of the pattern stand side by side, which happens by chance once in 2^64 places. */
function holdsPattern(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(Buffer.alloc(8, PATTERN));
}

function sharedCopy(bytes: Uint8Array): { readonly bytes: Uint8Array } {
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  return { bytes: shared };
}

async function* piecesInOne(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

/** A copy whose view follows the length of its memory. */
function resizableCopy(bytes: Uint8Array): { readonly bytes: Uint8Array; resize(length: number): void } {
  const memory: unknown = Reflect.construct(ArrayBuffer, [bytes.length, { maxByteLength: bytes.length }]);
  if (!(memory instanceof ArrayBuffer)) throw new Error("this runtime has no resizable memory");
  const view = new Uint8Array(memory);
  view.set(bytes);
  return { bytes: view, resize: (length) => void Reflect.apply(Reflect.get(memory, "resize"), memory, [length]) };
}

/** A keyring whose provider unwraps once the gate is open. */
function slowKeyring(): { readonly keyring: Keyring; readonly gate: ReturnType<typeof deferred> } {
  const gate = deferred();
  const inner = kek();
  const slow = watched(inner, {
    async wrap(dek, options) {
      await gate.promise;
      return await inner.wrap(dek, options);
    },
    async unwrap(recipient, options) {
      await gate.promise;
      return await inner.unwrap(recipient, options);
    },
  });
  return { keyring: new Keyring(slow), gate };
}
