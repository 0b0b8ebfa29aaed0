import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { type VaultTransitKeyOptions, vaultRandom, vaultTransitKey } from "../../../providers/vault/index.ts";
import type { KeyProvider, Recipient, WrapOptions } from "../../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../../src/index.ts";
import { VaultEmulator } from "../../../src/testing/vault-emulator/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const emulator = await VaultEmulator.start();
afterAll(() => emulator.close());
const DEK = noise(32, "vault");
const OPTIONS: WrapOptions = { keyContext: { tenant: "acme" }, wrapAad: (keyId) => Buffer.from(`acme ${keyId}`) };
beforeEach(() => {
  emulator.createKey("orders");
  emulator.takeRequests();
});

describe("what is stored", () => {
  test("is the server's ciphertext, under the exact version that the answer names", async () => {
    const recipient = await open().wrap(DEK, OPTIONS);
    expect(recipient).toMatchObject({ provider: "vault-transit", alg: 9 });
    expect(recipient.keyId).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/transit\/orders#\d+$/);
    expect(Buffer.from(recipient.wrapped).toString()).toMatch(/^vault:v\d+:/);
    const version = emulator.rotate("orders");
    const next = await open().wrap(DEK, OPTIONS);
    expect(next.keyId.endsWith(`#${version}`)).toBe(true);
    expect(Buffer.from(next.wrapped).toString()).toContain(`vault:v${version}:`);
  });

  test("has the port of the address, also where that is left out", () => {
    const key = vaultTransitKey({ address: "https://vault.example", token: "t", key: "orders" });
    expect(key.owns("https://vault.example:443/transit/orders#1")).toBe(true);
    expect(key.owns("https://vault.example/transit/orders#1")).toBe(false);
  });
});

describe("before any call", () => {
  test.each([
    ["another version in the prefix", (wrapped: string) => wrapped.replace(/v\d+/, "v99")],
    ["v0, which the server takes for 1", (wrapped: string) => wrapped.replace(/v\d+/, "v0")],
    ["a leading zero", (wrapped: string) => wrapped.replace(/v(\d+)/, "v0$1")],
    ["base64url", (wrapped: string) => `${wrapped.slice(0, -4)}-_A=`],
    ["no prefix", (wrapped: string) => wrapped.replace("vault:", "")],
    ["another prefix", (wrapped: string) => wrapped.replace("vault:", "bao:")],
    ["white space", (wrapped: string) => `${wrapped} `],
    ["nothing", () => "x"],
  ])("%s is refused", async (_what, change) => {
    const provider = open();
    const recipient = await provider.wrap(DEK, OPTIONS);
    emulator.takeRequests();
    const wrapped = Buffer.from(change(Buffer.from(recipient.wrapped).toString()));
    expect(await refusalCode(() => provider.unwrap({ ...recipient, wrapped }, OPTIONS))).toBe("unwrap-rejected");
    expect(emulator.takeRequests()).toEqual([]);
  });
});

describe("the first wrap", () => {
  test("tries a round trip and another context, once for all that wrap at once", async () => {
    const provider = open();
    await Promise.all(Array.from({ length: 8 }, () => provider.wrap(DEK, OPTIONS)));
    const operations = emulator.takeRequests().map(({ operation, status }) => `${operation} ${status}`);
    expect(operations.slice(0, 3)).toEqual(["encrypt 200", "decrypt 200", "decrypt 400"]);
    expect(operations.slice(3)).toEqual(Array.from({ length: 8 }, () => "encrypt 200"));
  });

  test("fails on a server that ignores associated data", async () => {
    await using old = await VaultEmulator.start({ knowsAssociatedData: false });
    old.createKey("orders");
    const provider = vaultTransitKey({ ...old.connection, key: "orders" });
    const error = await refusal(() => provider.wrap(DEK, OPTIONS));
    expect(error).toMatchObject({ code: "provider-failure", detail: "context-ignored" });
    expect(JSON.stringify(old.requests)).not.toContain(Buffer.from(DEK).toString("base64"));
  });

  test("goes on where the token may encrypt alone", async () => {
    const token = emulator.issueToken({ policy: { "transit/encrypt/orders": ["update"] } });
    const recipient = await open({ token }).wrap(DEK, OPTIONS);
    expect(Buffer.from(await open().unwrap(recipient, OPTIONS))).toEqual(Buffer.from(DEK));
    expect(await refusalCode(() => open({ token }).unwrap(recipient, OPTIONS))).toBe("access-denied");
    expect(await refusalCode(() => open({ token }).current())).toBe("access-denied");
  });

  test("says of an RSA key that it is one", async () => {
    emulator.createKey("rsa", "rsa-2048");
    expect(await refusal(() => open({ key: "rsa" }).wrap(DEK, OPTIONS))).toMatchObject({ code: "provider-failure", detail: "key-type" });
    const recipient = await open({ key: "rsa", keyType: "rsa" }).wrap(DEK, OPTIONS);
    expect(recipient.alg).toBe(10);
  });

  test("makes no key where there is none, with a policy as documented", async () => {
    const token = emulator.issueToken({ policy: { "transit/encrypt/*": ["update"], "transit/decrypt/*": ["update"] } });
    expect(await refusal(() => open({ key: "mistyped", token }).wrap(DEK, OPTIONS))).toMatchObject({ code: "key-not-found" });
    expect(await refusalCode(() => open({ key: "mistyped" }).current())).toBe("key-not-found");
  });
});

describe("wrong answers", () => {
  test.each([
    ["200 without the field", '{"data":{}}', "broken-answer"],
    ["200 without data", "{}", "broken-answer"],
    ["a page of a proxy", "<html>", "broken-answer"],
    ["a plaintext that is no base64", '{"data":{"plaintext":"!"}}', "broken-answer"],
  ])("%s is no plaintext", async (_what, text, detail) => {
    const provider = open();
    const recipient = await provider.wrap(DEK, OPTIONS);
    emulator.failNext({ status: 200, text });
    expect(await refusal(() => provider.unwrap(recipient, OPTIONS))).toMatchObject({ code: "provider-failure", detail });
  });

  test("a plaintext of another length is no data key", async () => {
    const provider = open();
    const recipient = await provider.wrap(DEK, OPTIONS);
    emulator.failNext({ status: 200, text: '{"data":{"plaintext":"AAAA"}}' });
    expect(await refusalCode(() => provider.unwrap(recipient, OPTIONS))).toBe("unwrap-rejected");
  });

  test.each([
    ['{"data":{"ciphertext":"vault:v2:AAAA","key_version":1}}', "another version than its ciphertext"],
    ['{"data":{"ciphertext":"vault:v1:AAAA"}}', "another version than its ciphertext"],
    ['{"data":{"ciphertext":"plain","key_version":1}}', "no ciphertext of a version"],
    ['{"data":{"key_version":1}}', "no ciphertext of a version"],
  ])("an answer to a wrap such as %s is refused", async (text, message) => {
    const provider = open();
    await provider.wrap(DEK, OPTIONS);
    emulator.failNext({ status: 200, text });
    const error = await refusal(() => provider.wrap(DEK, OPTIONS));
    expect(error).toMatchObject({ code: "provider-failure", detail: "broken-answer" });
    expect(error.message).toContain(message);
  });
});

test("a minimum version above a stored one closes it, and opens it again", async () => {
  const provider = open();
  const recipient = await provider.wrap(DEK, OPTIONS);
  const version = emulator.rotate("orders");
  emulator.setMinDecryptionVersion("orders", version);
  expect(await refusal(() => provider.unwrap(recipient, OPTIONS))).toMatchObject({ code: "key-disabled", detail: "min-version" });
  emulator.setMinDecryptionVersion("orders", 1);
  expect(await provider.unwrap(recipient, OPTIONS)).toEqual(DEK);
});

test("in a keyring: encrypt, rotate, rewrap, decrypt", async () => {
  const key = open();
  const keyring = new Keyring({ wrapWith: [key], context: { tenant: "acme" } });
  const envelope = await keyring.encrypt(noise(1000));
  expect(await keyring.needsRewrap(envelope)).toBe(false);
  emulator.rotate("orders");
  expect(await keyring.needsRewrap(envelope)).toBe(true);
  const moved = await keyring.rewrap(envelope);
  expect(await keyring.needsRewrap(moved)).toBe(false);
  expect(await keyring.decrypt(moved)).toEqual(noise(1000));
  const other = new Keyring({ wrapWith: [open()], context: { tenant: "other" } });
  expect(await refusalCode(() => other.decrypt(moved))).toBe("authentication-failed");
});

test.each([
  [{ address: "http://vault.example" }],
  [{ address: "https://vault.example/v1" }],
  [{ key: "a/b" }],
  [{ key: "../sys" }],
  [{ key: "a?b" }],
  [{ mount: "transit/../sys" }],
  [{ mount: "/transit" }],
  [{ namespace: "a b" }],
  [{ keyType: "aes" }],
  [{ id: "a#1" }],
  [{ id: "" }],
  [{ token: "a\nb" }],
  [{ token: 7 }],
  [{ tokn: "t" }],
])("the options %j are refused", async (options) => {
  expect(await refusal(() => open(untyped(options)))).toMatchObject({ code: "invalid-argument" });
});

test("random bytes of the server", async () => {
  const random = vaultRandom(emulator.connection);
  const [one, two] = [await random.randomBytes(32), await random.randomBytes(32)];
  expect([one.length, two.length]).toEqual([32, 32]);
  expect(one).not.toEqual(two);
  for (const count of [0, 4097, 1.5]) expect(await refusalCode(() => random.randomBytes(count))).toBe("invalid-argument");
  emulator.failNext({ status: 200, text: '{"data":{"random_bytes":"AAAA"}}' });
  expect(await refusalCode(() => random.randomBytes(32))).toBe("provider-failure");
  await random.close();
  expect(await refusalCode(() => random.randomBytes(32))).toBe("closed");
});

function open(
  options: Partial<VaultTransitKeyOptions> = {},
): Required<KeyProvider> & { wrap(dek: Uint8Array, options: WrapOptions): Promise<Recipient> } {
  return vaultTransitKey({ ...emulator.connection, key: "orders", ...options });
}
