import { createSecretKey, webcrypto } from "node:crypto";
import { ecb, gcm } from "@noble/ciphers/aes.js";
import { describe, expect, test } from "vitest";
import { localKey, localKeyset } from "../../../providers/local/index.ts";
import { toBase64Url, toHex } from "../../../src/core/base/bytes.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { DEK, foreignWrap, OPTIONS, wrapAad } from "./wrap.ts";

const KEY = new Uint8Array(32).map((_, at) => at);

describe("localKey wraps as docs/format.md §3 says", () => {
  test("nonce 24 | ciphertext 32 | tag 16, which another XAES-256-GCM opens with the wrap AAD", async () => {
    const { provider, keyId, alg, wrapped } = await localKey({ keyId: "clé-1", key: KEY }).wrap(DEK, OPTIONS);
    expect({ provider, keyId, alg, bytes: wrapped.length }).toEqual({ provider: "local", keyId: "clé-1", alg: 1, bytes: 72 });
    expect(xaesOpen(KEY, wrapAad("clé-1"), wrapped)).toEqual(DEK);
  });

  test("opens what another implementation wrapped", async () => {
    const { keyId, secretKey, wrapped, dek, aad } = foreignWrap(1);
    expect(toHex(wrapAad(keyId))).toBe(toHex(aad));
    const opened = await localKey({ keyId, key: secretKey }).unwrap({ provider: "local", keyId, alg: 1, wrapped }, OPTIONS);
    expect(opened).toEqual(dek);
    expect(opened.buffer.byteLength).toBe(32);
  });

  test("two wraps of one data key differ", async () => {
    const provider = localKey({ keyId: "k", key: KEY });
    expect((await provider.wrap(DEK, OPTIONS)).wrapped).not.toEqual((await provider.wrap(DEK, OPTIONS)).wrapped);
  });

  test("a data key has 32 bytes", async () => {
    const provider = localKey({ keyId: "k", key: KEY });
    for (const bytes of [0, 16, 31, 33]) {
      expect(await refusalCode(() => provider.wrap(new Uint8Array(bytes), OPTIONS))).toBe("invalid-argument");
    }
  });
});

describe("every form of an AES key is the same key", () => {
  const importKey = (extractable: boolean, bytes: Uint8Array<ArrayBuffer> = KEY): Promise<webcrypto.CryptoKey> =>
    webcrypto.subtle.importKey("raw", bytes, "AES-GCM", extractable, ["encrypt"]);

  const forms = {
    bytes: async () => KEY,
    "a Buffer": async () => Buffer.from(KEY),
    "a view into a larger array": async () => new Uint8Array([...new Uint8Array(7), ...KEY, 9]).subarray(7, 39),
    "a KeyObject": async () => createSecretKey(KEY),
    "an extractable CryptoKey": () => importKey(true),
    "a JWK": async () => ({ kty: "oct", k: toBase64Url(KEY), alg: "A256GCM" }),
    "a JWK that WebCrypto exported": async () => webcrypto.subtle.exportKey("jwk", await importKey(true)),
  };
  for (const [name, form] of Object.entries(forms)) {
    test(name, async () => {
      const provider = localKey({ keyId: "k", key: await form() });
      const [first, second] = await Promise.all([provider.wrap(DEK, OPTIONS), provider.wrap(DEK, OPTIONS)]);
      for (const { wrapped } of [first, second]) expect(xaesOpen(KEY, wrapAad("k"), wrapped)).toEqual(DEK);
      expect(await provider.unwrap(first, OPTIONS)).toEqual(DEK);
    });
  }

  test("the caller's bytes are copied", async () => {
    const key = KEY.slice();
    const provider = localKey({ keyId: "k", key });
    key.fill(0);
    expect(xaesOpen(KEY, wrapAad("k"), (await provider.wrap(DEK, OPTIONS)).wrapped)).toEqual(DEK);
  });

  test("a CryptoKey of another kind is refused at first use, each time", async () => {
    const wrongSize = localKey({ keyId: "k", key: await importKey(true, new Uint8Array(16)) });
    const { publicKey } = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
    const wrongKind = localKey({ keyId: "k", key: publicKey });
    for (const provider of [wrongSize, wrongKind, wrongSize]) {
      expect(await refusalCode(() => provider.wrap(DEK, OPTIONS))).toBe("invalid-argument");
    }
  });

  test("what is no AES-256 key is refused, without showing it", async () => {
    const secret = toBase64Url(KEY);
    const bad = [
      new Uint8Array(0),
      new Uint8Array(16),
      new Uint8Array(33),
      createSecretKey(new Uint8Array(24)),
      { kty: "oct" },
      { kty: "oct", k: `${secret}=` },
      { kty: "oct", k: secret.slice(0, 40) },
      { kty: "OKP", crv: "X25519", x: secret, d: secret },
      {},
    ];
    for (const key of bad) {
      const error = await refusal(() => localKey({ keyId: "k", key }));
      expect(error.code).toBe("invalid-argument");
      expect(`${error.message}${error.stack}${JSON.stringify(error)}`).not.toContain(secret.slice(0, 20));
    }
    for (const key of [undefined, null, secret, 5]) {
      expect(await refusalCode(() => Reflect.apply(localKey, undefined, [{ keyId: "k", key }]))).toBe("invalid-argument");
    }
  });
});

describe("key ids", () => {
  test("1 to 512 bytes of well-formed UTF-8", async () => {
    for (const keyId of ["k", "k".repeat(512), "é".repeat(256), "\u{1f511}", "__proto__", "../x"]) {
      const provider = localKey({ keyId, key: KEY });
      const wrapped = await provider.wrap(DEK, OPTIONS);
      expect(provider.owns(keyId)).toBe(true);
      expect(await provider.unwrap(wrapped, OPTIONS)).toEqual(DEK);
    }
    for (const keyId of ["", "k".repeat(513), "é".repeat(257), "\ud800", "a\udc00b", undefined, 7]) {
      expect(await refusalCode(() => Reflect.apply(localKey, undefined, [{ keyId, key: KEY }]))).toBe("invalid-argument");
    }
  });

  test("owns compares, and nothing else", () => {
    const provider = localKey({ keyId: "k1", key: KEY });
    for (const keyId of ["", "k", "K1", "k1 ", "__proto__", "constructor", "https://example.org/keys/k1"]) {
      expect(provider.owns(keyId)).toBe(false);
    }
  });
});

describe("localKeyset", () => {
  const OTHER = new Uint8Array(32).fill(2);
  const keys = [
    { keyId: "k1", key: KEY },
    { keyId: "k2", key: OTHER },
  ];

  test("wraps under the primary, unwraps with the version that is named and no other", async () => {
    const old = await localKey({ keyId: "k1", key: KEY }).wrap(DEK, OPTIONS);
    const keyset = localKeyset({ keys, primary: "k2" });
    const fresh = await keyset.wrap(DEK, OPTIONS);
    expect(fresh.keyId).toBe("k2");
    expect(xaesOpen(OTHER, wrapAad("k2"), fresh.wrapped)).toEqual(DEK);
    expect(await keyset.current?.()).toBe("k2");
    expect(await keyset.unwrap(old, OPTIONS)).toEqual(DEK);
    expect(await keyset.unwrap(fresh, OPTIONS)).toEqual(DEK);
    for (const relabelled of [
      { ...old, keyId: "k2" },
      { ...fresh, keyId: "k1" },
      { ...fresh, keyId: "k3" },
      { ...fresh, alg: 2 },
      { ...fresh, alg: 4 },
      { ...fresh, provider: "azure-key-vault" },
    ]) {
      expect(await refusalCode(() => keyset.unwrap(relabelled, OPTIONS))).toBe("unwrap-rejected");
    }
  });

  test("refuses equal key ids, a primary that is none of them, and no keys", async () => {
    expect(await refusalCode(() => localKeyset({ keys: [...keys, { keyId: "k1", key: OTHER }], primary: "k1" }))).toBe("invalid-argument");
    expect(await refusalCode(() => localKeyset({ keys, primary: "k3" }))).toBe("invalid-argument");
    expect(await refusalCode(() => localKeyset({ keys: [], primary: "k1" }))).toBe("invalid-argument");
  });
});

describe("closing", () => {
  test("ends every call, and owns still answers", async () => {
    const provider = localKey({ keyId: "k", key: KEY });
    const wrapped = await provider.wrap(DEK, OPTIONS);
    await provider.close?.();
    await provider.close?.();
    expect(provider.owns("k")).toBe(true);
    expect(await refusalCode(() => provider.wrap(DEK, OPTIONS))).toBe("closed");
    expect(await refusalCode(() => provider.unwrap(wrapped, OPTIONS))).toBe("closed");
    expect(await refusalCode(() => provider.unwrap({ ...wrapped, keyId: "other" }, OPTIONS))).toBe("closed");
    expect(await refusalCode(async () => provider.current?.())).toBe("closed");
  });

  test("ends a call that waits for its key", async () => {
    const key = await webcrypto.subtle.importKey("raw", KEY, "AES-GCM", true, ["encrypt"]);
    const provider = localKey({ keyId: "k", key });
    const waiting = refusalCode(() => provider.wrap(DEK, OPTIONS));
    await provider.close?.();
    expect(await waiting).toBe("closed");
  });
});

test("an aborted signal stops a call, also one that waits for its key", async () => {
  const reason = new Error("enough");
  const controller = new AbortController();
  const key = await webcrypto.subtle.importKey("raw", KEY, "AES-GCM", true, ["encrypt"]);
  const provider = localKey({ keyId: "k", key });
  const waiting = provider.wrap(DEK, { ...OPTIONS, signal: controller.signal });
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(provider.wrap(DEK, { ...OPTIONS, signal: controller.signal })).rejects.toBe(reason);
});

/** XAES-256-GCM over noble alone, from the C2SP text: what the wire must say whoever wrote it. */
function xaesOpen(key: Uint8Array, aad: Uint8Array, wrapped: Uint8Array): Uint8Array {
  const aes = (block: Uint8Array): Uint8Array => ecb(key, { disablePadding: true }).encrypt(block);
  const doubled = (BigInt(`0x${toHex(aes(new Uint8Array(16)))}`) << 1n).toString(2).padStart(129, "0");
  const subkey = BigInt(`0b${doubled.slice(1)}`) ^ (doubled[0] === "1" ? 0x87n : 0n);
  const half = (counter: string): Uint8Array => {
    const block = BigInt(`0x00${counter}5800${toHex(wrapped.subarray(0, 12))}`) ^ subkey;
    return aes(new Uint8Array(Buffer.from(block.toString(16).padStart(32, "0"), "hex")));
  };
  const derived = new Uint8Array([...half("01"), ...half("02")]);
  return gcm(derived, wrapped.subarray(12, 24), aad).decrypt(wrapped.subarray(24));
}
