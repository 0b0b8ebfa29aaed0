import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EnvelockError, type ErrorCode } from "../../src/core/base/errors.ts";
import type { KeyProvider, Recipient, WrapOptions } from "../../src/core/contracts/key-provider.ts";
import { prepareHeader } from "../../src/core/format/envelope.ts";
import { encodeKeyRecord } from "../../src/core/format/key-record.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { noise, runs } from "../support/arbitraries.ts";
import { kek, watched } from "../support/keks.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";

describe("which recipients are tried (format.md §4)", () => {
  test("every provider of wrapWith becomes a recipient, in its order, and each opens alone", async () => {
    const keyIds = ["a", "b", "c"];
    const envelope = await new Keyring({ wrapWith: keyIds.map((keyId) => kek(keyId)) }).encrypt(noise(9));
    expect(inspect(envelope)).toMatchObject({ recipients: keyIds.map((keyId) => ({ keyId, algorithm: "XAES-256-GCM" })) });
    for (const keyId of keyIds) expect(await new Keyring({ unwrapWith: [kek(keyId)] }).decrypt(envelope)).toEqual(noise(9));
  });

  test("the order of configuration decides, not that of the envelope", async () => {
    const envelope = await new Keyring({ wrapWith: [kek("a"), kek("b"), kek("c")] }).encrypt(noise(9));
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(["a", "b", "c"], { minLength: 1 }), fc.nat({ max: 3 }), async (order, split) => {
        const providers = order.map((keyId) => watched(kek(keyId)));
        const keyring = new Keyring({ wrapWith: providers.slice(0, split), unwrapWith: providers.slice(split) });
        expect(await keyring.decrypt(envelope)).toEqual(noise(9));
        expect(providers.map(({ calls }) => calls)).toEqual(providers.map((_, place) => (place === 0 ? ["unwrap"] : [])));
      }),
      runs(40, 20),
    );
  });

  test("a provider that stands in wrapWith and in unwrapWith is asked once", async () => {
    const provider = failing("a", "unwrap-rejected");
    const keyring = new Keyring({ wrapWith: [provider], unwrapWith: [provider] });
    expect(await refusalCode(async () => keyring.decrypt(await keyring.encrypt(noise(1))))).toBe("authentication-failed");
    expect(provider.calls).toEqual(["wrap", "unwrap"]);
  });

  test("at most four are unwrapped, whatever the envelope lists", async () => {
    const keyIds = ["a", "b", "c", "d", "e", "f"];
    const envelope = await new Keyring({ wrapWith: keyIds.map((keyId) => kek(keyId)) }).encrypt(noise(9));
    const providers = keyIds.map((keyId) => failing(keyId, "unwrap-rejected"));
    expect(await refusalCode(() => new Keyring({ unwrapWith: providers }).decrypt(envelope))).toBe("authentication-failed");
    expect(providers.map(({ calls }) => calls.length)).toEqual([1, 1, 1, 1, 0, 0]);
  });

  test("sixteen copies of one recipient cost four unwraps", async () => {
    const provider = failing("a", "unwrap-rejected");
    const { header, body } = await new Keyring(kek("a")).encryptDetached(noise(9));
    const copies = withRecipients(Array.from({ length: 16 }, () => ({ provider: "local", keyId: "a", alg: 1, wrapped: noise(72) })));
    expect(header.length).toBeLessThan(copies.length);
    const code = await refusalCode(() => new Keyring(provider).decryptDetached({ header: copies, body }));
    expect(code).toBe("authentication-failed");
    expect(provider.calls).toHaveLength(4);
  });

  test("sixteen recipients are written, seventeen are not", async () => {
    const keys = Array.from({ length: 17 }, (_, index) => kek(`k${index}`));
    const envelope = await new Keyring({ wrapWith: keys.slice(0, 16) }).encrypt(noise(1));
    expect(await new Keyring({ unwrapWith: keys.slice(15) }).decrypt(envelope)).toEqual(noise(1));
    expect(await refusalCode(() => new Keyring({ wrapWith: keys }))).toBe("invalid-argument");
  });
});

describe("recipients that name what is not configured", () => {
  const hostile: readonly (readonly [provider: string, keyId: string, code: ErrorCode])[] = [
    ["../x", "a", "malformed-envelope"],
    ["__proto__", "a", "malformed-envelope"],
    ["constructor", "a", "no-matching-provider"],
    ["hasownproperty", "a", "no-matching-provider"],
    ["p".repeat(33), "a", "malformed-envelope"],
    ["p".repeat(32), "a", "no-matching-provider"],
    ["LOCAL", "a", "malformed-envelope"],
    ["local ", "a", "malformed-envelope"],
    ["loca\u{6c}\u{301}", "a", "malformed-envelope"],
    ["file:///etc/passwd", "a", "malformed-envelope"],
    ["local", "https://attacker.example/keys/a/1", "no-matching-provider"],
    ["local", "//attacker.example/a", "no-matching-provider"],
    ["local", "../a", "no-matching-provider"],
    ["local", "a/", "no-matching-provider"],
    ["local", "A", "no-matching-provider"],
    ["local", "a\u{0}", "no-matching-provider"],
    ["local", "__proto__", "no-matching-provider"],
    ["local", "constructor", "no-matching-provider"],
    ["local", "k".repeat(512), "no-matching-provider"],
    ["local", "k".repeat(513), "malformed-envelope"],
    ["local", "", "malformed-envelope"],
  ];

  test.each(hostile)("%s with key %s causes no provider call", async (provider, keyId, code) => {
    const configured = watched(kek("a"));
    const keyring = new Keyring(configured);
    const { body } = await keyring.encryptDetached(noise(9));
    const recipients = [{ provider, keyId, alg: 1, wrapped: noise(72) }];
    configured.calls.length = 0;
    const header = withRecipients(recipients);
    const record = encodeKeyRecord({ suite: 1, keyCommit: noise(32), recipients });
    expect(await refusalCode(() => keyring.decryptDetached({ header, body }))).toBe(code);
    expect(await refusalCode(() => keyring.decrypt(Buffer.concat([header, body])))).toBe(code);
    expect(await refusalCode(() => keyring.rewrapHeader(header))).toBe(code);
    expect(await refusalCode(() => keyring.unwrapDataKey(record))).toBe(code);
    expect(await refusalCode(() => keyring.rewrapKeyRecord(record))).toBe(code);
    expect(configured.calls).toEqual([]);
  });

  test("leave a matching one beside them to open", async () => {
    const keyring = new Keyring(kek("a"));
    const envelope = await new Keyring({ wrapWith: [kek("https://attacker.example/a"), kek("a")] }).encrypt(noise(9));
    expect(await keyring.decrypt(envelope)).toEqual(noise(9));
  });
});

describe("errors of providers", () => {
  test("unwrap-rejected becomes authentication-failed, with the provider's error as cause", async () => {
    const { keyring, envelope, errors } = await readers(["unwrap-rejected"]);
    const error = await refusal(() => keyring.decrypt(envelope));
    expect(error.code).toBe("authentication-failed");
    expect(error.cause).toBe(errors[0]);
  });

  const operational: readonly ErrorCode[] = [
    "key-not-found",
    "key-disabled",
    "access-denied",
    "rate-limited",
    "unavailable",
    "timeout",
    "closed",
    "provider-failure",
  ];
  test.each(operational)("a single %s arrives as it is", async (code) => {
    const { keyring, envelope, errors } = await readers([code]);
    expect(await refusal(() => keyring.decrypt(envelope))).toBe(errors[0]);
    expect(await refusal(() => keyring.rewrap(envelope))).toBe(errors[0]);
  });

  test("several become one, whose cause is an AggregateError of the providers' own, in the order of the calls", async () => {
    const codes: ErrorCode[] = ["access-denied", "unwrap-rejected", "key-disabled"];
    const { keyring, envelope, errors } = await readers(codes);
    const { code, cause, retryable } = await refusal(() => keyring.decrypt(envelope));
    expect(code).toBe("access-denied");
    expect(retryable).toBe(false);
    expect(cause).toBeInstanceOf(AggregateError);
    expect(cause).toMatchObject({ errors });
  });

  test("several rejections become authentication-failed, also with all of them as cause", async () => {
    const { keyring, envelope, errors } = await readers(["unwrap-rejected", "unwrap-rejected"]);
    const { code, cause } = await refusal(() => keyring.decrypt(envelope));
    expect(code).toBe("authentication-failed");
    expect(cause).toBeInstanceOf(AggregateError);
    expect(cause).toMatchObject({ errors });
  });

  test("one that another try may mend speaks for all, and says when", async () => {
    const { keyring, envelope } = await readers(["access-denied", "rate-limited"], { retryAfterMs: 1500 });
    expect(await refusal(() => keyring.decrypt(envelope))).toMatchObject({ code: "rate-limited", retryable: true, retryAfterMs: 1500 });
  });

  test("are forgotten when a later recipient opens", async () => {
    const envelope = await new Keyring({ wrapWith: [kek("a"), kek("b")] }).encrypt(noise(9));
    const keyring = new Keyring({ unwrapWith: [failing("a", "unavailable"), kek("b")] });
    expect(await keyring.decrypt(envelope)).toEqual(noise(9));
  });

  test("of another class become provider-failure with the native error as cause, also when thrown at once", async () => {
    const native = new TypeError("fetch failed");
    const throwing: KeyProvider = {
      ...kek("a"),
      wrap: () => {
        throw native;
      },
      unwrap: () => Promise.reject(native),
      current: () => Promise.reject(native),
    };
    const envelope = await new Keyring(kek("a")).encrypt(noise(1));
    const keyring = new Keyring(throwing);
    for (const work of [
      () => keyring.encrypt(noise(1)),
      () => keyring.decrypt(envelope),
      () => keyring.rewrap(envelope),
      () => keyring.createDataKey(),
      () => keyring.needsRewrap(envelope),
    ]) {
      const { code, cause } = await refusal(work);
      expect(code).toBe("provider-failure");
      expect(cause).toBe(native);
    }
  });

  test("from `owns`, which must not throw, become provider-failure too", async () => {
    const native = new TypeError("Invalid URL");
    const throwing: KeyProvider = {
      ...kek("a"),
      owns: () => {
        throw native;
      },
    };
    const envelope = await new Keyring(kek("a")).encrypt(noise(1));
    const { code, cause } = await refusal(() => new Keyring(throwing).decrypt(envelope));
    expect(code).toBe("provider-failure");
    expect(cause).toBe(native);
  });

  test("when wrapping: a single one arrives as it is, several as one with all as cause, and nothing is encrypted", async () => {
    const [one, other] = [new EnvelockError("key-disabled", "one"), new EnvelockError("unavailable", "other")];
    const broken = (keyId: string, error: unknown): KeyProvider => ({ ...kek(keyId), wrap: () => Promise.reject(error) });
    expect(await refusal(() => new Keyring({ wrapWith: [kek("a"), broken("b", one)] }).encrypt(noise(1)))).toBe(one);
    const both = await refusal(() => new Keyring({ wrapWith: [broken("a", one), broken("b", other)], retry: false }).encrypt(noise(1)));
    expect(both).toMatchObject({ code: "unavailable", retryable: true, cause: { errors: [one, other] } });
  });
});

describe("what a provider hands back", () => {
  test.each([0, 16, 24, 31, 33, 64])("an unwrapped key of %i bytes is provider-failure", async (bytes) => {
    const envelope = await new Keyring(kek("a")).encrypt(noise(1));
    const keyring = new Keyring({ ...kek("a"), unwrap: async () => noise(bytes) });
    expect(await refusalCode(() => keyring.decrypt(envelope))).toBe("provider-failure");
  });

  test.each([
    ["text"],
    [null],
    [undefined],
    [{ length: 32 }],
    [new ArrayBuffer(32)],
    [Array.from({ length: 32 }, () => 0)],
  ])("an unwrapped key that is no Uint8Array is provider-failure: %o", async (result) => {
    const envelope = await new Keyring(kek("a")).encrypt(noise(1));
    const keyring = new Keyring({ ...kek("a"), unwrap: async () => untyped(result) });
    expect(await refusalCode(() => keyring.decrypt(envelope))).toBe("provider-failure");
  });

  test("32 bytes that are another key are authentication-failed", async () => {
    const envelope = await new Keyring(kek("a")).encrypt(noise(1));
    const keyring = new Keyring({ ...kek("a"), unwrap: async () => noise(32) });
    expect(await refusalCode(() => keyring.decrypt(envelope))).toBe("authentication-failed");
  });

  const valid: Recipient = { provider: "local", keyId: "a", alg: 1, wrapped: noise(72) };
  const unreadable: readonly (readonly [what: string, recipient: unknown])[] = [
    ["nothing", undefined],
    ["another provider's name", { ...valid, provider: "other" }],
    ["a key id that it does not own", { ...valid, keyId: "b" }],
    ["an alg of 0", { ...valid, alg: 0 }],
    ["an alg of 2^32", { ...valid, alg: 2 ** 32 }],
    ["a broken alg", { ...valid, alg: 1.5 }],
    ["no wrapped bytes", { ...valid, wrapped: noise(0) }],
    ["4097 wrapped bytes", { ...valid, wrapped: noise(4097) }],
    ["text for bytes", { ...valid, wrapped: "wrapped" }],
  ];
  test.each(unreadable)("a recipient with %s is provider-failure, for nobody could read it back", async (_, recipient) => {
    const keyring = new Keyring({ ...kek("a"), wrap: async () => untyped(recipient) });
    expect(await refusalCode(() => keyring.encrypt(noise(1)))).toBe("provider-failure");
    expect(await refusalCode(() => keyring.createDataKey())).toBe("provider-failure");
  });

  test.each([
    ["an empty key id", ""],
    ["a key id of 513 bytes", "é".repeat(256).concat("k")],
    ["a lone surrogate", "\u{d800}"],
  ])("%s is provider-failure", async (_, keyId) => {
    const keyring = new Keyring({ ...kek("a"), owns: () => true, wrap: async () => ({ ...valid, keyId }) });
    expect(await refusalCode(() => keyring.encrypt(noise(1)))).toBe("provider-failure");
  });

  test("a key id of 512 bytes and wrapped keys of 1 and 4096 bytes are written and read back", async () => {
    for (const wrapped of [noise(1), noise(4096)]) {
      const keyId = "é".repeat(256);
      const provider: KeyProvider = { ...kek("a"), owns: (id) => id === keyId, wrap: async () => ({ ...valid, keyId, wrapped }) };
      const envelope = await new Keyring(provider).encrypt(noise(1));
      expect(inspect(envelope)).toMatchObject({ recipients: [{ keyId, wrappedBytes: wrapped.length }] });
    }
  });
});

describe("what a provider is handed", () => {
  test("is the key context as a map and the wrap AAD of format.md §3, and no value context", async () => {
    const handed: WrapOptions[] = [];
    const inner = kek("a");
    const provider: KeyProvider = {
      ...inner,
      wrap(dek, options) {
        handed.push(options);
        return inner.wrap(dek, options);
      },
      unwrap(recipient, options) {
        handed.push(options);
        return inner.unwrap(recipient, options);
      },
    };
    const keyring = new Keyring({ wrapWith: [provider], context: { tenant: "acme" } });
    await keyring.decrypt(await keyring.encrypt(noise(1), { context: { row: "7" } }), { context: { row: "7" } });
    expect(handed).toHaveLength(2);
    for (const { keyContext, wrapAad, signal } of handed) {
      expect({ ...keyContext }).toEqual({ tenant: "acme" });
      expect(signal?.aborted).toBe(false);
      const aad = Buffer.concat([Buffer.from("envelock/v1/wrap\0\x01\x05local\0\x01a"), Buffer.from("\0\x01\0\x06tenant\0\x04acme")]);
      expect(Buffer.from(wrapAad("a")).toString("hex")).toBe(aad.toString("hex"));
    }
  });
});

describe("abort", () => {
  test("before the call rejects with the caller's reason", async () => {
    const keyring = new Keyring(kek("a"));
    const envelope = await keyring.encrypt(noise(1));
    const reason = new Error("the caller's own");
    const signal = AbortSignal.abort(reason);
    for (const work of [
      () => keyring.encrypt(noise(1), { signal }),
      () => keyring.decrypt(envelope, { signal }),
      () => keyring.rewrap(envelope, { signal }),
      () => keyring.createDataKey({ signal }),
    ]) {
      await expect(work()).rejects.toBe(reason);
    }
  });

  test("while a provider works rejects with the reason, whatever the provider throws, and asks no other", async () => {
    const envelope = await new Keyring({ wrapWith: [kek("a"), kek("b")] }).encrypt(noise(1));
    const controller = new AbortController();
    const reason = { any: "value" };
    const slow: KeyProvider = {
      ...kek("a"),
      async unwrap() {
        controller.abort(reason);
        throw new EnvelockError("unavailable", "the connection was cut");
      },
    };
    const next = watched(kek("b"));
    await expect(new Keyring({ unwrapWith: [slow, next] }).decrypt(envelope, { signal: controller.signal })).rejects.toBe(reason);
    expect(next.calls).toEqual([]);
  });
});

/** A provider of key `keyId` whose unwrap fails. */
function failing(keyId: string, error: ErrorCode | EnvelockError): ReturnType<typeof watched> {
  const thrown = typeof error === "string" ? new EnvelockError(error, `${keyId} fails`) : error;
  return watched(kek(keyId), { unwrap: () => Promise.reject(thrown) });
}

/** An envelope, and a keyring whose providers fail to unwrap it, each with its code. */
async function readers(
  codes: readonly ErrorCode[],
  options: { readonly retryAfterMs?: number } = {},
): Promise<{ keyring: Keyring; envelope: Uint8Array; errors: readonly EnvelockError[] }> {
  const keyIds = codes.map((_, place) => `k${place}`);
  const errors = codes.map((code, place) => new EnvelockError(code, `provider ${place} says ${code}`, options));
  const envelope = await new Keyring({ wrapWith: keyIds.map((keyId) => kek(keyId)) }).encrypt(noise(1));
  const providers = errors.map((error, place) => failing(`k${place}`, error));
  return { keyring: new Keyring({ wrapWith: providers, retry: false, breaker: false }), envelope, errors };
}

function withRecipients(recipients: readonly Recipient[]): Uint8Array {
  const { headerBytes, write } = prepareHeader({ suite: 1, keyCommit: noise(32), recipients }, 0);
  const header = new Uint8Array(headerBytes);
  write(header);
  return header;
}
