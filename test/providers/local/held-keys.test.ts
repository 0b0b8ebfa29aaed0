import { webcrypto } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { conformance } from "../../../providers/conformance/index.ts";
import { localHybridKeyPair } from "../../../providers/local/hybrid-key-pair.ts";
import { localKey, localKeyPair } from "../../../providers/local/index.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { XAES_OVERHEAD_BYTES } from "../../../src/core/contracts/suite.ts";
import { HeldXaes256Gcm } from "../../../src/core/crypto/held-xaes.ts";
import { Xaes256Gcm } from "../../../src/core/crypto/xaes.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { runs } from "../../support/arbitraries.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { withEmptyEnvironment } from "../empty-environment.ts";
import { DEK, foreignWrap, OPTIONS } from "./wrap.ts";

const { subtle } = webcrypto;
const aesKey = (bytes: Uint8Array<ArrayBuffer>, isExtractable = false): Promise<webcrypto.CryptoKey> =>
  subtle.importKey("raw", bytes, "AES-CBC", isExtractable, ["encrypt"]);
const random = (): Uint8Array<ArrayBuffer> => webcrypto.getRandomValues(new Uint8Array(32));

interface Pair {
  readonly publicKey: Uint8Array<ArrayBuffer>;
  readonly secret: Uint8Array<ArrayBuffer>;
  readonly held: webcrypto.CryptoKey;
}

async function newPair(): Promise<Pair> {
  const pair = await subtle.generateKey("X25519", true, ["deriveBits"]);
  if (!("privateKey" in pair)) throw new Error("a key pair was asked for");
  const jwk = await subtle.exportKey("jwk", pair.privateKey);
  return {
    publicKey: Uint8Array.from(Buffer.from(jwk.x ?? "", "base64url")),
    secret: Uint8Array.from(Buffer.from(jwk.d ?? "", "base64url")),
    held: await subtle.importKey("jwk", jwk, "X25519", false, ["deriveBits"]),
  };
}

const KEY = random();
const HELD = await aesKey(KEY);
const PAIR = await newPair();
const OTHER_PAIR = await newPair();

describe("an AES key that WebCrypto holds", () => {
  for (const { name, run } of conformance({
    bindsContext: true,
    secrets: [KEY],
    open: () => localKey({ keyId: "held-1", key: HELD }),
    openOther: async () => localKey({ keyId: "held-2", key: await aesKey(random()) }),
    withEmptyEnvironment,
  })) {
    test(name, run);
  }

  test("is the same key as its bytes, both ways", async () => {
    await sameKey(localKey({ keyId: "k", key: HELD }), localKey({ keyId: "k", key: KEY }));
  });

  test("opens what another implementation wrapped", async () => {
    const { keyId, secretKey, wrapped, dek } = foreignWrap(1);
    const key = await aesKey(Uint8Array.from(secretKey));
    expect(await localKey({ keyId, key }).unwrap({ provider: "local", keyId, alg: 1, wrapped }, OPTIONS)).toEqual(dek);
  });

  test("makes the bytes of XAES-256-GCM, for any key, AAD and text", async () => {
    const bytes = fc.uint8Array({ maxLength: 100 });
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 32, maxLength: 32 }), bytes, bytes, async (key, aad, text) => {
        const held = new HeldXaes256Gcm(await aesKey(Uint8Array.from(key)));
        const plain = new Xaes256Gcm(key);
        expect(plain.open(aad, await held.sealFresh(aad, text))).toEqual(Uint8Array.from(text));
        const sealed = new Uint8Array(text.length + XAES_OVERHEAD_BYTES);
        plain.sealFresh(aad, text, sealed, 0);
        expect(await held.open(aad, sealed)).toEqual(Uint8Array.from(text));
        held.destroy();
      }),
      runs(60, 20),
    );
  });

  test("a call in flight finishes under the right key though the provider is closed", async () => {
    const provider = localKey({ keyId: "k", key: HELD });
    const wrapping = [provider.wrap(DEK, OPTIONS), provider.wrap(DEK, OPTIONS)];
    await provider.close();
    for (const recipient of await Promise.all(wrapping)) {
      expect(await localKey({ keyId: "k", key: KEY }).unwrap(recipient, OPTIONS)).toEqual(DEK);
    }
    expect(await refusalCode(() => provider.wrap(DEK, OPTIONS))).toBe("closed");
  });

  test("the data key and the wrapped bytes are read when the method is called", async () => {
    const provider = localKey({ keyId: "k", key: HELD });
    const dek = DEK.slice();
    const wrapping = provider.wrap(dek, OPTIONS);
    dek.fill(0);
    const recipient = await wrapping;
    const wrapped = recipient.wrapped.slice();
    const unwrapping = provider.unwrap({ ...recipient, wrapped }, OPTIONS);
    wrapped.fill(0);
    expect(await unwrapping).toEqual(DEK);
  });

  test("a key that a failure of WebCrypto left without its masks serves the next call", async () => {
    const provider = localKey({ keyId: "k", key: HELD });
    const failing = vi.spyOn(crypto.subtle, "encrypt").mockRejectedValueOnce(new Error("out of order"));
    await expect(provider.wrap(DEK, OPTIONS)).rejects.toThrow("out of order");
    failing.mockRestore();
    expect(await provider.unwrap(await provider.wrap(DEK, OPTIONS), OPTIONS)).toEqual(DEK);
  });
});

describe("an X25519 key that WebCrypto holds", () => {
  const held = (pair: Pair, keyId: string): Required<KeyProvider> =>
    localKeyPair({ keyId, publicKey: pair.publicKey, privateKey: pair.held });

  for (const { name, run } of conformance({
    bindsContext: true,
    secrets: [PAIR.secret],
    open: () => held(PAIR, "held-1"),
    openOther: () => held(OTHER_PAIR, "held-2"),
    withEmptyEnvironment,
  })) {
    test(name, run);
  }

  test("is the same key as its bytes, both ways", async () => {
    await sameKey(held(PAIR, "k"), localKeyPair({ keyId: "k", publicKey: PAIR.publicKey, privateKey: PAIR.secret }));
  });

  test("opens what another implementation wrapped", async () => {
    const { keyId, secretKey, wrapped, dek } = foreignWrap(4);
    const head = Buffer.from("302e020100300506032b656e04220420", "hex"); // RFC 8410 §7
    const privateKey = await subtle.importKey("pkcs8", Buffer.concat([head, secretKey]), "X25519", false, ["deriveBits"]);
    const publicKey = Uint8Array.from(Buffer.from(await publicHalf(secretKey), "base64url"));
    const provider = localKeyPair({ keyId, publicKey, privateKey });
    expect(await provider.unwrap({ provider: "local", keyId, alg: 4, wrapped }, OPTIONS)).toEqual(dek);
  });

  test("must belong to its public key", async () => {
    const provider = localKeyPair({ keyId: "k", publicKey: OTHER_PAIR.publicKey, privateKey: PAIR.held });
    expect(await refusalCode(() => provider.wrap(DEK, OPTIONS))).toBe("invalid-argument");
  });

  test("a wrap whose public key is of small order is rejected", async () => {
    for (const first of [0, 1]) {
      const wrapped = Uint8Array.of(first, ...new Uint8Array(79));
      const unwrapping = held(PAIR, "k").unwrap({ provider: "local", keyId: "k", alg: 4, wrapped }, OPTIONS);
      expect(await refusalCode(() => unwrapping)).toBe("unwrap-rejected");
    }
  });
});

describe("a CryptoKey that is not extractable and cannot serve is refused at once, with what can", () => {
  const aes = (name: string, usages: webcrypto.KeyUsage[], bytes = 32): Promise<webcrypto.CryptoKey> =>
    subtle.importKey("raw", new Uint8Array(bytes), name, false, usages);
  const secrets: Readonly<Record<string, () => Promise<webcrypto.CryptoKey>>> = {
    "AES-GCM of 256 bits": () => aes("AES-GCM", ["encrypt", "decrypt"]),
    "AES-CTR of 256 bits": () => aes("AES-CTR", ["encrypt"]),
    "AES-KW of 256 bits": () => aes("AES-KW", ["wrapKey"]),
    "AES-CBC of 128 bits": () => aes("AES-CBC", ["encrypt"], 16),
    "for decrypt": () => aes("AES-CBC", ["decrypt"]),
    HKDF: () => aes("HKDF", ["deriveBits"]),
    X25519: async () => PAIR.held,
  };
  for (const [found, key] of Object.entries(secrets)) {
    test(`${found}, as an AES key`, async () => {
      const given = await key();
      const error = await refusal(() => localKey({ keyId: "k", key: given }));
      expect([error.code, error.message, error.hint]).toEqual([
        "invalid-argument",
        expect.stringContaining(found),
        expect.stringContaining('"AES-CBC", false, ["encrypt"]'),
      ]);
    });
  }

  test("what the hint says, works", async () => {
    const generated = await subtle.generateKey({ name: "AES-CBC", length: 256 }, false, ["encrypt"]);
    if (!("type" in generated)) throw new Error("one key was asked for");
    const keyring = new Keyring(localKey({ keyId: "k", key: generated }));
    const envelope = await keyring.encrypt(DEK);
    expect(await keyring.decrypt(envelope)).toEqual(DEK);
  });

  test("another key, and one for other uses, as an X25519 private key", async () => {
    const jwk = { kty: "OKP", crv: "X25519", x: text(PAIR.publicKey), d: text(PAIR.secret) };
    const deriveKey = await subtle.importKey("jwk", jwk, "X25519", false, ["deriveKey"]);
    for (const privateKey of [HELD, deriveKey]) {
      const error = await refusal(() => localKeyPair({ keyId: "k", publicKey: PAIR.publicKey, privateKey }));
      expect([error.code, error.hint]).toEqual(["invalid-argument", expect.stringContaining('"X25519", false, ["deriveBits"]')]);
    }
  });

  test("a public key, which is no secret", async () => {
    const publicKey = await subtle.importKey("raw", PAIR.publicKey, "X25519", false, []);
    const error = await refusal(() => localKeyPair({ keyId: "k", publicKey, privateKey: PAIR.held }));
    expect([error.code, error.hint]).toEqual(["invalid-argument", expect.stringContaining("extractable: true")]);
  });

  test("any, as a hybrid private key", async () => {
    const error = await refusal(() => localHybridKeyPair({ keyId: "k", publicKey: new Uint8Array(1216), privateKey: PAIR.held }));
    expect([error.code, error.hint]).toEqual(["invalid-argument", expect.stringContaining("bytes")]);
  });
});

/** Each opens what the other wrapped, as data keys and as envelopes. */
async function sameKey(held: KeyProvider, plain: KeyProvider): Promise<void> {
  for (const [writer, reader] of [
    [held, plain],
    [plain, held],
    [held, held],
  ] as const) {
    expect(await reader.unwrap(await writer.wrap(DEK, OPTIONS), OPTIONS)).toEqual(DEK);
    const envelope = await new Keyring(writer).encrypt(DEK, { context: { object: "a" } });
    expect(await new Keyring(reader).decrypt(envelope, { context: { object: "a" } })).toEqual(DEK);
    expect(await refusalCode(() => new Keyring(reader).decrypt(envelope, { context: { object: "b" } }))).toBe("authentication-failed");
  }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64url");
}

async function publicHalf(secretKey: Uint8Array): Promise<string> {
  const head = Buffer.from("302e020100300506032b656e04220420", "hex");
  const key = await subtle.importKey("pkcs8", Buffer.concat([head, secretKey]), "X25519", true, ["deriveBits"]);
  return (await subtle.exportKey("jwk", key)).x ?? "";
}
