import { expect, test } from "vitest";
import type { BlobStore } from "../../src/blobs/index.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { inPieces, keyringOf, storeOf, wholeOf } from "./set-up.ts";

/** A store of objects, as its cases need it. */
export interface StoreUnderTest {
  /** Opens the store, with the blocks that it has by default. */
  open(): BlobStore;
  newName(): string;
  /** What every ETag looks like. */
  readonly etag: RegExp;
}

/** The cases of an encrypted store that holds its blobs as objects. */
export function storeCases({ open, newName, etag }: StoreUnderTest): void {
  test("9 MiB of unknown length, and back: whole, a range, by HTTP, verified", async () => {
    const [store, name] = [storeOf(open()), newName()];
    const result = await store.put(name, inPieces(noise(9 * MIB), 65_536), { describe: { name: "ä 7.bin", type: "text/plain" } });
    expect(result).toMatchObject({ plaintextBytes: 9 * MIB, etag: expect.stringMatching(etag) });
    expectSameBytes(await wholeOf(store, name), noise(9 * MIB));
    const blob = await store.get(name);
    expect(blob.description).toEqual({ name: "ä 7.bin", type: "text/plain" });
    expectSameBytes(await blob.read(8 * MIB, 8 * MIB + 1000), noise(9 * MIB).subarray(8 * MIB, 8 * MIB + 1000));
    blob.close();
    const answer = await store.httpHandler({ name: () => name })(new Request("http://x/", { headers: { range: "bytes=-5" } }));
    expect(answer.status).toBe(206);
    expectSameBytes(new Uint8Array(await answer.arrayBuffer()), noise(9 * MIB).subarray(-5));
    expect(await store.verify(name)).toMatchObject({ plaintextBytes: 9 * MIB });
    expect(await store.verify(name, "all")).toMatchObject({ plaintextBytes: 9 * MIB });
  });

  nameCase(open, newName);

  test("of three rewraps at once one wins at least, and the blob opens", async () => {
    const [backing, name] = [open(), newName()];
    await storeOf(backing).put(name, noise(50_000));
    const keys = ["new-1", "new-2", "new-3"];
    const outcomes = await Promise.all(keys.map((key) => storeOf(backing, keyringOf(key, "old", ...keys)).rewrap(name)));
    for (const outcome of outcomes) expect(["rewrapped", "changed"]).toContain(outcome);
    expect(outcomes).toContain("rewrapped");
    expectSameBytes(await wholeOf(storeOf(backing, keyringOf("x", ...keys)), name), noise(50_000));
  });
}

/** A case of names that a store, its client or a URL might take for one. */
export function nameCase(open: StoreUnderTest["open"], newName: StoreUnderTest["newName"]): void {
  test("names that look alike are different blobs, and a limit of bytes may be met exactly", async () => {
    const [store, prefix] = [storeOf(open()), `${newName()}/`];
    const names = LOOK_ALIKES.map((name) => `${prefix}${name}`);
    names.push(`${prefix}${`${"x".repeat(199)}/`.repeat(5)}`.padEnd(MOST_NAME_BYTES, "y").slice(0, MOST_NAME_BYTES));
    for (const name of names) await store.put(name, noise(20, name), { maxBytes: 20, expectedBytes: 20 });
    for (const name of names) expectSameBytes(await wholeOf(store, name), noise(20, name));
    const found: string[] = [];
    for await (const { name } of store.list({ prefix })) found.push(name);
    expect(found.sort()).toEqual([...names].sort());
    for (const name of names) expect(await store.delete(name)).toBe(true);
    expect((await store.list({ prefix }).next()).done).toBe(true);
  });
}

const MIB = 2 ** 20;
const LOOK_ALIKES = [
  "a/b",
  "a%2Fb",
  "a%2fb",
  "a%252Fb",
  "A/b",
  "caf\u00e9",
  "cafe\u0301",
  "..a",
  "a..",
  "a b",
  "a+b",
  "%00",
  "a?b#c",
  "a;b=c&d,e",
  "'()*",
];
const MOST_NAME_BYTES = 1000;
