import { concatBytes, equalPublicBytes } from "../../core/base/bytes.ts";
import { check } from "../../core/contracts/conformance-checks.ts";
import type { BlobStore, StoredBlob } from "../blob-store.ts";
import { type Case, contentOf, created, newDigest, newName, noiseOf, openedBlob, readOf, written } from "./bench.ts";

/** Cases of headers: a new one is in force, and the rest of the blob is as it was. */
export function headerCases(): readonly Case[] {
  return [
    { name: "a new header is in force, and every other byte is kept", run: replaces },
    { name: "a new header keeps the metadata that is not about keys", run: keepsMetadata },
    { name: "a header for a version that is gone is refused", run: refusesGone },
    { name: "of many new headers for one version one wins", run: oneWins },
    { name: "a header does not outlive its blob", run: endsWithBlob },
  ];
}

const HEADER_BYTES = 129;

async function stored(store: BlobStore, name: string): Promise<Uint8Array> {
  const [header, body] = [noiseOf(HEADER_BYTES), noiseOf(90_000)];
  await created(store, name, store.blocks.isHeaderApart ? [header, body] : [concatBytes(header, body)]);
  return body;
}

async function replaces(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name] = [await open(), newName()];
  const body = await stored(store, name);
  for (const bytes of [HEADER_BYTES, 40, 1500]) {
    const header = noiseOf(bytes);
    const before = await openedBlob(store, name);
    const change = { ownHeaderBytes: ownBytesOf(before, body), header, keys: [newDigest()] };
    const outcome = await before.replaceHeader(change);
    check(outcome === "replaced", `replaceHeader must replace the header of a blob that it made, and said ${outcome}`);
    await checkInForce(await openedBlob(await open(), name, 2000), header, body);
  }
}

async function keepsMetadata(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name, content] = [await open(), newName(), contentOf()];
  const [header, body] = [noiseOf(HEADER_BYTES), noiseOf(1000)];
  await created(store, name, store.blocks.isHeaderApart ? [header, body] : [concatBytes(header, body)], content);
  const before = await openedBlob(store, name);
  await before.replaceHeader({ ownHeaderBytes: HEADER_BYTES, header: noiseOf(200), keys: [newDigest()] });
  const { metadata } = await openedBlob(store, name);
  for (const key of ["envelock", "envelock_about"]) {
    check(metadata[key] === content.metadata[key], `replaceHeader must keep the metadata ${key}`);
  }
}

async function refusesGone(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name] = [await open(), newName()];
  await stored(store, name);
  const before = await openedBlob(store, name);
  const bytes = noiseOf(500);
  await written(store, name, [bytes], { ifMatch: before.etag });
  const outcome = await before.replaceHeader({ ownHeaderBytes: HEADER_BYTES, header: noiseOf(HEADER_BYTES), keys: [] });
  const after = await openedBlob(store, name, 500);
  check(equalPublicBytes(after.first, bytes), "replaceHeader must leave a newer version as it is");
  const isHarmless = outcome === "changed" || (after.overlay !== undefined && after.overlay.blobEtag === before.etag);
  check(isHarmless, "replaceHeader for a version that is gone must say `changed`, or leave an overlay that names that version");
}

async function oneWins(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name] = [await open(), newName()];
  const body = await stored(store, name);
  const seen = await Promise.all(Array.from({ length: RACERS }, async () => openedBlob(await open(), name)));
  const headers = seen.map((_, at) => noiseOf(HEADER_BYTES + at));
  const outcomes = await Promise.all(
    seen.map((blob, at) => blob.replaceHeader({ ownHeaderBytes: HEADER_BYTES, header: headers[at] ?? noiseOf(1), keys: [] })),
  );
  const won = headers.filter((_, at) => outcomes[at] === "replaced");
  check(won.length === 1, `${won.length} of ${RACERS} new headers for one version won, and one must`);
  for (const header of won) await checkInForce(await openedBlob(store, name, 2000), header, body);
}

async function endsWithBlob(open: () => Promise<BlobStore>): Promise<void> {
  const [store, name] = [await open(), newName()];
  await stored(store, name);
  const before = await openedBlob(store, name);
  await before.replaceHeader({ ownHeaderBytes: HEADER_BYTES, header: noiseOf(200), keys: [] });
  check((await store.delete(name)) === true, "delete must remove a blob whose header was replaced");
  await stored(store, name);
  check((await openedBlob(store, name)).overlay === undefined, "delete must remove what stands beside the blob");
}

function ownBytesOf({ size }: StoredBlob, body: Uint8Array): number {
  return size - body.length;
}

async function checkInForce(blob: StoredBlob, header: Uint8Array, body: Uint8Array): Promise<void> {
  const ownBytes = ownBytesOf(blob, body);
  const found = blob.overlay === undefined ? blob.first.subarray(0, ownBytes) : blob.overlay.header;
  check(equalPublicBytes(found, header), "the new header must be in force");
  check(equalPublicBytes(await readOf(blob, ownBytes, blob.size), body), "a new header must leave every other byte as it was");
}

const RACERS = 4;
