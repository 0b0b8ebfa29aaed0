import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { engine } from "#engine";
import { parseHeader, prepareHeader } from "../../src/core/format/envelope.ts";
import type { KeyRecord } from "../../src/core/format/key-record.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { noise } from "../support/arbitraries.ts";
import { flipped } from "../support/bytes.ts";
import { takeTheFineWay } from "../support/fine-way.ts";
import { kek, watched } from "../support/keks.ts";
import { refusal, refusalCode } from "../support/refusal.ts";

// format.md §4: keyCommit first, then the body's commitment, then chunks

beforeEach(takeTheFineWay);
afterEach(() => {
  vi.restoreAllMocks();
});

describe("a header that does not belong to its body", () => {
  test("fails both ways when the headers of two envelopes are swapped, before any chunk is opened", async () => {
    const keyring = new Keyring(kek());
    const one = await keyring.encryptDetached(noise(100, "one"));
    const other = await keyring.encryptDetached(noise(100, "other"));
    const chunkCipher = vi.spyOn(engine, "chunkCipher");
    expect(await refusalCode(() => keyring.decryptDetached({ header: one.header, body: other.body }))).toBe("authentication-failed");
    expect(await refusalCode(() => keyring.decryptDetached({ header: other.header, body: one.body }))).toBe("authentication-failed");
    expect(chunkCipher).not.toHaveBeenCalled();
    await keyring.decryptDetached(one);
    expect(chunkCipher).toHaveBeenCalledOnce();
  });

  test("fails on keyCommit when its recipient validly wraps another data key, before the body is looked at", async () => {
    const provider = watched(kek());
    const keyring = new Keyring(provider);
    const victim = await keyring.encryptDetached(noise(100, "victim"));
    const attacker = await keyring.encryptDetached(noise(100, "attacker"));
    const salamander = headerOf({ ...recordOf(victim.header), recipients: recordOf(attacker.header).recipients });

    provider.calls.length = 0;
    const bodyKeys = watchBodyDerivations();
    expect(await refusalCode(() => keyring.decryptDetached({ header: salamander, body: victim.body }))).toBe("authentication-failed");
    expect(await refusalCode(() => keyring.decryptDetached({ header: salamander, body: attacker.body }))).toBe("authentication-failed");
    expect(provider.calls).toEqual(["unwrap", "unwrap"]); // it did unwrap: the commitment alone refuses it
    expect(bodyKeys()).toBe(0);

    await keyring.decryptDetached(victim);
    expect(bodyKeys()).toBeGreaterThan(0);
  });

  test("tries the next recipient when one breaks the commitment, and gives its plaintext", async () => {
    const keyring = new Keyring({ wrapWith: [kek("k1"), kek("k2")] });
    const victim = await keyring.encryptDetached(noise(100, "victim"));
    const attacker = await keyring.encryptDetached(noise(100, "attacker"));
    const [planted] = recordOf(attacker.header).recipients;
    const [, own] = recordOf(victim.header).recipients;
    if (planted === undefined || own === undefined) return expect.fail("two recipients");
    const header = headerOf({ ...recordOf(victim.header), recipients: [planted, own] });
    expect(await keyring.decryptDetached({ header, body: victim.body })).toEqual(victimPlaintext());
  });

  test("fails on the body's commitment when header and keyCommit are both another data key's", async () => {
    const keyring = new Keyring(kek());
    const victim = await keyring.encryptDetached(noise(100));
    const { header } = await keyring.encryptDetached(noise(100));
    const chunkCipher = vi.spyOn(engine, "chunkCipher");
    const { cause } = await refusal(() => keyring.decryptDetached({ header, body: victim.body }));
    expect(cause).toBeUndefined(); // the crypto's own reasons never show
    expect(chunkCipher).not.toHaveBeenCalled();
  });

  test("fails before any chunk when only the value context differs, for it is in the body's commitment", async () => {
    const keyring = new Keyring(kek());
    const envelope = await keyring.encrypt(noise(100), { context: { row: "1" } });
    const chunkCipher = vi.spyOn(engine, "chunkCipher");
    expect(await refusalCode(() => keyring.decrypt(envelope, { context: { row: "2" } }))).toBe("authentication-failed");
    expect(await refusalCode(() => keyring.decrypt(envelope))).toBe("authentication-failed");
    expect(chunkCipher).not.toHaveBeenCalled();
  });

  test("fails in another key context on keyCommit, also when the wrapping carries no context", async () => {
    const blind = { name: "blind", owns: (keyId: string): boolean => keyId === "b1" };
    const provider = {
      ...blind,
      wrap: async (dek: Uint8Array) => ({ provider: "blind", keyId: "b1", alg: 10, wrapped: dek.map((byte) => byte ^ 0x5a) }),
      unwrap: async ({ wrapped }: { wrapped: Uint8Array }) => wrapped.map((byte) => byte ^ 0x5a),
    };
    const acme = new Keyring({ wrapWith: [provider], context: { tenant: "acme" } });
    const other = new Keyring({ wrapWith: [provider], context: { tenant: "other" } });
    const envelope = await acme.encrypt(noise(30));
    const { keyRecord } = await acme.createDataKey();
    const bodyKeys = watchBodyDerivations();
    expect(await refusalCode(() => other.decrypt(envelope))).toBe("authentication-failed");
    expect(await refusalCode(() => other.rewrap(envelope))).toBe("authentication-failed");
    expect(await refusalCode(() => other.unwrapDataKey(keyRecord))).toBe("authentication-failed");
    expect(bodyKeys()).toBe(0);
  });

  test("compares commitments through the engine, in constant time", async () => {
    const keyring = new Keyring(kek());
    const envelope = await keyring.encrypt(noise(10));
    const compared = vi.spyOn(engine, "timingSafeEqual");
    await keyring.decrypt(envelope);
    expect(compared.mock.calls.map(([a, b]) => [a.length, b.length])).toEqual([
      [32, 32],
      [32, 32],
    ]);
  });

  test("gives one message for every reason", async () => {
    const keyring = new Keyring(kek());
    const { header, body } = await keyring.encryptDetached(noise(10));
    const other = await keyring.encryptDetached(noise(10));
    const broken = flipped(body, 60);
    const wrongKey = headerOf({ ...recordOf(header), recipients: recordOf(other.header).recipients });
    const refusals = [
      await refusal(() => keyring.decryptDetached({ header, body: broken })),
      await refusal(() => keyring.decryptDetached({ header, body: other.body })),
      await refusal(() => keyring.decryptDetached({ header: wrongKey, body })),
      await refusal(() => keyring.decryptDetached({ header, body }, { context: { a: "b" } })),
    ];
    expect(new Set(refusals.map(({ code, message }) => `${code}: ${message}`)).size).toBe(1);
  });
});

function victimPlaintext(): Uint8Array {
  return noise(100, "victim");
}

function recordOf(header: Uint8Array): KeyRecord {
  return parseHeader(header).record;
}

function headerOf(record: KeyRecord): Uint8Array {
  const { headerBytes, write } = prepareHeader(record, 0);
  const header = new Uint8Array(headerBytes);
  write(header);
  return header;
}

/** Counts derivations whose label is that of a body: the first thing that is done with one. */
function watchBodyDerivations(): () => number {
  const [secret, open] = [vi.spyOn(engine, "hmac"), vi.spyOn(engine, "publicHmac")];
  return () => [...secret.mock.calls, ...open.mock.calls].filter(([, , ...parts]) => Buffer.concat(parts).includes("/v1/body")).length;
}
