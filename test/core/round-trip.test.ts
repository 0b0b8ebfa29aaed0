import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DataKey } from "../../src/core/data-key/data-key.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { contexts, noise, plaintexts, runs, sameContext, splitContexts } from "../support/arbitraries.ts";
import { expectSameBytes, hexOf } from "../support/bytes.ts";
import { kek } from "../support/keks.ts";
import { refusalCode } from "../support/refusal.ts";

describe("envelopes", () => {
  test("decrypt inverts encrypt, for any bytes and contexts", async () => {
    await fc.assert(
      fc.asyncProperty(plaintexts, splitContexts, async (plaintext, { context, rest }) => {
        const keyring = new Keyring({ wrapWith: [kek()], context });
        const envelope = await keyring.encrypt(plaintext, { context: rest });
        expectSameBytes(await keyring.decrypt(envelope, { context: rest }), plaintext);
      }),
      runs(150, 60),
    );
  });

  test("header and body of the detached form are an envelope cut in two", async () => {
    await fc.assert(
      fc.asyncProperty(plaintexts, contexts, fc.nat({ max: 600 }), async (plaintext, context, minHeaderBytes) => {
        const keyring = new Keyring(kek());
        const { header, body } = await keyring.encryptDetached(plaintext, { context, minHeaderBytes });
        expectSameBytes(await keyring.decryptDetached({ header, body }, { context }), plaintext);
        expectSameBytes(await keyring.decrypt(Buffer.concat([header, body]), { context }), plaintext);

        const envelope = await keyring.encrypt(plaintext, { context, minHeaderBytes });
        const cut = { header: envelope.subarray(0, header.length), body: envelope.subarray(header.length) };
        expectSameBytes(await keyring.decryptDetached(cut, { context }), plaintext);
      }),
      runs(60, 25),
    );
  });

  test("have the size that format.md §4 and §6 give, and inspect reads it back", async () => {
    const keyring = new Keyring(kek("k1"));
    // 9E 01 00 00 | u32 | 83 | suite | 58 20 + 32 | 81 | 84 | "local" | "k1" | alg | 58 48 + 72
    const headerBytes = 8 + 1 + 1 + 34 + 1 + 1 + 6 + 3 + 1 + 74;
    for (const plaintextBytes of [0, 1, 16383, 16384, 16385, 3 * 16384]) {
      const envelope = await keyring.encrypt(noise(plaintextBytes));
      const chunks = Math.floor(plaintextBytes / 16384) + 1;
      const bodyBytes = 24 + 32 + plaintextBytes + 16 * chunks;
      expect(envelope).toHaveLength(headerBytes + bodyBytes);
      expect(inspect(envelope)).toMatchObject({ kind: "envelope", headerBytes, bodyBytes, plaintextBytes, paddingBytes: 0 });
    }
  });

  test("do not cross when 64 of one keyring are under way at once", async () => {
    const keyring = new Keyring({ wrapWith: [kek()], context: { tenant: "acme" } });
    const rows = Array.from({ length: 64 }, (_, index) => ({ plaintext: noise(index * 700, index), context: { row: `${index}` } }));
    const envelopes = await Promise.all(rows.map(({ plaintext, context }) => keyring.encrypt(plaintext, { context })));
    const decrypted = await Promise.all(rows.map(({ context }, index) => keyring.decrypt(envelopes[index] ?? noise(0), { context })));
    for (const [index, { plaintext }] of rows.entries()) expectSameBytes(decrypted[index] ?? noise(0), plaintext);
  });

  test("of one plaintext have nothing in common but their frame", async () => {
    const keyring = new Keyring(kek());
    const plaintext = noise(64);
    const [one, other] = await Promise.all([keyring.encrypt(plaintext), keyring.encrypt(plaintext)]);
    const runsOfSixteen = new Set<string>();
    for (let at = 12; at + 16 <= one.length; at++) runsOfSixteen.add(hexOf(one.subarray(at, at + 16)));
    const shared: number[] = [];
    for (let at = 12; at + 16 <= other.length; at++) if (runsOfSixteen.has(hexOf(other.subarray(at, at + 16)))) shared.push(at);
    expect(shared).toEqual([]);
  });

  test("do not open in another value context, nor in another key context", async () => {
    await fc.assert(
      fc.asyncProperty(contexts, contexts, async (context, otherContext) => {
        fc.pre(!sameContext(context, otherContext));
        const plaintext = noise(20);
        const keyring = new Keyring(kek());
        const envelope = await keyring.encrypt(plaintext, { context });
        expect(await refusalCode(() => keyring.decrypt(envelope, { context: otherContext }))).toBe("authentication-failed");

        const tenant = new Keyring({ wrapWith: [kek()], context });
        const otherTenant = new Keyring({ wrapWith: [kek()], context: otherContext });
        const owned = await tenant.encrypt(plaintext);
        expect(await refusalCode(() => otherTenant.decrypt(owned))).toBe("authentication-failed");
      }),
      runs(60, 25),
    );
  });

  test("tell the key context from the value context, though the value's bytes are the same", async () => {
    const plaintext = noise(20);
    const tenant = new Keyring({ wrapWith: [kek()], context: { tenant: "acme" } });
    const nobody = new Keyring(kek());
    const envelope = await tenant.encrypt(plaintext);
    expect(await refusalCode(() => nobody.decrypt(envelope, { context: { tenant: "acme" } }))).toBe("authentication-failed");
  });

  test("are refused before any provider is asked when key and value context disagree", async () => {
    const keyring = new Keyring({ wrapWith: [kek()], context: { tenant: "acme" } });
    const context = { tenant: "other" };
    expect(await refusalCode(() => keyring.encrypt(noise(1), { context }))).toBe("invalid-argument");
    const envelope = await keyring.encrypt(noise(1));
    expect(await refusalCode(() => keyring.decrypt(envelope, { context }))).toBe("invalid-argument");
  });

  test("cannot be encrypted twice by accident unnoticed, nor decrypted when they are plain", async () => {
    const keyring = new Keyring(kek());
    for (const plain of ["", "{}", "plain text", "\u{feff}", "ey.ey.sig"]) {
      expect(await refusalCode(() => keyring.decrypt(Buffer.from(plain)))).toBe("malformed-envelope");
    }
    const token = DataKey.generate().encryptToken(noise(200));
    expect(await refusalCode(() => keyring.decrypt(token))).toBe("malformed-envelope");
  });
});

describe("key records", () => {
  test("give back the data key that they were made with", async () => {
    await fc.assert(
      fc.asyncProperty(contexts, async (context) => {
        const keyring = new Keyring({ wrapWith: [kek("k1"), kek("k2")], context });
        const { dataKey, keyRecord } = await keyring.createDataKey();
        const unwrapped = await new Keyring({ unwrapWith: [kek("k2")], context }).unwrapDataKey(keyRecord);
        expect(unwrapped.kid).toBe(dataKey.kid);
        expectSameBytes(unwrapped.decryptToken(dataKey.encryptToken(noise(40))), noise(40));
      }),
      runs(60, 25),
    );
  });
});
