import { describe, expect, test } from "vitest";
import { DataKey, EnvelockError, inspect, type KeyProvider, Keyring } from "../../src/index.ts";
import type { EnvelopeVector } from "../format/envelope-vectors.ts";
import type { SharedKeks } from "../format/key-record-vectors.ts";
import { keyringOf, mapOf, outcomeOf, titleOf } from "../format/outcomes.ts";
import { readVectors } from "../format/read-vectors.ts";
import { bytesOf } from "../format/vector-file.ts";
import { noise } from "../support/arbitraries.ts";
import { hexOf } from "../support/bytes.ts";
import { kek, watched } from "../support/keks.ts";
import { refusal, refusalCode } from "../support/refusal.ts";

// What docs/format.md says of the order of checks and of failures, where a vector alone cannot show it.

describe("a reader of ranges", () => {
  const { shared, vectors } = readVectors<EnvelopeVector, SharedKeks>("envelopes.json");
  for (const vector of vectors.filter(({ envelope }) => envelope !== undefined)) {
    test(`ends as a reader of the whole does: ${titleOf(vector)}`, async () => {
      const envelope = bytesOf(vector.envelope ?? "");
      const source = { size: envelope.length, read: async (start: number, end: number) => envelope.subarray(start, end) };
      const outcome = await outcomeOf(async () => {
        const blob = await keyringOf(shared, vector).openSeekable(source, { context: mapOf(vector.context) });
        return await blob.read(0, Number.MAX_SAFE_INTEGER);
      });
      expect(outcome).toEqual(vector.error === undefined ? { bytes: vector.plaintext } : { error: vector.error });
    });
  }
});

describe("format.md [M-3] several things that are wrong", () => {
  const reading = async (envelope: Uint8Array): Promise<unknown> => {
    const source = { size: envelope.length, read: async (start: number, end: number) => envelope.subarray(start, end) };
    const keyring = new Keyring(kek());
    const whole = await refusalCode(() => keyring.decrypt(envelope));
    expect(await refusalCode(() => keyring.openSeekable(source))).toBe(whole);
    return whole;
  };

  test("end in the class of the first, for readers of the whole and of ranges", async () => {
    const envelope = await new Keyring(kek()).encrypt(noise(100));
    const suite2 = Uint8Array.from(envelope.subarray(0, 40));
    suite2[9] = 2;
    expect(await reading(suite2)).toBe("malformed-envelope"); // H reaches past the end
    const bodyless = Uint8Array.from(envelope.subarray(0, envelope.length - 170));
    expect(await reading(bodyless)).toBe("malformed-envelope");
    bodyless[9] = 2;
    expect(await reading(bodyless)).toBe("unsupported-version"); // the record comes before the length of the body
  });

  test("of a token: the key id before what the value adds, and the form before both", async () => {
    const dataKey = DataKey.from(noise(32));
    const other = DataKey.from(noise(32, "other"));
    const token = dataKey.encryptToken(noise(5));
    expect(await refusalCode(() => other.decryptToken(token, { "": "x" }))).toBe("authentication-failed");
    expect(await refusalCode(() => dataKey.decryptToken(token, { "": "x" }))).toBe("invalid-argument");
    expect(await refusalCode(() => dataKey.decryptToken(token.subarray(0, 56), { "": "x" }))).toBe("malformed-envelope");
    expect(await refusalCode(() => other.decryptToken(`${Buffer.from(token).toString("base64url")}=`, { "": "x" }))).toBe(
      "malformed-envelope",
    );
  });
});

describe("after a backend's error", () => {
  const failing = (keyId: string): KeyProvider =>
    watched(kek(keyId), { unwrap: () => Promise.reject(new EnvelockError("key-disabled", "off")) });
  const refusing = (keyId: string): KeyProvider =>
    watched(kek(keyId), { unwrap: () => Promise.reject(new EnvelockError("unwrap-rejected", "not mine")) });
  const sealed = (): Promise<Uint8Array> => new Keyring({ wrapWith: [kek("a"), kek("b")] }).encrypt(noise(9));
  const read = async (...unwrapWith: readonly KeyProvider[]): Promise<Uint8Array> =>
    await new Keyring({ unwrapWith }).decrypt(await sealed());

  test("format.md [M-74] reading goes on with the next recipient", async () => {
    expect(await read(failing("a"), kek("b"))).toEqual(noise(9));
    expect(await read(kek("a"), failing("b"))).toEqual(noise(9));
    expect(await read(refusing("a"), kek("b"))).toEqual(noise(9));
  });

  test("format.md [M-74] the error of a backend is shown if no recipient opens, else authentication-failed", async () => {
    expect(await refusalCode(() => read(failing("a"), refusing("b")))).toBe("key-disabled");
    expect(await refusalCode(() => read(refusing("a"), failing("b")))).toBe("key-disabled");
    expect(await refusalCode(() => read(refusing("a"), refusing("b")))).toBe("authentication-failed");
  });
});

describe("what a writer may write", () => {
  test.each([0, -1, 1.5, 2 ** 32])("format.md [M-78] is no algorithm %d", async (alg) => {
    const honest = kek();
    const provider = watched(honest, { wrap: async (dek, options) => ({ ...(await honest.wrap(dek, options)), alg }) });
    expect(await refusalCode(() => new Keyring(provider).encrypt(noise(1)))).toBe("provider-failure");
  });

  test("format.md [M-78] may be a private algorithm, which readers without it pass over", async () => {
    const honest = kek("private");
    const provider = watched(honest, { wrap: async (dek, options) => ({ ...(await honest.wrap(dek, options)), alg: 0x80000000 }) });
    const envelope = await new Keyring({ wrapWith: [provider, kek("common")] }).encrypt(noise(9));
    expect(inspect(envelope)).toMatchObject({ recipients: [{ alg: 0x80000000 }, { alg: 1 }] });
    expect(await new Keyring({ unwrapWith: [honest, kek("common")] }).decrypt(envelope)).toEqual(noise(9));
    expect(await refusalCode(() => new Keyring(honest).decrypt(envelope))).toBe("authentication-failed");
  });
});

describe("reuse of a data key", () => {
  const count = 7;
  const envelopes = async (keyring: Keyring): Promise<readonly Uint8Array[]> => {
    const all: Uint8Array[] = [];
    for (let at = 0; at < count; at++) all.push(await keyring.encrypt(noise(9, at), { context: { object: "one" } }));
    return all;
  };
  const keysOf = (all: readonly Uint8Array[]): readonly string[] =>
    all.map((envelope) => {
      const inspection = inspect(envelope);
      return inspection.kind === "envelope" ? inspection.keyCommit : "";
    });

  test("format.md [M-80] is asked for, is bounded, and keeps a salt for each body", async () => {
    expect(new Set(keysOf(await envelopes(new Keyring(kek())))).size).toBe(count);
    const reusing = await envelopes(new Keyring({ wrapWith: [kek()], reuse: { maxUses: 3 } }));
    const keys = keysOf(reusing);
    expect([...new Set(keys)].map((key) => keys.filter((other) => other === key).length)).toEqual([3, 3, 1]);
    expect(new Set(reusing.map((envelope) => hexOf(bodyOf(envelope).subarray(0, 24)))).size).toBe(count);
  });

  test("lets header and body be exchanged where key and value context are equal, and nowhere else: format.md §9", async () => {
    const keyring = new Keyring({ wrapWith: [kek()], reuse: {} });
    const context = { object: "one" };
    const [a, b] = [await keyring.encryptDetached(noise(9), { context }), await keyring.encryptDetached(noise(9, "b"), { context })];
    expect(await keyring.decryptDetached({ header: a.header, body: b.body }, { context })).toEqual(noise(9, "b"));
    const other = await keyring.encryptDetached(noise(9), { context: { object: "two" } });
    const { code } = await refusal(() => keyring.decryptDetached({ header: a.header, body: other.body }, { context }));
    expect(code).toBe("authentication-failed");
  });
});

function bodyOf(envelope: Uint8Array): Uint8Array {
  const inspection = inspect(envelope);
  return envelope.subarray(inspection.kind === "envelope" ? inspection.headerBytes : 0);
}
