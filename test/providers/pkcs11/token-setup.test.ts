import { constants, createPrivateKey, generateKeyPairSync, privateDecrypt } from "node:crypto";
import pkcs11js from "pkcs11js";
import { afterAll, describe, expect, test } from "vitest";
import { type Pkcs11Token, pkcs11Key, pkcs11Token, pkcs11Tokens } from "../../../providers/pkcs11/index.ts";
import { openPadded } from "../../../providers/pkcs11/wrapping/rfc5649.ts";
import { systemClock } from "../../../src/core/base/clock.ts";
import { noise } from "../../support/arbitraries.ts";
import { hexOf } from "../../support/bytes.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { DEK, locationOf, OPTIONS } from "./location.ts";
import { nssToken, softHsmTokens, type TestToken } from "./tokens.ts";

const softHsm = softHsmTokens("setup", "other");
const nss = nssToken();
const opened: Pkcs11Token[] = [];
afterAll(async () => {
  for (const token of opened) await token.close();
  softHsm.remove();
  nss.remove();
});

const exchange = generateKeyPairSync("rsa", { modulusLength: 2048 });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
const kek = {
  keyId: `https://acme.vault.azure.net/keys/exchange/${"0a".repeat(16)}`,
  publicKey: exchange.publicKey.export({ format: "pem", type: "spki" }).toString(),
};

describe.each([
  ["SoftHSM", softHsm.tokens[0]],
  ["NSS", nss.tokens[0]],
] as const)("on %s", (name, place) => {
  const token = openToken(place);

  test("a key is made, used by a provider, listed, and wraps until the next version is made", async () => {
    const first = await token.generateKey({ type: "aes-256", label: "orders" });
    expect(first).toMatchObject({ kind: "aes", bits: 256, label: "orders", id: "01", uses: ["encrypt", "decrypt"], isExtractable: false });
    const provider = pkcs11Key({ ...locationOf(place), key: { label: "orders" }, versionCacheMs: 0 });
    const before = await provider.wrap(DEK, OPTIONS);
    expect(before.keyId).toBe(first.keyId);
    const second = await token.generateKey({ type: "aes-256", label: "orders" });
    expect(second.id).toBe("02");
    expect((await provider.wrap(DEK, OPTIONS)).keyId).toBe(second.keyId);
    expect(hexOf(await provider.unwrap(before, OPTIONS))).toBe(hexOf(DEK));
    const listed = await token.keys();
    expect(listed.filter(({ label }) => label === "orders").map(({ keyId }) => keyId)).toEqual(
      expect.arrayContaining([first.keyId, second.keyId]),
    );
    await provider.close();
  });

  test("a pair is made, and wraps", async () => {
    const { keyId, ...rest } = await token.generateKey({ type: "rsa-2048", label: "pair", id: Uint8Array.of(0x60) });
    expect(rest).toMatchObject({ kind: "rsa", bits: 2048, id: "60", uses: ["decrypt"], isExtractable: false });
    const provider = pkcs11Key({ ...locationOf(place), key: { label: "pair" } });
    const wrapped = await provider.wrap(DEK, OPTIONS);
    expect(wrapped.keyId).toBe(keyId);
    expect(hexOf(await provider.unwrap(wrapped, OPTIONS))).toBe(hexOf(DEK));
    await provider.close();
  });

  test("a version that would not be used is not made", async () => {
    await token.generateKey({ type: "aes-256", label: "dated", startDate: "20260101" });
    // SoftHSM does not show the dates of private keys
    for (const key of [{ startDate: "20261301" }, ...(name === "NSS" ? [{ startDate: "20251231" }, {}] : [])]) {
      expect(await refusalCode(() => token.generateKey({ type: "aes-256", label: "dated", ...key }))).toBe("invalid-argument");
    }
    expect(place.countObjects("dated")).toBe(1);
    await token.generateKey({ type: "aes-256", label: "dated", startDate: "20260101" });
    expect(place.countObjects("dated")).toBe(2);
  });

  test("no key takes the place of another: ids are unique on the token, whatever the labels", async () => {
    const one = await token.generateKey({ type: "aes-256", label: "one" });
    const two = await token.generateKey({ type: "aes-256", label: "two" });
    expect(two.id).not.toBe(one.id);
    const id = Uint8Array.from(Buffer.from(one.id, "hex"));
    expect(await refusalCode(() => token.generateKey({ type: "aes-256", label: "three", id }))).toBe("invalid-argument");
    expect([place.countObjects("one"), place.countObjects("two"), place.countObjects("three")]).toEqual([1, 1, 0]);
  });

  test("the self-test finds what works, and leaves nothing", async () => {
    const before = place.countObjects();
    let ms = 0;
    const results = await token.selfTest({ clock: { ...systemClock, monotonicMs: () => ms++ } });
    const working = results.filter(({ failure }) => failure === undefined);
    expect(working.map(({ mechanism }) => mechanism)).toEqual(WORKING[name]);
    expect(working.every(({ wrapMs, unwrapMs }) => wrapMs === 1 && unwrapMs === 1)).toBe(true);
    expect(results).toHaveLength(5);
    expect(place.countObjects()).toBe(before);
  });

  test("the mechanisms have their names and uses", async () => {
    const mechanisms = await token.mechanisms();
    expect(mechanisms).toContainEqual({
      number: 0x1087,
      name: "CKM_AES_GCM",
      uses: expect.arrayContaining(["encrypt", "decrypt"]),
      wrapping: "aes-gcm",
    });
  });

  test("an AES key that may leave the token goes into a .byok file, and no other", async () => {
    const value = noise(32, "portable");
    place.addKey({ label: "portable", id: "70", aes: value, attributes: { [pkcs11js.CKA_EXTRACTABLE]: true } });
    const before = place.countObjects();
    expect(hexOf(openedByAzure(await token.byokFile({ label: "portable" }, kek)))).toBe(hexOf(value));
    expect(await refusalCode(() => token.byokFile({ label: "orders", id: Uint8Array.of(1) }, kek))).toBe("access-denied");
    expect(await refusalCode(() => token.byokFile({ label: "orders" }, kek))).toBe("provider-failure");
    expect(await refusalCode(() => token.byokFile({ label: "nobody" }, kek))).toBe("key-not-found");
    expect(place.countObjects()).toBe(before);
  });

  test("a private key goes into a .byok file where the token wraps it as it is", async () => {
    place.addKey({ label: "portable-pair", id: "71", rsa, attributes: { [pkcs11js.CKA_EXTRACTABLE]: true } });
    const file = token.byokFile({ label: "portable-pair" }, kek);
    if (name === "SoftHSM") {
      const { code, detail } = await refusal(() => file);
      expect([code, detail]).toEqual(["provider-failure", "mechanism"]);
      return;
    }
    const key = createPrivateKey({ key: Buffer.from(openedByAzure(await file)), format: "der", type: "pkcs8" });
    expect(key.equals(rsa)).toBe(true);
  });

  test("is found among the tokens of its library", async () => {
    expect(await pkcs11Tokens(locationOf(place))).toContainEqual(
      expect.objectContaining({ label: place.label, serial: place.serial, isInitialised: true, needsLogin: true, pin: "set" }),
    );
  });
});

test("a wrong PIN opens no token", async () => {
  const token = pkcs11Token({ ...locationOf(softHsm.tokens[1]), pin: () => "0000" });
  expect(await refusalCode(() => token.keys())).toBe("access-denied");
  await token.close();
  expect(await refusalCode(() => token.keys())).toBe("closed");
});

function openToken(place: TestToken): Pkcs11Token {
  const token = pkcs11Token(locationOf(place));
  opened.push(token);
  return token;
}

/** Azure's way: the first part is under the exchange key, the rest under what that hides. */
function openedByAzure(file: string): Uint8Array {
  const bytes = Buffer.from(JSON.parse(file).ciphertext, "base64url");
  const padding = { key: exchange.privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha1" };
  return openPadded(privateDecrypt(padding, bytes.subarray(0, 256)), bytes.subarray(256)) ?? new Uint8Array(0);
}

// SoftHSM 2.6 has OAEP with SHA-1 alone.
const WORKING = {
  SoftHSM: ["aes-gcm", "aes-kw", "aes-kwp", "rsa-oaep-sha1"],
  NSS: ["aes-gcm", "aes-kw", "aes-kwp", "rsa-oaep-256", "rsa-oaep-sha1"],
};
