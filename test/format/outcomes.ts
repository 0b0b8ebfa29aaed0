import { hexToBytes } from "@noble/hashes/utils.js";
import { expect, test } from "vitest";
import { localKeyset } from "../../providers/local/index.ts";
import { type Context, EnvelockError, Keyring } from "../../src/index.ts";
import type { SharedKeks } from "../format/key-record-vectors.ts";
import { hex, pairsOf, type Vector, type VectorPairs } from "../format/vector-file.ts";

// What the tests of docs/vectors share.

export type Outcome = { readonly bytes: string } | { readonly error: string } | { readonly kind: string };

/** What a call ends in. Any other exception than ours is none of the outcomes and fails the test. */
export async function outcomeOf(call: () => unknown): Promise<Outcome> {
  try {
    const result = await call();
    if (result instanceof Uint8Array) return { bytes: hex(result) };
    return { kind: typeof result === "object" && result !== null && "kind" in result ? String(result.kind) : "an object" };
  } catch (error) {
    if (error instanceof EnvelockError) return { error: error.code };
    throw error;
  }
}

export function keyringOf(
  { keks }: SharedKeks,
  { keyContext, unwrapWith }: { readonly keyContext: VectorPairs; readonly unwrapWith: readonly (string | readonly string[])[] },
): Keyring {
  const wrapWith = unwrapWith.map((kek) => {
    const keys = (typeof kek === "string" ? [kek] : kek).map((keyId) => ({ keyId, key: hexToBytes(keks[keyId] ?? "") }));
    return localKeyset({ keys, primary: keys[0]?.keyId ?? "" });
  });
  return new Keyring({ wrapWith, context: mapOf(keyContext) });
}

export function mapOf(pairs: VectorPairs): Context {
  return Object.fromEntries(pairsOf(pairs));
}

/** Whether the bytes themselves are at fault, so that no key is needed to see it. */
export function isShape({ error }: Vector<object>): boolean {
  return error === "malformed-envelope" || error === "unsupported-version";
}

export function titleOf({ name, breaks }: Vector<object>): string {
  return breaks === undefined ? name : `format.md [${breaks}] ${name}`;
}

/** A file that lost its vectors must not pass. */
export function counted(vectors: readonly Vector<object>[], good: number, broken: number): void {
  test(`${good} good vectors, ${broken} broken ones, each with a name of its own`, () => {
    expect(vectors.filter(({ error }) => error === undefined)).toHaveLength(good);
    expect(vectors.filter(({ error }) => error !== undefined)).toHaveLength(broken);
    expect(new Set(vectors.map(({ name }) => name)).size).toBe(vectors.length);
  });
}
