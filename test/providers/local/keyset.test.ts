import { describe, expect, test } from "vitest";
import { hybridKeys } from "../../../providers/local/hybrid.ts";
import {
  formatKeyset,
  generateKeysetKey,
  type Keyset,
  type KeysetKeyType,
  keysetProviders,
  parseKeyset,
  publicKeyset,
} from "../../../providers/local/index.ts";
import { toBase64Url } from "../../../src/core/base/bytes.ts";
import { Keyring } from "../../../src/index.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const CREATED = "2026-11-21T09:30:00Z";
const HYBRID = { hybrid: hybridKeys };

async function keysetOf(...types: readonly KeysetKeyType[]): Promise<Keyset> {
  const keys = await Promise.all(
    types.map((type, index) => generateKeysetKey({ type, keyId: `k${index + 1}`, created: CREATED, hybrid: hybridKeys })),
  );
  return { primary: `k${keys.length}`, keys };
}

describe("keyset JSON", () => {
  test("what is formatted parses to the same keyset, of every type", async () => {
    const keyset = await keysetOf("aes-256", "x25519", "mlkem768-x25519", "aes-256");
    expect(parseKeyset(formatKeyset(keyset))).toEqual(keyset);
  });

  test("has the documented form", () => {
    const secret = new Uint8Array(32).fill(7);
    const json = formatKeyset({ primary: "k1", keys: [{ keyId: "k1", type: "aes-256", created: CREATED, secret }] });
    expect(JSON.parse(json)).toEqual({ primary: "k1", keys: [{ kty: "oct", kid: "k1", created: CREATED, k: toBase64Url(secret) }] });
    expect(json.endsWith("}\n")).toBe(true);
  });

  test("reads the key pair of RFC 8037 appendix A.6 and RFC 7748 §6.1", () => {
    const pair = {
      kty: "OKP",
      crv: "X25519",
      x: "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo",
      d: "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo",
    };
    const keyset = parseKeyset(JSON.stringify({ primary: "a", keys: [{ ...pair, kid: "a", created: CREATED }] }));
    expect(keyset.keys[0]?.type).toBe("x25519");
    expect(formatKeyset(keyset)).toContain(pair.d);
  });

  test("ignores members that it does not know", async () => {
    const keyset = await keysetOf("aes-256");
    const document = JSON.parse(formatKeyset(keyset));
    document.comment = "x";
    document.keys[0].key_ops = ["wrapKey"];
    expect(parseKeyset(JSON.stringify(document))).toEqual(keyset);
  });

  test("a key pair without its private key stays so", async () => {
    const keyset = publicKeyset(await keysetOf("x25519", "mlkem768-x25519"));
    expect(keyset.keys.map(({ secret }) => secret)).toEqual([undefined, undefined]);
    const json = formatKeyset(keyset);
    expect(json).not.toContain('"d"');
    expect(json).not.toContain('"priv"');
    expect(parseKeyset(json)).toEqual(keyset);
  });

  test("an AES key has no public half", async () => {
    expect(await refusalCode(async () => publicKeyset(await keysetOf("x25519", "aes-256")))).toBe("invalid-argument");
  });
});

describe("a bad keyset is invalid-argument, without its secrets", () => {
  const SECRET = toBase64Url(new Uint8Array(32).fill(0x5a));
  const OTHER = toBase64Url(new Uint8Array(32).fill(0x5b));
  const aes = { kty: "oct", kid: "k1", created: CREATED, k: SECRET };
  const pair = { kty: "OKP", crv: "X25519", kid: "k1", created: CREATED };
  const one = (key: object): string => JSON.stringify({ primary: "k1", keys: [key] });
  const without = (key: object, member: string): object => ({ ...key, [member]: undefined });

  const bad: Readonly<Record<string, string>> = {
    "not JSON": `{"primary":"k1","keys":[{"k":"${SECRET}"`,
    "not JSON near a secret": `{"k":${SECRET}}`,
    empty: "",
    null: "null",
    "an array": JSON.stringify([aes]),
    "no keys": JSON.stringify({ primary: "k1" }),
    "keys is an object": JSON.stringify({ primary: "k1", keys: { k1: aes } }),
    "an empty list": JSON.stringify({ primary: "k1", keys: [] }),
    "a key that is null": JSON.stringify({ primary: "k1", keys: [null] }),
    "a key that is text": JSON.stringify({ primary: "k1", keys: [SECRET] }),
    "no primary": JSON.stringify({ keys: [aes] }),
    "a primary that is a number": JSON.stringify({ primary: 1, keys: [aes] }),
    "a primary that is none of them": JSON.stringify({ primary: "k2", keys: [aes] }),
    "two keys with one id": JSON.stringify({ primary: "k1", keys: [aes, { ...aes, k: OTHER }] }),
    "no kid": one(without(aes, "kid")),
    "an empty kid": one({ ...aes, kid: "" }),
    "a kid of 513 bytes": one({ ...aes, kid: "k".repeat(513) }),
    "a kid with a lone surrogate": one({ ...aes, kid: "k\ud800" }),
    "no created": one(without(aes, "created")),
    "created without a time": one({ ...aes, created: "2026-11-21" }),
    "created in another zone": one({ ...aes, created: "2026-11-21T09:30:00+01:00" }),
    "created in month 13": one({ ...aes, created: "2026-13-21T09:30:00Z" }),
    "another kty": one({ ...aes, kty: "RSA" }),
    "no kty": one(without(aes, "kty")),
    "no k": one(without(aes, "k")),
    "k with padding": one({ ...aes, k: `${SECRET}=` }),
    "k in plain base64": one({ ...aes, k: SECRET.replace(/.$/, "+") }),
    "k of 31 bytes": one({ ...aes, k: toBase64Url(new Uint8Array(31)) }),
    "k of 33 bytes": one({ ...aes, k: toBase64Url(new Uint8Array(33)) }),
    "k that is a number": one({ ...aes, k: 5 }),
    "another curve": one({ ...pair, crv: "Ed25519", x: SECRET }),
    "no x": one({ ...pair, d: SECRET }),
    "x of 31 bytes": one({ ...pair, x: toBase64Url(new Uint8Array(31)) }),
    "d that is null": one({ ...pair, x: SECRET, d: null }),
    "d of another pair": one({ ...pair, x: SECRET, d: OTHER }),
    "a hybrid key of another alg": one({
      kty: "AKP",
      alg: "ML-KEM-768",
      kid: "k1",
      created: CREATED,
      pub: toBase64Url(new Uint8Array(1216)),
    }),
    "a hybrid key that is short": one({
      kty: "AKP",
      alg: "MLKEM768-X25519",
      kid: "k1",
      created: CREATED,
      pub: toBase64Url(new Uint8Array(1215)),
    }),
  };
  for (const [name, json] of Object.entries(bad)) {
    test(name, async () => {
      const error = await refusal(() => parseKeyset(json));
      expect(error.code).toBe("invalid-argument");
      const shown = `${error.message} ${error.hint} ${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`;
      expect(shown).not.toContain(SECRET.slice(0, 12));
      expect(shown).not.toContain(OTHER.slice(0, 12));
    });
  }

  test("formatting checks as parsing does", async () => {
    const { primary, keys } = await keysetOf("x25519", "x25519");
    const [first, second] = keys;
    if (first?.type !== "x25519" || second?.type !== "x25519") return expect.unreachable();
    const broken: readonly Keyset[] = [
      { primary: "none", keys },
      { primary, keys: [] },
      { primary, keys: [second, second] },
      { primary, keys: [{ ...second, publicKey: first.publicKey }] },
      { primary, keys: [{ ...second, publicKey: new Uint8Array(33) }] },
      { primary, keys: [{ ...second, secret: new Uint8Array(31) }] },
      { primary, keys: [{ ...second, created: "now" }] },
      { primary, keys: [{ keyId: primary, type: "aes-256", created: CREATED, secret: new Uint8Array(16) }] },
    ];
    for (const keyset of broken) {
      expect(await refusalCode(() => formatKeyset(keyset))).toBe("invalid-argument");
      expect(await refusalCode(() => keysetProviders(keyset))).toBe("invalid-argument");
    }
  });
});

describe("generateKeysetKey", () => {
  for (const type of ["aes-256", "x25519", "mlkem768-x25519"] as const) {
    test(`makes a new ${type} key each time`, async () => {
      const first = await generateKeysetKey({ type, keyId: "a", created: CREATED, hybrid: hybridKeys });
      const second = await generateKeysetKey({ type, keyId: "a", created: CREATED, hybrid: hybridKeys });
      expect(first).toMatchObject({ type, keyId: "a", created: CREATED });
      expect(first.secret).toHaveLength(32);
      expect(first.secret).not.toEqual(second.secret);
    });
  }

  test("refuses a bad key id and a bad time", async () => {
    expect(await refusalCode(() => generateKeysetKey({ type: "aes-256", keyId: "", created: CREATED }))).toBe("invalid-argument");
    expect(await refusalCode(() => generateKeysetKey({ type: "aes-256", keyId: "a", created: "today" }))).toBe("invalid-argument");
  });
});

describe("keysetProviders", () => {
  test("one provider for each type, the one with the primary first", async () => {
    const { keys } = await keysetOf("aes-256", "x25519", "aes-256", "mlkem768-x25519");
    const owned = (primary: string): string[][] =>
      keysetProviders({ primary, keys }, HYBRID).map((provider) => keys.map(({ keyId }) => keyId).filter((keyId) => provider.owns(keyId)));
    expect(owned("k1")).toEqual([["k1", "k3"], ["k2"], ["k4"]]);
    expect(owned("k2")).toEqual([["k2"], ["k1", "k3"], ["k4"]]);
    expect(owned("k4")).toEqual([["k4"], ["k1", "k3"], ["k2"]]);
  });

  test("a hybrid key without the code for it is refused, with the import that is missing", async () => {
    const keyset = await keysetOf("x25519", "mlkem768-x25519");
    for (const work of [
      () => keysetProviders(keyset),
      () => keysetProviders({ ...keyset, primary: "k1" }),
      () => generateKeysetKey({ type: "mlkem768-x25519", keyId: "a", created: CREATED }),
    ]) {
      const error = await refusal(work);
      expect(error.code).toBe("invalid-argument");
      expect(error.hint).toContain("envelock/providers/local-hybrid");
    }
  });

  test("an option that is none is refused", async () => {
    const keyset = await keysetOf("x25519");
    expect(await refusalCode(() => keysetProviders(keyset, untyped({ hybird: hybridKeys })))).toBe("invalid-argument");
  });

  test("the primary wraps; another type wraps with its last key", async () => {
    const { keys } = await keysetOf("aes-256", "x25519", "aes-256", "x25519");
    const providers = keysetProviders({ primary: "k1", keys });
    expect(await Promise.all(providers.map((provider) => provider.current?.()))).toEqual(["k1", "k4"]);
  });

  for (const type of ["aes-256", "x25519", "mlkem768-x25519"] as const) {
    test(`old envelopes open after a rotation of ${type}, and a rewrap moves them`, async () => {
      const { keys } = await keysetOf(type, type);
      const before = new Keyring({ wrapWith: keysetProviders({ primary: "k1", keys: keys.slice(0, 1) }, HYBRID) });
      const after = new Keyring({ wrapWith: keysetProviders({ primary: "k2", keys }, HYBRID) });
      const only = new Keyring({ wrapWith: keysetProviders({ primary: "k2", keys: keys.slice(1) }, HYBRID) });
      const plaintext = new TextEncoder().encode("rotated");
      const old = await before.encrypt(plaintext);
      expect(await after.decrypt(old)).toEqual(plaintext);
      expect(await after.needsRewrap(old)).toBe(true);
      const moved = await after.rewrap(old);
      expect(await after.needsRewrap(moved)).toBe(false);
      expect(await only.decrypt(moved)).toEqual(plaintext);
      expect(await refusalCode(() => only.decrypt(old))).toBe("no-matching-provider");
    });
  }

  test("a public keyset wraps for the whole one and cannot read back", async () => {
    const keyset = await keysetOf("x25519");
    const writer = new Keyring({ wrapWith: keysetProviders(publicKeyset(keyset)) });
    const envelope = await writer.encrypt(Uint8Array.of(1, 2, 3));
    expect(await new Keyring({ wrapWith: keysetProviders(keyset) }).decrypt(envelope)).toEqual(Uint8Array.of(1, 2, 3));
    const { code, hint } = await refusal(() => writer.decrypt(envelope));
    expect([code, hint]).toEqual(["no-matching-provider", "give privateKey where data is decrypted"]);
  });
});
