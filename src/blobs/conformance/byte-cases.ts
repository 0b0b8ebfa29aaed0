import { concatBytes, equalPublicBytes } from "../../core/base/bytes.ts";
import { check, failureOf } from "../../core/contracts/conformance-checks.ts";
import type { BlobStore } from "../blob-store.ts";
import { type Case, checkStands, contentOf, created, newName, noiseOf, openedBlob, readOf } from "./bench.ts";

/** Cases of bytes: what goes in comes out, and nothing before its time. */
export function byteCases(): readonly Case[] {
  return [
    { name: "blocks come back as one blob, whole and in parts", run: keepsBytes },
    { name: "a blob of one small block comes back", run: keepsSmall },
    { name: "open reads the first bytes, as many as there are", run: readsFirst },
    { name: "a block may change once the store has taken it", run: keepsNoBlock },
    { name: "blocks may come in any order, where several are in flight", run: takesAnyOrder },
    { name: "a block that is put again counts once", run: countsOnce },
    { name: "nothing is seen before the commit, nor after an abort", run: hidesUnfinished },
    { name: "metadata comes back", run: keepsMetadata },
    { name: "a blob that is not there is not found", run: findsNothing },
    { name: "a deleted blob is gone", run: deletes },
    { name: "an aborted signal stops it before anything is done", run: heedsSignal },
  ];
}

function blocksFor({ blocks: { leastBytes, isHeaderApart } }: BlobStore): readonly Uint8Array[] {
  const body = [noiseOf(Math.max(leastBytes, 70_000)), noiseOf(Math.max(leastBytes, 70_000)), noiseOf(1234)];
  return isHeaderApart ? [noiseOf(129), ...body] : body;
}

async function keepsBytes(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name] = [await open(), newName()];
  const blocks = blocksFor(store);
  const bytes = concatBytes(...blocks);
  await created(store, name, blocks);
  await checkStands(store, name, bytes, "after the commit");
  const blob = await openedBlob(await open(), name);
  for (const [start, end] of [
    [0, 1],
    [100, 70_200],
    [bytes.length - 1, bytes.length],
    [69_990, 70_010],
  ] as const) {
    check(equalPublicBytes(await readOf(blob, start, end), bytes.subarray(start, end)), `read must give the bytes from ${start} to ${end}`);
  }
}

async function keepsSmall(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name, bytes] = [await open(), newName("conformance/ä b+c%20/~"), noiseOf(3)];
  await created(store, name, [bytes]);
  await checkStands(store, name, bytes, "of one block");
}

async function readsFirst(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name, bytes] = [await open(), newName(), noiseOf(300)];
  await created(store, name, [bytes]);
  for (const firstBytes of [1, 299, 300, 16_384]) {
    const { first, size } = await openedBlob(store, name, firstBytes);
    check(size === 300, "open must give the size of the blob, whatever it reads");
    check(equalPublicBytes(first, bytes.subarray(0, firstBytes)), `open must give the first ${firstBytes} bytes`);
  }
}

async function keepsNoBlock(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name] = [await open(), newName()];
  const blocks = blocksFor(store);
  const bytes = concatBytes(...blocks);
  const upload = await store.create(name, contentOf());
  for (const [index, block] of blocks.entries()) {
    await upload.put(index, block);
    block.fill(0xee); // its memory is used for the next block
  }
  await upload.commit({ ifNone: "*" });
  await checkStands(store, name, bytes, "when blocks change after put");
}

async function takesAnyOrder(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name] = [await open(), newName()];
  const blocks = blocksFor(store);
  const upload = await store.create(name, contentOf());
  const order = [...blocks.entries()];
  if (store.blocks.inFlight > 1) await Promise.all(order.reverse().map(([index, block]) => upload.put(index, block)));
  else for (const [index, block] of order) await upload.put(index, block);
  check((await upload.commit({ ifNone: "*" })) !== "changed", "commit must make the blob");
  await checkStands(store, name, concatBytes(...blocks), "after blocks in another order");
}

async function countsOnce(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name] = [await open(), newName()];
  const blocks = blocksFor(store);
  const upload = await store.create(name, contentOf());
  for (const [index, block] of blocks.entries()) {
    await upload.put(index, block);
    await upload.put(index, block);
  }
  check((await upload.commit({ ifNone: "*" })) !== "changed", "commit must make the blob");
  await checkStands(store, name, concatBytes(...blocks), "after each block came twice");
}

async function hidesUnfinished(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name, before] = [await open(), newName(), noiseOf(50)];
  const blocks = blocksFor(store);
  const upload = await store.create(name, contentOf());
  for (const [index, block] of blocks.entries()) await upload.put(index, block);
  check((await store.open(name, 16)) === undefined, "nothing must be seen before the commit");
  await upload.abort();
  await upload.abort();
  check((await store.open(name, 16)) === undefined, "nothing must be seen after an abort");
  await created(store, name, [before]);
  const other = await store.create(name, { ...contentOf(), condition: { always: true } });
  for (const [index, block] of blocks.entries()) await other.put(index, block);
  await other.abort();
  await checkStands(store, name, before, "after the abort of a replacement");
}

async function keepsMetadata(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name, content] = [await open(), newName(), contentOf()];
  await created(store, name, [noiseOf(50)], content);
  const { metadata } = await openedBlob(store, name);
  for (const [key, value] of Object.entries(content.metadata)) check(metadata[key] === value, `open must give the metadata ${key}`);
}

async function findsNothing(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name] = [await open(), newName()];
  check((await store.open(name, 16)) === undefined, "open must give undefined for what is not there");
  check((await store.delete(name)) === false, "delete must say false for what is not there");
}

async function deletes(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name, neighbour] = [await open(), newName(), newName()];
  for (const each of [name, neighbour]) await created(store, each, [noiseOf(50)]);
  check((await store.delete(name)) === true, "delete must say true for what was there");
  check((await store.open(name, 16)) === undefined, "a deleted blob must be gone");
  check((await store.open(neighbour, 16)) !== undefined, "delete must leave other blobs");
  await created(store, name, [noiseOf(50)]);
}

async function heedsSignal(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name] = [await open(), newName()];
  await created(store, name, [noiseOf(50)]);
  const reason = new Error("the caller's reason");
  const options = { signal: AbortSignal.abort(reason) };
  const blob = await openedBlob(store, name);
  const operations: readonly [string, () => Promise<unknown>][] = [
    ["create", () => store.create(newName(), contentOf(), options)],
    ["open", () => store.open(name, 16, options)],
    ["delete", () => store.delete(name, options)],
    ["list", () => store.list({ limit: 1 }, options)],
    ["replaceHeader", () => blob.replaceHeader({ ownHeaderBytes: 10, header: noiseOf(10), keys: [] }, options)],
  ];
  for (const [what, operation] of operations) {
    const failure = await failureOf(operation, `${what} with an aborted signal`);
    check(failure === reason, `${what} with an aborted signal must fail with the signal's own reason`);
  }
  check((await openedBlob(store, name)).etag === blob.etag, "calls that were aborted must leave the blob as it was");
}
