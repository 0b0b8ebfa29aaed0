import { describe, expect, test } from "vitest";
import { localKey } from "../../providers/local/index.ts";
import { withAliases } from "../../src/core/contracts/aliases.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { noise } from "../support/arbitraries.ts";
import { watched } from "../support/keks.ts";
import { refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";

const KEY = noise(32, "moved");
const oldPlace = localKey({ keyId: "old/7", key: KEY });
const newPlace = (): ReturnType<typeof localKey> => localKey({ keyId: "new/7", key: KEY });
const keyIdsOf = (envelope: Uint8Array): readonly string[] => {
  const seen = inspect(envelope);
  return seen.kind === "envelope" ? seen.recipients.map(({ keyId }) => keyId) : [];
};

describe("the same key in a new place", () => {
  test("opens what the old place wrapped, and a rewrap moves it", async () => {
    const context = { tenant: "acme" };
    const envelope = await new Keyring({ wrapWith: [oldPlace], context }).encrypt(noise(9));
    const keyring = new Keyring({ wrapWith: [withAliases(newPlace(), { "old/7": "new/7" })], context });
    expect(await keyring.decrypt(envelope)).toEqual(noise(9));
    expect(await keyring.needsRewrap(envelope)).toBe(true);
    const moved = await keyring.rewrap(envelope);
    expect([keyIdsOf(envelope), keyIdsOf(moved)]).toEqual([["old/7"], ["new/7"]]);
    expect(await keyring.needsRewrap(moved)).toBe(false);
    expect(await new Keyring({ wrapWith: [newPlace()], context }).decrypt(moved)).toEqual(noise(9));
    expect(keyIdsOf(await keyring.encrypt(noise(1)))).toEqual(["new/7"]);
  });

  test("other key ids stay refused, without a call: a version, a prefix, another case", async () => {
    const inner = watched(newPlace());
    const provider = withAliases(inner, { "old/7": "new/7" });
    for (const keyId of ["old/8", "old/", "old", "OLD/7", "old/7 ", "__proto__", "toString"]) expect(provider.owns(keyId)).toBe(false);
    const envelope = await new Keyring(localKey({ keyId: "old/8", key: KEY })).encrypt(noise(9));
    expect(await refusalCode(() => new Keyring(provider).decrypt(envelope))).toBe("no-matching-provider");
    expect(inner.calls).toEqual([]);
  });

  test("the key id stays bound: a record whose key id was changed to an alias does not open", async () => {
    const envelope = await new Keyring(localKey({ keyId: "odd/7", key: KEY })).encrypt(noise(9));
    const forged = Buffer.from(Buffer.from(envelope).toString("latin1").replace("odd/7", "old/7"), "latin1");
    expect(keyIdsOf(forged)).toEqual(["old/7"]);
    const keyring = new Keyring(withAliases(newPlace(), { "old/7": "new/7" }));
    expect(await refusalCode(() => keyring.decrypt(forged))).toBe("authentication-failed");
  });

  test("closing it closes the key", async () => {
    const inner = watched(newPlace());
    await withAliases(inner, {}).close?.();
    expect(inner.calls).toEqual(["close"]);
  });

  test.each<[string, unknown]>([
    ["none", undefined],
    ["a list", ["old/7"]],
    ["a key id of the key itself", { "new/7": "new/7" }],
    ["a new key id that the key does not have", { "old/7": "new/8" }],
    ["no new key id", { "old/7": true }],
    ["an empty key id", { "": "new/7" }],
  ])("aliases that are %s are refused", async (_, aliases) => {
    expect(await refusalCode(() => withAliases(newPlace(), untyped(aliases)))).toBe("invalid-argument");
  });
});
