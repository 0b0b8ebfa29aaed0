import { describe, expect, test, vi } from "vitest";
import { engine } from "#engine";
import { EnvelockError } from "../../src/core/base/errors.ts";
import type { RandomSource } from "../../src/core/contracts/random-source.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import type { KeyringOptions } from "../../src/core/keyring/keyring-options.ts";
import type { KeyringEvent } from "../../src/core/telemetry/events.ts";
import { noise } from "../support/arbitraries.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { kek, watched } from "../support/keks.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";

describe("a keyring with a second generator", () => {
  test("makes each data key of its bytes exclusive-or as many of this machine's", async () => {
    const [own, other] = [noise(32, "own"), noise(32, "other")];
    const randomKey = vi.spyOn(engine, "randomKey").mockImplementation(() => new Uint8Array(own));
    const { keyring, deks } = keyringWith(source(() => new Uint8Array(other)));
    await keyring.encrypt(noise(1)).finally(() => randomKey.mockRestore());
    expect(deks).toEqual([own.map((byte, at) => byte ^ (other[at] ?? 0))]);
  });

  test("never makes the same key twice, even if the generator always gives the same bytes", async () => {
    const { keyring, deks } = keyringWith(source(() => new Uint8Array(32)));
    for (let count = 0; count < 20; count++) await keyring.encrypt(noise(1));
    expect(new Set(deks.map((dek) => `${dek}`)).size).toBe(20);
    expect(deks.every((dek) => new Set(dek).size > 10)).toBe(true);
  });

  test("asks it for 32 bytes for each data key, and for nothing else", async () => {
    const random = source();
    const { keyring } = keyringWith(random);
    const envelope = await keyring.encrypt(noise(1));
    const { dataKey, keyRecord } = await keyring.createDataKey();
    dataKey.destroy();
    const stream = keyring.encryptPieces(streamed(noise(100)));
    for await (const _ of stream);
    expect(random.counts).toEqual([32, 32, 32]);
    await keyring.rewrap(envelope);
    await keyring.decrypt(envelope);
    (await keyring.unwrapDataKey(keyRecord)).destroy();
    expect(random.counts).toHaveLength(3);
  });

  test("asks once for a data key that is reused", async () => {
    const random = source();
    const { keyring } = keyringWith(random, { reuse: { maxUses: 10 } });
    for (let count = 0; count < 30; count++) await keyring.encrypt(noise(1));
    expect(random.counts).toHaveLength(3);
  });

  test("wipes what it was given", async () => {
    const given: Uint8Array[] = [];
    const { keyring } = keyringWith(
      source((count) => {
        const bytes = noise(count);
        given.push(bytes);
        return bytes;
      }),
    );
    await keyring.encrypt(noise(1));
    expect(given).toEqual([new Uint8Array(32)]);
  });

  test("makes no data key without it: retries what may pass, and wraps nothing meanwhile", async () => {
    const clock = fakeClock();
    const events: KeyringEvent[] = [];
    const down = new EnvelockError("unavailable", "the HSM is away");
    const { keyring, deks } = keyringWith(
      source(() => {
        throw down;
      }),
      { clock, onEvent: (event) => events.push(event) },
    );
    expect(await refusal(() => clock.finish(keyring.encrypt(noise(1))))).toBe(down);
    expect(deks).toEqual([]);
    const attempts = events.filter((event) => event.type === "provider-call");
    expect(attempts.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(attempts[0]).toMatchObject({ call: "random", provider: "dice", keyId: undefined, outcome: "unavailable" });
    expect(keyring.status().randomness).toMatchObject({ provider: "dice", consecutiveFailures: 6, active: 0 });
    expect(keyring.status().providers).toMatchObject([{ consecutiveFailures: 0 }]);
  });

  test("stops waiting for it at the attempt's deadline, and wipes what comes later", async () => {
    const clock = fakeClock();
    let give = (_: Uint8Array): void => {};
    const { keyring, deks } = keyringWith(
      source(
        () =>
          new Promise<Uint8Array>((resolve) => {
            give = resolve;
          }),
      ),
      { clock, retry: false },
    );
    expect(await refusalCode(() => clock.finish(keyring.encrypt(noise(1))))).toBe("timeout");
    const late = noise(32);
    give(late);
    await clock.advance(0);
    expect(late).toEqual(new Uint8Array(32));
    expect(deks).toEqual([]);
  });

  test("passes the caller's abort on", async () => {
    let signal: AbortSignal | undefined;
    const { keyring } = keyringWith({
      name: "dice",
      randomBytes: (_count, options) => {
        signal = options?.signal;
        return new Promise(() => {});
      },
    });
    const caller = new AbortController();
    const pending = keyring.encrypt(noise(1), { signal: caller.signal }).catch((error: unknown) => error);
    await vi.waitFor(() => expect(signal).toBeDefined());
    caller.abort("left");
    expect(await pending).toBe("left");
    expect(signal?.aborted).toBe(true);
  });

  test("holds it to 32 bytes", async () => {
    for (const bytes of [0, 31, 33]) {
      const { keyring } = keyringWith(source(() => noise(bytes)));
      expect(await refusal(() => keyring.encrypt(noise(1)))).toMatchObject({
        code: "provider-failure",
        message: "provider dice: randomBytes must give 32 bytes",
      });
    }
    const { keyring } = keyringWith(source(() => untyped<Uint8Array>("x".repeat(32))));
    expect(await refusalCode(() => keyring.encrypt(noise(1)))).toBe("provider-failure");
  });

  test("refuses what is no generator when it is made", async () => {
    const bad: readonly RandomSource[] = [{ ...source(), name: "No Name" }, untyped<RandomSource>({ name: "dice" })];
    for (const randomness of bad) expect(await refusalCode(() => new Keyring({ wrapWith: [kek()], randomness }))).toBe("invalid-argument");
  });
});

/** A keyring that shows which data keys it makes. */
function keyringWith(randomness: RandomSource, options: KeyringOptions = {}): { keyring: Keyring; deks: Uint8Array[] } {
  const deks: Uint8Array[] = [];
  const inner = kek();
  const provider = watched(inner, {
    wrap(dek, wrapOptions) {
      deks.push(new Uint8Array(dek));
      return inner.wrap(dek, wrapOptions);
    },
  });
  return { keyring: new Keyring({ wrapWith: [provider], randomness, ...options }), deks };
}

function source(
  give: (count: number) => Uint8Array | Promise<Uint8Array> = (count) => noise(count),
): RandomSource & { readonly counts: readonly number[] } {
  const counts: number[] = [];
  return {
    name: "dice",
    counts,
    async randomBytes(count) {
      counts.push(count);
      return await give(count);
    },
  };
}

async function* streamed(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
