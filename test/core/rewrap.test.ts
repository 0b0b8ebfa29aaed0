import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseHeader } from "../../src/core/format/envelope.ts";
import { parseKeyRecord } from "../../src/core/format/key-record.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { contexts, noise, plaintexts, runs } from "../support/arbitraries.ts";
import { expectSameBytes, flipped } from "../support/bytes.ts";
import { kek, watched } from "../support/keks.ts";
import { refusalCode } from "../support/refusal.ts";

describe("rewrap (format.md §4)", () => {
  test("keeps suite, keyCommit and every body byte, and replaces the recipients", async () => {
    await fc.assert(
      fc.asyncProperty(plaintexts, contexts, fc.constantFrom(0, 400), async (plaintext, context, minHeaderBytes) => {
        const before = new Keyring({ wrapWith: [kek("old")], context: { tenant: "acme" } });
        const mover = new Keyring({ wrapWith: [kek("new-1"), kek("new-2")], unwrapWith: [kek("old")], context: { tenant: "acme" } });
        const after = new Keyring({ unwrapWith: [kek("new-2")], context: { tenant: "acme" } });
        const value = { context: { ...context, row: "7" } };
        const envelope = await before.encrypt(plaintext, { ...value, minHeaderBytes });
        const moved = await mover.rewrap(envelope);

        const [from, to] = [parseHeader(envelope), parseHeader(moved)];
        expect(to.record.suite).toBe(from.record.suite);
        expect(to.record.keyCommit).toEqual(from.record.keyCommit);
        expectSameBytes(moved.subarray(to.headerBytes), envelope.subarray(from.headerBytes));
        expect(to.record.recipients.map(({ keyId }) => keyId)).toEqual(["new-1", "new-2"]);
        expectSameBytes(await after.decrypt(moved, value), plaintext);
        expect(await refusalCode(() => before.decrypt(moved, value))).toBe("no-matching-provider");
      }),
      runs(40, 20),
    );
  });

  test("of a detached header needs no body, and old bodies open with it", async () => {
    const { header, body } = await new Keyring(kek("old")).encryptDetached(noise(20_000));
    const keyring = new Keyring({ wrapWith: [kek("new")], unwrapWith: [kek("old")] });
    const moved = await keyring.rewrapHeader(header);
    expectSameBytes(await new Keyring(kek("new")).decryptDetached({ header: moved, body }), noise(20_000));
    expect(inspect(moved)).toMatchObject({ kind: "header", recipients: [{ keyId: "new" }] });
    expect(await refusalCode(() => keyring.rewrapHeader(Buffer.concat([header, body])))).toBe("malformed-envelope");
    expect(await refusalCode(() => keyring.rewrap(header))).toBe("malformed-envelope"); // an envelope without a body is none
  });

  test("keeps the size of a padded header while the new recipients fit, and grows to what they take when not", async () => {
    const old = new Keyring(kek("old"));
    const { header, body } = await old.encryptDetached(noise(10), { minHeaderBytes: 300 });
    expect(header).toHaveLength(300);
    const withRecipients = async (count: number): Promise<Uint8Array> => {
      const wrapWith = Array.from({ length: count }, (_, index) => kek(`k${index.toString(16)}`));
      return await new Keyring({ wrapWith, unwrapWith: [kek("old")] }).rewrapHeader(header);
    };
    // 8 + 37 + 85 a recipient
    for (const [count, bytes] of [
      [1, 300],
      [2, 300],
      [3, 300],
      [4, 385],
      [16, 1405],
    ] as const) {
      const moved = await withRecipients(count);
      expect(moved, `${count} recipients`).toHaveLength(bytes);
      expect(await new Keyring(kek(`k${(count - 1).toString(16)}`)).decryptDetached({ header: moved, body })).toEqual(noise(10));
    }
    expect(await old.rewrapHeader((await old.encryptDetached(noise(1))).header)).toHaveLength(8 + 37 + 86); // not padded before, not padded after
  });

  test("in place leaves the file's size and its body's place as they were", async () => {
    const keyring = new Keyring({ wrapWith: [kek("new")], unwrapWith: [kek("a-rather-long-old-key-id")] });
    const file = await new Keyring(kek("a-rather-long-old-key-id")).encrypt(noise(40_000), { minHeaderBytes: 512 });
    const moved = await keyring.rewrapHeader(file.subarray(0, 512));
    expect(moved).toHaveLength(512);
    file.set(moved);
    expectSameBytes(await keyring.decrypt(file), noise(40_000));
  });

  test("pads up to the limit of 65,544 bytes and no further", async () => {
    const keyring = new Keyring(kek());
    const envelope = await keyring.encrypt(noise(3), { minHeaderBytes: 65_544 });
    expect(inspect(envelope)).toMatchObject({ headerBytes: 65_544 });
    expect(await keyring.decrypt(await keyring.rewrap(envelope))).toEqual(noise(3));
    for (const minHeaderBytes of [65_545, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(await refusalCode(() => keyring.encrypt(noise(3), { minHeaderBytes }))).toBe("invalid-argument");
    }
  });

  test("of a key record keeps kid and tokens", async () => {
    const { dataKey, keyRecord } = await new Keyring(kek("old")).createDataKey();
    const token = dataKey.encryptToken(noise(9), { row: "1" });
    const moved = await new Keyring({ wrapWith: [kek("new")], unwrapWith: [kek("old")] }).rewrapKeyRecord(keyRecord);
    expect(parseKeyRecord(moved).keyCommit).toEqual(parseKeyRecord(keyRecord).keyCommit);
    const unwrapped = await new Keyring(kek("new")).unwrapDataKey(moved);
    expect(unwrapped.kid).toBe(dataKey.kid);
    expect(unwrapped.decryptToken(token, { row: "1" })).toEqual(noise(9));
  });

  test("of what is not authentic is refused and wraps nothing", async () => {
    const target = watched(kek("new"));
    const keyring = new Keyring({ wrapWith: [target], unwrapWith: [kek("old")] });
    const envelope = await new Keyring(kek("old")).encrypt(noise(10));
    const commit = 8 + 4; // after 83 01 58 20
    expect(await refusalCode(() => keyring.rewrap(flipped(envelope, commit)))).toBe("authentication-failed");
    expect(target.calls).toEqual([]);
  });

  test("needs a keyring that wraps", async () => {
    const reader = new Keyring({ unwrapWith: [kek("old")] });
    const envelope = await new Keyring(kek("old")).encrypt(noise(1));
    expect(await refusalCode(() => reader.rewrap(envelope))).toBe("invalid-argument");
    expect(await refusalCode(() => reader.encrypt(noise(1)))).toBe("invalid-argument");
    expect(await refusalCode(() => reader.needsRewrap(envelope))).toBe("invalid-argument");
  });
});

describe("needsRewrap", () => {
  test("says whether the recipients are those that wrapWith would make now", async () => {
    const envelope = await new Keyring({ wrapWith: [kek("a"), kek("b")] }).encrypt(noise(1));
    const needs = (...keyIds: string[]): Promise<boolean> =>
      new Keyring({ wrapWith: keyIds.map((keyId) => kek(keyId)), unwrapWith: [kek("a")] }).needsRewrap(envelope);
    expect(await needs("a", "b")).toBe(false);
    expect(await needs("b", "a")).toBe(false);
    expect(await needs("a")).toBe(true);
    expect(await needs("a", "b", "c")).toBe(true);
    expect(await needs("a", "c")).toBe(true);
  });

  test("sees an older key version, and makes no unwrap to see it", async () => {
    const rotated = watched(kek("v1"), { owns: (keyId) => keyId.startsWith("v"), current: async () => "v2" });
    const envelope = await new Keyring(kek("v1")).encrypt(noise(1));
    expect(await new Keyring(rotated).needsRewrap(envelope)).toBe(true);
    expect(rotated.calls).toEqual(["current"]);
    const { keyRecord } = await new Keyring(kek("v1")).createDataKey();
    expect(await new Keyring(rotated).keyRecordNeedsRewrap(keyRecord)).toBe(true);
    expect(await new Keyring(kek("v1")).keyRecordNeedsRewrap(keyRecord)).toBe(false);
  });
});
