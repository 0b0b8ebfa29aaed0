import { generateKeyPairSync } from "node:crypto";
import pkcs11js from "pkcs11js";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { type Pkcs11KeyOptions, pkcs11Key } from "../../../providers/pkcs11/index.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { noise } from "../../support/arbitraries.ts";
import { hexOf } from "../../support/bytes.ts";
import { refusal } from "../../support/refusal.ts";
import { faultShim } from "./fault-shim.ts";
import { DEK, locationOf, OPTIONS } from "./location.ts";
import { nssToken, softHsmTokens, type TestToken } from "./tokens.ts";

// No data key may be under a key that cannot unwrap: what cannot be opened again is refused when it is wrapped.

const softHsm = softHsmTokens("trip");
const nss = nssToken();
const [token] = softHsm.tokens;
const [onNss] = nss.tokens;
const shim = faultShim(token.module, softHsm.folder);
const opened: KeyProvider[] = [];
afterEach(async () => {
  shim.heal();
  for (const provider of opened.splice(0)) await provider.close?.();
});
afterAll(() => {
  softHsm.remove();
  nss.remove();
});

const tokens = [
  ["SoftHSM", token],
  ["NSS", onNss],
] as const;

describe.each(tokens)("on %s", (_name, on) => {
  test("an RSA key of 1024 bits is refused when it is to wrap", async () => {
    on.addKey({ label: "short", id: "11", rsa: pair(1024) });
    expect(await refusal(() => open(on, "short").wrap(DEK, OPTIONS))).toMatchObject({
      code: "provider-failure",
      detail: "key-size",
      message: expect.stringContaining("1024"),
    });
  });

  test("an RSA key with wrap and unwrap rights alone opens what it wraps", async () => {
    const attributes = { [pkcs11js.CKA_DECRYPT]: false };
    on.addKey({ label: "wrapping", id: "12", rsa: pair(2048), attributes, publicAttributes: { [pkcs11js.CKA_ENCRYPT]: false } });
    const key = open(on, "wrapping");
    const recipient = await key.wrap(DEK, OPTIONS);
    expect(hexOf(await key.unwrap(recipient, OPTIONS))).toBe(hexOf(DEK));
  });

  test("a key that may encrypt and not decrypt is refused when it is to wrap, also where the mechanism is named", async () => {
    on.addKey({ label: "one way", id: "13", aes: noise(32, "one way"), attributes: { [pkcs11js.CKA_DECRYPT]: false } });
    expect(["access-denied", "provider-failure"]).toContain(
      (await refusal(() => open(on, "one way", { mechanism: "aes-gcm" }).wrap(DEK, OPTIONS))).code,
    );
  });
});

test("a key that asks for a login at each use is refused when it is to wrap, and says why", async () => {
  token.addKey({ label: "asking", id: "14", rsa: pair(2048), attributes: { [CKA_ALWAYS_AUTHENTICATE]: true } });
  expect(await refusal(() => open(token, "asking").wrap(DEK, OPTIONS))).toMatchObject({
    code: "provider-failure",
    detail: "always-authenticate",
    message: expect.stringContaining("CKA_ALWAYS_AUTHENTICATE"),
    hint: expect.stringContaining("hsm keygen"),
  });
});

test("an AES key of 25 bytes is named as what it is", async () => {
  token.addKey({ label: "odd", id: "15", aes: noise(25, "odd") });
  expect(await refusal(() => open(token, "odd").wrap(DEK, OPTIONS))).toMatchObject({
    code: "provider-failure",
    detail: "key-size",
    message: expect.stringContaining("25 bytes"),
  });
});

test("a token that does not decrypt wraps nothing, and nothing is wrapped before it has shown that it does", async () => {
  token.addKey({ label: "tried", id: "16", aes: noise(32, "tried") });
  const location = { ...locationOf(token), module: shim.module, key: { label: "tried" } };
  const key = pkcs11Key({ ...location, mechanism: "aes-gcm" });
  opened.push(key);
  shim.inject("C_Decrypt", { returnValue: pkcs11js.CKR_KEY_FUNCTION_NOT_PERMITTED });
  expect(await refusal(() => key.wrap(DEK, OPTIONS))).toMatchObject({ code: "access-denied", detail: "key-usage" });
  shim.heal();
  shim.calls();
  await key.wrap(DEK, OPTIONS);
  const calls = shim.calls();
  expect(calls.indexOf("C_Decrypt")).toBeLessThan(calls.lastIndexOf("C_Encrypt"));
  await key.wrap(DEK, OPTIONS);
  expect(shim.calls()).toEqual(["C_EncryptInit", "C_Encrypt"]); // one trial for each version
});

test("an outage during the trial leads to no other mechanism", async () => {
  token.addKey({ label: "steady", id: "17", aes: noise(32, "steady") });
  const key = pkcs11Key({ ...locationOf(token), module: shim.module, key: { label: "steady" } });
  opened.push(key);
  shim.inject("C_Decrypt", { returnValue: pkcs11js.CKR_DEVICE_ERROR });
  expect(await refusal(() => key.wrap(DEK, OPTIONS))).toMatchObject({ code: "unavailable", retryable: true });
  shim.heal();
  expect((await key.wrap(DEK, OPTIONS)).alg).toBe(2);
});

function open(on: TestToken, label: string, options: Partial<Pkcs11KeyOptions> = {}): Required<KeyProvider> {
  const key = pkcs11Key({ ...locationOf(on), key: { label }, ...options });
  opened.push(key);
  return key;
}

function pair(modulusLength: number): ReturnType<typeof generateKeyPairSync>["privateKey"] {
  return generateKeyPairSync("rsa", { modulusLength }).privateKey;
}

const CKA_ALWAYS_AUTHENTICATE = 0x202;
