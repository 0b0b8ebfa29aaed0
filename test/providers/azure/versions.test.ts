import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { type AzureKey, type AzureKeyOptions, azureKey } from "../../../providers/azure/index.ts";
import { AzureEmulator, type KeySpec } from "../../../src/testing/azure-emulator/index.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { settle, unwrapOne, versionOf, wrapOne } from "./calls.ts";

const clock = fakeClock();
const emulator = await AzureEmulator.start({ clock });
afterAll(() => emulator[Symbol.asyncDispose]());

const MINUTE_MS = 60_000;
const AES: KeySpec = { type: "oct-HSM", bits: 256 };
let first = "";
beforeEach(async () => {
  first = await emulator.createKey("orders", AES);
  emulator.takeRequests();
});

describe("which version wraps", () => {
  test("the newest once it is old enough, with nobody asking again before", async () => {
    const provider = open();
    expect(versionOf(await wrapOne(provider))).toBe(first);
    const second = await emulator.rotate("orders");
    clock.advanceNow(5 * MINUTE_MS);
    expect(versionOf(await wrapOne(provider)), "still kept").toBe(first);
    provider.noteNewVersion(emulator.keyUrl("orders", second));
    expect(versionOf(await wrapOne(provider)), "too young").toBe(first);
    clock.advanceNow(5 * MINUTE_MS - 1);
    expect(versionOf(await wrapOne(provider)), "too young by a moment").toBe(first);
    clock.advanceNow(1000);
    expect(versionOf(await wrapOne(provider)), "due before the kept one was over").toBe(second);
  });

  test("a version that nobody told of is found when the kept one is over", async () => {
    const provider = open();
    await wrapOne(provider);
    const second = await emulator.rotate("orders");
    clock.advanceNow(10 * MINUTE_MS);
    expect(versionOf(await wrapOne(provider))).toBe(second);
  });

  test("the oldest usable one, while all are too young", async () => {
    const oldest = await emulator.createKey("orders", AES, 2000);
    await emulator.rotate("orders", 1000);
    await emulator.rotate("orders");
    expect(versionOf(await wrapOne(open()))).toBe(oldest);
  });

  test("a young one, if the older are turned off", async () => {
    emulator.change("orders", first, { enabled: false });
    const second = await emulator.rotate("orders");
    expect(versionOf(await wrapOne(open()))).toBe(second);
  });

  test("the newest of many, whatever the order and pages of the list", async () => {
    const ids: string[] = [first];
    for (const ageMinutes of [50, 40, 30, 20]) ids.push(await emulator.rotate("orders", ageMinutes * MINUTE_MS));
    emulator.change("orders", ids[4] ?? "", { enabled: false });
    emulator.change("orders", ids[3] ?? "", { exp: seconds(-1) });
    emulator.change("orders", ids[2] ?? "", { nbf: seconds(3) });
    const provider = open();
    expect(versionOf(await wrapOne(provider))).toBe(ids[1]);
    clock.advanceNow(3000);
    expect(versionOf(await wrapOne(provider)), "its date has come").toBe(ids[2]);
  });

  test("not one that expires while it is kept", async () => {
    emulator.change("orders", first, { exp: seconds(60) });
    const provider = open();
    await wrapOne(provider);
    clock.advanceNow(MINUTE_MS);
    emulator.takeRequests();
    expect(await refusal(() => wrapOne(provider))).toMatchObject({ code: "key-disabled", detail: "expired" });
    expect(emulator.takeRequests().filter(({ method }) => method === "POST")).toEqual([]);
  });

  test("a version that has not reached this region does not exist", async () => {
    const second = await emulator.rotate("orders", 30 * MINUTE_MS);
    emulator.change("orders", second, { isReplicated: false });
    expect(versionOf(await wrapOne(open()))).toBe(first);
  });
});

describe("no version may wrap", () => {
  test.each([
    ["disabled", { enabled: false }],
    ["expired", { exp: 1_700_000_000 }],
    ["not-yet-valid", { nbf: 4_000_000_000 }],
  ] as const)("%s", async (detail, change) => {
    const recipient = await wrapOne(open());
    emulator.change("orders", first, change);
    for (const keyUrl of [emulator.keyUrl("orders"), emulator.keyUrl("orders", first)]) {
      emulator.takeRequests();
      expect(await refusal(() => wrapOne(open({ keyUrl })))).toMatchObject({ code: "key-disabled", detail, retryable: false });
      expect(emulator.takeRequests().filter(({ method }) => method === "POST")).toEqual([]);
    }
    if (detail === "disabled") expect(await refusal(() => unwrapOne(open(), recipient))).toMatchObject({ code: "key-disabled", detail });
    else await unwrapOne(open(), recipient);
  });

  test("not made for wrapping", async () => {
    await emulator.createKey("orders", { ...AES, operations: ["unwrapKey"] });
    expect(await refusal(() => wrapOne(open()))).toMatchObject({ code: "key-disabled", detail: "key-operations" });
    await emulator.createKey("orders", { type: "EC", bits: 256, operations: ["wrapKey"] });
    expect(await refusal(() => wrapOne(open()))).toMatchObject({ code: "provider-failure", detail: "key-type" });
  });

  test("a deleted key, until it is recovered", async () => {
    const recipient = await wrapOne(open());
    emulator.softDelete("orders");
    expect(await refusalCode(() => wrapOne(open()))).toBe("key-not-found");
    expect(await refusalCode(() => unwrapOne(open(), recipient))).toBe("key-not-found");
    emulator.recover("orders");
    await unwrapOne(open(), recipient);
  });
});

test("an answer to a wrap that the version is gone makes the next one look again", async () => {
  const provider = open();
  await wrapOne(provider);
  const second = (await emulator.createKey("orders", AES)) ?? "";
  expect(await refusalCode(() => wrapOne(provider))).toBe("key-not-found");
  expect(versionOf(await wrapOne(provider))).toBe(second);
});

test("an answer to an unwrap that the version is disabled makes the next wrap look again, for a disabled key still wraps", async () => {
  const provider = open();
  const recipient = await wrapOne(provider);
  emulator.change("orders", first, { enabled: false });
  const second = await emulator.rotate("orders");
  expect(versionOf(await wrapOne(provider)), "the version is kept, and the service wraps with it").toBe(first);
  expect(await refusalCode(() => unwrapOne(provider, recipient))).toBe("key-disabled");
  expect(versionOf(await wrapOne(provider))).toBe(second);
});

test("versions of one key may differ in type: each opens what it wrapped, by alg and length of the recipient", async () => {
  const provider = open({ versionCacheMs: 0 });
  const underAes = await wrapOne(provider);
  await emulator.addVersion("orders", { type: "RSA", bits: 2048 }, 30 * MINUTE_MS);
  const underRsa = await wrapOne(provider);
  expect([underAes.alg, underRsa.alg]).toEqual([6, 3]);
  for (const recipient of [underAes, underRsa]) expect(await unwrapOne(provider, recipient)).toHaveLength(32);
  await emulator.addVersion("orders", AES, 20 * MINUTE_MS);
  expect((await wrapOne(provider)).alg).toBe(6);
  for (const recipient of [underAes, underRsa]) expect(await unwrapOne(provider, recipient)).toHaveLength(32);
  const { requests } = emulator;
  const before = requests.length;
  for (const crossed of [
    { ...underAes, alg: 3 },
    { ...underRsa, alg: 6 },
  ]) {
    expect(await refusalCode(() => unwrapOne(provider, crossed))).toBe("unwrap-rejected");
  }
  expect(requests.length, "an alg that does not fit the length makes no call").toBe(before);
});

test("a clock behind the service's costs no listing where no age is asked for", async () => {
  const provider = open({ minVersionAgeMs: 0, clock: { ...clock, unixMs: () => clock.unixMs() - 72 * 3_600_000 } });
  await wrapOne(provider);
  expect(emulator.takeRequests().map(({ method, status }) => `${method} ${status}`)).toEqual(["GET 401", "GET 200", "POST 200"]);
});

test("a rotation while the key is being read is not missed", async () => {
  const provider = open({ minVersionAgeMs: 0, versionCacheMs: MINUTE_MS });
  await wrapOne(provider);
  clock.advanceNow(MINUTE_MS);
  const held = emulator.holdNext();
  const early = wrapOne(provider);
  await held.arrived;
  const second = await emulator.rotate("orders");
  expect(provider.noteNewVersion(emulator.keyUrl("orders", second))).toBe(true);
  expect(versionOf(await wrapOne(provider))).toBe(second);
  emulator.change("orders", second, { isReplicated: false });
  held.release();
  expect(versionOf(await early), "what was under way is told of the state before").toBe(first);
  emulator.change("orders", second, { isReplicated: true });
  expect(versionOf(await wrapOne(provider))).toBe(second);
});

test("one caller who stops waiting for the key leaves the others waiting", async () => {
  const provider = open();
  const stop = new AbortController();
  const held = emulator.holdNext();
  const reason = new Error("the caller's reason");
  const stopped = wrapOne(provider, undefined, stop.signal).catch((error: unknown) => error);
  const patient = wrapOne(provider);
  await held.arrived;
  stop.abort(reason);
  expect(await stopped).toBe(reason);
  held.release();
  expect(versionOf(await patient)).toBe(first);
});

test("a key read that fails is not kept", async () => {
  const provider = open();
  emulator.failNext("reset");
  expect(await refusalCode(() => provider.current())).toBe("unavailable");
  expect(await provider.current()).toBe(emulator.keyUrl("orders", first));
});

test("a local wrap makes no call until the key is to be read again, and then minds what changed", async () => {
  await emulator.createKey("orders", { type: "RSA", bits: 2048 });
  const provider = open({ wrap: "local" });
  const recipient = await wrapOne(provider);
  emulator.takeRequests();
  await Promise.all(Array.from({ length: 20 }, () => wrapOne(provider)));
  expect(emulator.takeRequests()).toEqual([]);
  expect((await unwrapOne(open(), recipient)).length).toBe(32);
  emulator.change("orders", versionOf(recipient), { enabled: false });
  await wrapOne(provider);
  clock.advanceNow(10 * MINUTE_MS);
  expect(await refusal(() => wrapOne(provider))).toMatchObject({ code: "key-disabled", detail: "disabled" });
});

test("an oct-HSM key has no public half to wrap with", async () => {
  expect(await refusal(() => wrapOne(open({ wrap: "local" })))).toMatchObject({ code: "provider-failure", detail: "no-public-key" });
});

test("a data key that has another length is none", async () => {
  const provider = open();
  expect(await refusalCode(() => wrapOne(provider, new Uint8Array(31)))).toBe("invalid-argument");
});

describe("SHA-1", () => {
  test("unwraps old data by explicit option only", async () => {
    await emulator.createKey("orders", { type: "RSA", bits: 2048 });
    const recipient = { ...(await wrapOne(open())), alg: 8 };
    emulator.takeRequests();
    expect(await refusalCode(() => unwrapOne(open(), recipient))).toBe("unwrap-rejected");
    expect(emulator.takeRequests()).toEqual([]);
    expect(await refusalCode(() => unwrapOne(open({ unwrapRsaOaepSha1: true }), recipient))).toBe("unwrap-rejected");
    await settle(() => emulator.requests.length > 0);
    expect(emulator.takeRequests().at(-1)?.body).toContain('"alg":"RSA-OAEP"');
  });
});

function open(options: Partial<AzureKeyOptions> = {}): AzureKey {
  return azureKey({ ...emulator.connection, clock, keyUrl: emulator.keyUrl("orders"), ...options });
}

function seconds(fromNow: number): number {
  return Math.floor(clock.unixMs() / 1000) + fromNow;
}
