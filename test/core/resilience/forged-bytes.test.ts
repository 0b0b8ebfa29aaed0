import { describe, expect, test } from "vitest";
import { generateKeysetKey, localKeyPair } from "../../../providers/local/index.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { WRAP_ALGORITHMS } from "../../../src/core/contracts/algorithms.ts";
import { SUITE } from "../../../src/core/contracts/suite.ts";
import { prepareHeader } from "../../../src/core/format/envelope.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { noise } from "../../support/arbitraries.ts";
import { kek, watched } from "../../support/keks.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";

describe("what forged bytes cannot do", () => {
  /** An envelope whose header anybody can write: a recipient of this key id and algorithm, and noise. */
  function forged(alg: number, wrappedBytes: number): Uint8Array {
    const recipients = [{ provider: "local", keyId: "k1", alg, wrapped: noise(wrappedBytes) }];
    const { headerBytes, write } = prepareHeader({ suite: SUITE, keyCommit: noise(32), recipients }, 0);
    const envelope = new Uint8Array(headerBytes + 72);
    write(envelope);
    return envelope;
  }

  test("an answer about another algorithm evicts nothing, from cache or reuse", async () => {
    const inner = kek();
    const provider = watched(inner, {
      async unwrap(recipient, options) {
        if (recipient.alg !== 1) throw new EnvelockError("access-denied", "the mechanism is not allowed for this key");
        return await inner.unwrap(recipient, options);
      },
    });
    const keyring = new Keyring({ wrapWith: [provider], cache: {}, reuse: {} });
    const other = await new Keyring(inner).encrypt(noise(9));
    await keyring.decrypt(other);
    await keyring.encrypt(noise(9));
    expect(await refusalCode(() => keyring.decrypt(forged(6, 40)))).toBe("access-denied");
    expect(keyring.status()).toMatchObject({ cachedDataKeys: 1, hasReusedDataKey: true });
    await keyring.encrypt(noise(9));
    expect(provider.calls).toEqual(["unwrap", "wrap", "unwrap"]);
  });

  test("a key pair of which only the public half is here keeps its reused data key", async () => {
    const pair = await generateKeysetKey({ type: "x25519", keyId: "k1", created: "2026-11-21T09:30:00Z" });
    if (pair.type !== "x25519") throw new Error("another type");
    const provider = watched(localKeyPair({ keyId: "k1", publicKey: pair.publicKey }));
    const keyring = new Keyring({ wrapWith: [provider], reuse: {} });
    await keyring.encrypt(noise(9));
    const error = await refusal(() => keyring.decrypt(forged(4, 80)));
    expect([error.code, error.hint]).toEqual(["no-matching-provider", "give privateKey where data is decrypted"]);
    await keyring.encrypt(noise(9));
    expect(provider.calls).toEqual(["wrap", "unwrap"]);
  });

  test("an answer about the key's own recipients still purges both", async () => {
    const inner = kek();
    const provider = watched(inner, {
      unwrap: async () => {
        throw new EnvelockError("key-disabled", "disabled");
      },
    });
    const keyring = new Keyring({ wrapWith: [provider], reuse: {} });
    const envelope = await keyring.encrypt(noise(9));
    expect(await refusalCode(() => keyring.decrypt(envelope))).toBe("key-disabled");
    expect(keyring.status().hasReusedDataKey).toBe(false);
  });
});

test("the algorithms are frozen", () => {
  expect(Object.isFrozen(WRAP_ALGORITHMS)).toBe(true);
});
