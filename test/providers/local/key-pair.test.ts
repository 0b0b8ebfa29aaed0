import { createPrivateKey, createPublicKey, webcrypto } from "node:crypto";
import { describe, expect, test } from "vitest";
import { engine } from "#engine";
import { hybridKeys, localHybridKeyPair, localHybridKeyPairs } from "../../../providers/local/hybrid.ts";
import { type LocalKeyMaterial, localKeyPair, localKeyPairs } from "../../../providers/local/index.ts";
import { toBase64Url, toHex } from "../../../src/core/base/bytes.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { DEK, foreignWrap, OPTIONS, wrapAad } from "./wrap.ts";

const PRIVATE = new Uint8Array(32).map((_, at) => at + 1);
const PUBLIC = engine.x25519.keyPair(PRIVATE).publicKey;
const OTHER_PRIVATE = new Uint8Array(32).fill(7);
const OTHER_PUBLIC = engine.x25519.keyPair(OTHER_PRIVATE).publicKey;

const hybridPublicKey = hybridKeys.publicKeyOf;

const kinds = [
  {
    name: "X25519",
    alg: 4,
    wrappedBytes: 80,
    one: localKeyPair,
    several: localKeyPairs,
    publicKeyOf: async (secret: Uint8Array) => engine.x25519.keyPair(secret).publicKey,
  },
  { name: "hybrid", alg: 5, wrappedBytes: 1168, one: localHybridKeyPair, several: localHybridKeyPairs, publicKeyOf: hybridPublicKey },
];

for (const { name, alg, wrappedBytes, one, several, publicKeyOf } of kinds) {
  describe(`${name} key pair`, () => {
    test("the public key alone wraps, the private key unwraps", async () => {
      const publicKey = await publicKeyOf(PRIVATE);
      const writer = one({ keyId: "k", publicKey });
      const reader = one({ keyId: "k", publicKey, privateKey: PRIVATE });
      const recipient = await writer.wrap(DEK, OPTIONS);
      expect({ ...recipient, wrapped: recipient.wrapped.length }).toEqual({ provider: "local", keyId: "k", alg, wrapped: wrappedBytes });
      const opened = await reader.unwrap(recipient, OPTIONS);
      expect(opened).toEqual(DEK);
      expect(opened.buffer.byteLength).toBe(32);
      const error = await refusal(() => writer.unwrap(recipient, OPTIONS));
      expect(error.code).toBe("unwrap-rejected");
      expect(error.hint).toContain("privateKey");
    });

    test("opens what another implementation wrapped", async () => {
      const { keyId, secretKey, wrapped, dek, aad } = foreignWrap(alg);
      expect(toHex(wrapAad(keyId))).toBe(toHex(aad));
      const provider = one({ keyId, publicKey: await publicKeyOf(secretKey), privateKey: secretKey });
      expect(await provider.unwrap({ provider: "local", keyId, alg, wrapped }, OPTIONS)).toEqual(dek);
    });

    test("another pair, another context, other lengths and algorithms are refused", async () => {
      const publicKey = await publicKeyOf(PRIVATE);
      const reader = one({ keyId: "k", publicKey, privateKey: PRIVATE });
      const good = await reader.wrap(DEK, OPTIONS);
      const { wrapped } = good;
      const stranger = one({ keyId: "k", publicKey: await publicKeyOf(OTHER_PRIVATE), privateKey: OTHER_PRIVATE });
      expect(await refusalCode(() => stranger.unwrap(good, OPTIONS))).toBe("unwrap-rejected");
      expect(await refusalCode(() => reader.unwrap(good, { ...OPTIONS, wrapAad: () => new Uint8Array(3) }))).toBe("unwrap-rejected");
      const broken = [
        { ...good, keyId: "l" },
        { ...good, alg: 1 },
        { ...good, alg: alg === 4 ? 5 : 4 },
        { ...good, wrapped: wrapped.subarray(1) },
        { ...good, wrapped: new Uint8Array([...wrapped, 0]) },
        { ...good, wrapped: new Uint8Array(1) },
        { ...good, wrapped: new Uint8Array(wrappedBytes) },
        { ...good, wrapped: new Uint8Array(wrappedBytes).fill(255) },
      ];
      for (const recipient of broken) expect(await refusalCode(() => reader.unwrap(recipient, OPTIONS))).toBe("unwrap-rejected");
    });

    test("several versions: the primary wraps, each unwraps its own", async () => {
      const first = { keyId: "k1", publicKey: await publicKeyOf(PRIVATE), privateKey: PRIVATE };
      const second = { keyId: "k2", publicKey: await publicKeyOf(OTHER_PRIVATE), privateKey: OTHER_PRIVATE };
      const old = await one(first).wrap(DEK, OPTIONS);
      const rotated = several({ keyPairs: [first, second], primary: "k2" });
      const fresh = await rotated.wrap(DEK, OPTIONS);
      expect([fresh.keyId, await rotated.current?.()]).toEqual(["k2", "k2"]);
      expect(await rotated.unwrap(old, OPTIONS)).toEqual(DEK);
      expect(await one(second).unwrap(fresh, OPTIONS)).toEqual(DEK);
      expect(await refusalCode(() => rotated.unwrap({ ...old, keyId: "k2" }, OPTIONS))).toBe("unwrap-rejected");
      expect(await refusalCode(() => several({ keyPairs: [first, first], primary: "k1" }))).toBe("invalid-argument");
      expect(await refusalCode(() => several({ keyPairs: [first], primary: "k2" }))).toBe("invalid-argument");
    });

    test("keys that do not belong together are refused", async () => {
      const publicKey = await publicKeyOf(PRIVATE);
      const use = async () => one({ keyId: "k", publicKey, privateKey: OTHER_PRIVATE }).wrap(DEK, OPTIONS);
      expect(await refusalCode(use)).toBe("invalid-argument");
    });

    test("closes", async () => {
      const provider = one({ keyId: "k", publicKey: await publicKeyOf(PRIVATE), privateKey: PRIVATE });
      const recipient = await provider.wrap(DEK, OPTIONS);
      await provider.close?.();
      await provider.close?.();
      expect(await refusalCode(() => provider.wrap(DEK, OPTIONS))).toBe("closed");
      expect(await refusalCode(() => provider.unwrap(recipient, OPTIONS))).toBe("closed");
    });

    test("what is no key of this kind is refused at once", async () => {
      const publicKey = await publicKeyOf(PRIVATE);
      for (const bad of [
        new Uint8Array(31),
        new Uint8Array(1217),
        { kty: "oct", k: toBase64Url(PRIVATE) },
        { kty: "OKP", crv: "Ed25519" },
        {},
      ]) {
        expect(await refusalCode(() => one({ keyId: "k", publicKey: bad }))).toBe("invalid-argument");
        expect(await refusalCode(() => one({ keyId: "k", publicKey, privateKey: bad }))).toBe("invalid-argument");
      }
      expect(await refusalCode(() => one({ keyId: "", publicKey }))).toBe("invalid-argument");
    });
  });
}

describe("X25519 keys in every form", () => {
  const publicJwk = { kty: "OKP", crv: "X25519", x: toBase64Url(PUBLIC) };
  const privateJwk = { ...publicJwk, d: toBase64Url(PRIVATE) };
  const importJwk = (jwk: webcrypto.JsonWebKey, extractable = true): Promise<webcrypto.CryptoKey> =>
    webcrypto.subtle.importKey("jwk", jwk, "X25519", extractable, jwk.d === undefined ? [] : ["deriveBits"]);

  const forms: Readonly<Record<string, () => Promise<{ publicKey: LocalKeyMaterial; privateKey: LocalKeyMaterial }>>> = {
    bytes: async () => ({ publicKey: PUBLIC, privateKey: PRIVATE }),
    JWK: async () => ({ publicKey: publicJwk, privateKey: privateJwk }),
    "one private JWK for both": async () => ({ publicKey: privateJwk, privateKey: privateJwk }),
    KeyObject: async () => ({
      publicKey: createPublicKey({ key: publicJwk, format: "jwk" }),
      privateKey: createPrivateKey({ key: privateJwk, format: "jwk" }),
    }),
    CryptoKey: async () => ({ publicKey: await importJwk(publicJwk), privateKey: await importJwk(privateJwk) }),
    "CryptoKey and bytes": async () => ({ publicKey: PUBLIC, privateKey: await importJwk(privateJwk) }),
  };
  for (const [name, form] of Object.entries(forms)) {
    test(name, async () => {
      const provider = localKeyPair({ keyId: "k", ...(await form()) });
      const recipient = await provider.wrap(DEK, OPTIONS);
      expect(await localKeyPair({ keyId: "k", publicKey: PUBLIC, privateKey: PRIVATE }).unwrap(recipient, OPTIONS)).toEqual(DEK);
      expect(await provider.unwrap(recipient, OPTIONS)).toEqual(DEK);
    });
  }

  test("a public KeyObject is no private key", async () => {
    const publicKey = createPublicKey({ key: publicJwk, format: "jwk" });
    expect(await refusalCode(() => localKeyPair({ keyId: "k", publicKey, privateKey: publicKey }))).toBe("invalid-argument");
  });

  test("keys of two pairs are refused at once, or at first use if one has to be exported", async () => {
    expect(await refusalCode(() => localKeyPair({ keyId: "k", publicKey: OTHER_PUBLIC, privateKey: PRIVATE }))).toBe("invalid-argument");
    const late = localKeyPair({ keyId: "k", publicKey: OTHER_PUBLIC, privateKey: await importJwk(privateJwk) });
    expect(await refusalCode(() => late.wrap(DEK, OPTIONS))).toBe("invalid-argument");
  });

  test("nothing is wrapped under a public key of small order", async () => {
    const provider = localKeyPair({ keyId: "k", publicKey: new Uint8Array(32) });
    expect(await refusalCode(() => provider.wrap(DEK, OPTIONS))).toBe("invalid-argument");
  });
});

describe("hybrid keys", () => {
  test("as JWK", async () => {
    const publicKey = await hybridPublicKey(PRIVATE);
    const jwk = { kty: "AKP", alg: "MLKEM768-X25519", pub: toBase64Url(publicKey) };
    const recipient = await localHybridKeyPair({ keyId: "k", publicKey: jwk }).wrap(DEK, OPTIONS);
    const privateKey = { ...jwk, priv: toBase64Url(PRIVATE) };
    expect(await localHybridKeyPair({ keyId: "k", publicKey: jwk, privateKey }).unwrap(recipient, OPTIONS)).toEqual(DEK);
    expect(await refusalCode(() => localHybridKeyPair({ keyId: "k", publicKey: { ...jwk, alg: "ML-KEM-768" } }))).toBe("invalid-argument");
  });

  test("bytes that encode no public key are refused at first use", async () => {
    const wrongModulus = localHybridKeyPair({ keyId: "k", publicKey: new Uint8Array(1216).fill(255) });
    expect(await refusalCode(() => wrongModulus.wrap(DEK, OPTIONS))).toBe("invalid-argument");
    const smallOrder = (await hybridPublicKey(PRIVATE)).slice().fill(0, 1184);
    expect(await refusalCode(() => localHybridKeyPair({ keyId: "k", publicKey: smallOrder }).wrap(DEK, OPTIONS))).toBe("invalid-argument");
  });

  test("every byte of the wrapped key counts", async () => {
    const provider = localHybridKeyPair({ keyId: "k", publicKey: await hybridPublicKey(PRIVATE), privateKey: PRIVATE });
    const good = await provider.wrap(DEK, OPTIONS);
    const places = [0, 1, 500, 1087, 1088, 1119, 1120, 1151, 1152, 1167]; // both halves of enc, ciphertext, tag
    for (const at of places) {
      const wrapped = good.wrapped.slice();
      wrapped[at] = (good.wrapped[at] ?? 0) ^ 0x80;
      expect(await refusalCode(() => provider.unwrap({ ...good, wrapped }, OPTIONS)), `byte ${at}`).toBe("unwrap-rejected");
    }
  });
});
