import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { azureStorageEncryption, localStorageKeys, type StorageMetadataClient } from "../../src/foreign/azure-storage/index.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { describeVectors } from "../support/vectors.ts";
import { bodyOf, goodBlobs, plaintextOf, sha256, storageKeys } from "./azure-storage-vectors.ts";

const OLD = { keyId: "local:old", key: plaintextOf(32) };
const NEW = { keyId: "local:new", key: plaintextOf(32).reverse() };

function encryption(...keys: Parameters<typeof localStorageKeys>[0]): ReturnType<typeof azureStorageEncryption> {
  return azureStorageEncryption({ keys: localStorageKeys(keys), dangerReadV1: true });
}

/** A blob in a store with ETags: `meanwhile` runs before each condition is checked. */
class FakeBlob implements StorageMetadataClient {
  metadata: Readonly<Record<string, string>>;
  version = 1;
  readonly meanwhile: (() => void)[] = [];
  writes = 0;

  constructor(metadata: Readonly<Record<string, string>>) {
    this.metadata = metadata;
  }

  async getProperties() {
    return { metadata: this.metadata, etag: `"${this.version}"` };
  }

  async setMetadata(metadata: Record<string, string>, options?: { readonly conditions?: { readonly ifMatch?: string } }): Promise<void> {
    this.meanwhile.shift()?.();
    if (options?.conditions?.ifMatch !== `"${this.version}"`) throw Object.assign(new Error("ConditionNotMet"), { statusCode: 412 });
    this.metadata = metadata;
    this.version++;
    this.writes++;
  }
}

describe("rewrap", () => {
  test("wraps with the current key, keeps every other member and all other metadata, and then has nothing to do", async () => {
    const { metadata, body } = await encryption(OLD).encrypt(plaintextOf(100), { protocol: "2.1", regionBytes: 64 });
    const text = metadata.encryptiondata.replace('"EncryptionMode"', '"Later": [1, {"a": 2}], "EncryptionMode"');
    const blob = new FakeBlob({ Kind: "invoice", EncryptionData: text, __proto__: "own" });
    expect(await encryption(NEW, OLD).rewrap(blob)).toBe("rewrapped");
    expect(Object.keys(blob.metadata).sort()).toEqual(["Kind", "encryptiondata"]);
    expect(blob.metadata).toMatchObject({ Kind: "invoice" });
    const { encryptiondata = "" } = blob.metadata;
    const data = JSON.parse(encryptiondata);
    expect(data).toMatchObject({
      Later: [1, { a: 2 }],
      EncryptionMode: "FullBlob",
      WrappedContentKey: { KeyId: NEW.keyId, Algorithm: "A256KW" },
    });
    expect(await encryption(NEW).decrypt({ metadata: blob.metadata, body })).toEqual(plaintextOf(100));
    expect(await refusalCode(() => encryption(OLD).decrypt({ metadata: blob.metadata, body }))).toBe("no-matching-provider");
    expect(await encryption(NEW, OLD).rewrap(blob)).toBe("current");
    expect(blob.writes).toBe(1);
  });

  test.each([
    ["a number that no double holds", "12345678901234567890123"],
    ["a number beyond every double", "1e400"],
    ["a fraction to its last digit", "1.10"],
    ["members as deep as metadata can be", `${"[".repeat(30_000)}${"]".repeat(30_000)}`],
    ["objects as deep", `${'{"a":'.repeat(8_000)}0${"}".repeat(8_000)}`],
    ["a member with the name of the wrapped key, further in", '{"WrappedContentKey": {"KeyId": "local:old"}}'],
    ["braces, quotes and names within a text", String.raw`"}{\"WrappedContentKey\": {\\"`],
    ["the name of a prototype", '{"__proto__": {"a": 1}, "constructor": null}'],
  ])("keeps %s to the letter", async (_what, later) => {
    const { metadata, body } = await encryption(OLD).encrypt(plaintextOf(10));
    for (const place of ["first", "last"]) {
      const member = `"Later": ${later}`;
      const rest = metadata.encryptiondata.slice(1, -1);
      const blob = new FakeBlob({ encryptiondata: place === "first" ? `{${member}, ${rest}}` : `{${rest}, ${member}}` });
      expect(await encryption(NEW, OLD).rewrap(blob)).toBe("rewrapped");
      const { encryptiondata = "" } = blob.metadata;
      expect(encryptiondata.includes(member)).toBe(true);
      expect(await encryption(NEW).decrypt({ metadata: blob.metadata, body })).toEqual(plaintextOf(10));
    }
  });

  test("reads no body, so the bound on regions does not hold for it", async () => {
    const { metadata } = await encryption(OLD).encrypt(plaintextOf(100), { protocol: "2.1", regionBytes: 64 });
    const small = azureStorageEncryption({ keys: localStorageKeys([NEW, OLD]), maxRegionBytes: 32 });
    expect(await small.rewrap(new FakeBlob(metadata))).toBe("rewrapped");
    expect(await refusalCode(() => small.decrypt({ metadata, body: plaintextOf(156) }))).toBe("malformed-envelope");
  });

  test.each(["deadlineMs", "retry", "cache"])("%s beside a resolver is refused: it would do nothing", async (name) => {
    const value = name === "deadlineMs" ? 1000 : {};
    const error = await refusal(() => azureStorageEncryption({ keys: localStorageKeys([OLD]), [name]: value }));
    expect([error.code, error.message, error.hint]).toEqual([
      "invalid-argument",
      expect.stringContaining(name),
      expect.stringContaining("state it there"),
    ]);
  });

  test("writes what a header can hold: no line breaks, and ASCII alone", async () => {
    const { metadata, body } = await encryption(OLD).encrypt(plaintextOf(10));
    const { encryptiondata } = metadata;
    const spread = encryptiondata
      .replaceAll(", ", ",\r\n\t")
      .replace('"EncryptionMode"', '"Later": "\u00fc\ud83d\udd11", "EncryptionMode"');
    const blob = new FakeBlob({ encryptiondata: spread });
    expect(await encryption(NEW, OLD).rewrap(blob)).toBe("rewrapped");
    const { encryptiondata: written = "" } = blob.metadata;
    expect(written).toMatch(/^[\x20-\x7e]+$/);
    expect(JSON.parse(written)).toMatchObject({ Later: "\u00fc\ud83d\udd11" });
    expect(await encryption(NEW).decrypt({ metadata: blob.metadata, body })).toEqual(plaintextOf(10));
  });

  test("meets a concurrent change once more with what the blob then has, and then says so", async () => {
    const { metadata } = await encryption(OLD).encrypt(plaintextOf(1));
    const blob = new FakeBlob(metadata);
    const change = (): void => {
      blob.metadata = { ...blob.metadata, [`note${blob.version}`]: "added meanwhile" };
      blob.version++;
    };
    blob.meanwhile.push(change);
    expect(await encryption(NEW, OLD).rewrap(blob)).toBe("rewrapped");
    expect(blob.metadata).toMatchObject({ note1: "added meanwhile" });
    const restless = new FakeBlob(metadata);
    const touch = (): void => {
      restless.version++;
    };
    restless.meanwhile.push(touch, touch);
    expect(await encryption(NEW, OLD).rewrap(restless)).toBe("changed");
    expect(restless.writes).toBe(0);
  });

  test("writes nothing for a key that does not open, another protocol inside, or no encryption data", async () => {
    const { metadata } = await encryption(OLD).encrypt(plaintextOf(1));
    const relabelled = { encryptiondata: metadata.encryptiondata.replace('"2.0"', '"2.1"') };
    const cases: [Readonly<Record<string, string>>, string][] = [
      [relabelled, "authentication-failed"],
      [{ kind: "plain" }, "malformed-envelope"],
      [{ encryptiondata: metadata.encryptiondata.replace(OLD.keyId, "local:gone") }, "no-matching-provider"],
    ];
    for (const [given, code] of cases) {
      const blob = new FakeBlob(given);
      expect(await refusalCode(() => encryption(NEW, OLD).rewrap(blob))).toBe(code);
      expect(blob.writes).toBe(0);
    }
  });

  test("moves a key that is wrapped with another algorithm of the same KEK", async () => {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    const of = (algorithm: "RSA-OAEP" | "RSA-OAEP-256") => encryption({ keyId: "local:rsa", privateKey: pem, algorithm });
    const { metadata, body } = await of("RSA-OAEP").encrypt(plaintextOf(10));
    const blob = new FakeBlob(metadata);
    expect(await of("RSA-OAEP-256").rewrap(blob)).toBe("rewrapped");
    expect(await of("RSA-OAEP-256").rewrap(blob)).toBe("current");
    const { encryptiondata = "" } = blob.metadata;
    expect(JSON.parse(encryptiondata).WrappedContentKey).toMatchObject({ KeyId: "local:rsa", Algorithm: "RSA-OAEP-256" });
    expect(await of("RSA-OAEP").decrypt({ metadata: blob.metadata, body })).toEqual(plaintextOf(10));
  });

  test("touches no blob of 1.0 without dangerReadV1", async () => {
    const { metadata } = await encryption(OLD).encrypt(plaintextOf(1));
    const data = JSON.parse(metadata.encryptiondata);
    const one = {
      ...data,
      EncryptionAgent: { Protocol: "1.0", EncryptionAlgorithm: "AES_CBC_256" },
      ContentEncryptionIV: btoa("0123456789abcdef"),
    };
    const blob = new FakeBlob({ encryptiondata: JSON.stringify(one) });
    const careful = azureStorageEncryption({ keys: localStorageKeys([NEW, OLD]) });
    expect(await refusal(() => careful.rewrap(blob))).toMatchObject({ code: "unsupported-version", detail: "protocol-1.0" });
    expect(blob.writes).toBe(0);
  });

  test("errors of the client have codes, with the client's as cause", async () => {
    const { metadata } = await encryption(OLD).encrypt(plaintextOf(1));
    for (const [statusCode, code, retryable] of [
      [403, "access-denied", false],
      [429, "rate-limited", true],
      [404, "unavailable", false],
      [503, "unavailable", true],
      [undefined, "unavailable", true],
    ] as const) {
      const blob = new FakeBlob(metadata);
      const cause = Object.assign(new Error("no"), statusCode === undefined ? {} : { statusCode });
      blob.meanwhile.push(() => {
        throw cause;
      });
      const error = await refusal(() => encryption(NEW, OLD).rewrap(blob));
      expect([error.code, error.retryable, error.cause]).toEqual([code, retryable, cause]);
    }
  });
});

describeVectors("rewrap of the fixtures", () => {
  test("moves blobs of every protocol and layout from RSA and AES keys to another, bodies untouched", async () => {
    const { aes, rsa } = storageKeys();
    const all = encryption(
      NEW,
      { keyId: aes.keyId, key: new Uint8Array(Buffer.from(aes.key, "hex")) },
      { keyId: rsa.keyId, privateKey: rsa.pkcs8 },
    );
    const blobs = goodBlobs().filter(({ body }) => body !== undefined);
    expect(blobs.length).toBeGreaterThan(40);
    for (const good of blobs) {
      const blob = new FakeBlob(good.metadata);
      expect(await all.rewrap(blob)).toBe("rewrapped");
      expect(sha256(await encryption(NEW).decrypt({ metadata: blob.metadata, body: bodyOf(good) }))).toBe(good.plaintextSha256);
    }
  });
});
