import { expect, test } from "vitest";
import { localKey, localKeyPair } from "../../providers/local/index.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { DataKeys } from "../../src/fields/data-keys.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import { noise } from "../support/arbitraries.ts";
import { kek } from "../support/keks.ts";
import { refusal } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";

// Mistakes in JavaScript without types, and the next step that each error names.

const ONE = new Uint8Array(1);
const KEY = noise(32);
const OTHER = new Uint8Array(32).fill(7);
const keyring = new Keyring(kek());
const dataKeys = new DataKeys({ keyring, store: memoryStore() });
const aes = (key: unknown): unknown => localKey({ keyId: "k", key: untyped(key) });
const withContext = (context: unknown): unknown => new Keyring({ wrapWith: [kek()], context: untyped(context) });

test.each<readonly [what: string, call: () => unknown, next: RegExp]>([
  ["a keyring without options", () => new Keyring(untyped(undefined)), /new Keyring\(\{ wrapWith: \[provider\] \}\)/],
  ["a keyring without providers", () => new Keyring({}), /new Keyring\(\{ wrapWith/],
  ["one provider where a list belongs", () => new Keyring({ wrapWith: untyped(kek()) }), /Write wrapWith: \[provider\]/],
  ["options that are text", () => keyring.encrypt(ONE, untyped("acme")), /known options: signal, context/],
  ["a context that is text", () => withContext("acme"), /\{ tenant: "acme"/],
  ["a context that is a Map", () => withContext(new Map([["tenant", "acme"]])), /Object\.fromEntries\(map\)/],
  ["a number in a context", () => withContext({ tenant: 7 }), /String\(value\)/],
  ["undefined in a context", () => withContext({ tenant: undefined }), /undefined: leave the key out/],
  ["an object in a context", () => withContext({ tenant: {} }), /such as an id/],
  ["a key in hex", () => aes(Buffer.from(KEY).toString("hex")), /Buffer\.from\(text, "hex"\)/],
  ["a key in base64", () => aes(Buffer.from(KEY).toString("base64")), /Buffer\.from\(text, "base64/],
  ["the letters of a key in hex", () => aes(Buffer.from(Buffer.from(KEY).toString("hex"))), /Buffer\.from\(text, "hex"\)/],
  ["the letters of a key in base64", () => aes(Buffer.from(`${Buffer.from(KEY).toString("base64")}\n`)), /Buffer\.from\(text, "base64/],
  ["a password", () => aes("correct horse"), /a password is too weak/],
  ["a key of AES-128", () => aes(noise(16)), /crypto\.getRandomValues\(new Uint8Array\(32\)\)/],
  ["a key that is undefined", () => aes(undefined), /check the name that it is read from/],
  ["a key in an ArrayBuffer", () => aes(KEY.buffer), /new Uint8Array\(buffer\)/],
  ["a store that is a Map", () => new DataKeys({ keyring, store: untyped(new Map()) }), /postgresStore\(\{ client \}\)/],
  ["a source that is none", () => keyring.openSeekable(untyped({})), /read: async \(start, end\)/],
])("%s", async (_what, call, next) => {
  expect((await refusal(call)).hint).toMatch(next);
});

test("no message of a key repeats the key", async () => {
  for (const text of [Buffer.from(KEY).toString("hex"), "correct horse battery"]) {
    const { message, hint } = await refusal(() => aes(text));
    expect(`${message} ${hint}`).not.toContain(text.slice(0, 8));
  }
});

test("another key under the same key id, and another context, are told in the same words", async () => {
  const [mine, other] = [localKey({ keyId: "k", key: KEY }), localKey({ keyId: "k", key: OTHER })];
  const envelope = await new Keyring(mine).encrypt(ONE);
  const errors = [
    await refusal(() => new Keyring(other).decrypt(envelope)),
    await refusal(() => new Keyring(mine).decrypt(envelope, { context: { object: "7" } })),
  ];
  for (const { code, hint } of errors) {
    expect(code).toBe("authentication-failed");
    expect(hint).toMatch(/another key has this key id/);
  }
  expect(errors[0]?.message).toBe(errors[1]?.message);
});

test("the public half of a key says that it is that, where it is all there is", async () => {
  const pair = { keyId: "p", publicKey: noise(32) };
  const publicHalf = new Keyring(localKeyPair(pair));
  const envelope = await publicHalf.encrypt(ONE);
  const error = await refusal(() => publicHalf.decrypt(envelope));
  expect([error.code, error.detail]).toEqual(["no-matching-provider", "public-half"]);
  expect(error.message).toContain("by its public half alone");
  expect(error.hint).toContain("privateKey");
  const both = new Keyring({ wrapWith: [localKeyPair(pair), localKey({ keyId: "k", key: KEY })] });
  const other = new Keyring({ unwrapWith: [localKeyPair(pair), localKey({ keyId: "k", key: OTHER })] });
  expect((await refusal(async () => other.decrypt(await both.encrypt(ONE)))).code).toBe("authentication-failed");
});

test("the blind index of a value that the column cannot hold is refused, for no row has it", async () => {
  const email = await dataKeys.field({ table: "users", column: "email", blindIndex: { bits: 128 } });
  expect((await refusal(() => email.blindIndex(untyped(7)))).message).toContain("takes a string");
  expect((await refusal(() => email.blindIndexAll(untyped(undefined)))).code).toBe("invalid-argument");
});
