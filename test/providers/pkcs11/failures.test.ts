import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { CryptokiError, tokenFailure } from "../../../providers/pkcs11/cryptoki/failures.ts";
import { returnValueName } from "../../../providers/pkcs11/cryptoki/return-values.ts";
import { type Pkcs11KeyOptions, pkcs11Key, pkcs11Random } from "../../../providers/pkcs11/index.ts";
import type { ErrorCode } from "../../../src/core/base/errors.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { noise } from "../../support/arbitraries.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { DEK, locationOf, OPTIONS } from "./location.ts";
import { nssToken, softHsmTokens } from "./tokens.ts";

const softHsm = softHsmTokens("failures", "other");
const nss = nssToken();
const folder = mkdtempSync(join(tmpdir(), "envelock-pkcs11-"));
afterAll(() => {
  softHsm.remove();
  nss.remove();
  rmSync(folder, { recursive: true });
});
const [token, other] = softHsm.tokens;
token.addKey({ label: "kek", id: "01", aes: noise(32, "kek") });
other.addKey({ label: "kek", id: "01", aes: noise(32, "other") });

const opened: KeyProvider[] = [];
afterEach(async () => {
  for (const provider of opened.splice(0)) await provider.close?.();
});

function open(options: Partial<Pkcs11KeyOptions> = {}): Required<KeyProvider> {
  const provider = pkcs11Key({ ...locationOf(token), key: { label: "kek" }, ...options });
  opened.push(provider);
  return provider;
}

describe("what a return value means", () => {
  test.each<[number, ErrorCode, boolean]>([
    [0x02, "unavailable", true],
    [0x05, "unavailable", true],
    [0x30, "unavailable", true],
    [0x32, "unavailable", true],
    [0x68, "access-denied", false],
    [0x70, "provider-failure", false],
    [0x82, "unavailable", true],
    [0x90, "unavailable", true],
    [0xa0, "access-denied", false],
    [0xa4, "access-denied", false],
    [0xb1, "unavailable", true],
    [0xb3, "unavailable", true],
    [0xe0, "unavailable", true],
    [0x101, "unavailable", true],
    [0x110, "provider-failure", false],
    [0x190, "unavailable", true],
    [0x80000123, "provider-failure", false],
    [0x7777, "provider-failure", false],
  ])("0x%s", (returnValue, code, retryable) => {
    const cause = new CryptokiError("C_Wrap", returnValue);
    expect(tokenFailure(cause)).toMatchObject({ code, retryable, cause });
    expect(tokenFailure(cause).message).toContain(`C_Wrap returned ${returnValueName(returnValue)}`);
  });

  test.each([0x20, 0x21, 0x40, 0x41, 0x110, 0x112])("0x%s of bytes to unwrap is a rejection", (returnValue) => {
    expect(tokenFailure(new CryptokiError("C_UnwrapKey", returnValue), true).code).toBe("unwrap-rejected");
  });

  test("a number without a name is shown", () => {
    expect(returnValueName(0x80000123)).toBe("vendor code 0x80000123");
    expect(returnValueName(0x7777)).toBe("0x00007777");
    expect(returnValueName(0xa4)).toBe("CKR_PIN_LOCKED");
  });
});

test("changed bytes are rejected also by a key that may only unwrap, on a token that calls everything a general error", async () => {
  token.addKey({ label: "reader", id: "0b", aes: noise(32, "reader"), attributes: { 260: false, 262: false } });
  const reader = open({ key: { label: "reader" }, mechanism: "aes-gcm" });
  const recipient = { provider: "pkcs11", keyId: await reader.current(), alg: 2, wrapped: noise(60, "not wrapped") };
  expect(await refusal(() => reader.unwrap(recipient, OPTIONS))).toMatchObject({ code: "unwrap-rejected", cause: { returnValue: 5 } });
});

describe("a PIN", () => {
  test("that is wrong is shown to the token once, however often it is used", async () => {
    const provider = open({ pin: () => "not-the-pin" });
    const failures = [];
    for (let round = 0; round < 4; round++) failures.push(await refusal(() => provider.wrap(DEK, OPTIONS)));
    expect(failures.map(({ code, detail, retryable }) => ({ code, detail, retryable }))).toEqual(
      Array.from({ length: 4 }, () => ({ code: "access-denied", detail: "pin", retryable: false })),
    );
    const asked = failures.filter(({ cause }) => cause instanceof CryptokiError && cause.functionName === "C_Login");
    expect(asked.length).toBe(1);
    expect(inspect(failures, { depth: 9 })).not.toContain("not-the-pin");
  });

  test("that is corrected works", async () => {
    let pin = "not-the-pin";
    const provider = open({ pin: () => pin });
    expect(await refusalCode(() => provider.wrap(DEK, OPTIONS))).toBe("access-denied");
    pin = token.pin;
    expect((await provider.wrap(DEK, OPTIONS)).alg).toBe(2);
  });

  test("is asked for once, also by many at once, and only when it is needed", async () => {
    let asked = 0;
    const provider = open({
      pin: async () => {
        asked++;
        return token.pin;
      },
    });
    expect(provider.owns("pkcs11:token=failures;object=kek;id=%01;serial=1")).toBe(true);
    expect(asked).toBe(0);
    await Promise.all(Array.from({ length: 16 }, () => provider.wrap(DEK, OPTIONS)));
    expect(asked).toBe(1);
  });

  test("that is missing, or cannot be had, is `access-denied`", async () => {
    const { pin: _, ...withoutPin } = locationOf(token);
    const provider = pkcs11Key({ ...withoutPin, key: { label: "kek" } });
    opened.push(provider);
    expect(await refusal(() => provider.wrap(DEK, OPTIONS))).toMatchObject({ code: "access-denied", detail: "pin" });
    expect(await refusalCode(() => open({ pin: () => "" }).wrap(DEK, OPTIONS))).toBe("access-denied");
    const failing = open({ pin: () => Promise.reject(new Error("the prompt was closed")) });
    expect(await refusal(() => failing.wrap(DEK, OPTIONS))).toMatchObject({
      code: "access-denied",
      cause: { message: "the prompt was closed" },
    });
  });
});

describe("what is missing is named, with what to do", () => {
  test("the library", async () => {
    const { code, detail, hint } = await refusal(() => open({ module: join(folder, "none.so") }).wrap(DEK, OPTIONS));
    expect({ code, detail }).toEqual({ code: "provider-failure", detail: "module-missing" });
    expect(hint).toContain("path");
  });

  test("a library of another architecture", async () => {
    const foreign = join(folder, "foreign.so");
    const header = Buffer.alloc(64);
    header.write("\x7fELF\x01\x01\x01", "latin1"); // 32 bits
    writeFileSync(foreign, header);
    const { code, detail, hint } = await refusal(() => open({ module: foreign }).wrap(DEK, OPTIONS));
    expect({ code, detail }).toEqual({ code: "provider-failure", detail: "module-architecture" });
    expect(hint).toContain("processor");
  });

  test("a file that is no library", async () => {
    const text = join(folder, "text.so");
    writeFileSync(text, "not a library");
    expect(await refusal(() => open({ module: text }).wrap(DEK, OPTIONS))).toMatchObject({ code: "provider-failure" });
  });

  test("the token, with those that are there", async () => {
    const { code, detail, hint } = await refusal(() => open({ token: { label: "absent" } }).wrap(DEK, OPTIONS));
    expect({ code, detail }).toEqual({ code: "key-not-found", detail: "token-missing" });
    expect(hint).toContain('"failures"');
  });

  test("the key", async () => {
    const { code, detail, message } = await refusal(() => open({ key: { label: "absent" } }).wrap(DEK, OPTIONS));
    expect({ code, detail }).toEqual({ code: "key-not-found", detail: "key-missing" });
    expect(message).toContain('"absent"');
  });

  test("the mechanism", async () => {
    token.addKey({ label: "unusable", id: "0a", aes: noise(32, "unusable"), attributes: { 260: false, 262: false } });
    const { code, detail, hint } = await refusal(() => open({ key: { label: "unusable" } }).wrap(DEK, OPTIONS));
    expect({ code, detail }).toEqual({ code: "provider-failure", detail: "mechanism" });
    expect(hint).toContain("CKA_WRAP");
  });

  test("a mechanism for a key of another type", async () => {
    const { code, detail } = await refusal(() => open({ key: { label: "kek" }, mechanism: "rsa-oaep-sha1" }).wrap(DEK, OPTIONS));
    expect({ code, detail }).toEqual({ code: "provider-failure", detail: "mechanism" });
  });
});

describe("providers beside each other", () => {
  test("on two tokens of one library, and on two libraries, each with its own key", async () => {
    const [onNss] = nss.tokens;
    onNss.addKey({ label: "kek", id: "01", aes: noise(32, "nss") });
    const providers = [open(), open({ ...locationOf(other) }), open({ ...locationOf(onNss) })];
    const recipients = await Promise.all(providers.map((provider) => provider.wrap(DEK, OPTIONS)));
    expect(new Set(recipients.map(({ keyId }) => keyId)).size).toBe(3);
    for (const [at, provider] of providers.entries()) {
      for (const [from, recipient] of recipients.entries()) {
        const outcome = provider.unwrap(recipient, OPTIONS).then(
          (dek) => Buffer.compare(dek, DEK) === 0,
          () => false,
        );
        expect(await outcome).toBe(at === from);
      }
    }
  });

  test("one that closes in the middle lets its calls end and leaves the others alone", async () => {
    const [leaving, staying] = [open({ maxSessions: 2 }), open()];
    const recipient = await staying.wrap(DEK, OPTIONS);
    const calls = Array.from({ length: 32 }, () => leaving.unwrap(recipient, OPTIONS));
    const outcomes = Promise.allSettled(calls);
    await leaving.close();
    for (const outcome of await outcomes) {
      if (outcome.status === "fulfilled") expect(Buffer.from(outcome.value)).toEqual(Buffer.from(DEK));
      else expect(outcome.reason).toMatchObject({ code: "closed" });
    }
    expect(Buffer.from(await staying.unwrap(recipient, OPTIONS))).toEqual(Buffer.from(DEK));
  });

  test("nothing is left on the token by key wrap, not even by failures", async () => {
    const provider = open({ mechanism: "aes-kw" });
    const recipient = await provider.wrap(DEK, OPTIONS);
    const before = token.countObjects();
    for (let round = 0; round < 8; round++) {
      await provider.wrap(DEK, OPTIONS);
      await provider.unwrap(recipient, OPTIONS);
      expect(await refusalCode(() => provider.unwrap({ ...recipient, wrapped: new Uint8Array(40) }, OPTIONS))).toBe("unwrap-rejected");
    }
    expect(token.countObjects()).toBe(before);
  });

  test("a library runs with one set of parameters", async () => {
    await open().current();
    const { code } = await refusal(() => open({ libraryParameters: "other" }).current());
    expect(code).toBe("invalid-argument");
  });
});

describe("pkcs11Random", () => {
  test("gives as many bytes as it is asked for, never the same", async () => {
    const random = pkcs11Random(locationOf(token));
    const [one, two] = [await random.randomBytes(4096), await random.randomBytes(4096)];
    expect([one.length, two.length, one.buffer.byteLength]).toEqual([4096, 4096, 4096]);
    expect(Buffer.compare(one, two)).not.toBe(0);
    expect(await refusalCode(() => random.randomBytes(0))).toBe("invalid-argument");
    expect(await refusalCode(() => random.randomBytes(4097))).toBe("invalid-argument");
    await random.close();
    await random.close();
    expect(await refusalCode(() => random.randomBytes(32))).toBe("closed");
  });
});
