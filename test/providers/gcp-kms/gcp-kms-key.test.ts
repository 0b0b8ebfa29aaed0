import { createHash, createPublicKey, publicEncrypt } from "node:crypto";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { type GcpKmsKeyOptions, gcpKmsKey } from "../../../providers/gcp-kms/index.ts";
import type { KeyProvider, WrapOptions } from "../../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../../src/index.ts";
import { GcpKmsEmulator } from "../../../src/testing/gcp-kms-emulator/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const emulator = await GcpKmsEmulator.start();
afterAll(() => emulator.close());
const DEK = noise(32, "gcp");
const OPTIONS: WrapOptions = { keyContext: { tenant: "acme" }, wrapAad: (keyId) => Buffer.from(`acme ${keyId}`) };
const ORDERS = emulator.createKey("orders");
const USE = ["cloudkms.cryptoKeyVersions.useToEncrypt", "cloudkms.cryptoKeyVersions.useToDecrypt"];
beforeEach(() => {
  emulator.clearFaults();
  emulator.takeRequests();
});

describe("what is stored", () => {
  test("is the service's ciphertext, under the version that the answer names", async () => {
    const recipient = await open().wrap(DEK, OPTIONS);
    expect(recipient).toMatchObject({ provider: "gcp-kms", alg: 9, keyId: `${ORDERS}/cryptoKeyVersions/1` });
    const version = emulator.rotate("orders");
    expect((await open().wrap(DEK, OPTIONS)).keyId).toBe(`${ORDERS}/cryptoKeyVersions/${version}`);
    emulator.setPrimary("orders", 1);
    expect((await open().wrap(DEK, OPTIONS)).keyId).toBe(`${ORDERS}/cryptoKeyVersions/1`);
  });

  test("the service is sent a digest of the context, checksums, and the name in the header that it routes by", async () => {
    await open().wrap(DEK, OPTIONS);
    const wrap = emulator.takeRequests().at(-1);
    const aad = createHash("sha512").update(`acme ${ORDERS}`).digest("base64");
    expect(JSON.parse(wrap?.body ?? "")).toMatchObject({
      additionalAuthenticatedData: aad,
      plaintextCrc32c: expect.stringMatching(/^\d+$/),
      additionalAuthenticatedDataCrc32c: expect.stringMatching(/^\d+$/),
    });
    expect(wrap?.routing).toBe(`name=${encodeURIComponent(ORDERS)}`);
  });

  test("a context far above 8 KiB goes with an HSM key too", async () => {
    const key = emulator.createKey("orders-hsm", { protectionLevel: "HSM" });
    const wide: WrapOptions = { keyContext: {}, wrapAad: () => new Uint8Array(100_000) };
    expect(await open({ key }).unwrap(await open({ key }).wrap(DEK, wide), wide)).toEqual(DEK);
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

  test("goes on where the principal may encrypt alone", async () => {
    const token = tokenFor({ [ORDERS]: ["cloudkms.cryptoKeyVersions.useToEncrypt"] });
    const recipient = await open({ token }).wrap(DEK, OPTIONS);
    expect(await open().unwrap(recipient, OPTIONS)).toEqual(DEK);
    expect(await refusalCode(() => open({ token }).unwrap(recipient, OPTIONS))).toBe("access-denied");
    expect(await refusalCode(() => open({ token }).current())).toBe("access-denied");
  });

  test("fails on a service that binds no context, before the data key goes out", async () => {
    const provider = open({ fetch: withoutContext() });
    expect(await refusal(() => provider.wrap(DEK, OPTIONS))).toMatchObject({ code: "provider-failure", detail: "context-ignored" });
    expect(JSON.stringify(emulator.requests)).not.toContain(Buffer.from(DEK).toString("base64"));
  });

  test("says of a key of another purpose which option it needs", async () => {
    const key = emulator.createKey("rsa", { algorithm: "RSA_DECRYPT_OAEP_2048_SHA256" });
    expect(await refusal(() => open({ key }).wrap(DEK, OPTIONS))).toMatchObject({ code: "provider-failure", detail: "key-type" });
  });

  test("tells a key that does not exist apart from one that is denied only where the service does", async () => {
    expect(await refusalCode(() => open({ key: `${ORDERS}-none` }).wrap(DEK, OPTIONS))).toBe("key-not-found");
    const token = tokenFor({ [ORDERS]: USE });
    expect(await refusal(() => open({ key: `${ORDERS}-none`, token }).wrap(DEK, OPTIONS))).toMatchObject({
      code: "access-denied",
      hint: expect.stringContaining("does not exist"),
    });
  });
});

describe("wrong answers", () => {
  test.each([
    ["200 without the field", "{}", "provider-failure"],
    ["a page of a proxy", "<html>", "provider-failure"],
    ["a list", "[]", "provider-failure"],
    ["null", "null", "provider-failure"],
    ["a plaintext that is no base64", '{"plaintext":"!","plaintextCrc32c":"0"}', "provider-failure"],
    ["a plaintext without a checksum", '{"plaintext":"AAAA"}', "unavailable"],
    ["a checksum in another spelling", '{"plaintext":"","plaintextCrc32c":"00"}', "unavailable"],
    ["a plaintext of another length", '{"plaintext":"","plaintextCrc32c":"0"}', "unwrap-rejected"],
  ])("%s is no data key", async (_what, text, code) => {
    const provider = open();
    const recipient = await provider.wrap(DEK, OPTIONS);
    emulator.failNext({ status: 200, text });
    expect(await refusalCode(() => provider.unwrap(recipient, OPTIONS))).toBe(code);
  });

  test.each([
    ["not-verified", "unavailable", "checksum"],
    ["wrong-checksum", "unavailable", "checksum"],
    ["other-key", "provider-failure", "broken-answer"],
    [{ status: 200, text: "{}" }, "provider-failure", "broken-answer"],
  ] as const)("an answer to a wrap that is wrong is refused: %j", async (fault, code, detail) => {
    const provider = open();
    await provider.wrap(DEK, OPTIONS);
    emulator.failNext(fault);
    expect(await refusal(() => provider.wrap(DEK, OPTIONS))).toMatchObject({ code, detail });
  });

  test("a current version of another key is refused", async () => {
    emulator.failNext({ status: 200, text: JSON.stringify({ primary: { name: `${ORDERS}-2/cryptoKeyVersions/1` } }) });
    expect(await refusal(() => open().current())).toMatchObject({ code: "provider-failure", detail: "broken-answer" });
  });

  test("a quota of a second is over in the next", async () => {
    const clock = fakeClock();
    await using limited = await GcpKmsEmulator.start({ clock });
    const provider = gcpKmsKey({ ...limited.connection, clock, key: limited.createKey("orders") });
    await provider.wrap(DEK, OPTIONS);
    limited.quota = 4;
    expect(await refusalCode(() => provider.wrap(DEK, OPTIONS))).toBe("rate-limited");
    clock.advanceNow(1000);
    await provider.wrap(DEK, OPTIONS);
  });
});

describe("versions", () => {
  test("a disabled version closes what it wrapped alone", async () => {
    const key = emulator.createKey("versions");
    const provider = open({ key });
    const old = await provider.wrap(DEK, OPTIONS);
    emulator.rotate("versions");
    const fresh = await provider.wrap(DEK, OPTIONS);
    emulator.setState("versions", 1, "DISABLED");
    expect(await refusal(() => provider.unwrap(old, OPTIONS))).toMatchObject({ code: "key-disabled" });
    expect(await provider.unwrap(fresh, OPTIONS)).toEqual(DEK);
    emulator.setState("versions", 1, "ENABLED");
    expect(await provider.unwrap(old, OPTIONS)).toEqual(DEK);
  });

  test.each([
    ["DISABLED", "key-disabled"],
    ["DESTROY_SCHEDULED", "key-disabled"],
    ["DESTROYED", "key-not-found"],
    ["PENDING_GENERATION", "unavailable"],
  ] as const)("with verifyVersion a key id that names a version which is %s is %s", async (state, code) => {
    const key = emulator.createKey(`verified-${state.toLowerCase()}`);
    const provider = open({ key, verifyVersion: true });
    const recipient = await provider.wrap(DEK, OPTIONS);
    const version = emulator.rotate(key);
    emulator.setState(key, version, state);
    const elsewhere = { ...recipient, keyId: `${key}/cryptoKeyVersions/${version}` };
    expect(await refusalCode(() => provider.unwrap(elsewhere, OPTIONS))).toBe(code);
    expect(await refusalCode(() => provider.unwrap({ ...recipient, keyId: `${key}/cryptoKeyVersions/9` }, OPTIONS))).toBe("key-not-found");
    expect(await provider.unwrap(recipient, OPTIONS)).toEqual(DEK);
  });

  test("in a keyring: encrypt, rotate, rewrap, decrypt", async () => {
    const key = emulator.createKey("ring");
    const keyring = new Keyring({ wrapWith: [open({ key })], context: { tenant: "acme" } });
    const envelope = await keyring.encrypt(noise(1000));
    emulator.rotate("ring");
    expect(await keyring.needsRewrap(envelope)).toBe(true);
    const moved = await keyring.rewrap(envelope);
    expect(await keyring.needsRewrap(moved)).toBe(false);
    expect(await keyring.decrypt(moved)).toEqual(noise(1000));
    const other = new Keyring({ wrapWith: [open({ key })], context: { tenant: "other" } });
    expect(await refusalCode(() => other.decrypt(moved))).toBe("authentication-failed");
  });
});

describe("an RSA key", () => {
  const key = emulator.createKey("rsa-orders", { algorithm: "RSA_DECRYPT_OAEP_3072_SHA256" });
  const rsa = (more: Partial<GcpKmsKeyOptions> = {}): Required<KeyProvider> => open({ key, keyType: "rsa", version: 1, ...more });

  test("wraps in this process and unwraps there, each version by its own", async () => {
    const old = await rsa().wrap(DEK, OPTIONS);
    expect(old).toMatchObject({ alg: 3, keyId: `${key}/cryptoKeyVersions/1` });
    expect(old.wrapped).toHaveLength(384);
    const version = emulator.rotate("rsa-orders");
    const fresh = await rsa({ version }).wrap(DEK, OPTIONS);
    expect(fresh.keyId).toBe(`${key}/cryptoKeyVersions/${version}`);
    for (const recipient of [old, fresh]) expect(await rsa({ version }).unwrap(recipient, OPTIONS)).toEqual(DEK);
    expect(await refusalCode(() => rsa().unwrap({ ...old, keyId: fresh.keyId }, OPTIONS))).toBe("unwrap-rejected");
  });

  test("opens what another program wrapped under the public key", async () => {
    const [pem] = await publicKeys();
    const wrapped = publicEncrypt({ key: createPublicKey(pem ?? ""), oaepHash: "sha256" }, DEK);
    expect(await rsa().unwrap({ provider: "gcp-kms", keyId: `${key}/cryptoKeyVersions/1`, alg: 3, wrapped }, OPTIONS)).toEqual(DEK);
  });

  test.each([
    "RSA_DECRYPT_OAEP_2048_SHA1",
    "RSA_DECRYPT_OAEP_4096_SHA512",
  ] as const)("of %s is refused before it wraps", async (algorithm) => {
    const other = emulator.createKey(`of-${algorithm}`, { algorithm });
    expect(await refusal(() => rsa({ key: other }).wrap(DEK, OPTIONS))).toMatchObject({ code: "provider-failure", detail: "key-type" });
  });

  test.each([
    ["wrong-checksum", "unavailable"],
    ["other-key", "provider-failure"],
    [{ status: 200, text: "{}" }, "provider-failure"],
  ] as const)("takes no public key from an answer that is wrong: %j", async (fault, code) => {
    emulator.failNext(fault, /publicKey/);
    expect(await refusalCode(() => rsa().wrap(DEK, OPTIONS))).toBe(code);
  });

  test("an unwrap whose checksum was not verified is unavailable", async () => {
    const provider = rsa();
    const recipient = await provider.wrap(DEK, OPTIONS);
    emulator.failNext("not-verified");
    expect(await refusal(() => provider.unwrap(recipient, OPTIONS))).toMatchObject({ code: "unavailable", detail: "checksum" });
  });

  async function publicKeys(): Promise<readonly string[]> {
    await rsa({ fetch: watched }).wrap(DEK, OPTIONS);
    return seen;
  }
  const seen: string[] = [];
  const watched: typeof emulator.fetch = async (url, request) => {
    const answer = await emulator.fetch(url, request);
    if (!url.endsWith("/publicKey")) return answer;
    const text = await new Response(answer.body).text();
    seen.push(JSON.parse(text).pem);
    return { ...answer, status: answer.status, headers: answer.headers, body: new Response(text).body };
  };
});

test("two spellings of one key are two keys", () => {
  const number = ORDERS.replace("projects/acme", "projects/123456789012");
  expect(open({ key: number }).owns(`${number}/cryptoKeyVersions/1`)).toBe(true);
  expect(open({ key: number }).owns(`${ORDERS}/cryptoKeyVersions/1`)).toBe(false);
});

test.each([
  [{ key: "orders" }],
  [{ key: `${ORDERS}/cryptoKeyVersions/1` }],
  [{ key: `/${ORDERS}` }],
  [{ key: `${ORDERS}?x` }],
  [{ key: ORDERS.replace("main", "..") }],
  [{ endpoint: "http://cloudkms.example" }],
  [{ endpoint: "https://cloudkms.googleapis.com/v1" }],
  [{ keyType: "rsa" }],
  [{ keyType: "rsa", version: 0 }],
  [{ keyType: "aes" }],
  [{ version: 1 }],
  [{ verifyVersion: "yes" }],
  [{ token: "ya29.a" }],
  [{ tokn: "t" }],
])("the options %j are refused", async (options) => {
  expect(await refusal(() => open(untyped(options)))).toMatchObject({ code: "invalid-argument" });
});

function open(options: Partial<GcpKmsKeyOptions> = {}): Required<KeyProvider> {
  return gcpKmsKey({ ...emulator.connection, key: ORDERS, ...options });
}

function tokenFor(grants: Readonly<Record<string, readonly string[]>>): GcpKmsKeyOptions["token"] {
  const token = emulator.issueToken({ grants });
  return async () => ({ token });
}

/** The emulator as an external key manager that binds nothing would be: the same additional data for every context. */
function withoutContext(): typeof emulator.fetch {
  return async (url, request) => {
    const body = { ...JSON.parse(request.body ?? "{}"), additionalAuthenticatedData: "", additionalAuthenticatedDataCrc32c: "0" };
    return await emulator.fetch(url, { ...request, body: JSON.stringify(body) });
  };
}
