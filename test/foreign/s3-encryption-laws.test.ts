import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { s3EncryptionClient } from "../../src/foreign/s3-encryption/index.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { plaintextOf } from "./azure-storage-vectors.ts";
import { writtenObject } from "./s3-writer.ts";

const AES_KEY = plaintextOf(32);
const READER = s3EncryptionClient({ keys: [{ aesKey: AES_KEY }] });
const PLAINTEXT = plaintextOf(40);
const FORMATS = [2, 3] as const;

/** What reading ends in: bytes, or a code. Anything but an `EnvelockError` fails the test. */
async function readCode(
  metadata: Readonly<Record<string, string>>,
  body: Uint8Array,
  instructionFile?: string,
): Promise<string | Uint8Array> {
  try {
    return await READER.decrypt({ metadata, body, instructionFile });
  } catch (error) {
    if (EnvelockError.is(error)) return error.code;
    throw error;
  }
}

describe.each(FORMATS)("format %i", (format) => {
  const { metadata, body } = writtenObject(format, AES_KEY, PLAINTEXT);

  test("with any byte of the body changed, or cut anywhere, is refused", async () => {
    expect(await readCode(metadata, body)).toEqual(PLAINTEXT);
    for (let at = 0; at < body.length; at++) {
      const changed = body.slice();
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      expect(await readCode(metadata, changed)).toBe("authentication-failed");
      expect(await readCode(metadata, body.subarray(0, at))).toBe(at < 16 ? "malformed-envelope" : "authentication-failed");
    }
  });

  test("with any character of any member changed never gives other plaintext, nor an error without a code", async () => {
    const codes = new Set<string>();
    for (const [name, text] of Object.entries(metadata)) {
      for (let at = 0; at < text.length; at++) {
        for (const by of ["A", "0", "/", "\u0000"]) {
          const end = await readCode({ ...metadata, [name]: text.slice(0, at) + by + text.slice(at + 1) }, body);
          if (typeof end === "string") codes.add(end);
          else expect(end).toEqual(PLAINTEXT);
        }
      }
    }
    expect([...codes].sort()).toEqual(["authentication-failed", "malformed-envelope", "unsupported-version"]);
  });

  test("without any of its members is malformed, except for those that say nothing", async () => {
    for (const name of Object.keys(metadata)) {
      const { [name]: _gone, ...rest } = metadata;
      const isNeeded = !["x-amz-tag-len", "x-amz-matdesc", "x-amz-m", "x-amz-unencrypted-content-length"].includes(name);
      expect({ name, end: await readCode(rest, body) }).toEqual({ name, end: isNeeded ? "malformed-envelope" : PLAINTEXT });
    }
  });

  test("reads names in any case, and refuses a name in two spellings", async () => {
    const upper = Object.fromEntries(Object.entries(metadata).map(([name, text]) => [name.toUpperCase(), text]));
    expect(await readCode(upper, body)).toEqual(PLAINTEXT);
    expect(await readCode({ ...upper, ...metadata }, body)).toBe("malformed-envelope");
  });

  test("never opens under the name of the other format", async () => {
    const other = writtenObject(format === 2 ? 3 : 2, AES_KEY, PLAINTEXT);
    expect(await readCode({ ...metadata, ...other.metadata }, body)).toBe("malformed-envelope");
    expect(await readCode(other.metadata, body)).toBe("authentication-failed");
  });
});

describe("instruction files", () => {
  const two = writtenObject(2, AES_KEY, PLAINTEXT);
  const three = writtenObject(3, AES_KEY, PLAINTEXT);
  const { "x-amz-c": c, "x-amz-d": d, "x-amz-i": i, ...wrapped } = three.metadata;
  const own = { "x-amz-c": c ?? "", "x-amz-d": d ?? "", "x-amz-i": i ?? "" };

  test("bring the key of either format", async () => {
    expect(await readCode({ other: "1" }, two.body, JSON.stringify(two.metadata))).toEqual(PLAINTEXT);
    expect(await readCode(own, three.body, JSON.stringify(wrapped))).toEqual(PLAINTEXT);
  });

  test.each([
    ["state c, d or i of format 3 again", own, JSON.stringify({ ...wrapped, "x-amz-c": "115" })],
    ["state all of format 3", {}, JSON.stringify(three.metadata)],
    ["bring a key of format 2 for an object of format 3", own, JSON.stringify(two.metadata)],
    ["bring a key of format 2, and state c of format 3", {}, JSON.stringify({ ...two.metadata, "x-amz-c": "115" })],
    ["bring a key of format 2 and one of format 3", {}, JSON.stringify({ ...two.metadata, ...wrapped })],
    ["are no JSON", own, "{"],
    ["are an array", own, "[]"],
    ["have a member that is no text", own, JSON.stringify({ ...wrapped, "x-amz-w": 2 })],
    ["have a member twice", own, JSON.stringify(wrapped).replace("{", '{"x-amz-w":"02",')],
    ["have a prototype", own, '{"__proto__":{"x-amz-3":"AAAA"}}'],
    ["are megabytes", own, JSON.stringify({ ...wrapped, more: "x".repeat(2 ** 20) })],
  ])("that %s are refused", async (_what, metadata, file) => {
    expect(await readCode(metadata, three.body, file)).toBe("malformed-envelope");
  });

  test("of any JSON are refused with a code", async () => {
    const law = fc.asyncProperty(fc.jsonValue(), fc.constantFrom(...Object.keys(wrapped)), async (value, name) => {
      for (const text of [JSON.stringify(value), JSON.stringify({ ...wrapped, [name]: value })]) {
        expect(["string", "object"]).toContain(typeof (await readCode(own, three.body, text)));
      }
    });
    await fc.assert(law, { numRuns: 100 });
  });
});

describe("what is not read", () => {
  const { metadata, body } = writtenObject(2, AES_KEY, PLAINTEXT);
  test.each([
    ["a tag of 32 bits", { ...metadata, "x-amz-tag-len": "32" }, "malformed-envelope"],
    ["CBC", { ...metadata, "x-amz-cek-alg": "AES/CBC/PKCS5Padding" }, "unsupported-version"],
    ["the wrapping kms", { ...metadata, "x-amz-wrap-alg": "kms" }, "unsupported-version"],
    ["the wrapping constructor", { ...metadata, "x-amz-wrap-alg": "constructor" }, "unsupported-version"],
    ["RSA without an RSA key", { ...metadata, "x-amz-wrap-alg": "RSA-OAEP-SHA1" }, "no-matching-provider"],
    ["KMS without KMS", { ...metadata, "x-amz-wrap-alg": "kms+context" }, "unsupported-version"],
    ["format 1", { "x-amz-key": "AAAA", "x-amz-iv": "AAAA", "x-amz-matdesc": "{}" }, "unsupported-version"],
    ["plaintext", { "content-type": "text/plain" }, "malformed-envelope"],
    ["a tag of 0128 bits", { ...metadata, "x-amz-tag-len": "0128" }, "malformed-envelope"],
    ["a tag of no bits", { ...metadata, "x-amz-tag-len": "" }, "malformed-envelope"],
    ["a content algorithm in lower case", { ...metadata, "x-amz-cek-alg": "aes/gcm/nopadding" }, "unsupported-version"],
    ["a wrapping in lower case", { ...metadata, "x-amz-wrap-alg": "aes/gcm" }, "unsupported-version"],
    ["an empty wrapping", { ...metadata, "x-amz-wrap-alg": "" }, "malformed-envelope"],
    ["a description that is no JSON", { ...metadata, "x-amz-matdesc": "{" }, "malformed-envelope"],
    ["a description with an object in it", { ...metadata, "x-amz-matdesc": '{"a":{}}' }, "malformed-envelope"],
    ["a description with a name twice", { ...metadata, "x-amz-matdesc": '{"a":"1","a":"2"}' }, "malformed-envelope"],
    ["a key in base64url", { ...metadata, "x-amz-key-v2": "-_-_" }, "malformed-envelope"],
    ["a key with a line break", { ...metadata, "x-amz-key-v2": `${metadata["x-amz-key-v2"]}\n` }, "malformed-envelope"],
    ["a key without its nonce", { ...metadata, "x-amz-key-v2": `${metadata["x-amz-key-v2"]}`.slice(16) }, "authentication-failed"],
    ["a key that is empty", { ...metadata, "x-amz-key-v2": "" }, "malformed-envelope"],
    [
      "names as headers have them",
      Object.fromEntries(Object.entries(metadata).map(([name, text]) => [`x-amz-meta-${name}`, text])),
      "malformed-envelope",
    ],
  ])("%s", async (_what, given, code) => {
    expect(await readCode(given, body)).toBe(code);
  });

  const three = writtenObject(3, AES_KEY, PLAINTEXT);
  test.each([
    ["a suite with a zero in front", { "x-amz-c": "0115" }, "unsupported-version"],
    ["the suite of GCM without a commitment", { "x-amz-c": "114" }, "unsupported-version"],
    ["a wrapping of one digit", { "x-amz-w": "2" }, "unsupported-version"],
    ["a wrapping by its name", { "x-amz-w": "AES/GCM" }, "unsupported-version"],
    ["the wrapping toString", { "x-amz-w": "toString" }, "unsupported-version"],
    ["the wrapping of RSA", { "x-amz-w": "22" }, "no-matching-provider"],
    ["a message id of 27 bytes", { "x-amz-i": Buffer.alloc(27).toString("base64") }, "malformed-envelope"],
    ["a message id of 29 bytes", { "x-amz-i": Buffer.alloc(29).toString("base64") }, "malformed-envelope"],
    ["a message id that is the commitment", { "x-amz-i": `${three.metadata["x-amz-d"]}` }, "authentication-failed"],
    ["a commitment of zeros", { "x-amz-d": Buffer.alloc(28).toString("base64") }, "authentication-failed"],
    ["a commitment of 32 bytes", { "x-amz-d": Buffer.alloc(32).toString("base64") }, "malformed-envelope"],
    ["a key of format 2 beside its own", { "x-amz-key-v2": `${three.metadata["x-amz-3"]}` }, "malformed-envelope"],
    ["a description for KMS alone", { "x-amz-t": "{" }, "opens"],
    ["a description that is no JSON", { "x-amz-m": "[]" }, "malformed-envelope"],
  ])("format 3 with %s", async (_what, change, code) => {
    expect(await readCode({ ...three.metadata, ...change }, three.body)).toEqual(code === "opens" ? PLAINTEXT : code);
  });

  test("an instruction file never counts where the object has its own key", async () => {
    const other = writtenObject(2, plaintextOf(32).reverse(), PLAINTEXT);
    expect(await readCode(metadata, body, JSON.stringify(other.metadata))).toEqual(PLAINTEXT);
    const { "x-amz-3": key, "x-amz-w": wrapping, "x-amz-m": description } = writtenObject(3, AES_KEY, PLAINTEXT).metadata;
    const file = JSON.stringify({ "x-amz-3": key, "x-amz-w": wrapping, "x-amz-m": description });
    expect(await readCode(three.metadata, three.body, file)).toEqual(PLAINTEXT);
  });

  test("a short tag that fits its first bytes", async () => {
    expect(await readCode(metadata, body.subarray(0, body.length - 12))).toBe("authentication-failed");
  });
});

describe("bounds and keys", () => {
  const { metadata, body } = writtenObject(3, AES_KEY, PLAINTEXT);

  test("maxBytes bounds what is held, of bytes, streams and sources", async () => {
    const small = s3EncryptionClient({ keys: [{ aesKey: AES_KEY }], maxBytes: body.length - 1 });
    let pulled = 0;
    const endless = (async function* () {
      for (;;) {
        pulled += 16;
        yield body.subarray(0, 16);
      }
    })();
    expect((await refusal(() => small.decrypt({ metadata, body }))).detail).toBe("too-large");
    expect((await refusal(() => small.decrypt({ metadata, body: endless }))).detail).toBe("too-large");
    expect(pulled).toBeLessThanOrEqual(body.length + 16);
    const read = () => Promise.reject(new Error("must not be read"));
    expect((await refusal(() => small.open({ metadata, size: 2 ** 40, read }))).detail).toBe("too-large");
  });

  test("open gives ranges of what was verified as a whole, and nothing after close", async () => {
    const source = { metadata, size: body.length, read: async (start: number, end: number) => body.subarray(start, end) };
    const blob = await READER.open(source, { expectedBytes: 40 });
    expect([blob.format, await blob.size(), await blob.read(3, 9)]).toEqual(["s3-encryption-client-3", 40, PLAINTEXT.subarray(3, 9)]);
    expect(new Uint8Array(await new Response(blob.stream(5)).arrayBuffer())).toEqual(PLAINTEXT.subarray(5));
    blob.close();
    expect(await refusalCode(() => blob.read(0, 1))).toBe("closed");
    expect((await refusal(() => READER.open(source, { expectedBytes: 41 }))).detail).toBe("other-length");
  });

  test("a key is chosen by the description of the object, never by trial", async () => {
    const described = writtenObject(2, AES_KEY, PLAINTEXT, { key: "2026" });
    const other = plaintextOf(32).reverse();
    const chosen = s3EncryptionClient({ keys: [{ aesKey: other }, { aesKey: AES_KEY, description: { key: "2026" } }] });
    expect(await chosen.decrypt(described)).toEqual(PLAINTEXT);
    const untried = s3EncryptionClient({ keys: [{ aesKey: other, description: { key: "2026" } }, { aesKey: AES_KEY }] });
    expect(await refusalCode(() => untried.decrypt(described))).toBe("authentication-failed");
    const none = s3EncryptionClient({ keys: [{ aesKey: AES_KEY, description: { key: "2025" } }] });
    expect(await refusalCode(() => none.decrypt(described))).toBe("no-matching-provider");
    expect(await refusalCode(() => s3EncryptionClient({ keys: [{ aesKey: other }, { aesKey: AES_KEY }] }))).toBe("invalid-argument");
  });

  test.each([0, 16, 24, 31, 33])("KMS gives a data key of 32 bytes, and not of %i", async (length) => {
    const [key, nonce] = [plaintextOf(length), plaintextOf(12)];
    const sealed = length === 16 || length === 24 ? new Uint8Array(await sealedBy(key, nonce)) : plaintextOf(60);
    const bound = JSON.stringify({ "aws:x-amz-cek-alg": "AES/GCM/NoPadding" });
    const names = { "x-amz-key-v2": "AAAA", "x-amz-wrap-alg": "kms+context", "x-amz-cek-alg": "AES/GCM/NoPadding", "x-amz-matdesc": bound };
    const metadata = { ...names, "x-amz-iv": Buffer.from(nonce).toString("base64") };
    const reader = s3EncryptionClient({ keys: [{ kmsDecrypt: async () => key.slice() }] });
    expect(await refusalCode(() => reader.decrypt({ metadata, body: sealed }))).toBe("authentication-failed");
  });

  test("misspelt options and what are no keys are refused; after close everything is", async () => {
    for (const keys of [undefined, [], [{}], [{ aesKey: new Uint8Array(5) }], [{ rsaPrivateKey: "no PEM" }], [{ kmsDecrypt: 1 }], [null]]) {
      expect(await refusalCode(() => s3EncryptionClient(untyped({ keys })))).toBe("invalid-argument");
    }
    expect(await refusalCode(() => s3EncryptionClient(untyped({ keys: [{ aesKey: AES_KEY }], maxByte: 1 })))).toBe("invalid-argument");
    const reader = s3EncryptionClient({ keys: [{ aesKey: AES_KEY }] });
    reader.close();
    expect(await refusalCode(() => reader.decrypt({ metadata, body }))).toBe("closed");
  });
});

/** AES-GCM under a key of any length that AES has. */
async function sealedBy(key: Uint8Array<ArrayBuffer>, nonce: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  const imported = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt"]);
  return await crypto.subtle.encrypt({ name: "AES-GCM", iv: nonce }, imported, PLAINTEXT);
}
