import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { DataKey } from "../../src/core/data-key/data-key.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes, flipped } from "../support/bytes.ts";
import { kek } from "../support/keks.ts";
import { refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";

const SIZES = [0, 1, 100, 5000, 2 * 16384];

/** The same bytes as callers may hold them: alone, amid others, in shared memory. Not in the pool of Buffers, where others write. */
const FORMS: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
  "a Uint8Array of its own": (bytes) => Uint8Array.from(bytes),
  "a Buffer": (bytes) => Buffer.from(Uint8Array.from(bytes).buffer),
  "a view at an odd offset": (bytes) => {
    const larger = noise(bytes.length + 9, "around");
    larger.set(bytes, 3);
    return larger.subarray(3, 3 + bytes.length);
  },
  "a Buffer at an odd offset": (bytes) => {
    const larger = Buffer.from(noise(bytes.length + 9, "around").buffer);
    larger.set(bytes, 5);
    return larger.subarray(5, 5 + bytes.length);
  },
  "shared memory": (bytes) => filled(new Uint8Array(new SharedArrayBuffer(bytes.length)), bytes),
  "shared memory that can grow": (bytes) => filled(new Uint8Array(elastic(SharedArrayBuffer, bytes.length)), bytes),
  "memory that can be resized": (bytes) => filled(new Uint8Array(elastic(ArrayBuffer, bytes.length)), bytes),
  "another realm": (bytes) => filled(runInNewContext("(bytes) => new Uint8Array(bytes)")(bytes.length), bytes),
  "the memory of a WebAssembly module": (bytes) =>
    filled(new Uint8Array(new WebAssembly.Memory({ initial: 2 }).buffer, 11, bytes.length), bytes),
};

/** Memory with room to grow, of which the types of this compiler do not know. */
function elastic(kind: ArrayBufferConstructor | SharedArrayBufferConstructor, bytes: number): ArrayBufferLike {
  const memory: unknown = Reflect.construct(kind, [bytes, { maxByteLength: bytes + 50 }]);
  if (memory instanceof ArrayBuffer || memory instanceof SharedArrayBuffer) return memory;
  throw new Error("no buffer was made");
}

function filled(target: Uint8Array, bytes: Uint8Array): Uint8Array {
  target.set(bytes);
  return target;
}

describe("what is returned", () => {
  test.each(SIZES)("is a plain Uint8Array that owns exactly its ArrayBuffer, for a plaintext of %i bytes", async (size) => {
    const plaintext = noise(size);
    const keyring = new Keyring(kek());
    const envelope = await keyring.encrypt(plaintext);
    const { header, body } = await keyring.encryptDetached(plaintext, { minHeaderBytes: 300 });
    const { dataKey, keyRecord } = await keyring.createDataKey();
    const token = dataKey.encryptToken(plaintext);
    const deterministic = dataKey.encryptDeterministic(plaintext);
    const outputs: Readonly<Record<string, Uint8Array>> = {
      envelope,
      header,
      body,
      keyRecord,
      token,
      deterministic,
      keyCommit: dataKey.keyCommit,
      decrypted: await keyring.decrypt(envelope),
      decryptedDetached: await keyring.decryptDetached({ header, body }),
      rewrapped: await keyring.rewrap(envelope),
      rewrappedHeader: await keyring.rewrapHeader(header),
      rewrappedRecord: await keyring.rewrapKeyRecord(keyRecord),
      decryptedToken: dataKey.decryptToken(token),
      decryptedDeterministic: dataKey.decryptDeterministic(deterministic),
      keyCommitAgain: dataKey.keyCommit,
    };
    for (const [name, bytes] of Object.entries(outputs)) {
      expect(Object.getPrototypeOf(bytes), name).toBe(Uint8Array.prototype);
      expect(bytes.buffer, name).toBeInstanceOf(ArrayBuffer);
      expect([bytes.byteOffset, bytes.buffer.byteLength], name).toEqual([0, bytes.byteLength]);
    }
    expect(new Set(Object.values(outputs).map(({ buffer }) => buffer)).size).toBe(Object.keys(outputs).length);
  });

  test.each(SIZES)("stays as it was, whatever is done afterwards: %i bytes", async (size) => {
    const keyring = new Keyring(kek());
    const dataKey = DataKey.from(noise(32));
    const outputs = async (plaintext: Uint8Array): Promise<readonly Uint8Array[]> => {
      const [envelope, token] = [await keyring.encrypt(plaintext), dataKey.encryptToken(plaintext)];
      const deterministic = dataKey.encryptDeterministic(plaintext);
      const opened = [await keyring.decrypt(envelope), dataKey.decryptToken(token), dataKey.decryptDeterministic(deterministic)];
      return [envelope, token, deterministic, ...opened];
    };
    const kept = await outputs(noise(size));
    const copies = kept.map((bytes) => Uint8Array.from(bytes));
    const memory = new Set<ArrayBufferLike>();
    for (let round = 0; round < 5; round++) for (const { buffer } of await outputs(noise(size, `${round}`))) memory.add(buffer);
    expect(memory.size).toBe(5 * kept.length);
    for (const [place, bytes] of kept.entries()) {
      expectSameBytes(bytes, copies[place] ?? new Uint8Array());
      expect(memory.has(bytes.buffer)).toBe(false);
    }
  });

  test("is the caller's: changing it changes nothing inside", async () => {
    const { dataKey } = await new Keyring(kek()).createDataKey();
    const kid = dataKey.kid;
    dataKey.keyCommit.fill(0);
    expect(dataKey.kid).toBe(kid);
    const token = dataKey.encryptToken(noise(5));
    dataKey.decryptToken(token).fill(0);
    expect(dataKey.decryptToken(token)).toEqual(noise(5));
  });
});

describe.each(Object.entries(FORMS))("what is given, as %s,", (_, form) => {
  test.each(SIZES)("does, and is left as it was, around it too: %i bytes", async (size) => {
    const untouched = watcher();
    const given = (bytes: Uint8Array): Uint8Array => untouched.watch(form(bytes));
    const plaintext = noise(size);
    const keyring = new Keyring(kek());

    const envelope = await keyring.encrypt(given(plaintext));
    const { header, body } = await keyring.encryptDetached(given(plaintext));
    expectSameBytes(await keyring.decrypt(given(envelope)), plaintext);
    expectSameBytes(await keyring.decryptDetached({ header: given(header), body: given(body) }), plaintext);
    expectSameBytes(await keyring.decrypt(await keyring.rewrap(given(envelope))), plaintext);
    expectSameBytes(await keyring.decryptDetached({ header: await keyring.rewrapHeader(given(header)), body }), plaintext);
    expect(inspect(given(envelope))).toEqual(inspect(envelope));
    expect(await refusalCode(() => keyring.decrypt(given(flipped(envelope, envelope.length - 1))))).toBe("authentication-failed");

    const { dataKey, keyRecord } = await keyring.createDataKey();
    const unwrapped = await keyring.unwrapDataKey(given(await keyring.rewrapKeyRecord(given(keyRecord))));
    const token = dataKey.encryptToken(given(plaintext));
    const deterministic = dataKey.encryptDeterministic(given(plaintext));
    expectSameBytes(unwrapped.decryptToken(given(token)), plaintext);
    expectSameBytes(unwrapped.decryptDeterministic(given(deterministic)), plaintext);
    expect(await refusalCode(() => dataKey.decryptToken(given(flipped(token, token.length - 1))))).toBe("authentication-failed");
    expect(await refusalCode(() => dataKey.decryptDeterministic(given(flipped(deterministic, 20))))).toBe("authentication-failed");

    const secret = given(noise(32));
    expect(DataKey.from(secret).kid).toBe(DataKey.from(noise(32)).kid);
    untouched.check();
  });
});

describe("what is no Uint8Array", () => {
  test.each([
    ["text"],
    [null],
    [undefined],
    [7],
    [[1, 2]],
    [new ArrayBuffer(8)],
    [new DataView(new ArrayBuffer(8))],
    [new Uint16Array(8)],
    [{ length: 0 }],
  ])("is refused everywhere: %o", async (value) => {
    const bytes = untyped<Uint8Array>(value);
    const keyring = new Keyring(kek());
    const { dataKey } = await keyring.createDataKey();
    const { header, body } = await keyring.encryptDetached(noise(1));
    for (const work of [
      () => keyring.encrypt(bytes),
      () => keyring.encryptDetached(bytes),
      () => keyring.decrypt(bytes),
      () => keyring.decryptDetached({ header: bytes, body }),
      () => keyring.decryptDetached({ header, body: bytes }),
      () => keyring.rewrap(bytes),
      () => keyring.rewrapHeader(bytes),
      () => keyring.needsRewrap(bytes),
      () => keyring.unwrapDataKey(bytes),
      () => keyring.rewrapKeyRecord(bytes),
      () => keyring.keyRecordNeedsRewrap(bytes),
      () => dataKey.encryptToken(bytes),
      () => dataKey.encryptDeterministic(bytes),
      () => DataKey.from(bytes),
    ]) {
      expect(await refusalCode(work)).toBe("invalid-argument");
    }
    if (typeof value === "string") return; // a token may be text
    expect(await refusalCode(() => inspect(bytes))).toBe("invalid-argument");
    expect(await refusalCode(() => dataKey.decryptToken(bytes))).toBe("invalid-argument");
    expect(await refusalCode(() => dataKey.decryptDeterministic(bytes))).toBe("invalid-argument");
  });
});

/** Remembers arrays with all of their buffers, and whether they are still the same. */
function watcher(): { watch(bytes: Uint8Array): Uint8Array; check(): void } {
  const seen: { readonly whole: Uint8Array; readonly before: Uint8Array }[] = [];
  return {
    watch(bytes) {
      const whole = new Uint8Array(bytes.buffer);
      seen.push({ whole, before: Uint8Array.from(whole) });
      return bytes;
    },
    check() {
      for (const { whole, before } of seen) expectSameBytes(whole, before);
    },
  };
}
