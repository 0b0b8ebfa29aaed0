import { describe, expect, test } from "vitest";
import { threshold } from "../../../providers/composite/index.ts";
import { KeyContext } from "../../../src/core/base/context.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import type { KeyProvider, Recipient, WrapOptions } from "../../../src/core/contracts/key-provider.ts";
import { encodeWrapAad } from "../../../src/core/format/key-record.ts";
import { encodeShares, parseShares, type Shares } from "../../../src/core/format/parts.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { noise } from "../../support/arbitraries.ts";
import { kek, type WatchedProvider, watched } from "../../support/keks.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";

const CONTEXT = { tenant: "acme" };

describe("a threshold key", () => {
  test("opens with any two of three, in any order, and with one alone not at all", async () => {
    const officers = officersOf(3);
    const envelope = await new Keyring({ wrapWith: [keyOf(officers)], context: CONTEXT }).encrypt(noise(9));
    const pairs = [
      [0, 1],
      [0, 2],
      [1, 2],
      [2, 0],
    ];
    for (const pair of pairs) {
      const key = keyOf(pair.map((at) => officers[at] ?? kek()));
      expect(await new Keyring({ unwrapWith: [key], context: CONTEXT }).decrypt(envelope)).toEqual(noise(9));
    }
    for (const officer of officers) {
      const alone = new Keyring({ unwrapWith: [keyOf([officer, kek("stranger")])], context: CONTEXT });
      expect(await refusalCode(() => alone.decrypt(envelope))).toBe("authentication-failed");
      expect(await refusalCode(() => new Keyring({ unwrapWith: [officer], context: CONTEXT }).decrypt(envelope))).toBe(
        "no-matching-provider",
      );
    }
  });

  test("format.md [M-113] [M-115] asks as many keys as it needs, and one more for each that fails", async () => {
    const officers = officersOf(4);
    const key = keyOf(officers);
    const recipient = await key.wrap(noise(32), optionsOf());
    const callsAfter = async (): Promise<readonly number[]> => {
      for (const officer of officers) officer.calls.length = 0;
      expect(await key.unwrap(recipient, optionsOf())).toEqual(noise(32));
      return officers.map(({ calls }) => calls.length);
    };
    expect(await callsAfter()).toEqual([1, 1, 0, 0]);
    officers[0]?.fail(new EnvelockError("access-denied", "away"));
    expect(await callsAfter()).toEqual([1, 1, 1, 0]);
    officers[2]?.fail(new EnvelockError("unavailable", "down"));
    expect(await callsAfter()).toEqual([1, 1, 1, 1]);
    officers[3]?.fail(new EnvelockError("unavailable", "down"));
    expect((await refusal(() => key.unwrap(recipient, optionsOf()))).code).toBe("access-denied");
  });

  test("needs every key to wrap", async () => {
    const officers = officersOf(3);
    officers[2]?.fail(new EnvelockError("unavailable", "down"));
    expect((await refusal(() => keyOf(officers).wrap(noise(32), optionsOf()))).code).toBe("unavailable");
  });

  test("format.md [M-111] cannot open shares of two wraps together", async () => {
    const key = keyOf(officersOf(2));
    const [first, second] = [await key.wrap(noise(32), optionsOf()), await key.wrap(noise(32), optionsOf())];
    const [a, b] = [parseShares(first.wrapped), parseShares(second.wrapped)];
    const mixed = { ...first, wrapped: encodeShares({ needed: 2, shares: [...a.shares.slice(0, 1), ...b.shares.slice(1)] }) };
    expect(await key.unwrap(mixed, optionsOf())).not.toEqual(noise(32));
  });
});

describe("hostile recipients of a threshold key end before any call", () => {
  const shares =
    (change: (given: Shares) => Shares) =>
    (recipient: Recipient): Recipient => {
      return { ...recipient, wrapped: encodeShares(change(parseShares(recipient.wrapped))) };
    };
  const places = (...xs: readonly number[]) =>
    shares((given) => {
      return { ...given, shares: given.shares.map((share, at) => ({ ...share, x: xs[at] ?? share.x })) };
    });
  const cases: Readonly<Record<string, (recipient: Recipient) => Recipient>> = {
    "format.md [M-106] no CBOR": (recipient) => ({ ...recipient, wrapped: noise(40) }),
    "format.md [M-106] a byte after the shares": (recipient) => ({ ...recipient, wrapped: Uint8Array.of(...recipient.wrapped, 0) }),
    "format.md [M-112] a place that stands twice": places(1, 1),
    "format.md [M-112] places that go down": places(2, 1),
    "format.md [M-112] place 0": places(0),
    "format.md [M-112] place 256": places(1, 2, 256),
    "format.md [M-112] one share": shares((given) => ({ ...given, shares: given.shares.slice(0, 1) })),
    "format.md [M-112] fewer shares than are needed": shares((given) => ({ needed: 4, shares: given.shares })),
    "format.md [M-112] one that is enough": shares((given) => ({ ...given, needed: 1 })),
    "format.md [M-112] none that is needed": shares((given) => ({ ...given, needed: 0 })),
    "format.md [M-112] another number than is configured": shares((given) => ({ ...given, needed: 3 })),
    "format.md [M-107] other places": places(3, 4, 5),
    "format.md [M-107] one share left out": shares((given) => ({ ...given, shares: given.shares.slice(0, 2) })),
    "format.md [M-107] another digest": (recipient) => ({ ...recipient, keyId: `threshold:board:${"0".repeat(64)}` }),
    "format.md [M-108] two shares of one key": shares(({ needed, shares: [a, , c] }) => ({
      needed,
      shares: [a, a && { ...a, x: 2 }, c].flatMap((share) => share ?? []),
    })),
    "format.md [M-108] too few of configured keys": shares((given) => ({
      ...given,
      shares: given.shares.map((share, at) => (at === 0 ? share : { ...share, recipient: { ...share.recipient, keyId: "foreign" } })),
    })),
    "format.md [M-72] another algorithm": (recipient) => ({ ...recipient, alg: 11 }),
  };
  test.each(Object.entries(cases))("%s", async (_, change) => {
    const officers = officersOf(3);
    const key = keyOf(officers);
    const hostile = change(await key.wrap(noise(32), optionsOf()));
    for (const officer of officers) officer.calls.length = 0;
    expect((await refusal(() => key.unwrap(hostile, optionsOf()))).code).toBe("unwrap-rejected");
    expect(officers.map(({ calls }) => calls)).toEqual([[], [], []]);
  });

  test("format.md [M-109] a share that was wrapped for another place or number", async () => {
    const officers = officersOf(2);
    const key = keyOf(officers);
    const recipient = await key.wrap(noise(32), optionsOf());
    const [first, second] = parseShares(recipient.wrapped).shares;
    if (first === undefined || second === undefined) return expect.fail("two shares");
    for (const keyId of ["threshold:board:2:1:o2", "threshold:board:3:2:o2", "threshold:other:2:2:o2", "o2"]) {
      const other = await (officers[1] ?? kek()).wrap(noise(32), { ...optionsOf(), wrapAad: () => optionsOf().wrapAad(keyId) });
      const hostile = { ...recipient, wrapped: encodeShares({ needed: 2, shares: [first, { ...second, recipient: other }] }) };
      expect((await refusal(() => key.unwrap(hostile, optionsOf()))).code).toBe("unwrap-rejected");
    }
  });
});

test.each<readonly [string, object]>([
  ["one key", { providers: [kek()] }],
  ["17 keys", { providers: Array.from({ length: 17 }, (_, at) => kek(`o${at}`)) }],
  ["no list", { providers: kek() }],
  ["a provider twice", { providers: Array.from({ length: 2 }).fill(kek()) }],
  ["one that is needed", { needed: 1 }],
  ["more that are needed than there are", { needed: 4 }],
  ["no number", { needed: "2" }],
  ["a bad name", { keyId: "a b" }],
  ["an unknown option", { k: 2 }],
])("%s is refused", async (_, changed) => {
  const options = { keyId: "board", needed: 2, providers: officersOf(3), ...changed };
  expect(await refusalCode(() => Reflect.apply(threshold, undefined, [options]))).toBe("invalid-argument");
});

test("two shares under one key are refused before anything is written", async () => {
  expect((await refusal(() => keyOf([kek("same"), kek("same")]).wrap(noise(32), optionsOf()))).code).toBe("provider-failure");
});

test("shares of 4,096 bytes together are written, and of one more are refused", async () => {
  const sized = (name: string, bytes: number): KeyProvider => ({
    ...kek(name),
    wrap: async () => ({ provider: "local", keyId: name, alg: 9, wrapped: noise(bytes) }),
  });
  const wrapped = (bytes: number): Promise<Recipient> => keyOf([sized("p", 1000), sized("t", bytes)]).wrap(noise(32), optionsOf());
  const { length } = (await wrapped(2000)).wrapped;
  const fitting = 2000 + 4096 - length;
  expect((await wrapped(fitting)).wrapped).toHaveLength(4096);
  expect(await refusal(() => wrapped(fitting + 1))).toMatchObject({ code: "provider-failure", message: expect.stringContaining("4097") });
});

interface Officer extends WatchedProvider {
  fail(error: EnvelockError): void;
}

function officersOf(count: number): readonly Officer[] {
  return Array.from({ length: count }, (_, at) => officer(`o${at + 1}`));
}

function officer(keyId: string): Officer {
  const inner = kek(keyId);
  let fault: EnvelockError | undefined;
  const guarded =
    <A extends readonly unknown[], T>(work: (...given: A) => Promise<T>) =>
    async (...given: A): Promise<T> => {
      if (fault !== undefined) throw fault;
      return await work(...given);
    };
  const provider = watched({ ...inner, wrap: guarded(inner.wrap), unwrap: guarded(inner.unwrap) });
  return {
    ...provider,
    fail(error) {
      fault = error;
    },
  };
}

function keyOf(providers: readonly KeyProvider[]): KeyProvider {
  return threshold({ keyId: "board", needed: 2, providers });
}

function optionsOf(): WrapOptions {
  const { bytes, map } = new KeyContext(CONTEXT);
  return { keyContext: map, wrapAad: (keyId) => encodeWrapAad("threshold", keyId, bytes) };
}
