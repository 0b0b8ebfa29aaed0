import { hexToBytes } from "@noble/hashes/utils.js";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { engine } from "#engine";
import { localKey } from "../../providers/local/index.ts";
import { DataKey, inspect, type KeyProvider, Keyring } from "../../src/index.ts";
import type { EnvelopeVector } from "../format/envelope-vectors.ts";
import type { KeyRecordVector, SharedKeks } from "../format/key-record-vectors.ts";
import { readVectors } from "../format/read-vectors.ts";
import { bytesOf, pairsOf, type Vector } from "../format/vector-file.ts";
import * as writer from "../format/writer.ts";
import { noise, pairs, runs } from "../support/arbitraries.ts";
import { flipped, hexOf } from "../support/bytes.ts";
import { kek, type WatchedProvider, watched } from "../support/keks.ts";
import { refusal, refusalCode } from "../support/refusal.ts";

// The rules of docs/format.md that no single vector can show. The others are cited by the vectors themselves.

const records = readVectors<KeyRecordVector, SharedKeks>("key-records.json");
const envelopes = readVectors<EnvelopeVector, SharedKeks>("envelopes.json");

describe("what the library writes", () => {
  // format.md [M-64]; the vectors show that src/ reads what the second writer wrote, this shows the other way
  test("is, byte for byte, what the second writer writes with the same randomness", async () => {
    await fc.assert(
      fc.asyncProperty(pairs, pairs, fc.uint8Array({ maxLength: 100 }), fc.nat({ max: 40 }), async (key, rest, plaintext, padding) => {
        const keyContext = key.map(([name, value]): writer.Pair => [`k${name}`, value]);
        const added = rest.map(([name, value]): writer.Pair => [`v${name}`, value]);
        const provider = keeping(localKey({ keyId: "k1", key: noise(32, "k1") }));
        const keyring = new Keyring({ wrapWith: [provider], context: Object.fromEntries(keyContext) });
        const options = { context: Object.fromEntries(added), minHeaderBytes: 130 + padding };
        const { header, body } = await keyring.encryptDetached(plaintext, options);
        const [wrap] = provider.wraps;
        if (wrap === undefined) return expect.fail("no data key was wrapped");
        const { dek, wrapped } = wrap;

        const keyCtx = writer.encodeContext(keyContext);
        const keys = writer.derive(dek, keyCtx);
        const aad = writer.join(writer.wrapAadParts("local", "k1", keyCtx));
        const recipient = {
          provider: "local",
          keyId: "k1",
          alg: 1,
          wrapped: writer.wrapLocal(noise(32, "k1"), wrapped.subarray(0, 24), aad, dek),
        };
        const record = writer.keyRecordParts(keys.keyCommit, [recipient]);
        const recordBytes = writer.join(record).length;
        const area = Math.max(recordBytes, options.minHeaderBytes - 8);
        expect(hexOf(header)).toBe(hexOf(writer.join(writer.headerParts(record, area))));
        const valueCtx = writer.encodeContext([...keyContext, ...added]);
        expect(hexOf(body)).toBe(hexOf(writer.join(writer.bodyParts(keys, body.subarray(0, 24), valueCtx, plaintext))));
      }),
      runs(100, 20),
    );
  });

  test("tokens as well", () => {
    fc.assert(
      fc.property(pairs, fc.uint8Array({ maxLength: 100 }), (context, plaintext) => {
        const dataKey = DataKey.from(noise(32, "dk"), Object.fromEntries(context));
        const keyCtx = writer.encodeContext(context);
        const keys = writer.derive(noise(32, "dk"), keyCtx);
        const token = dataKey.encryptToken(plaintext);
        expect(hexOf(token)).toBe(hexOf(writer.join(writer.tokenParts(keys, token.subarray(17, 41), keyCtx, plaintext))));
        const deterministic = dataKey.encryptDeterministic(plaintext);
        expect(hexOf(deterministic)).toBe(hexOf(writer.join(writer.deterministicParts(keys, keyCtx, plaintext))));
      }),
      runs(100, 20),
    );
  });

  test("has a fresh data key of 32 random bytes in every envelope: format.md [M-4]", async () => {
    const provider = keeping(kek());
    const keyring = new Keyring(provider);
    const randomKey = vi.spyOn(engine, "randomKey");
    for (let count = 0; count < 8; count++) await keyring.encrypt(new Uint8Array(1));
    const drawn = randomKey.mock.results.map(({ value }) => value instanceof Uint8Array);
    expect(randomKey.mock.calls).toEqual(Array.from({ length: 8 }, () => [32]));
    expect(drawn).not.toContain(false);
    randomKey.mockRestore();
    expect(new Set(provider.wraps.map(({ dek }) => hexOf(dek))).size).toBe(8);
    expect(provider.wraps.map(({ dek }) => dek.length)).toEqual(Array.from({ length: 8 }, () => 32));
  });

  test("has a fresh nonce in every token, and a fresh salt in every body: format.md [M-46] [M-49]", async () => {
    const dataKey = DataKey.generate();
    const tokens = Array.from({ length: 500 }, () => hexOf(dataKey.encryptToken(new Uint8Array(1)).subarray(17, 41)));
    expect(new Set(tokens).size).toBe(500);
    const keyring = new Keyring(kek());
    const bodies = await Promise.all(Array.from({ length: 50 }, () => keyring.encryptDetached(new Uint8Array(1))));
    expect(new Set(bodies.map(({ body }) => hexOf(body.subarray(0, 24)))).size).toBe(50);
  });
});

describe("contexts", () => {
  test("sort by UTF-8 bytes, whatever the order of the caller: format.md [M-7]", () => {
    fc.assert(
      fc.property(pairs, (list) => {
        const dataKey = DataKey.from(noise(32), Object.fromEntries([...list].reverse()));
        expect(dataKey.kid).toBe(hexOf(writer.derive(noise(32), writer.encodeContext(list)).kid));
      }),
      runs(300, 100),
    );
  });

  test("without pairs take no bytes, in every structure: format.md [M-9]", () => {
    const [absent, empty] = [DataKey.from(noise(32)), DataKey.from(noise(32), {})];
    expect(empty.kid).toBe(absent.kid);
    expect(empty.kid).toBe(hexOf(writer.derive(noise(32), new Uint8Array(0)).kid));
    expect(empty.decryptDeterministic(absent.encryptDeterministic(noise(5)), {})).toEqual(noise(5));
  });
});

describe("reading", () => {
  test("ends in one of five classes, whatever the bytes: format.md [M-1]", async () => {
    const { keyring, vectors } = openable();
    const edits = fc.record({ at: fc.nat(), drop: fc.nat({ max: 40 }), insert: fc.uint8Array({ maxLength: 40 }) });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...vectors), fc.array(edits, { minLength: 1, maxLength: 3 }), async ({ bytes, open }, changes) => {
        const changed = changes.reduce((old, { at, drop, insert }) => {
          const start = at % (old.length + 1);
          return Uint8Array.from([...old.subarray(0, start), ...insert, ...old.subarray(start + drop)]);
        }, bytes);
        fc.pre(hexOf(changed) !== hexOf(bytes));
        expect(CLASSES).toContain(await refusalCode(() => open(keyring, changed)));
      }),
      runs(600, 150),
    );
  });

  test("fails alike for every reason that is authentication-failed: format.md [M-2]", async () => {
    const failing = envelopes.vectors.filter(({ error, envelope }) => error === "authentication-failed" && envelope !== undefined);
    const seen = new Set<string>();
    for (const vector of failing) {
      const { keyring, bytes, options } = readerOf(vector);
      const { name, message, code, retryable, hint, detail } = await refusal(() => keyring.decrypt(bytes, options));
      seen.add(JSON.stringify({ name, message, code, retryable, hint, detail }));
    }
    const dataKey = DataKey.from(noise(32));
    const token = dataKey.encryptToken(noise(9));
    for (let at = 1; at < token.length; at++) {
      const { name, message, code, retryable, hint, detail } = await refusal(() => dataKey.decryptToken(flipped(token, at)));
      seen.add(JSON.stringify({ name, message, code, retryable, hint, detail }));
    }
    expect(failing.length).toBeGreaterThan(25);
    expect([...seen]).toHaveLength(1);
  });

  test("asks no provider before all that needs no key is checked: format.md [M-34] [M-36]", async () => {
    const early = new Set(["malformed-envelope", "unsupported-version", "no-matching-provider", "invalid-argument"]);
    const fetched = vi.spyOn(globalThis, "fetch");
    let count = 0;
    for (const vector of records.vectors.filter(({ error = "" }) => early.has(error))) {
      const provider = watchedKek(records.shared, [vector.unwrapWith[0] ?? ""].flat()[0] ?? "");
      const keyring = new Keyring({ wrapWith: [provider], context: Object.fromEntries(pairsOf(vector.keyContext)) });
      expect(await refusalCode(() => keyring.unwrapDataKey(bytesOf(vector.record)))).toBe(vector.error);
      expect(provider.calls, vector.name).toEqual([]);
      count++;
    }
    for (const vector of envelopes.vectors.filter(({ error = "", envelope }) => early.has(error) && envelope !== undefined)) {
      const provider = watchedKek(envelopes.shared, vector.unwrapWith[0] ?? "");
      const keyring = new Keyring({ wrapWith: [provider], context: Object.fromEntries(vector.keyContext) });
      const options = { context: Object.fromEntries(vector.context) };
      expect(await refusalCode(() => keyring.decrypt(bytesOf(vector.envelope ?? ""), options))).toBe(vector.error);
      expect(provider.calls, vector.name).toEqual([]);
      count++;
    }
    expect(count).toBeGreaterThan(200);
    expect(fetched).not.toHaveBeenCalled();
    fetched.mockRestore();
  });

  test("goes on past recipients of an unknown algorithm: format.md [M-22]", async () => {
    const vector = records.vectors.find(({ name }) => name === "beside an unknown algorithm");
    if (vector === undefined) return expect.fail("the vector is gone");
    const keyring = new Keyring({ unwrapWith: [watchedKek(records.shared, "kek-2026-11")], context: { tenant: "acme" } });
    expect(hexOf((await keyring.unwrapDataKey(bytesOf(vector.record))).keyCommit)).toBe(vector.keyCommit);
    expect(inspect(bytesOf(vector.record))).toMatchObject({ recipients: [{ alg: 11 }, { alg: 4294967295 }, { alg: 1 }] });
  });

  test.each([0, 16, 31, 33, 64])("takes no data key of %i bytes from a provider: format.md [M-25]", async (length) => {
    const honest = kek();
    const envelope = await new Keyring(honest).encrypt(noise(9));
    const provider = watched(honest, { unwrap: async () => noise(length) });
    const error = await refusal(() => new Keyring(provider).decrypt(envelope));
    expect(error.code).toBe("provider-failure"); // the provider should have refused it: the core only makes sure
    expect(provider.calls).toEqual(["unwrap"]);
  });

  test("writes nothing of a chunk whose tag does not fit: format.md [M-53]", async () => {
    const key = noise(32);
    const sealed = new Uint8Array(1000 + 16);
    await engine.chunkCipher(key, 1).seal(noise(12), noise(1000, "plain"), sealed, 0);
    const target = new Uint8Array(1000).fill(0xaa);
    for (const at of [0, 999, 1000, 1015]) {
      expect(await refusalCode(async () => engine.chunkCipher(key, 1).open(noise(12), flipped(sealed, at), target, 0))).toBe(
        "authentication-failed",
      );
      expect(target.every((byte) => byte === 0xaa)).toBe(true);
    }
    await engine.chunkCipher(key, 1).open(noise(12), sealed, target, 0);
    expect(target).toEqual(noise(1000, "plain"));
  });

  test("shows a claimed length, and takes none that the last chunk does not bear out: format.md [M-55]", async () => {
    const keyring = new Keyring(kek());
    const envelope = await keyring.encrypt(noise(100));
    const shorter = envelope.subarray(0, envelope.length - 40);
    expect(inspect(shorter)).toMatchObject({ plaintextBytes: 60 });
    expect(await refusalCode(() => keyring.decrypt(shorter))).toBe("authentication-failed");
  });
});

describe("rewrap", () => {
  test("replaces the recipients alone: format.md [M-40]", async () => {
    const old = new Keyring(kek("old"));
    const envelope = await old.encrypt(noise(40_000), { minHeaderBytes: 300 });
    const moved = await new Keyring({ wrapWith: [kek("new"), kek("spare")], unwrapWith: [kek("old")] }).rewrap(envelope);
    expect(hexOf(moved.subarray(moved.length - 40_104))).toBe(hexOf(envelope.subarray(envelope.length - 40_104)));
    const [before, after] = [inspect(envelope), inspect(moved)];
    if (before.kind !== "envelope" || after.kind !== "envelope") return expect.fail("no envelope");
    expect(after.bodyBytes).toBe(40_104);
    expect([after.suite, after.keyCommit]).toEqual([before.suite, before.keyCommit]);
    expect(after.recipients.map(({ keyId }) => keyId)).toEqual(["new", "spare"]);
  });

  test("wraps nothing anew that does not meet its commitment: format.md [M-41]", async () => {
    const provider = watched(kek());
    const keyring = new Keyring(provider);
    const { keyRecord } = await keyring.createDataKey();
    const keyCommitOffset = 1 + 1 + 1 + 2;
    provider.calls.length = 0;
    for (const at of [keyCommitOffset, keyCommitOffset + 31]) {
      expect(await refusalCode(() => keyring.rewrapKeyRecord(flipped(keyRecord, at)))).toBe("authentication-failed");
    }
    expect(provider.calls).toEqual(["unwrap", "unwrap"]);
  });
});

const CLASSES = ["malformed-envelope", "unsupported-version", "no-matching-provider", "authentication-failed", "invalid-argument"];

interface Openable {
  readonly bytes: Uint8Array;
  open(keyring: Keyring, bytes: Uint8Array): Promise<unknown>;
}

/** The good envelopes and key records of one KEK and one context, to be broken. One recipient each: what others say is not authenticated. */
function openable(): { readonly keyring: Keyring; readonly vectors: readonly Openable[] } {
  const isPlain = ({ error, keyContext, recipients }: Vector<EnvelopeVector | KeyRecordVector>): boolean =>
    error === undefined && recipients === 1 && JSON.stringify(keyContext) === '[["tenant","acme"]]';
  const context = { object: "invoices/7.pdf" };
  const dataKey = DataKey.from(noise(32));
  const vectors: Openable[] = [
    ...envelopes.vectors
      .filter((vector) => isPlain(vector) && vector.envelope !== undefined && (vector.headerBytes ?? 0) < 1000)
      .map(({ envelope = "" }) => ({
        bytes: bytesOf(envelope),
        open: (keyring: Keyring, bytes: Uint8Array) => keyring.decrypt(bytes, { context }),
      })),
    ...records.vectors
      .filter(isPlain)
      .map(({ record }) => ({ bytes: bytesOf(record), open: (keyring: Keyring, bytes: Uint8Array) => keyring.unwrapDataKey(bytes) })),
    { bytes: dataKey.encryptToken(noise(20)), open: async (_, bytes) => dataKey.decryptToken(bytes) },
    { bytes: dataKey.encryptDeterministic(noise(20)), open: async (_, bytes) => dataKey.decryptDeterministic(bytes) },
  ];
  return { keyring: new Keyring({ unwrapWith: [watchedKek(records.shared, "kek-2026-11")], context: { tenant: "acme" } }), vectors };
}

function readerOf(vector: Vector<EnvelopeVector>): { keyring: Keyring; bytes: Uint8Array; options: { context: Record<string, string> } } {
  const unwrapWith = vector.unwrapWith.map((keyId) => watchedKek(envelopes.shared, keyId));
  const keyring = new Keyring({ unwrapWith, context: Object.fromEntries(vector.keyContext) });
  return { keyring, bytes: bytesOf(vector.envelope ?? ""), options: { context: Object.fromEntries(vector.context) } };
}

function watchedKek({ keks }: SharedKeks, keyId: string): WatchedProvider {
  return watched(localKey({ keyId, key: hexToBytes(keks[keyId] ?? "") }));
}

interface Wrap {
  readonly dek: Uint8Array;
  readonly wrapped: Uint8Array;
}

/** Keeps a copy of each data key that it is given to wrap, which no honest provider does. */
function keeping(inner: KeyProvider): KeyProvider & { readonly wraps: Wrap[] } {
  const wraps: Wrap[] = [];
  const wrap: KeyProvider["wrap"] = async (dek, options) => {
    const recipient = await inner.wrap(dek, options);
    wraps.push({ dek: Uint8Array.from(dek), wrapped: recipient.wrapped });
    return recipient;
  };
  return { ...inner, wrap, wraps };
}
