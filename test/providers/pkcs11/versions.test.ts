import pkcs11js from "pkcs11js";
import { afterAll, afterEach, expect, test } from "vitest";
import { type Pkcs11KeyOptions, pkcs11Key } from "../../../providers/pkcs11/index.ts";
import { systemClock } from "../../../src/core/base/clock.ts";
import { withAliases } from "../../../src/core/contracts/aliases.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { noise } from "../../support/arbitraries.ts";
import { hexOf } from "../../support/bytes.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { DEK, locationOf, OPTIONS } from "./location.ts";
import { softHsmTokens } from "./tokens.ts";

const softHsm = softHsmTokens("versions", "moved");
const [token] = softHsm.tokens;
afterAll(() => softHsm.remove());
const opened: KeyProvider[] = [];
afterEach(async () => {
  for (const provider of opened.splice(0)) await provider.close?.();
});

const DAY = Date.UTC(2026, 10, 22);

function open(options: Partial<Pkcs11KeyOptions>): Required<KeyProvider> {
  const provider = pkcs11Key({ ...locationOf(token), clock: { ...systemClock, unixMs: () => DAY }, ...options });
  opened.push(provider);
  return provider;
}

/** The id of the version that wraps. */
async function idOf(options: Partial<Pkcs11KeyOptions>): Promise<string | undefined> {
  return /;id=([^;]*)/.exec(await open(options).current())?.[1];
}

function addKey(label: string, id: string, startDate?: string, endDate?: string): void {
  // SoftHSM fails to read the dates of private objects.
  const attributes = {
    ...(startDate !== undefined && { [CKA_PRIVATE]: false }),
    ...(endDate !== undefined && { [CKA_END_DATE]: Buffer.from(endDate) }),
  };
  token.addKey({ label, id, aes: noise(32, `${label} ${id}`), ...(startDate !== undefined && { startDate }), attributes });
}

test("the highest id wraps, as a number", async () => {
  addKey("by id", "09");
  addKey("by id", "0100");
  addKey("by id", "ff");
  expect(await idOf({ key: { label: "by id" } })).toBe("%01%00");
});

test("a start date says more than an id, and one in the future waits for its day", async () => {
  addKey("by date", "03", "20240101");
  addKey("by date", "02", "20260101");
  addKey("by date", "01", "20261123");
  addKey("by date", "04");
  expect(await idOf({ key: { label: "by date" } })).toBe("%02");
  expect(await idOf({ key: { label: "by date" }, clock: { ...systemClock, unixMs: () => DAY + 24 * 3_600_000 } })).toBe("%01");
});

test("a date that cannot be read counts as none", async () => {
  token.addKey({ label: "unreadable date", id: "02", aes: noise(32, "unreadable"), startDate: "20270101" });
  addKey("unreadable date", "01");
  expect(await idOf({ key: { label: "unreadable date" } })).toBe("%02");
});

test("a version that has ended wraps no more and still unwraps", async () => {
  addKey("ending", "01", "20250101");
  addKey("ending", "02", "20260101", "20261122");
  const key = { label: "ending" };
  const recipient = await open({ key }).wrap(DEK, OPTIONS);
  expect(recipient.keyId).toContain(";id=%02;");
  const later = open({ key, clock: { ...systemClock, unixMs: () => DAY + 24 * 3_600_000 } });
  expect((await later.wrap(DEK, OPTIONS)).keyId).toContain(";id=%01;");
  expect(Buffer.from(await later.unwrap(recipient, OPTIONS))).toEqual(Buffer.from(DEK));
});

test("`key-disabled` where every version has ended", async () => {
  addKey("ended", "01", "20250101", "20251231");
  const { code, detail } = await refusal(() => open({ key: { label: "ended" } }).wrap(DEK, OPTIONS));
  expect({ code, detail }).toEqual({ code: "key-disabled", detail: "dates" });
});

test("a key with an id is one version, and older keys unwrap", async () => {
  addKey("pinned", "01");
  addKey("pinned", "02");
  addKey("from before", "7f");
  const [one, two, before] = [
    { label: "pinned", id: Uint8Array.of(1) },
    { label: "pinned", id: Uint8Array.of(2) },
    { id: Uint8Array.of(0x7f) },
  ];
  expect(await idOf({ key: one })).toBe("%01");
  const [fromTwo, fromBefore] = [await open({ key: two }).wrap(DEK, OPTIONS), await open({ key: before }).wrap(DEK, OPTIONS)];
  expect(await refusalCode(() => open({ key: one }).unwrap(fromTwo, OPTIONS))).toBe("unwrap-rejected");
  const both = open({ key: one, olderKeys: [two, before] });
  expect(both.owns(fromTwo.keyId) && both.owns(fromBefore.keyId)).toBe(true);
  expect(Buffer.from(await both.unwrap(fromTwo, OPTIONS))).toEqual(Buffer.from(DEK));
  expect(Buffer.from(await both.unwrap(fromBefore, OPTIONS))).toEqual(Buffer.from(DEK));
});

test("a new version is seen when the old one's time in the cache is over", async () => {
  addKey("cached", "01");
  let nowMs = DAY;
  const provider = open({ key: { label: "cached" }, clock: { ...systemClock, unixMs: () => nowMs }, versionCacheMs: 1000 });
  const first = await provider.current();
  addKey("cached", "02");
  nowMs += 999;
  expect(await provider.current()).toBe(first);
  nowMs += 1;
  expect(await provider.current()).toContain(";id=%02;");
});

test("two keys of one name are refused, and none is `key-not-found`", async () => {
  addKey("twice", "01");
  addKey("twice", "01");
  const { code, detail } = await refusal(() => open({ key: { label: "twice" } }).wrap(DEK, OPTIONS));
  expect({ code, detail }).toEqual({ code: "provider-failure", detail: "ambiguous-key" });
  expect(await refusalCode(() => open({ key: { label: "nobody" } }).wrap(DEK, OPTIONS))).toBe("key-not-found");
});

test("a key that was deleted is `key-not-found`, also for a provider that has used it", async () => {
  addKey("deleted", "01");
  const provider = open({ key: { label: "deleted" }, versionCacheMs: 0 });
  const recipient = await provider.wrap(DEK, OPTIONS);
  token.deleteKey("deleted");
  const first = await refusal(() => provider.unwrap(recipient, OPTIONS));
  expect(["key-not-found", "unavailable"]).toContain(first.code); // its handle fails before it is looked for again
  expect(await refusalCode(() => provider.unwrap(recipient, OPTIONS))).toBe("key-not-found");
  expect(await refusalCode(() => provider.wrap(DEK, OPTIONS))).toBe("key-not-found");
});

test("one URI names library, token and key", async () => {
  addKey("by uri", "01");
  addKey("by uri", "02");
  const { module, label, serial, pin } = token;
  const provider = pkcs11Key({
    uri: `pkcs11:token=${label};serial=${serial};object=by%20uri;id=%01?module-path=${module}`,
    pin: () => pin,
  });
  opened.push(provider);
  const recipient = await provider.wrap(DEK, OPTIONS);
  expect(recipient.keyId).toBe(`pkcs11:token=${label};object=by%20uri;id=%01;serial=${serial}`);
  expect(Buffer.from(await provider.unwrap(recipient, OPTIONS))).toEqual(Buffer.from(DEK));
});

test("what was wrapped otherwise is unwrapped by those that are told so", async () => {
  addKey("moved on", "01");
  const key = { label: "moved on" };
  const byKeyWrap = await open({ key, mechanism: "aes-kw" }).wrap(DEK, OPTIONS);
  expect(byKeyWrap.alg).toBe(6);
  expect(await refusalCode(() => open({ key, mechanism: "aes-gcm" }).unwrap(byKeyWrap, OPTIONS))).toBe("unwrap-rejected");
  const told = open({ key, mechanism: "aes-gcm", unwrapMechanisms: ["aes-kw"] });
  expect(Buffer.from(await told.unwrap(byKeyWrap, OPTIONS))).toEqual(Buffer.from(DEK));
  expect((await told.wrap(DEK, OPTIONS)).alg).toBe(2);
});

test("an AES key opens the one algorithm that it wraps with, and others only if the options name them", async () => {
  const key = { label: "both ways" };
  token.addKey({ label: "both ways", id: "7a", aes: noise(32, "both ways") });
  const byKeyWrap = await open({ key, mechanism: "aes-kw" }).wrap(DEK, OPTIONS);
  const chosen = open({ key });
  expect(await refusal(() => chosen.unwrap(byKeyWrap, OPTIONS))).toMatchObject({
    code: "unwrap-rejected",
    detail: "mechanism",
    hint: expect.stringContaining("unwrapMechanisms"),
  });
  const byGcm = await chosen.wrap(DEK, OPTIONS);
  expect([byGcm.alg, byKeyWrap.alg]).toEqual([2, 6]);
  const told = open({ key, unwrapMechanisms: ["aes-kw"] });
  for (const recipient of [byGcm, byKeyWrap]) expect(hexOf(await told.unwrap(recipient, OPTIONS))).toBe(hexOf(DEK));
});

test("a token with another label opens what names the old one, by aliases", async () => {
  const [old, moved] = softHsm.tokens;
  for (const each of [old, moved]) each.addKey({ label: "moving", id: "7c", aes: noise(32, "moving") });
  const before = await open({ key: { label: "moving" } }).wrap(DEK, OPTIONS);
  const there = open({ ...locationOf(moved), key: { label: "moving" } });
  expect(await refusalCode(() => there.unwrap(before, OPTIONS))).toBe("unwrap-rejected");
  const key = withAliases(there, { [before.keyId]: await there.current() });
  expect(hexOf(await key.unwrap(before, OPTIONS))).toBe(hexOf(DEK));
  expect((await key.wrap(DEK, OPTIONS)).keyId).toContain("token=moved;");
});

test("a key that may no longer wrap still opens what it wrapped", async () => {
  token.addKey({ label: "retired", id: "7b", aes: noise(32, "retired") });
  const byGcm = await open({ key: { label: "retired" } }).wrap(DEK, OPTIONS);
  token.deleteKey("retired");
  const attributes = { [pkcs11js.CKA_ENCRYPT]: false, [pkcs11js.CKA_WRAP]: false, [pkcs11js.CKA_UNWRAP]: false };
  token.addKey({ label: "retired", id: "7b", aes: noise(32, "retired"), attributes });
  expect(hexOf(await open({ key: { label: "retired" } }).unwrap(byGcm, OPTIONS))).toBe(hexOf(DEK));
});

test.each<[string, Partial<Pkcs11KeyOptions>]>([
  ["no key", {}],
  ["a key without a name", { key: {} }],
  ["an empty label", { key: { label: "" } }],
  ["no token", { key: { label: "a" }, token: {} }],
  ["a relative library", { key: { label: "a" }, module: "softhsm2.so" }],
  ["a library by name in a URI", { uri: "pkcs11:token=a;object=b?module-name=softhsm2" }],
  ["the token twice", { key: { label: "a" }, uri: "pkcs11:token=a" }],
  ["the key twice", { key: { label: "a" }, uri: "pkcs11:object=a" }],
  ["an unknown mechanism", { key: { label: "a" }, mechanism: JSON.parse('"aes-cbc"') }],
  ["an unknown mechanism to unwrap", { key: { label: "a" }, unwrapMechanisms: [JSON.parse('"aes-cbc"')] }],
  ["a misspelt option", { key: { label: "a" }, ...JSON.parse('{ "mechanisms": "aes-kw" }') }],
  ["a misspelt part of the key", { key: { ...JSON.parse('{ "lable": "a" }') } }],
  ["a misspelt part of the token", { key: { label: "a" }, token: { label: "a", ...JSON.parse('{ "serail": "1" }') } }],
  ["a PIN that is no function", { key: { label: "a" }, pin: JSON.parse('"1234"') }],
  ["no session", { key: { label: "a" }, maxSessions: 0 }],
])("`invalid-argument` before anything is loaded: %s", async (_what, options) => {
  expect(await refusalCode(() => open(options))).toBe("invalid-argument");
});

const CKA_PRIVATE = 0x002;
const CKA_END_DATE = 0x111;
