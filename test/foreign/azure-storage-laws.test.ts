import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { azureStorageEncryption, localStorageKeys } from "../../src/foreign/azure-storage/index.ts";
import { Regions } from "../../src/foreign/azure-storage/regions.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { countedNonce, plaintextOf, sealedRegion } from "./azure-storage-vectors.ts";

const KEY_ID = "local:laws";
const KEYS = localStorageKeys([{ keyId: KEY_ID, key: plaintextOf(32) }]);
const ENCRYPTION = azureStorageEncryption({ keys: KEYS, dangerReadV1: true });
afterAll(() => ENCRYPTION.close());
const REGION_BYTES = 16;
const STORED_BYTES = REGION_BYTES + 28;

async function written(bytes: number) {
  const plaintext = plaintextOf(bytes);
  return { plaintext, ...(await ENCRYPTION.encrypt(plaintext, { protocol: "2.1", regionBytes: REGION_BYTES })) };
}

/** What reading ends in: bytes, or a code. Anything but an `EnvelockError` fails the test. */
async function readCode(metadata: Readonly<Record<string, string>>, body: Uint8Array): Promise<string | Uint8Array> {
  try {
    return await ENCRYPTION.decrypt({ metadata, body });
  } catch (error) {
    if (EnvelockError.is(error)) return error.code;
    throw error;
  }
}

async function collected(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Cuts bytes into pieces of the given lengths, again and again. */
function* cut(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const length = lengths[index % lengths.length] ?? 1;
    yield bytes.slice(at, at + length);
    at += length;
  }
}

async function* asyncOf<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}

describe("what is written", () => {
  test("is read again, whole, as a stream in any pieces, and in any range", async () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 5 });
    const law = fc.asyncProperty(fc.nat(200), lengths, fc.nat(220), fc.nat(220), async (bytes, pieces, a, b) => {
      const plaintext = plaintextOf(bytes);
      const { metadata, body } = await ENCRYPTION.encryptStream(asyncOf(cut(plaintext, pieces)), {
        protocol: "2.1",
        regionBytes: REGION_BYTES,
      });
      const stored = await collected(body);
      expect(stored.length).toBe(bytes + 28 * Math.ceil(bytes / REGION_BYTES));
      expect(await ENCRYPTION.decrypt({ metadata, body: stored }, { expectedBytes: bytes })).toEqual(plaintext);
      const streamed = await ENCRYPTION.decryptStream(
        { metadata, body: asyncOf(cut(stored, pieces)) },
        { expectedBytes: bytes, storedBytes: stored.length },
      );
      expect(await collected(streamed)).toEqual(plaintext);
      const blob = await ENCRYPTION.open({ metadata, size: stored.length, read: async (start, end) => stored.subarray(start, end) });
      const [start, end] = [Math.min(a, b), Math.max(a, b)];
      expect(await blob.read(start, end)).toEqual(plaintext.subarray(start, end));
      expect(await collected(blob.stream(start, end))).toEqual(plaintext.subarray(start, end));
    });
    await fc.assert(law, { numRuns: 60 });
  });

  test("stands as Microsoft's Python library writes it, under a new key each time", async () => {
    const [one, two] = [await ENCRYPTION.encrypt(plaintextOf(1)), await ENCRYPTION.encrypt(plaintextOf(1))];
    expect(one.metadata.encryptiondata).toMatch(
      /^\{"WrappedContentKey": \{"KeyId": "local:laws", "EncryptedKey": "[\w+/]{64}", "Algorithm": "A256KW"\}, "EncryptionAgent": \{"Protocol": "2\.0", "EncryptionAlgorithm": "AES_GCM_256"\}, "EncryptedRegionInfo": \{"DataLength": 4194304, "NonceLength": 12\}, "KeyWrappingMetadata": \{"EncryptionLibrary": "Envelock"\}, "EncryptionMode": "FullBlob"\}$/,
    );
    expect(one.body).not.toEqual(two.body);
    expect(one.metadata).not.toEqual(two.metadata);
    expect((await ENCRYPTION.encrypt(new Uint8Array(0))).body).toHaveLength(0);
  });

  test("is never 1.0, and 2.0 has regions of 4 MiB alone", async () => {
    expect(await refusalCode(() => ENCRYPTION.encrypt(new Uint8Array(1), { protocol: untyped("1.0") }))).toBe("invalid-argument");
    expect(await refusalCode(() => ENCRYPTION.encrypt(new Uint8Array(1), { regionBytes: 1024 }))).toBe("invalid-argument");
    for (const regionBytes of [0, 15, 16.5, 2 ** 30 + 1, Number.NaN]) {
      expect(await refusalCode(() => ENCRYPTION.encrypt(new Uint8Array(1), { protocol: "2.1", regionBytes }))).toBe("invalid-argument");
    }
  });

  test("fails with its source, and for a source of another length", async () => {
    const broken = (async function* () {
      yield plaintextOf(20);
      throw new Error("source broke");
    })();
    const { body } = await ENCRYPTION.encryptStream(broken);
    await expect(collected(body)).rejects.toThrow("source broke");
    for (const expectedBytes of [19, 21]) {
      const other = await ENCRYPTION.encryptStream(asyncOf([plaintextOf(20)]), { expectedBytes });
      expect(await refusalCode(() => collected(other.body))).toBe("invalid-argument");
      expect(await refusalCode(() => ENCRYPTION.encrypt(plaintextOf(20), { expectedBytes }))).toBe("invalid-argument");
    }
  });
});

describe("a changed body", () => {
  test("with any byte changed is refused", async () => {
    const { metadata, body } = await written(40);
    for (let at = 0; at < body.length; at++) {
      const changed = body.slice();
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      expect({ at, end: await readCode(metadata, changed) }).toEqual({ at, end: "authentication-failed" });
    }
  });

  test("with regions swapped, repeated, dropped before the end or exchanged is refused; a missing end alone is not seen", async () => {
    const { metadata, body, plaintext } = await written(80);
    const regions = Array.from({ length: 5 }, (_, index) => body.slice(index * STORED_BYTES, (index + 1) * STORED_BYTES));
    const other = await written(80);
    const law = fc.asyncProperty(fc.array(fc.nat(5), { maxLength: 7 }), async (order) => {
      const parts = order.map((index) => regions[index] ?? other.body.slice(0, STORED_BYTES));
      const end = await readCode(metadata, new Uint8Array(Buffer.concat(parts)));
      const isBeginning = order.every((index, place) => index === place) && order.length <= 5;
      expect(end).toEqual(isBeginning ? plaintext.subarray(0, order.length * REGION_BYTES) : "authentication-failed");
    });
    await fc.assert(law, { numRuns: 150 });
  });

  test("cut anywhere gives a beginning of whole regions or a refusal, and with expectedBytes always a refusal", async () => {
    const { metadata, body, plaintext } = await written(50);
    for (let length = 0; length < body.length; length++) {
      const part = body.subarray(0, length);
      const end = await readCode(metadata, part);
      const isWhole = length % STORED_BYTES === 0;
      const isLongEnough = length % STORED_BYTES >= 29;
      const expected = isWhole
        ? plaintext.subarray(0, (length / STORED_BYTES) * REGION_BYTES)
        : isLongEnough
          ? "authentication-failed"
          : "malformed-envelope";
      expect({ length, end }).toEqual({ length, end: expected });
      const code = await refusalCode(() => ENCRYPTION.decrypt({ metadata, body: part }, { expectedBytes: 50 }));
      expect(["malformed-envelope", "authentication-failed"]).toContain(code);
    }
  });

  test("of another length than is known from elsewhere is refused, shorter or longer, by every method", async () => {
    const { metadata, body } = await written(64);
    const source = { metadata, size: body.length, read: async (start: number, end: number) => body.subarray(start, end) };
    for (const expectedBytes of [0, 48, 63, 65, 80]) {
      for (const read of [
        () => ENCRYPTION.open(source, { expectedBytes }),
        () => ENCRYPTION.decrypt({ metadata, body }, { expectedBytes }),
        async () => await collected(await ENCRYPTION.decryptStream({ metadata, body: asyncOf([body]) }, { expectedBytes })),
      ]) {
        expect(await refusal(read)).toMatchObject({ code: "malformed-envelope", detail: "other-length" });
      }
    }
    for (const regions of [0, 1, 3, 5]) {
      const storedBytes = regions * STORED_BYTES; // a length that some body has, but not this one
      const streamed = ENCRYPTION.decryptStream({ metadata, body: asyncOf([body]) }, { storedBytes });
      expect(await refusal(async () => await collected(await streamed))).toMatchObject({ detail: "other-length" });
    }
  });

  test("releases no region before its tag is verified, and ends the stream in an error", async () => {
    const { metadata, body, plaintext } = await written(80);
    body[2 * STORED_BYTES + 20] = (body[2 * STORED_BYTES + 20] ?? 0) ^ 1;
    const stream = await ENCRYPTION.decryptStream({ metadata, body: asyncOf(cut(body, [7])) });
    const reader = stream.getReader();
    const released: Uint8Array[] = [];
    const code = await refusalCode(async () => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        released.push(value);
      }
    });
    expect([code, new Uint8Array(Buffer.concat(released))]).toEqual(["authentication-failed", plaintext.subarray(0, 32)]);
  });

  test("with mixed layouts of nonces is refused also when the parts are read apart", async () => {
    const inner = Buffer.concat([Buffer.from("2.1\0\0\0\0\0"), Buffer.alloc(32, 7)]);
    const current = await KEYS.current();
    const wrapped = (await current.wrapKey?.("A256KW", inner)) ?? inner;
    const { metadata } = await written(1);
    const data = JSON.parse(metadata.encryptiondata);
    data.WrappedContentKey.EncryptedKey = Buffer.from(wrapped).toString("base64");
    const layouts = ["python", "java", "python"] as const;
    const body = new Uint8Array(
      Buffer.concat(layouts.map((layout, index) => sealedRegion(Buffer.alloc(32, 7), countedNonce(layout, index), plaintextOf(16)))),
    );
    const blob = await ENCRYPTION.open({
      metadata: { encryptiondata: JSON.stringify(data) },
      size: body.length,
      read: async (start, end) => body.subarray(start, end),
    });
    expect(await blob.read(16, 32)).toEqual(plaintextOf(16));
    expect(await refusalCode(() => blob.read(32, 48))).toBe("authentication-failed");
  });
});

describe("a region at its place", () => {
  // Twelve bytes, as three words: of Python, Java and .NET, and what only looks like one of them.
  test.each([
    ["00000000 00000000 00000005", 5, true],
    ["00000000 00000000 00000005", 4, false],
    ["00000000 00000001 00000005", 2 ** 32 + 5, true],
    ["00000001 00000000 00000005", 5, false],
    ["80000000 00000000 00000005", 5, false],
    ["00000000 00000001 00000005", 5, false],
    ["00000000 00000005 00000000", 5, true],
    ["00000001 00000005 00000000", 5, false],
    ["00000000 00000005 00000001", 5, false],
    ["00000000 00000005 00000000", 2 ** 32 + 5, false], // Java's counter has 32 bits
    ["00000000 06000000 00000000", 5, true],
    ["00000000 05000000 00000000", 5, false],
    ["00000001 06000000 00000000", 5, false],
    ["00000000 06000000 00000001", 5, false],
    ["00000000 06000000 01000000", 2 ** 32 + 5, true],
  ] as const)("under the nonce %s, at %i: %s", async (words, index, opens) => {
    const key = Buffer.alloc(32, 7);
    const stored = new Uint8Array(sealedRegion(key, Buffer.from(words.replaceAll(" ", ""), "hex"), plaintextOf(16)));
    const opening = new Regions(key, REGION_BYTES).open(index, stored);
    if (opens) expect(await opening).toEqual(plaintextOf(16));
    else expect(await refusalCode(() => opening)).toBe("authentication-failed");
  });
});

describe("changed metadata", () => {
  test("with any character changed never gives other plaintext, nor an error without a code", async () => {
    const { metadata, body, plaintext } = await written(20);
    const text = metadata.encryptiondata;
    const codes = new Set<string>();
    for (let at = 0; at < text.length; at++) {
      for (const by of ["0", "A", '"', "}", "\\", "\u0000"]) {
        const end = await readCode({ encryptiondata: text.slice(0, at) + by + text.slice(at + 1) }, body);
        if (typeof end === "string") codes.add(end);
        else expect({ at, by, end }).toEqual({ at, by, end: plaintext });
      }
    }
    expect([...codes].sort()).toEqual(["authentication-failed", "malformed-envelope", "no-matching-provider", "unsupported-version"]);
  });

  test.each<[string, (data: Record<string, unknown>) => unknown, string]>([
    [
      "a member twice",
      (data) => JSON.stringify(data).replace('"EncryptionMode"', '"EncryptionAgent":{},"EncryptionMode"'),
      "malformed-envelope",
    ],
    [
      "a member twice, once by an escape",
      (data) => JSON.stringify(data).replace('"DataLength"', '"Data\\u004cength":1,"DataLength"'),
      "malformed-envelope",
    ],
    ["__proto__ for what is missing", (data) => JSON.stringify(data).replace('"EncryptionAgent"', '"__proto__"'), "malformed-envelope"],
    ["members in a prototype key", (data) => `{"__proto__":${JSON.stringify(data)}}`, "malformed-envelope"],
    ["constructor for a protocol", (data) => JSON.stringify(data).replace('"2.1"', '"constructor"'), "unsupported-version"],
    ["a huge region", (data) => JSON.stringify(data).replace('"DataLength":16', '"DataLength":1e400'), "malformed-envelope"],
    ["a region of 1 GiB", (data) => JSON.stringify(data).replace('"DataLength":16', '"DataLength":1073741824'), "malformed-envelope"],
    ["a region as a text", (data) => JSON.stringify(data).replace('"DataLength":16', '"DataLength":"16"'), "malformed-envelope"],
    ["a nonce of 16 bytes", (data) => JSON.stringify(data).replace('"NonceLength":12', '"NonceLength":16'), "malformed-envelope"],
    ["no nonce length", (data) => JSON.stringify(data).replace(',"NonceLength":12', ""), "malformed-envelope"],
    ["a protocol as a number", (data) => JSON.stringify(data).replace('"2.1"', "2.1"), "malformed-envelope"],
    ["protocol 2.2", (data) => JSON.stringify(data).replace('"2.1"', '"2.2"'), "unsupported-version"],
    ["an unknown algorithm", (data) => JSON.stringify(data).replace("AES_GCM_256", "AES_XTS_256"), "unsupported-version"],
    ["a null key", (data) => JSON.stringify({ ...data, WrappedContentKey: null }), "malformed-envelope"],
    ["a key id that is an object", (data) => JSON.stringify(data).replace(`"${KEY_ID}"`, "{}"), "malformed-envelope"],
    ["a key id in another case", (data) => JSON.stringify(data).replace(KEY_ID, KEY_ID.toUpperCase()), "no-matching-provider"],
    ["base64url", (data) => JSON.stringify(data).replace(/"EncryptedKey":"[^"]{4}/, '"EncryptedKey":"-_-_'), "malformed-envelope"],
    ["base64 with a line break", (data) => JSON.stringify(data).replace(/"EncryptedKey":"[^"]{4}/, "$&\\n"), "malformed-envelope"],
    ["base64 with a blank", (data) => JSON.stringify(data).replace(/"EncryptedKey":"[^"]{4}/, "$& "), "malformed-envelope"],
    [
      "base64 without its padding",
      (data) => JSON.stringify(data).replace(/("EncryptedKey":"[^"]{61})[^"]{3}"/, '$1="'),
      "malformed-envelope",
    ],
    ["a byte order mark", (data) => `\ufeff${JSON.stringify(data)}`, "malformed-envelope"],
    ["text behind its end", (data) => `${JSON.stringify(data)}{}`, "malformed-envelope"],
    ["single quotes", (data) => JSON.stringify(data).replaceAll('"', "'"), "malformed-envelope"],
    ["JSON within JSON", (data) => JSON.stringify(JSON.stringify(data)), "malformed-envelope"],
    ["an algorithm in lower case", (data) => JSON.stringify(data).replace("AES_GCM_256", "aes_gcm_256"), "unsupported-version"],
    ["an empty protocol", (data) => JSON.stringify(data).replace('"2.1"', '""'), "malformed-envelope"],
    ["a protocol of null", (data) => JSON.stringify(data).replace('"2.1"', "null"), "malformed-envelope"],
    ["a protocol with a blank", (data) => JSON.stringify(data).replace('"2.1"', '"2.1 "'), "unsupported-version"],
    ["no key id", (data) => JSON.stringify(data).replace('"KeyId"', '"keyid"'), "malformed-envelope"],
    ["a key id with a blank", (data) => JSON.stringify(data).replace(KEY_ID, `${KEY_ID} `), "no-matching-provider"],
    ["no algorithm of the key", (data) => JSON.stringify(data).replace('"Algorithm"', '"algorithm"'), "malformed-envelope"],
    ["A128KW", (data) => JSON.stringify(data).replace("A256KW", "A128KW"), "authentication-failed"],
    ["the name of a method for an algorithm", (data) => JSON.stringify(data).replace("A256KW", "toString"), "authentication-failed"],
    ["RSA for an AES key", (data) => JSON.stringify(data).replace("A256KW", "RSA-OAEP"), "authentication-failed"],
    [
      "a wrapped key of 8 bytes",
      (data) => JSON.stringify(data).replace(/"EncryptedKey":"[^"]*"/, '"EncryptedKey":"AAAAAAAAAAA="'),
      "authentication-failed",
    ],
    [
      "a wrapped key of 1 KiB",
      (data) => JSON.stringify(data).replace(/"EncryptedKey":"[^"]*"/, `"EncryptedKey":"${"AAAA".repeat(344)}"`),
      "authentication-failed",
    ],
    ["a region as a fraction of zero", (data) => JSON.stringify(data).replace('"DataLength":16', '"DataLength":16.0'), "opens"],
    ["a region of minus zero", (data) => JSON.stringify(data).replace('"DataLength":16', '"DataLength":-0'), "malformed-envelope"],
    [
      "a region in another place",
      (data) => JSON.stringify({ ...data, EncryptedRegionInfo: undefined, DataLength: 16, NonceLength: 12 }),
      "malformed-envelope",
    ],
    [
      "regions in an array",
      ({ EncryptedRegionInfo, ...data }) => JSON.stringify({ ...data, EncryptedRegionInfo: [EncryptedRegionInfo] }),
      "malformed-envelope",
    ],
    ["megabytes of text", (data) => JSON.stringify({ ...data, more: "x".repeat(2 ** 21) }), "malformed-envelope"],
    ["deep nesting", (data) => `${JSON.stringify(data).slice(0, -1)},"deep":${"[".repeat(30_000)}${"]".repeat(30_000)}}`, "opens"],
    ["unknown members", (data) => JSON.stringify({ ...data, New: { deep: [1, { a: 1 }, { a: 1 }] } }), "opens"],
    ["an initial block of null", (data) => JSON.stringify({ ...data, ContentEncryptionIV: null }), "opens"],
    ["no mode and no library", (data) => JSON.stringify({ ...data, EncryptionMode: undefined, KeyWrappingMetadata: undefined }), "opens"],
  ])("%s", async (_what, change, expected) => {
    const { metadata, body, plaintext } = await written(20);
    const text = `${change(JSON.parse(metadata.encryptiondata))}`;
    expect(await readCode({ encryptiondata: text }, body)).toEqual(expected === "opens" ? plaintext : expected);
  });

  test("the name is matched without regard to case, and refused in two spellings", async () => {
    const { metadata, body, plaintext } = await written(20);
    expect(await readCode({ EncryptionDATA: metadata.encryptiondata }, body)).toEqual(plaintext);
    expect(await readCode({ EncryptionData: "{}", ...metadata }, body)).toBe("malformed-envelope");
    const error = await refusal(() => ENCRYPTION.decrypt({ metadata: { other: "1" }, body }));
    expect([error.code, error.detail]).toEqual(["malformed-envelope", "not-encrypted"]);
    expect((await refusal(() => ENCRYPTION.decrypt({ metadata: undefined, body }))).detail).toBe("not-encrypted");
  });

  test("random JSON is refused with a code", async () => {
    const { metadata, body } = await written(20);
    const data = JSON.parse(metadata.encryptiondata);
    const names = [...Object.keys(data), "ContentEncryptionIV", ...Object.values(data).flatMap((member) => Object.keys(Object(member)))];
    const law = fc.asyncProperty(fc.constantFrom(...names), fc.jsonValue(), fc.jsonValue(), async (name, value, whole) => {
      for (const text of [JSON.stringify({ ...data, [name]: value }), JSON.stringify(whole), JSON.stringify(value).slice(1)]) {
        expect(["string", "object"]).toContain(typeof (await readCode({ encryptiondata: text }, body)));
      }
    });
    await fc.assert(law, { numRuns: 200 });
  });
});

describe("bounds and keys", () => {
  test("maxRegionBytes refuses longer regions with a hint, before a key is used", async () => {
    const { body, metadata, plaintext } = await written(20);
    const exact = azureStorageEncryption({ keys: KEYS, maxRegionBytes: REGION_BYTES });
    expect(await exact.decrypt({ metadata, body })).toEqual(plaintext);
    const small = azureStorageEncryption({ keys: { resolve: () => Promise.reject(new Error("must not be asked")) }, maxRegionBytes: 15 });
    const error = await refusal(() => small.decrypt({ metadata, body }));
    expect([error.code, error.detail]).toEqual(["malformed-envelope", "region-too-large"]);
    expect(error.hint).toContain("maxRegionBytes");
  });

  test("nothing is written that would not be read again", async () => {
    const small = azureStorageEncryption({ keys: KEYS, maxRegionBytes: 1024 });
    expect(await refusalCode(() => small.encrypt(plaintextOf(1), { protocol: "2.1", regionBytes: 1025 }))).toBe("invalid-argument");
    expect(await refusalCode(() => small.encrypt(plaintextOf(1)))).toBe("invalid-argument");
    const named = azureStorageEncryption({ keys: localStorageKeys([{ keyId: 'Schlüssel "1" 🔑', key: plaintextOf(32) }]) });
    const encrypted = await named.encrypt(plaintextOf(1));
    expect(encrypted.metadata.encryptiondata).toMatch(/^[\x20-\x7e]+$/); // metadata travels in HTTP headers
    expect(await named.decrypt(encrypted)).toEqual(plaintextOf(1));
  });

  test("a resolver that gives another key than it was asked for is not believed", async () => {
    const { metadata, body } = await written(20);
    const current = await KEYS.current();
    const lying = azureStorageEncryption({ keys: { resolve: async () => ({ ...current, keyId: "another" }) } });
    expect(await refusalCode(() => lying.decrypt({ metadata, body }))).toBe("no-matching-provider");
    const empty = azureStorageEncryption({ keys: { resolve: async () => undefined } });
    expect(await refusalCode(() => empty.decrypt({ metadata, body }))).toBe("no-matching-provider");
    expect(await refusalCode(() => empty.encrypt(body))).toBe("invalid-argument");
  });

  test("a wrapping that this format does not have is asked of nobody", async () => {
    const { metadata, body } = await written(20);
    const { keyId } = await KEYS.current();
    const unwrapKey = () => Promise.reject(new Error("must not be asked"));
    const encryption = azureStorageEncryption({ keys: { resolve: async () => ({ keyId, unwrapKey }) } });
    const changed = { encryptiondata: metadata.encryptiondata.replace("A256KW", "RSA1_5") };
    expect(await refusalCode(() => encryption.decrypt({ metadata: changed, body }))).toBe("authentication-failed");
  });

  test("whatever a resolver throws or gives has a code", async () => {
    const { metadata, body } = await written(20);
    const { keyId } = await KEYS.current();
    for (const unwrapKey of [
      () => Promise.reject(new Error("boom")),
      async () => untyped<Uint8Array>("text"),
      async () => new Uint8Array(0),
    ]) {
      const encryption = azureStorageEncryption({ keys: { resolve: async () => ({ keyId, unwrapKey }) } });
      expect(["provider-failure", "authentication-failed"]).toContain(await refusalCode(() => encryption.decrypt({ metadata, body })));
    }
  });

  test("an abort ends a stream whose source is idle, and so does a cancel", async () => {
    const { metadata } = await written(20);
    const stop = new AbortController();
    const idle = (): ReadableStream<Uint8Array> => new ReadableStream({});
    const stream = await ENCRYPTION.decryptStream({ metadata, body: idle() }, { signal: stop.signal });
    const reading = stream.getReader().read();
    stop.abort(new Error("enough"));
    await expect(reading).rejects.toThrow("enough");
    const { body } = await ENCRYPTION.encryptStream(idle());
    const reader = body.getReader();
    const pending = reader.read();
    await reader.cancel();
    expect((await pending).done).toBe(true);
  });

  test("after close everything is refused", async () => {
    const { metadata, body } = await written(20);
    const encryption = azureStorageEncryption({ keys: localStorageKeys([{ keyId: KEY_ID, key: plaintextOf(32) }]) });
    const blob = await encryption.open({ metadata, size: body.length, read: async (start, end) => body.subarray(start, end) });
    blob.close();
    expect(await refusalCode(() => blob.read(0, 1))).toBe("closed");
    encryption.close();
    expect(await refusalCode(() => encryption.decrypt({ metadata, body }))).toBe("closed");
    expect(await refusalCode(() => encryption.encrypt(body))).toBe("closed");
  });

  test("misspelt options and what are no keys are refused", async () => {
    expect(await refusalCode(() => azureStorageEncryption(untyped({ keys: KEYS, dangerReadV2: true })))).toBe("invalid-argument");
    for (const keys of [undefined, [], [{}], "key", { resolve: 1 }]) {
      expect(await refusalCode(() => azureStorageEncryption(untyped({ keys })))).toBe("invalid-argument");
    }
    for (const maxRegionBytes of [0, 2 ** 30 + 1, 1.5])
      expect(await refusalCode(() => azureStorageEncryption({ keys: KEYS, maxRegionBytes }))).toBe("invalid-argument");
  });
});
