import { afterEach, describe, expect, test, vi } from "vitest";
import { engine } from "#engine";
import { localKeyPair } from "../../providers/local/key-pair.ts";
import { localKey } from "../../providers/local/local-key.ts";
import { type InstantKey, instantKeyOf } from "../../src/core/contracts/instant-key.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import type { KeyringEvent } from "../../src/core/telemetry/events.ts";
import { noise } from "../support/arbitraries.ts";
import { kek } from "../support/keks.ts";
import { refusal } from "../support/refusal.ts";

const DEK = noise(32, "dek");
const wrapAad = (keyId: string): Uint8Array => noise(40, keyId);

afterEach(() => {
  vi.restoreAllMocks();
});

describe.each<readonly [what: string, make: () => KeyProvider]>([
  ["a local key", () => kek("k1")],
  ["a local key pair", keyPair],
])("the instant key of %s", (_what, make) => {
  test("opens what its provider wrapped, and the other way round", async () => {
    const provider = make();
    const instant = instantOf(provider);
    const own = instant.wrapNow(DEK, wrapAad);
    expect(own && (await provider.unwrap(own, { keyContext: {}, wrapAad }))).toEqual(DEK);
    expect(instant.unwrapNow(await provider.wrap(DEK, { keyContext: {}, wrapAad }), wrapAad)).toEqual(DEK);
  });

  test("leaves to its provider whatever does not fit, and all once that is closed", async () => {
    const provider = make();
    const instant = instantOf(provider);
    const recipient = await provider.wrap(DEK, { keyContext: {}, wrapAad });
    const wrong = [
      { ...recipient, provider: "other" },
      { ...recipient, keyId: "other" },
      { ...recipient, alg: recipient.alg + 1 },
      { ...recipient, wrapped: recipient.wrapped.subarray(1) },
      { ...recipient, wrapped: recipient.wrapped.map((byte) => byte ^ 1) },
    ];
    for (const each of wrong) expect(instant.unwrapNow(each, wrapAad)).toBeUndefined();
    expect(instant.unwrapNow(recipient, () => noise(40, "another context"))).toBeUndefined();
    await provider.close?.();
    expect(instant.unwrapNow(recipient, wrapAad)).toBeUndefined();
    expect(instant.wrapNow(DEK, wrapAad)).toBeUndefined();
  });
});

test("a key that WebCrypto holds answers nothing at once", async () => {
  const held = await crypto.subtle.generateKey({ name: "AES-CBC", length: 256 }, false, ["encrypt"]);
  expect(instantOf(localKey({ keyId: "held", key: held })).wrapNow(DEK, wrapAad)).toBeUndefined();
});

describe("another provider", () => {
  const refused = (): Promise<never> => Promise.reject(new Error("this method counts"));

  test.each<readonly [what: string, make: () => KeyProvider]>([
    ["is a copy with methods of its own", () => ({ ...kek("k1"), wrap: refused, unwrap: refused })],
    ["is one whose methods were replaced", () => Object.assign(kek("k1"), { wrap: refused, unwrap: refused })],
    ["is one that inherits", () => Object.assign(Object.create(kek("k1")), { wrap: refused, unwrap: refused })],
    [
      "is a proxy",
      () => new Proxy(kek("k1"), { get: (of, name) => (name === "wrap" || name === "unwrap" ? refused : Reflect.get(of, name)) }),
    ],
  ])("%s", async (_what, make) => {
    const envelope = await new Keyring(kek("k1")).encrypt(noise(5));
    const keyring = new Keyring(make());
    expect((await refusal(() => keyring.encrypt(noise(5)))).cause).toMatchObject({ message: "this method counts" });
    expect((await refusal(() => keyring.decrypt(envelope))).cause).toMatchObject({ message: "this method counts" });
  });
});

describe("a keyring with an instant key", () => {
  test("refuses like one with a key that is none", async () => {
    const context = { tenant: "acme" };
    const envelope = await new Keyring({ wrapWith: [kek("k1")], context }).encrypt(noise(5));
    const attempts: readonly ((make: () => KeyProvider) => Promise<unknown>)[] = [
      (make) => new Keyring({ wrapWith: [make()], context: { tenant: "evil" } }).decrypt(envelope),
      (make) => new Keyring({ wrapWith: [make()], context }).decrypt(envelope, { signal: AbortSignal.abort(), context: { a: "b" } }),
      (make) => new Keyring({ wrapWith: [make()], context }).encrypt(noise(5), { signal: AbortSignal.abort() }),
      (make) => closed(make()).then((provider) => new Keyring({ wrapWith: [provider], context }).decrypt(envelope)),
      (make) => closed(make()).then((provider) => new Keyring({ wrapWith: [provider], context }).encrypt(noise(5))),
    ];
    for (const attempt of attempts) {
      const [instant, other] = await Promise.all([attempt(() => kek("k1")), attempt(() => ({ ...kek("k1") }))].map(reasonOf));
      expect(instant).toEqual(other);
    }
  });

  test("tells its listeners of each call all the same", async () => {
    const events: KeyringEvent[] = [];
    const keyring = new Keyring({ wrapWith: [kek("k1")], onEvent: (event) => events.push(event) });
    await keyring.decrypt(await keyring.encrypt(noise(5)));
    const calls = events.flatMap((event) => (event.type === "provider-call" ? [event.call] : []));
    expect(calls).toEqual(["wrap", "unwrap"]);
  });

  test("wipes the data key that another recipient's key cannot wrap at once", async () => {
    const randomKey = vi.spyOn(engine, "randomKey");
    const held = await crypto.subtle.generateKey({ name: "AES-CBC", length: 256 }, false, ["encrypt"]);
    const keyring = new Keyring({ wrapWith: [kek("k1"), localKey({ keyId: "held", key: held })] });
    expect(await keyring.decrypt(await keyring.encrypt(noise(5)))).toEqual(noise(5));
    expect(randomKey).toHaveReturned();
    for (const { value } of randomKey.mock.results) expect(value).toEqual(new Uint8Array(32));
  });
});

function keyPair(): KeyProvider {
  const privateKey = noise(32, "pair");
  return localKeyPair({ keyId: "k1", publicKey: engine.x25519.keyPair(privateKey).publicKey, privateKey });
}

function instantOf(provider: KeyProvider): InstantKey {
  const instant = instantKeyOf(provider);
  if (instant === undefined) throw new Error("this provider has no instant key");
  return instant;
}

async function closed(provider: KeyProvider): Promise<KeyProvider> {
  await provider.close?.();
  return provider;
}

/** What a caller sees of a failure. */
async function reasonOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error instanceof Error ? { ...error, name: error.name, message: error.message, cause: String(error.cause) } : error;
  }
  throw new Error("was not refused");
}
