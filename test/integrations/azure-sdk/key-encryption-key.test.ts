import { KeyClient } from "@azure/keyvault-keys";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { type AzureKey, azureKey } from "../../../providers/azure/index.ts";
import { copyOf, toHex } from "../../../src/core/base/bytes.ts";
import { keyEncryptionKey, keyEncryptionKeyResolver } from "../../../src/integrations/azure-sdk/index.ts";
import { AzureEmulator } from "../../../src/testing/azure-emulator/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";

const emulator = await AzureEmulator.start();
afterAll(() => emulator.close());
await emulator.createKey("rsa", { type: "RSA", bits: 2048 });
await emulator.createKey("aes", { type: "oct-HSM", bits: 256 });
beforeEach(() => void emulator.takeRequests());

/** What Azure Storage wraps: the protocol's version, and the content key. */
const CONTENT_KEY = new Uint8Array([...new TextEncoder().encode("2.0"), 0, 0, 0, 0, 0, ...Array.from({ length: 32 }, (_, at) => at)]);

describe("a key encryption key", () => {
  test.each([
    ["rsa", "RSA-OAEP-256", 256],
    ["aes", "A256KW", 48],
  ])("of %s wraps 40 bytes and names its version and algorithm", async (name, algorithm, bytes) => {
    const kek = await keyEncryptionKey(open(name));
    expect(kek).toMatchObject({ keyId: emulator.keyUrl(name, emulator.newestVersion(name)), algorithm });
    const wrapped = await kek.wrapKey(algorithm, CONTENT_KEY);
    expect(wrapped).toHaveLength(bytes);
    expect(await kek.unwrapKey(algorithm, wrapped)).toEqual(CONTENT_KEY);
  });

  test("wraps what Azure Storage's own libraries unwrap, and the other way round", async () => {
    const { credential, client } = emulator.connection;
    const keys = new KeyClient(emulator.url, credential, { ...client, disableChallengeResourceVerification: true });
    const k = Uint8Array.from({ length: 32 }, (_, at) => 0x20 + at);
    await keys.importKey("storage", { kty: "oct-HSM", k, keyOps: ["wrapKey", "unwrapKey"] });
    const kek = await keyEncryptionKey(open("storage"));
    const wrapped = "02a3442d9872db92c99a88e5ce5c7af5dd17a38633773f2dff67ad65f0f3e07cc3d7ac3dde6aed209556993e18fb06fb";
    expect(toHex(await kek.wrapKey("A256KW", CONTENT_KEY))).toBe(wrapped);
    // written by Azure's library for Python, 12.15.0b1
    const foreign = "kZuM98+JLt09bJ0g7D+7W7C85kzTysZLiWCTdKyufeEVq/BWwPgItpjUD1rJ0tcK";
    const unwrapped = await kek.unwrapKey("A256KW", Uint8Array.from(Buffer.from(foreign, "base64")));
    expect(toHex(unwrapped.subarray(0, 8))).toBe("322e300000000000");
    expect(unwrapped).toHaveLength(40);
  });

  test("refuses an algorithm that is not its own, and what no algorithm takes, without a call", async () => {
    const kek = await keyEncryptionKey(open("aes"));
    const wrapped = await kek.wrapKey("A256KW", CONTENT_KEY);
    emulator.takeRequests();
    expect(await refusalCode(() => kek.wrapKey("RSA-OAEP", CONTENT_KEY))).toBe("invalid-argument");
    for (const bytes of [0, 8, 33, 136]) expect(await refusalCode(() => kek.wrapKey("A256KW", noise(bytes)))).toBe("invalid-argument");
    for (const algorithm of ["RSA-OAEP", "RSA1_5", "A128KW", "none", ""]) {
      expect(await refusalCode(() => kek.unwrapKey(algorithm, wrapped))).toBe("unwrap-rejected");
    }
    for (const bytes of [0, 513]) expect(await refusalCode(() => kek.unwrapKey("A256KW", noise(bytes)))).toBe("unwrap-rejected");
    expect(emulator.takeRequests()).toEqual([]);
  });

  test("stops to wrap once a newer version does, and goes on to unwrap", async () => {
    await emulator.createKey("rotated", { type: "oct-HSM", bits: 256 });
    const provider = open("rotated");
    const resolver = keyEncryptionKeyResolver([provider]);
    const old = await resolver.current();
    const wrapped = await old.wrapKey("A256KW", CONTENT_KEY);
    await emulator.rotate("rotated", 3_600_000);
    provider.noteNewVersion(old.keyId);
    expect(await refusal(() => old.wrapKey("A256KW", CONTENT_KEY))).toMatchObject({ code: "key-disabled", detail: "rotated" });
    expect((await resolver.current()).keyId).toBe(emulator.keyUrl("rotated", emulator.newestVersion("rotated")));
    expect(await (await resolver.resolve(old.keyId)).unwrapKey("A256KW", wrapped)).toEqual(CONTENT_KEY);
  });
});

describe("a resolver", () => {
  test("finds the key by its id, in whatever case, with no call; and none of another vault", async () => {
    const resolver = keyEncryptionKeyResolver([open("rsa"), open("aes")]);
    const keyId = emulator.keyUrl("aes", emulator.newestVersion("aes"));
    const wrapped = await (await keyEncryptionKey(open("aes"))).wrapKey("A256KW", CONTENT_KEY);
    emulator.takeRequests();
    for (const spelling of [
      keyId,
      keyId.replace("/aes/", "/AES/"),
      keyId.toUpperCase().replace("HTTPS", "https").replace("KEYS", "keys"),
    ]) {
      expect((await resolver.resolve(spelling)).keyId).toBe(spelling);
    }
    const foreign = [
      keyId.replace(emulator.host, "attacker.example"),
      emulator.keyUrl("aes"),
      `${keyId}/`,
      keyId.replace("/aes/", "/../"),
      emulator.secretUrl("aes", "a".repeat(32)),
    ];
    for (const id of foreign) expect(await refusalCode(() => resolver.resolve(id))).toBe("no-matching-provider");
    expect(emulator.takeRequests()).toEqual([]);
    expect(await (await resolver.resolve(keyId.replace("/aes/", "/AES/"))).unwrapKey("A256KW", wrapped)).toEqual(CONTENT_KEY);
  });

  test("keeps unwrapped keys by their wrapped bytes: two under one key are never taken for each other", async () => {
    const resolver = keyEncryptionKeyResolver([open("aes")]);
    const kek = await resolver.current();
    const [first, second] = [noise(32, 1), noise(32, 2)];
    const [one, two] = [await kek.wrapKey("A256KW", first), await kek.wrapKey("A256KW", second)];
    emulator.takeRequests();
    for (let round = 0; round < 3; round++) {
      expect(await kek.unwrapKey("A256KW", one)).toEqual(first);
      expect(await kek.unwrapKey("A256KW", two)).toEqual(second);
    }
    expect(unwraps()).toBe(2);
  });

  test("asks once for many callers, gives each a copy, and ends nobody's wait but the one's who aborts", async () => {
    const kek = await keyEncryptionKey(open("aes"));
    const wrapped = await kek.wrapKey("A256KW", CONTENT_KEY);
    emulator.takeRequests();
    const held = emulator.holdNext();
    const caller = new AbortController();
    const impatient = kek.unwrapKey("A256KW", wrapped, { signal: caller.signal }).catch((error: unknown) => error);
    const patient = Array.from({ length: 20 }, () => kek.unwrapKey("A256KW", wrapped));
    await held.arrived;
    caller.abort("left");
    expect(await impatient).toBe("left");
    held.release();
    const [mine, ...others] = await Promise.all(patient);
    mine?.fill(0);
    for (const copy of others) expect(copy).toEqual(CONTENT_KEY);
    expect(await kek.unwrapKey("A256KW", wrapped)).toEqual(CONTENT_KEY);
    expect(unwraps()).toBe(1);
  });

  test("lets go of keys by age, by number and when it is closed", async () => {
    const clock = fakeClock();
    const resolver = keyEncryptionKeyResolver([open("aes")], { clock, cache: { maxAgeMs: 1000, maxEntries: 2 } });
    const { keyId } = await resolver.current();
    const source = await keyEncryptionKey(open("aes"));
    const wrapped = await Promise.all([1, 2, 3].map((seed) => source.wrapKey("A256KW", noise(32, seed))));
    const kek = await resolver.resolve(keyId);
    const costOf = async (...which: readonly number[]): Promise<number> => {
      emulator.takeRequests();
      for (const at of which) expect(await kek.unwrapKey("A256KW", wrapped[at] ?? noise(0))).toEqual(noise(32, at + 1));
      return unwraps();
    };
    expect(await costOf(0, 1, 0, 1)).toBe(2);
    expect(await costOf(2, 1, 0), "0 was asked for longest ago").toBe(2);
    await clock.advance(1000);
    expect(await costOf(1, 0)).toBe(2);
    resolver.close();
    emulator.takeRequests();
    for (const call of [
      () => kek.unwrapKey("A256KW", wrapped[1] ?? noise(0)),
      () => kek.wrapKey("A256KW", CONTENT_KEY),
      () => resolver.resolve(keyId),
      () => resolver.current(),
    ]) {
      expect(await refusalCode(call)).toBe("closed");
    }
    expect(emulator.takeRequests()).toEqual([]);
    expect(clock.timers, "no key waits for its age").toBe(0);
  });

  test("keeps nothing of an unwrap that lands after it was closed", async () => {
    const key = open("aes");
    let held: Uint8Array | undefined;
    const watched: AzureKey = {
      ...key,
      async unwrapKey(wrapped, options) {
        held = await key.unwrapKey(wrapped, options);
        return copyOf(held);
      },
    };
    const resolver = keyEncryptionKeyResolver([watched]);
    const kek = await resolver.current();
    const wrapped = await kek.wrapKey("A256KW", CONTENT_KEY);
    const gate = emulator.holdNext();
    const late = refusalCode(() => kek.unwrapKey("A256KW", wrapped));
    await gate.arrived;
    resolver.close();
    gate.release();
    expect(await late).toBe("closed");
    expect(held, "the unwrap did land").toEqual(CONTENT_KEY);
  });

  test("retries as a keyring does, and gives up with the service's error", async () => {
    const kek = await keyEncryptionKey(open("aes"), { retry: { delaysMs: [0, 0] } });
    const wrapped = await kek.wrapKey("A256KW", CONTENT_KEY);
    emulator.failNext({ status: 503, text: "" }, /unwrapkey$/, 2);
    expect(await kek.unwrapKey("A256KW", wrapped)).toEqual(CONTENT_KEY);
    const other = await kek.wrapKey("A256KW", noise(32));
    emulator.failNext({ status: 503, text: "" }, /unwrapkey$/, 3);
    expect(await refusalCode(() => kek.unwrapKey("A256KW", other))).toBe("unavailable");
    expect(await kek.unwrapKey("A256KW", other), "a failure is not kept").toEqual(noise(32));
  });
});

function open(name: string): AzureKey {
  return azureKey({ ...emulator.connection, keyUrl: emulator.keyUrl(name), minVersionAgeMs: 0 });
}

function unwraps(): number {
  return emulator.takeRequests().filter(({ path, hasToken }) => path.endsWith("/unwrapkey") && hasToken).length;
}
