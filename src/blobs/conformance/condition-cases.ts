import { concatBytes } from "../../core/base/bytes.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import { check } from "../../core/contracts/conformance-checks.ts";
import type { BlobStore } from "../blob-store.ts";
import { type Case, checkGone, checkStands, contentOf, created, newName, noiseOf, openedBlob, readOf, written } from "./bench.ts";

/** Cases of conditions: they hold at the moment of the change. */
export function conditionCases(): readonly Case[] {
  return [
    { name: "a name that is taken is not created again", run: createsOnce },
    { name: "of many creations of one name one wins", run: oneWins },
    { name: "a replacement with ifMatch replaces that version alone", run: replacesOne },
    { name: "of many replacements of one version one wins", run: oneReplaces },
    { name: "a replacement without a condition always holds", run: replacesAny },
    { name: "a blob of several blocks keeps to its condition", run: keepsToCondition },
    { name: "a version that was replaced or deleted is source-changed", run: noticesChange },
    { name: "delete with ifMatch removes that version alone", run: deletesOne },
  ];
}

async function createsOnce(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name, bytes] = [await open(), newName(), noiseOf(60)];
  const etag = await created(store, name, [bytes]);
  check((await written(store, name, [noiseOf(70)])) === "changed", "commit with ifNone must say `changed` of a name that is taken");
  await checkStands(store, name, bytes, "after a creation that was refused");
  check((await openedBlob(store, name)).etag === etag, "commit must give the ETag that open gives");
}

async function oneWins(open: () => Promise<BlobStore>): Promise<void> {
  const [stores, name] = [[await open(), await open(), await open()], newName()];
  const racers = Array.from({ length: RACERS }, (_, at) => noiseOf(60 + at));
  const won = await race(stores, racers, (store, bytes) => written(store, name, [bytes]));
  check(won.length === 1, `${won.length} of ${RACERS} creations of one name won, and one must`);
  for (const store of stores) for (const bytes of won) await checkStands(store, name, bytes, "after a race");
}

async function replacesOne(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name, next] = [await open(), newName(), noiseOf(80)];
  const first = await created(store, name, [noiseOf(60)]);
  const second = await written(store, name, [next], { ifMatch: first });
  check(second !== "changed" && second !== first, "a replacement of the present version must hold, and give another ETag");
  check(
    (await written(store, name, [noiseOf(90)], { ifMatch: first })) === "changed",
    "a replacement of an older version must say `changed`",
  );
  await checkStands(store, name, next, "after a replacement that was refused");
  const absent = await written(store, newName(), [noiseOf(90)], { ifMatch: first });
  check(absent === "changed", "a replacement of what is not there must say `changed`");
}

async function oneReplaces(open: () => Promise<BlobStore>): Promise<void> {
  const [stores, name] = [[await open(), await open(), await open()], newName()];
  const etag = await created(stores[0] ?? (await open()), name, [noiseOf(50)]);
  const racers = Array.from({ length: RACERS }, (_, at) => noiseOf(60 + at));
  const won = await race(stores, racers, (store, bytes) => written(store, name, [bytes], { ifMatch: etag }));
  check(won.length === 1, `${won.length} of ${RACERS} replacements of one version won, and one must`);
  for (const store of stores) for (const bytes of won) await checkStands(store, name, bytes, "after a race");
}

async function replacesAny(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name, bytes] = [await open(), newName(), noiseOf(80)];
  for (const each of [noiseOf(60), bytes]) {
    check((await written(store, name, [each], { always: true })) !== "changed", "a commit without a condition must hold");
  }
  await checkStands(store, name, bytes, "after a replacement");
}

async function keepsToCondition(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name, bytes] = [await open(), newName(), noiseOf(61)];
  const blocks = [noiseOf(Math.max(store.blocks.leastBytes, 300)), noiseOf(100)];
  const first = await created(store, name, [noiseOf(60)]);
  const second = await written(store, name, [bytes], { ifMatch: first });
  const outcome = await written(store, name, blocks, { ifMatch: first }).catch((error: unknown) => error);
  const isRefused = outcome === "changed" || (EnvelockError.is(outcome) && outcome.detail === "blob-changed");
  check(isRefused, "several blocks for an older version must be refused: `changed` of commit, or blob-changed of put");
  await checkStands(store, name, bytes, "after a replacement that was refused");
  check((await written(store, name, blocks, { ifMatch: second })) !== "changed", "several blocks must replace the present version");
  await checkStands(store, name, concatBytes(...blocks), "after a replacement by several blocks");
}

async function noticesChange(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name] = [await open(), newName()];
  await created(store, name, [noiseOf(60)]);
  const before = await openedBlob(store, name);
  await written(store, name, [noiseOf(60)], { ifMatch: before.etag });
  await checkGone(before, "of a version that was replaced");
  const after = await openedBlob(store, name);
  check((await readOf(after, 0, 60)).length === 60, "the new version must be read");
  await store.delete(name);
  await checkGone(after, "of a version that was deleted");
}

async function deletesOne(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name, bytes] = [await open(), newName(), noiseOf(61)];
  const first = await created(store, name, [noiseOf(60)]);
  const second = await written(store, name, [bytes], { ifMatch: first }, contentOf());
  check((await store.delete(name, { ifMatch: first })) === false, "delete with ifMatch must say false of another version");
  await checkStands(store, name, bytes, "after a delete that was refused");
  check((await store.delete(name, { ifMatch: second })) === true, "delete with ifMatch must remove that version");
}

async function race(
  stores: readonly BlobStore[],
  racers: readonly Uint8Array[],
  attempt: (store: BlobStore, bytes: Uint8Array) => Promise<string>,
): Promise<readonly Uint8Array[]> {
  const outcomes = racers.map(async (bytes, at) => {
    const store = stores[at % stores.length];
    return store !== undefined && (await attempt(store, bytes)) !== "changed" ? [bytes] : [];
  });
  return (await Promise.all(outcomes)).flat();
}

const RACERS = 8;
