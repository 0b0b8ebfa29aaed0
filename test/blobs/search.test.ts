import { describe, expect, test } from "vitest";
import { type BlobLedger, type BlobStore, type EncryptedStore, encryptedStore, memoryBlobs, rewrapStale } from "../../src/blobs/index.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import { memoryJobStore, planRewrapBlobs, runPartitions } from "../../src/jobs/index.ts";
import { noise } from "../support/arbitraries.ts";
import { refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { hurried, keyringOf, storedBytesOf, storeOf } from "./set-up.ts";
import { TableLedger } from "./table-ledger.ts";

const OLD = { provider: "local", keyId: "old" };

test("a blob whose header cannot be read is found, and ends no search; what is no envelope is passed over", async () => {
  const backing = memoryBlobs({ header: "overlay" });
  const store = storeOf(backing);
  const planted = async (name: string, bytes: Uint8Array, metadata: Readonly<Record<string, string>> = {}): Promise<void> => {
    const upload = await backing.create(name, { metadata, keys: [] });
    await upload.put(0, bytes);
    await upload.commit({ always: true });
  };
  for (const name of ["a", "denied", "archived", "overlaid", "z"]) await store.put(name, noise(10));
  await planted("cut", (await storedBytesOf(backing, "a")).subarray(0, 60));
  await planted("later", Uint8Array.of(0x9e, 2, 0, 0, 0, 0, 0, 9));
  await planted("wiped", new Uint8Array(100), { envelock: "1" });
  await planted("photo.png", Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10));
  await planted("nothing", new Uint8Array(0));
  const foreign = (await storedBytesOf(backing, "z")).slice(0, inspectedHeaderBytes(await storedBytesOf(backing, "z")));
  const broken: BlobStore = {
    ...backing,
    async open(name, bytes, options) {
      if (name === "denied") throw new EnvelockError("access-denied", "not this one");
      if (name === "archived") throw new EnvelockError("provider-failure", "in the archive", { detail: "archived" });
      const blob = await backing.open(name, bytes, options);
      return name === "overlaid" && blob !== undefined ? { ...blob, overlay: { header: foreign } } : blob;
    },
  };
  const { findByKey: _, ...unindexed } = broken;
  const mover = storeOf(unindexed, keyringOf("new", "old"));
  const unread = ["archived", "cut", "denied", "later", "overlaid", "wiped"];
  expect(await namesIn(mover.findStale())).toEqual(["a", ...unread, "z"]);
  const wrappedBy = { provider: "local", keyId: "gone" };
  expect(await namesIn(mover.findStale({ wrappedBy }))).toEqual(unread); // nothing tells that they do not need it
  const outcomes: string[] = [];
  for await (const { name, outcome, error } of rewrapStale(mover)) outcomes.push(`${name} ${outcome} ${error?.code ?? ""}`);
  expect(outcomes).toEqual([
    "a rewrapped ",
    "archived not-possible ",
    "cut failed malformed-envelope",
    "denied failed access-denied",
    "later failed unsupported-version",
    "overlaid failed malformed-envelope",
    "wiped failed malformed-envelope",
    "z rewrapped ",
  ]);
  const job = await planRewrapBlobs({
    id: "the-same",
    container: "here",
    blobs: storeOf(unindexed, keyringOf("newer", "new", "old")),
    jobs: memoryJobStore(),
  });
  const { counts, failures } = await runPartitions(job, { retries: 0 });
  expect(counts).toMatchObject({ failed: unread.length, foreign: 2 });
  expect(failures.map(({ code, entries }) => `${code} ${entries}`).toSorted()).toEqual([
    "access-denied 1",
    "malformed-envelope 3",
    "provider-failure 1",
    "unsupported-version 1",
  ]);
  const expired: BlobStore = { ...broken, open: () => Promise.reject(new EnvelockError("access-denied", "no", { detail: "credential" })) };
  expect(await refusalCode(() => namesIn(storeOf(expired).findStale()))).toBe("access-denied");
});

describe("a ledger", () => {
  /** A store without an index, and a ledger that many processes share. */
  function shared(header: BlobStore["header"] = "block") {
    const { findByKey: _, ...unindexed } = memoryBlobs({ header });
    const ledger = new TableLedger();
    const of = (keys: readonly [string, ...string[]], backing: BlobStore = unindexed): EncryptedStore =>
      encryptedStore(keyringOf(...keys), backing, { context: (name) => ({ object: name }), ledger, clock: hurried });
    return { ledger, of, unindexed };
  }

  test("finds what is to be rewrapped, as the index and the list do", async () => {
    const indexed = memoryBlobs();
    const ledger = new TableLedger();
    const { findByKey: _, ...unindexed } = indexed;
    const noted = { context: (name: string) => ({ object: name }), ledger };
    const old = encryptedStore(keyringOf("old"), unindexed, noted);
    const mover = encryptedStore(keyringOf("new", "old"), unindexed, noted);
    for (const name of ["a", "b", "c", "d"]) await old.put(name, noise(10));
    await (await indexed.create("not-ours", { metadata: {}, keys: [] })).commit({ ifNone: "*" });
    expect(await mover.rewrap("b")).toBe("rewrapped");
    await mover.delete("d");
    const other = storeOf(indexed, keyringOf("new", "old"));
    for (const found of [mover.findStale({ wrappedBy: OLD }), other.findStale({ wrappedBy: OLD }), mover.findStale(), other.findStale()]) {
      expect(await namesIn(found)).toEqual(["a", "c"]);
    }
    expect(await namesIn(mover.findStale({ after: "a" }))).toEqual(["c"]);
    expect(ledger.rows.map(({ name, keyId }) => `${name} ${keyId}`).sort()).toEqual(["a old", "b new", "c old"]);
  });

  test("knows of a key before a blob is under it, and a change that it refuses is not made", async () => {
    const { of, unindexed, ledger } = shared();
    const { etag } = await of(["old"]).put("x", noise(10));
    const refuse = new Error("the table is locked");
    ledger.fault = refuse;
    await expect(of(["new", "old"]).rewrap("x")).rejects.toBe(refuse);
    await expect(of(["new", "old"]).put("y", noise(10))).rejects.toBe(refuse);
    expect([(await unindexed.open("x", 1))?.etag, await unindexed.open("y", 1)]).toEqual([etag, undefined]);
  });

  test.each(["block", "overlay"] as const)("%s: misses no writer with an old key, whatever comes in between", async (header) => {
    // The writer notes its header, and only then commits. In between, others rewrap, replace and remove the blob as it was.
    for (const meanwhile of ["rewrap", "put", "delete", "rewrap twice"] as const) {
      const { of, unindexed } = shared(header);
      await of(["old"]).put("x", noise(10));
      const mover = of(["new", "old"]);
      const late: BlobStore = {
        ...unindexed,
        async create(name, content, options) {
          const upload = await unindexed.create(name, content, options);
          return {
            ...upload,
            async commit(condition, options) {
              if (meanwhile === "put") await mover.put("x", noise(11), { replace: true });
              else if (meanwhile === "delete") await mover.delete("x");
              else await mover.rewrap("x");
              if (meanwhile === "rewrap twice") await of(["newer", "new"]).rewrap("x");
              await upload.commit(condition, options);
              throw new Error("the process was killed");
            },
          };
        },
      };
      await expect(of(["old"], late).put("x", noise(12), { replace: true })).rejects.toThrow("killed");
      expect({ meanwhile, found: await namesIn(mover.findStale({ wrappedBy: OLD })) }).toEqual({ meanwhile, found: ["x"] });
    }
  });

  test("keeps no notes of what was replaced, removed or never stored", async () => {
    const { of, ledger } = shared();
    const store = of(["old"]);
    const { etag } = await store.put("x", noise(10));
    for (let at = 0; at < 5; at++) await store.put("x", noise(10), { replace: true });
    expect(await refusalCode(() => store.put("x", noise(10)))).toBe("invalid-argument");
    expect(await refusalCode(() => store.put("x", noise(10), { ifMatch: etag }))).toBe("invalid-argument");
    expect(ledger.rows).toHaveLength(1);
    await of(["new", "old"]).rewrap("x");
    expect(ledger.rows.map(({ keyId }) => keyId)).toEqual(["new"]);
    await of(["new"]).delete("x");
    expect(ledger.rows).toEqual([]);
  });

  test("that cannot drop a note fails no change that was made", async () => {
    const { of, ledger } = shared();
    await of(["old"]).put("x", noise(10));
    ledger.drop = () => Promise.reject(new Error("the table is locked"));
    expect(await of(["new", "old"]).rewrap("x")).toBe("rewrapped");
    expect((await of(["new"]).put("x", noise(9), { replace: true })).plaintextBytes).toBe(9);
    expect(await of(["new"]).delete("x")).toBe(true);
  });

  test.each([null, 5, {}, { note() {}, find() {} }])("that is none is refused: %j", async (ledger) => {
    const options = { context: () => ({}), ledger: untyped<BlobLedger>(ledger) };
    expect(await refusalCode(() => encryptedStore(keyringOf("old"), memoryBlobs(), options))).toBe("invalid-argument");
  });
});

function inspectedHeaderBytes(envelope: Uint8Array): number {
  const seen = inspect(envelope);
  return seen.kind === "envelope" ? seen.headerBytes : 0;
}

async function namesIn(found: AsyncIterable<string>): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const name of found) names.push(name);
  return names;
}
