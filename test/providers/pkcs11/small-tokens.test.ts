import { afterAll, afterEach, describe, expect, test } from "vitest";
import { type Pkcs11KeyOptions, type Pkcs11Token, pkcs11Key, pkcs11Token, pkcs11Tokens } from "../../../providers/pkcs11/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { hexOf } from "../../support/bytes.ts";
import { refusal } from "../../support/refusal.ts";
import { faultShim } from "./fault-shim.ts";
import { DEK, locationOf, OPTIONS } from "./location.ts";
import { softHsmTokens } from "./tokens.ts";

// Tokens with few sessions, on slow lines, and with few abilities: SoftHSM behind a shim that makes it one.

const softHsm = softHsmTokens("small");
const [token] = softHsm.tokens;
const shim = faultShim(token.module, softHsm.folder);
token.addKey({ label: "kek", id: "01", aes: noise(32, "kek") });
const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
  shim.pose();
  shim.heal();
});
afterAll(() => softHsm.remove());

describe.each([1, 2, 3])("a token with %i sessions", (sessions) => {
  test("serves many calls at once", async () => {
    shim.pose({ sessions });
    const key = open();
    const deks = Array.from({ length: 24 }, (_, at) => noise(32, at));
    const recipients = await Promise.all(deks.map((dek) => key.wrap(dek, OPTIONS)));
    const opened = await Promise.all(recipients.map((recipient) => key.unwrap(recipient, OPTIONS)));
    expect(opened.map((dek) => hexOf(dek))).toEqual(deks.map((dek) => hexOf(dek)));
    expect(shim.openSessions()).toBeLessThanOrEqual(sessions);
  });

  test("serves two providers, one after the other", async () => {
    shim.pose({ sessions });
    const [one, other] = [open(), open()];
    for (let round = 0; round < 3; round++) {
      const recipient = await one.wrap(DEK, OPTIONS);
      expect(hexOf(await other.unwrap(recipient, OPTIONS))).toBe(hexOf(DEK));
    }
  });

  test("refuses changed bytes, and goes on", async () => {
    shim.pose({ sessions });
    const key = open();
    const recipient = await key.wrap(DEK, OPTIONS);
    for (let round = 0; round < 3; round++) {
      const changed = { ...recipient, wrapped: noise(60, round) };
      expect((await refusal(() => key.unwrap(changed, OPTIONS))).code).toBe("unwrap-rejected");
      expect(hexOf(await key.unwrap(recipient, OPTIONS))).toBe(hexOf(DEK));
    }
  });

  test("is tested, and makes keys", async () => {
    shim.pose({ sessions });
    const opened = setUp();
    expect(working(await opened.selfTest())).toEqual(["aes-gcm", "aes-kw", "aes-kwp", "rsa-oaep-sha1"]);
    await opened.generateKey({ type: "aes-256", label: `of ${sessions}` });
  });
});

test("sessions that all belong to others are an outage that says so", async () => {
  shim.pose({ sessions: 1 });
  const [busy, other] = [open(), open()];
  await busy.wrap(DEK, OPTIONS);
  shim.inject("C_Encrypt", { delayMs: 100 });
  const slow = busy.wrap(DEK, OPTIONS);
  const failure = await refusal(() => other.current());
  expect(failure).toMatchObject({
    code: "unavailable",
    detail: "session",
    retryable: true,
    hint: expect.stringContaining("other programs"),
  });
  await slow;
});

test("a first wrap takes few calls: attributes and mechanisms are read at once", async () => {
  const key = open();
  await open().current(); // the library is initialised
  shim.calls();
  await key.wrap(DEK, OPTIONS);
  const calls = shim.calls();
  // two lists of two calls, the token's description, two sessions, a login, two searches of three calls, seven attributes in two calls,
  // two dates in at most two, one mechanism, the trial of four and the wrap of two
  expect(calls.length, calls.join(" ")).toBeLessThanOrEqual(28);
  await key.wrap(DEK, OPTIONS);
  expect(shim.calls()).toEqual(["C_EncryptInit", "C_Encrypt"]);
});

describe("a token like a TPM", () => {
  test("is tested with keys on the token, which are gone afterwards", async () => {
    shim.pose({ refuses: ["session objects", "false rights", "read-only sessions"] });
    const before = token.countObjects();
    const results = await setUp().selfTest();
    expect(working(results)).toEqual(["aes-gcm", "aes-kw", "aes-kwp", "rsa-oaep-sha1"]);
    expect(results.filter(({ failure }) => failure === undefined).every(({ key }) => key === "token")).toBe(true);
    expect(token.countObjects()).toBe(before);
  });

  test.each(["aes-256", "rsa-2048"] as const)("makes a key of type %s, without the attributes that it does not take", async (type) => {
    shim.pose({ refuses: ["false rights", "read-only sessions"] });
    const made = await setUp().generateKey({ type, label: `tpm ${type}` });
    expect(made.isExtractable).toBe(false);
    const key = open({ key: { label: `tpm ${type}` } });
    expect(hexOf(await key.unwrap(await key.wrap(DEK, OPTIONS), OPTIONS))).toBe(hexOf(DEK));
  });
});

test("a mechanism that does not work is named with what that means", async () => {
  const results = await setUp().selfTest();
  expect(results.find(({ mechanism }) => mechanism === "rsa-oaep-256")).toMatchObject({
    failure: expect.stringContaining("CKR_ARGUMENTS_BAD"),
    meaning: "the token lists it and does not do it",
  });
});

test("a token that makes no keys is tested with one that is there", async () => {
  shim.inject("C_GenerateKey", { returnValue: 0x54 });
  const none = await setUp().selfTest();
  expect(none.find(({ mechanism }) => mechanism === "aes-gcm")).toMatchObject({
    key: undefined,
    failure: expect.stringContaining("CKR_FUNCTION_NOT_SUPPORTED"),
    meaning: expect.stringContaining("object="),
  });
  const named = await setUp().selfTest({ key: { label: "kek" } });
  expect(named.map(({ mechanism, key }) => [mechanism, key])).toEqual([
    ["aes-gcm", "named"],
    ["aes-kw", "named"],
    ["aes-kwp", "named"],
  ]);
  expect(working(named)).toEqual(["aes-gcm", "aes-kw", "aes-kwp"]);
  expect((await refusal(() => setUp().selfTest({ key: { label: "absent" } }))).code).toBe("key-not-found");
});

test("a key that does not unwrap what it wraps is deleted again", async () => {
  const before = token.countObjects();
  shim.inject("C_Decrypt", { returnValue: 0x68 });
  const failure = await refusal(() => setUp().generateKey({ type: "aes-256", label: "useless" }));
  expect(failure.detail).toBe("unusable-key");
  expect(failure.message).toContain("deleted again");
  shim.heal();
  expect(token.countObjects()).toBe(before);
});

test("a write-protected token is named as one, and still wraps", async () => {
  shim.pose({ flags: 0x2 });
  expect(await refusal(() => setUp().generateKey({ type: "aes-256", label: "new" }))).toMatchObject({
    code: "access-denied",
    detail: "write-protected",
    hint: expect.stringContaining("vendor"),
  });
  const key = open();
  expect(hexOf(await key.unwrap(await key.wrap(DEK, OPTIONS), OPTIONS))).toBe(hexOf(DEK));
});

test("a token that is not initialised is named as one", async () => {
  const blank = (await pkcs11Tokens({ module: token.module })).find(({ isInitialised }) => !isInitialised);
  const missing = pkcs11Key({ ...locationOf(token), token: { label: "absent" }, key: { label: "kek" } });
  opened.push(missing);
  expect((await refusal(() => missing.current())).hint).toContain("not initialised");
  expect(blank).toBeDefined();
});

function open(options: Partial<Pkcs11KeyOptions> = {}): ReturnType<typeof pkcs11Key> {
  const key = pkcs11Key({ ...locationOf(token), module: shim.module, key: { label: "kek" }, ...options });
  opened.push(key);
  return key;
}

function setUp(): Pkcs11Token {
  const made = pkcs11Token({ ...locationOf(token), module: shim.module });
  opened.push(made);
  return made;
}

function working(results: Awaited<ReturnType<Pkcs11Token["selfTest"]>>): readonly string[] {
  return results.flatMap(({ mechanism, failure }) => (failure === undefined ? [mechanism] : []));
}
