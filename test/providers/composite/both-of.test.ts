import { describe, expect, test } from "vitest";
import { bothOf, type DoubleKey, type Half, rewrapHalf } from "../../../providers/composite/index.ts";
import { localKeyset } from "../../../providers/local/index.ts";
import { KeyContext } from "../../../src/core/base/context.ts";
import { EnvelockError, type ErrorCode } from "../../../src/core/base/errors.ts";
import type { KeyProvider, Recipient, WrapOptions } from "../../../src/core/contracts/key-provider.ts";
import { encodeKeyRecord, encodeWrapAad, parseKeyRecord } from "../../../src/core/format/key-record.ts";
import { encodeHalves, parseHalves } from "../../../src/core/format/parts.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { noise } from "../../support/arbitraries.ts";
import { deferred } from "../../support/deferred.ts";
import { kek, type WatchedProvider, watched } from "../../support/keks.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";

const CONTEXT = { tenant: "acme" };

describe("a double key", () => {
  test("opens with both halves, and neither alone opens anything", async () => {
    const { keyring, platform, tenant } = both();
    const envelope = await keyring.encrypt(noise(9));
    expect(await keyring.decrypt(envelope)).toEqual(noise(9));
    for (const alone of [platform, tenant]) {
      expect(await refusalCode(() => new Keyring({ unwrapWith: [alone], context: CONTEXT }).decrypt(envelope))).toBe(
        "no-matching-provider",
      );
    }
  });

  test("has halves that open nothing as recipients of their own, under whatever name", async () => {
    const { keyring, platform, tenant } = both();
    const { keyRecord } = await keyring.createDataKey();
    const record = parseKeyRecord(keyRecord);
    const halves = parseHalves(record.recipients[0]?.wrapped ?? noise(0));
    const stolen = encodeKeyRecord({ ...record, recipients: [...halves] });
    const reader = new Keyring({ unwrapWith: [platform, tenant], context: CONTEXT });
    expect(await refusalCode(() => reader.unwrapDataKey(stolen))).toBe("authentication-failed");
  });

  test("format.md [M-111] splits each data key anew: halves of two wraps of one key do not fit each other", async () => {
    const { key } = both();
    const dek = noise(32);
    const [first, second] = [await key.wrap(dek, optionsOf()), await key.wrap(dek, optionsOf())];
    const [a, b] = [parseHalves(first.wrapped), parseHalves(second.wrapped)];
    const mixed = { ...first, wrapped: encodeHalves([a[0], b[1]]) };
    expect(await key.unwrap(mixed, optionsOf())).not.toEqual(dek);
    expect(await key.unwrap(first, optionsOf())).toEqual(dek);
  });

  test("asks both keys at once", async () => {
    const gates = [deferred(), deferred()];
    const arrivals = [deferred(), deferred()];
    const slow = (keyId: string, at: number): KeyProvider => {
      const inner = kek(keyId);
      return {
        ...inner,
        async unwrap(recipient, options) {
          arrivals[at]?.resolve();
          await gates[at]?.promise;
          return await inner.unwrap(recipient, options);
        },
      };
    };
    const key = bothOf({ keyId: "acme", platform: slow("platform", 0), tenant: slow("tenant", 1) });
    const recipient = await key.wrap(noise(32), optionsOf());
    const unwrapped = key.unwrap(recipient, optionsOf());
    await Promise.all(arrivals.map(({ promise }) => promise)); // would wait for ever if one came after the other
    for (const { resolve } of gates) resolve();
    expect(await unwrapped).toEqual(noise(32));
  });

  test.each<readonly [Half, ErrorCode]>([
    ["platform", "access-denied"],
    ["tenant", "access-denied"],
    ["tenant", "key-disabled"],
    ["platform", "key-not-found"],
  ])("names the party of the half that is refused: %s, %s", async (half, code) => {
    const { key, faults } = both();
    const recipient = await key.wrap(noise(32), optionsOf());
    const cause = new Error("native");
    faults[half] = new EnvelockError(code, "no", { cause });
    for (const call of [() => key.unwrap(recipient, optionsOf()), () => key.wrap(noise(32), optionsOf())]) {
      const error = await refusal(call);
      expect([error.code, error.whose, error.cause]).toEqual([code, half === "tenant" ? "tenant" : "vendor", cause]);
    }
  });

  test("says that its tenant refused, even if the platform's key is down", async () => {
    const { key, faults } = both();
    const recipient = await key.wrap(noise(32), optionsOf());
    faults.platform = new EnvelockError("unavailable", "down");
    faults.tenant = new EnvelockError("key-disabled", "off");
    expect((await refusal(() => key.unwrap(recipient, optionsOf()))).code).toBe("key-disabled");
    faults.tenant = undefined;
    const { code, whose } = await refusal(() => key.unwrap(recipient, optionsOf()));
    expect([code, whose]).toEqual(["unavailable", undefined]);
  });

  test("says that its tenant refused, even if the platform's key has failed for good before", async () => {
    const late = deferred();
    const tenant: KeyProvider = {
      ...kek("tenant"),
      async wrap() {
        await late.promise; // whatever its signal says
        throw new EnvelockError("access-denied", "no");
      },
    };
    const platform: KeyProvider = {
      ...kek("platform"),
      async wrap() {
        setImmediate(late.resolve);
        throw new EnvelockError("provider-failure", "broken");
      },
    };
    const { code, whose } = await refusal(() => bothOf({ keyId: "acme", platform, tenant }).wrap(noise(32), optionsOf()));
    expect([code, whose]).toEqual(["access-denied", "tenant"]);
  });

  test("wipes the half that came when the other did not", async () => {
    const given: Uint8Array[] = [];
    const inner = kek("platform");
    const platform: KeyProvider = {
      ...inner,
      async unwrap(recipient, options) {
        const secret = await inner.unwrap(recipient, options);
        given.push(secret);
        return secret;
      },
    };
    const { tenant, faults } = both();
    const key = bothOf({ keyId: "acme", platform, tenant });
    const recipient = await key.wrap(noise(32), optionsOf());
    faults.tenant = new EnvelockError("access-denied", "no");
    await refusal(() => key.unwrap(recipient, optionsOf()));
    faults.tenant = undefined;
    await key.unwrap(recipient, optionsOf());
    expect(given.map((secret) => secret.every((byte) => byte === 0))).toEqual([true, true]);
  });

  test("format.md [M-113] counts as one of the four recipients that are tried", async () => {
    const { key } = both();
    const plain = kek("plain");
    const writer = new Keyring({ wrapWith: [key, plain], context: CONTEXT });
    const { keyRecord } = await writer.createDataKey();
    const record = parseKeyRecord(keyRecord);
    const [own, other] = record.recipients;
    if (own === undefined || other === undefined) return expect.fail("two recipients");
    const broken = { ...own, wrapped: Uint8Array.of(0x82, ...own.wrapped.subarray(1), 0) };
    const opened = async (times: number): Promise<string> => {
      const recipients = [...Array.from({ length: times }, () => broken), other];
      const attempt = writer.unwrapDataKey(encodeKeyRecord({ ...record, recipients }));
      return await attempt.then(
        () => "opened",
        () => "refused",
      );
    };
    expect([await opened(3), await opened(4)]).toEqual(["opened", "refused"]);
  });

  test("closes itself alone: the platform's key serves other tenants", async () => {
    const { key, platform, tenant } = both();
    await key.close();
    await key.close();
    expect((await refusal(() => key.wrap(noise(32), optionsOf()))).code).toBe("closed");
    expect([platform.calls, tenant.calls]).toEqual([[], []]);
    expect(await platform.wrap(noise(32), optionsOf())).toMatchObject({ provider: "local" });
  });

  test("has no current where one half cannot tell its own", async () => {
    const { current: _, ...plain } = kek("platform");
    expect(bothOf({ keyId: "acme", platform: plain, tenant: kek("tenant") }).current).toBeUndefined();
  });
});

describe("hostile recipients of a double key end before any call", () => {
  const cases: Readonly<Record<string, (recipient: Recipient, halves: readonly [Recipient, Recipient]) => Recipient>> = {
    "format.md [M-106] halves that are no CBOR": (recipient) => ({ ...recipient, wrapped: noise(40) }),
    "format.md [M-106] a byte after the halves": (recipient) => ({ ...recipient, wrapped: Uint8Array.of(...recipient.wrapped, 0) }),
    "format.md [M-107] another digest": (recipient) => ({ ...recipient, keyId: `both:acme:${"0".repeat(64)}` }),
    "format.md [M-107] another version of a half": (recipient, [a, b]) => ({
      ...recipient,
      wrapped: encodeHalves([a, { ...b, keyId: "tenant-2" }]),
    }),
    "format.md [M-108] halves in each other's place": (recipient, [a, b]) => ({ ...recipient, wrapped: encodeHalves([b, a]) }),
    "format.md [M-108] a half of a foreign key": (recipient, [a, b]) => ({
      ...recipient,
      wrapped: encodeHalves([a, { ...b, keyId: "foreign" }]),
    }),
    "format.md [M-108] a half of a foreign provider": (recipient, [a, b]) => ({
      ...recipient,
      wrapped: encodeHalves([a, { ...b, provider: "azure-key-vault" }]),
    }),
    "format.md [M-108] one half twice": (recipient, [a]) => ({ ...recipient, wrapped: encodeHalves([a, a]) }),
    "format.md [M-72] another algorithm": (recipient) => ({ ...recipient, alg: 12 }),
  };
  test.each(Object.entries(cases))("%s", async (_, change) => {
    const { key, platform, tenant, rotate } = both();
    const recipient = await key.wrap(noise(32), optionsOf());
    rotate("tenant"); // so that the key owns the version tenant-2
    const hostile = change(recipient, parseHalves(recipient.wrapped));
    platform.calls.length = 0;
    tenant.calls.length = 0;
    for (const call of [() => key.unwrap(hostile, optionsOf()), () => key.rewrapHalf(hostile, "tenant", optionsOf())]) {
      expect((await refusal(call)).code).toBe("unwrap-rejected");
    }
    expect([platform.calls, tenant.calls]).toEqual([[], []]);
  });

  test("C7: another tenant's double key of the same name", async () => {
    const { keyring } = both();
    const envelope = await keyring.encrypt(noise(9));
    const tenant = watched(kek("tenant-of-globex"));
    const platform = watched(kek("platform"));
    const other = new Keyring({ unwrapWith: [bothOf({ keyId: "acme", platform, tenant })], context: CONTEXT });
    expect(await refusalCode(() => other.decrypt(envelope))).toBe("authentication-failed");
    expect([platform.calls, tenant.calls]).toEqual([[], []]);
  });

  test("format.md [M-109] a half that was wrapped for another place, name or context", async () => {
    const dek = noise(32);
    const { key, platform, tenant } = both();
    const recipient = await key.wrap(dek, optionsOf());
    const [first] = parseHalves(recipient.wrapped);
    const forOthers: readonly [string, WrapOptions][] = [
      ["both:acme:1:tenant", optionsOf()],
      ["both:globex:2:tenant", optionsOf()],
      ["tenant", optionsOf()],
      ["both:acme:2:tenant", optionsOf({ tenant: "globex" })],
    ];
    for (const [keyId, options] of forOthers) {
      const second = await tenant.wrap(noise(32), { ...options, wrapAad: () => options.wrapAad(keyId) });
      const mixed = { ...recipient, wrapped: encodeHalves([first, second]) };
      expect((await refusal(() => key.unwrap(mixed, optionsOf()))).code).toBe("unwrap-rejected");
    }
    const options = { ...optionsOf(), wrapAad: () => optionsOf().wrapAad("both:acme:2:tenant") };
    const fitting = { ...recipient, wrapped: encodeHalves([first, await tenant.wrap(noise(32), options)]) };
    expect(await key.unwrap(fitting, optionsOf())).toHaveLength(32);
    expect(platform.calls.length).toBeGreaterThan(0);
  });

  test.each([16, 31, 33])("format.md [M-110] a half of %i bytes", async (bytes) => {
    const { key, faults } = both();
    const recipient = await key.wrap(noise(32), optionsOf());
    faults.bytes = bytes;
    expect((await refusal(() => key.unwrap(recipient, optionsOf()))).code).toBe("unwrap-rejected");
  });
});

describe("the rewrap of one half", () => {
  test.each<Half>(["platform", "tenant"])("of the %s calls that key alone, and the data key stays", async (half) => {
    const { keyring, key, platform, tenant, rotate, faults } = both();
    const { keyRecord, dataKey } = await keyring.createDataKey();
    rotate(half);
    expect(await keyring.keyRecordNeedsRewrap(keyRecord)).toBe(true);
    platform.calls.length = 0;
    tenant.calls.length = 0;
    const [own, other] = half === "platform" ? [platform, tenant] : [tenant, platform];
    faults[half === "platform" ? "tenant" : "platform"] = new EnvelockError("access-denied", "away");
    const renewed = await rewrapHalf(keyRecord, { key, half, keyContext: CONTEXT });
    expect([own.calls, other.calls]).toEqual([["unwrap", "wrap"], []]);
    faults.platform = faults.tenant = undefined;
    expect(await keyring.keyRecordNeedsRewrap(renewed)).toBe(false);
    expect((await keyring.unwrapDataKey(renewed)).keyCommit).toEqual(dataKey.keyCommit);
    expect((await keyring.unwrapDataKey(keyRecord)).keyCommit).toEqual(dataKey.keyCommit); // no revocation
  });

  test("keeps the size of a padded header, and the body fits as before", async () => {
    const { keyring, key, rotate } = both();
    const { header, body } = await keyring.encryptDetached(noise(99), { minHeaderBytes: 1000 });
    rotate("tenant");
    const renewed = await rewrapHalf(header, { key, half: "tenant", keyContext: CONTEXT });
    expect(renewed).toHaveLength(1000);
    expect(await keyring.decryptDetached({ header: renewed, body })).toEqual(noise(99));
  });

  test("refuses what it cannot do", async () => {
    const { keyring, key } = both();
    const { keyRecord } = await keyring.createDataKey();
    const plain = await new Keyring(kek()).createDataKey();
    const options = { key, half: "tenant", keyContext: CONTEXT } as const;
    expect(await refusalCode(() => rewrapHalf(plain.keyRecord, options))).toBe("no-matching-provider");
    expect(await refusalCode(() => rewrapHalf(keyRecord, { ...options, keyContext: {} }))).toBe("unwrap-rejected");
    expect(await refusalCode(() => rewrapHalf(noise(9), options))).toBe("malformed-envelope");
    expect(await refusalCode(() => Reflect.apply(rewrapHalf, undefined, [keyRecord, { ...options, half: "both" }]))).toBe(
      "invalid-argument",
    );
    expect(await refusalCode(() => Reflect.apply(rewrapHalf, undefined, ["text", options]))).toBe("invalid-argument");
  });
});

test.each<readonly [string, object]>([
  ["no name", { keyId: "" }],
  ["a name with a colon", { keyId: "a:b" }],
  ["a long name", { keyId: "x".repeat(129) }],
  ["one key twice", { tenant: kek("platform"), platform: undefined }],
  ["no key", { tenant: {} }],
  ["an unknown option", { vendor: kek("x") }],
])("%s is refused", async (_, changed) => {
  const platform = kek("platform");
  const given = { keyId: "acme", platform, tenant: kek("tenant"), ...changed };
  const options = given.platform === undefined ? { ...given, platform: given.tenant } : given;
  expect(await refusalCode(() => Reflect.apply(bothOf, undefined, [options]))).toBe("invalid-argument");
});

test("format.md [M-111] two halves under one key are refused before anything is written", async () => {
  const key = bothOf({ keyId: "acme", platform: kek("same"), tenant: kek("same") });
  expect((await refusal(() => key.wrap(noise(32), optionsOf()))).code).toBe("provider-failure");
});

test("halves of 4,096 bytes together are written, and of one more are refused", async () => {
  const sized = (name: string, bytes: number): KeyProvider => ({
    ...kek(name),
    wrap: async () => ({ provider: "local", keyId: name, alg: 9, wrapped: noise(bytes) }),
  });
  const wrapped = (bytes: number): Promise<Recipient> =>
    bothOf({ keyId: "acme", platform: sized("p", 1000), tenant: sized("t", bytes) }).wrap(noise(32), optionsOf());
  const { length } = (await wrapped(2000)).wrapped;
  const fitting = 2000 + 4096 - length;
  expect((await wrapped(fitting)).wrapped).toHaveLength(4096);
  expect(await refusal(() => wrapped(fitting + 1))).toMatchObject({ code: "provider-failure", message: expect.stringContaining("4097") });
});

interface Faults {
  platform: EnvelockError | undefined;
  tenant: EnvelockError | undefined;
  /** The length of what the tenant's key unwraps to. */
  bytes: number | undefined;
}

interface Both {
  readonly key: DoubleKey;
  readonly keyring: Keyring;
  readonly platform: WatchedProvider;
  readonly tenant: WatchedProvider;
  readonly faults: Faults;
  rotate(half: Half): void;
}

/** A double key of two keysets, which fail and rotate on demand. */
function both(): Both {
  const faults: Faults = { platform: undefined, tenant: undefined, bytes: undefined };
  const versions = { platform: ["platform"], tenant: ["tenant"] };
  const keyOf = (half: Half): WatchedProvider => {
    const ring = (): KeyProvider => {
      const keys = versions[half].map((keyId) => ({ keyId, key: noise(32, keyId) }));
      return localKeyset({ keys, primary: keys.at(-1)?.keyId ?? "" });
    };
    const failing = (): void => {
      if (faults[half] !== undefined) throw faults[half];
    };
    return watched({
      name: "local",
      owns: (keyId) => ring().owns(keyId),
      async wrap(dek, options) {
        failing();
        return await ring().wrap(dek, options);
      },
      async unwrap(recipient, options) {
        failing();
        const secret = await ring().unwrap(recipient, options);
        return half === "tenant" && faults.bytes !== undefined ? noise(faults.bytes) : secret;
      },
      current: async () => (await ring().current?.()) ?? "",
    });
  };
  const [platform, tenant] = [keyOf("platform"), keyOf("tenant")];
  const key = bothOf({ keyId: "acme", platform, tenant });
  return {
    key,
    keyring: new Keyring({ wrapWith: [key], context: CONTEXT, retry: false }),
    platform,
    tenant,
    faults,
    rotate: (half) => void versions[half].push(`${half}-${versions[half].length + 1}`),
  };
}

function optionsOf(context: Readonly<Record<string, string>> = CONTEXT): WrapOptions {
  const { bytes, map } = new KeyContext(context);
  return { keyContext: map, wrapAad: (keyId) => encodeWrapAad("both", keyId, bytes) };
}
