import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../../src/core/base/errors.ts";
import type { DataKey } from "../../src/core/data-key/data-key.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { noise, runs } from "../support/arbitraries.ts";
import { expectSameBytes, flipped } from "../support/bytes.ts";
import { kek } from "../support/keks.ts";
import { refusalCode } from "../support/refusal.ts";

// Every change of a byte ends in the one error that its place asks for; nothing else is ever thrown, and nothing ever returned.

const PLAINTEXT = noise(5);
const CONTEXT = { object: "invoices/7.pdf" };

/** What a changed byte must lead to, piece by piece in the order of format.md §3 and §4. */
type Layout = readonly (readonly [bytes: number, what: string, code: ErrorCode | ((byte: number) => ErrorCode)])[];

const SUITE = (byte: number): ErrorCode => (byte < 24 ? "unsupported-version" : "malformed-envelope");
const ALG = (byte: number): ErrorCode => (byte < 24 ? "authentication-failed" : "malformed-envelope");
const PROVIDER = (byte: number): ErrorCode => (/[a-z0-9-]/.test(String.fromCharCode(byte)) ? "no-matching-provider" : "malformed-envelope");
const KEY_ID = (byte: number): ErrorCode => (byte < 0x80 ? "no-matching-provider" : "malformed-envelope");

const KEY_RECORD: Layout = [
  [1, "array of 3", "malformed-envelope"],
  [1, "suite", SUITE],
  [2, "head of keyCommit", "malformed-envelope"],
  [32, "keyCommit", "authentication-failed"],
  [1, "array of recipients", "malformed-envelope"],
  [1, "array of 4", "malformed-envelope"],
  [1, "head of provider", "malformed-envelope"],
  [5, "provider", PROVIDER],
  [1, "head of keyId", "malformed-envelope"],
  [2, "keyId", KEY_ID],
  [1, "alg", ALG],
  [2, "head of wrapped", "malformed-envelope"],
  [72, "wrapped", "authentication-failed"],
];

const ENVELOPE: Layout = [
  [1, "9E", "malformed-envelope"],
  [1, "version", "unsupported-version"],
  [2, "reserved", "malformed-envelope"],
  [4, "header length", "malformed-envelope"],
  ...KEY_RECORD,
  [24, "salt", "authentication-failed"],
  [32, "commitment", "authentication-failed"],
  [PLAINTEXT.length, "ciphertext", "authentication-failed"],
  [16, "tag", "authentication-failed"],
];

const STANDALONE_RECORD: Layout = [[1, "9D", "malformed-envelope"], ...KEY_RECORD];

const TOKEN: Layout = [
  [1, "head", "malformed-envelope"],
  [16, "kid", "authentication-failed"],
  [24, "nonce", "authentication-failed"],
  [PLAINTEXT.length, "ciphertext", "authentication-failed"],
  [16, "tag", "authentication-failed"],
];

const DETERMINISTIC_TOKEN: Layout = [
  [1, "head", "malformed-envelope"],
  [16, "kid", "authentication-failed"],
  [16, "SIV", "authentication-failed"],
  [PLAINTEXT.length, "ciphertext", "authentication-failed"],
];

const FAILURES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "authentication-failed",
  "malformed-envelope",
  "unsupported-version",
  "no-matching-provider",
]);

interface Target {
  readonly name: string;
  readonly layout: Layout;
  make(): Promise<{ readonly bytes: Uint8Array; open(bytes: Uint8Array): unknown }>;
}

const TARGETS: readonly Target[] = [
  { name: "envelope", layout: ENVELOPE, make: makeEnvelope },
  {
    name: "key record",
    layout: STANDALONE_RECORD,
    async make() {
      const keyring = new Keyring(kek("k1"));
      const { keyRecord } = await keyring.createDataKey();
      return { bytes: keyRecord, open: (bytes) => keyring.unwrapDataKey(bytes) };
    },
  },
  {
    name: "random token",
    layout: TOKEN,
    async make() {
      const dataKey = await freshDataKey();
      return { bytes: dataKey.encryptToken(PLAINTEXT, CONTEXT), open: (bytes) => dataKey.decryptToken(bytes, CONTEXT) };
    },
  },
  {
    name: "deterministic token",
    layout: DETERMINISTIC_TOKEN,
    async make() {
      const dataKey = await freshDataKey();
      return { bytes: dataKey.encryptDeterministic(PLAINTEXT, CONTEXT), open: (bytes) => dataKey.decryptDeterministic(bytes, CONTEXT) };
    },
  },
];

describe.each(TARGETS)("$name", ({ layout, make }) => {
  test("every flipped bit gives the one error of its place", async () => {
    const { bytes, open } = await make();
    expect(layout.reduce((sum, [length]) => sum + length, 0)).toBe(bytes.length);
    let at = 0;
    for (const [length, what, expected] of layout) {
      for (const end = at + length; at < end; at++) {
        for (let bit = 0; bit < 8; bit++) {
          const changed = flipped(bytes, at, 1 << bit);
          const code = await refusalCode(() => open(changed));
          expect(code, `${what}: byte ${at}, bit ${bit}`).toBe(typeof expected === "string" ? expected : expected(changed[at] ?? 0));
        }
      }
    }
  });

  test("every zeroed, dropped, doubled, inserted or swapped byte is refused", async () => {
    const { bytes, open } = await make();
    for (let at = 0; at < bytes.length; at++) {
      for (const [how, changed] of changesAt(bytes, at, bytes[at] ?? 0)) {
        if (Buffer.compare(changed, bytes) === 0) continue;
        const code = await refusalCode(() => open(changed));
        expect(FAILURES, `${how} byte ${at}: ${code}`).toContain(code);
      }
    }
  });

  test("every truncation is refused, and so is every extension", async () => {
    const { bytes, open } = await make();
    for (let length = 0; length < bytes.length; length++) {
      const code = await refusalCode(() => open(bytes.subarray(0, length)));
      expect(["malformed-envelope", "authentication-failed"], `cut to ${length}`).toContain(code);
    }
    for (const extra of [1, 15, 16, 17, 16400]) {
      for (const tail of [new Uint8Array(extra), noise(extra)]) {
        const code = await refusalCode(() => open(Buffer.concat([bytes, tail])));
        expect(["malformed-envelope", "authentication-failed"], `${extra} bytes more`).toContain(code);
      }
    }
  });
});

describe("envelope", () => {
  test("is malformed when cut so short that no body has this length, else not authentic", async () => {
    const keyring = new Keyring(kek());
    const plaintextBytes = 2 * 16384 + 40;
    const envelope = await keyring.encrypt(noise(plaintextBytes));
    const bodyOffset = envelope.length - (56 + plaintextBytes + 3 * 16);
    const ends = [0, 1, 55, 56, 57, 71, 72, 73, 56 + 16399, 56 + 16400, 56 + 16415, 56 + 16416, 56 + 2 * 16400, 56 + 2 * 16400 + 16];
    for (const end of ends) {
      const isPossible = end >= 56 && (end - 56) % 16400 >= 16;
      const expected = isPossible ? "authentication-failed" : "malformed-envelope";
      const cut = envelope.subarray(0, bodyOffset + end);
      expect(await refusalCode(() => keyring.decrypt(cut)), `body of ${end}`).toBe(expected);
    }
  });

  test("of several chunks refuses whole chunks swapped, dropped, doubled, or moved from another envelope", async () => {
    const keyring = new Keyring(kek());
    const envelope = await keyring.encrypt(noise(3 * 16384, "one"));
    const other = await keyring.encrypt(noise(3 * 16384, "other"));
    const first = envelope.length - (3 * 16400 + 16);
    const chunk = (of: Uint8Array, index: number): Uint8Array => of.subarray(first + index * 16400, first + (index + 1) * 16400);
    const start = envelope.subarray(0, first);
    const [a, b, c, end] = [0, 1, 2, 3].map((index) => chunk(envelope, index));
    if (a === undefined || b === undefined || c === undefined || end === undefined) return expect.fail("four chunks");
    expectSameBytes(Buffer.concat([start, a, b, c, end]), envelope);
    const wrong = [
      [b, a, c, end],
      [a, c, end],
      [a, b, c],
      [a, b, b, c, end],
      [a, b, c, end, end],
      [a, chunk(other, 1), c, end],
      [end],
      [a, b, c, chunk(other, 3)],
    ];
    for (const [index, chunks] of wrong.entries()) {
      const code = await refusalCode(() => keyring.decrypt(Buffer.concat([start, ...chunks])));
      expect(["authentication-failed", "malformed-envelope"], `${index}`).toContain(code);
    }
  });

  test("of any size, with padding and a second recipient, never gives anything but its plaintext or one of the four errors", async () => {
    const plaintext = noise(16384 + 300);
    const keyring = new Keyring({ wrapWith: [kek("k1"), kek("k2")] });
    const envelope = await keyring.encrypt(plaintext, { minHeaderBytes: 400 });
    const reader = new Keyring({ unwrapWith: [kek("k1")] });
    // only the other recipient is not needed, and not authenticated: format.md §9
    const [spareStart, spareEnd] = [recipientOffset(0) + RECIPIENT_BYTES, recipientOffset(0) + 2 * RECIPIENT_BYTES];
    let harmless = 0;
    await fc.assert(
      fc.asyncProperty(places(envelope.length), fc.nat({ max: 5 }), fc.integer({ min: 1, max: 255 }), async (at, how, mask) => {
        const changed = changesAt(envelope, at, mask)[how]?.[1] ?? envelope;
        fc.pre(Buffer.compare(changed, envelope) !== 0);
        const opened = await reader.decrypt(changed).catch(() => undefined);
        if (opened === undefined) {
          expect(FAILURES).toContain(await refusalCode(() => reader.decrypt(changed)));
        } else {
          harmless++;
          expect(at >= spareStart && at < spareEnd, `changed at ${at}`).toBe(true);
          expectSameBytes(opened, plaintext);
        }
      }),
      runs(600, 200),
    );
    expect(harmless).toBeGreaterThan(0);
  });
});

/** So that the salt does not begin with zero, which a header length of one more would take for padding. */
async function makeEnvelope(): Promise<{ readonly bytes: Uint8Array; open(bytes: Uint8Array): unknown }> {
  const keyring = new Keyring(kek("k1"));
  const { header, body } = await keyring.encryptDetached(PLAINTEXT, { context: CONTEXT });
  if (body[0] === 0) return makeEnvelope();
  return { bytes: Buffer.concat([header, body]), open: (bytes) => keyring.decrypt(bytes, { context: CONTEXT }) };
}

async function freshDataKey(): Promise<DataKey> {
  const { dataKey } = await new Keyring(kek()).createDataKey();
  return dataKey;
}

function changesAt(bytes: Uint8Array, at: number, mask: number): readonly (readonly [how: string, changed: Uint8Array])[] {
  const before = bytes.subarray(0, at);
  const byte = bytes.subarray(at, at + 1);
  const after = bytes.subarray(at + 1);
  const other = byte.map((value) => value ^ mask);
  return [
    ["changed", Buffer.concat([before, other, after])],
    ["dropped", Buffer.concat([before, after])],
    ["doubled", Buffer.concat([before, byte, byte, after])],
    ["inserted another before", Buffer.concat([before, other, byte, after])],
    ["inserted a zero before", Buffer.concat([before, Uint8Array.of(0), byte, after])],
    ["swapped with the next", Buffer.concat([before, after.subarray(0, 1), byte, after.subarray(1)])],
  ];
}

/** Half of them in the header, which is a small part of an envelope. */
function places(length: number): fc.Arbitrary<number> {
  return fc.oneof(fc.nat({ max: 420 }), fc.nat({ max: length - 1 }));
}

const RECIPIENT_BYTES = 1 + 6 + 3 + 1 + 74;

function recipientOffset(index: number): number {
  return 8 + 1 + 1 + 34 + 1 + index * RECIPIENT_BYTES;
}
