import { concatBytes, equalPublicBytes, toHex } from "../../core/base/bytes.ts";
import { check, failureOf } from "../../core/contracts/conformance-checks.ts";
import type { BlobCondition, BlobContent, BlobStore, StoredBlob } from "../blob-store.ts";
import { isSourceChanged } from "../failures.ts";

/** The harness that the cases need for a blob store. */
export interface BlobConformanceHarness {
  /** Opens a new store object, each on the same container, bucket or folder. */
  open(): BlobStore | Promise<BlobStore>;
}

/** A case before it is bound to its harness. */
export interface Case {
  readonly name: string;
  run(open: () => Promise<BlobStore>): Promise<void>;
}

/** Makes a name that no case has used. */
export function newName(start = "conformance/"): string {
  return `${start}${toHex(crypto.getRandomValues(new Uint8Array(12)))}`;
}

export function noiseOf(bytes: number): Uint8Array {
  const noise = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += MOST_RANDOM_BYTES) crypto.getRandomValues(noise.subarray(at, at + MOST_RANDOM_BYTES));
  return noise;
}

/** Digests as an index of keys has them. */
export function newDigest(): string {
  return toHex(crypto.getRandomValues(new Uint8Array(16)));
}

/** What stands beside a blob that is to be created. */
export function contentOf(keys: readonly string[] = [newDigest()]): BlobContent {
  const metadata = { envelock: "1", envelock_keys: keys.join("."), envelock_about: "dGV4dA_-" };
  return { metadata, keys, condition: { ifNone: "*" } };
}

/** Stores a blob of these blocks. @returns its ETag, or `changed` */
export async function written(
  store: BlobStore,
  name: string,
  blocks: readonly Uint8Array[],
  condition: BlobCondition = { ifNone: "*" },
  content: BlobContent = contentOf(),
): Promise<string> {
  const upload = await store.create(name, { ...content, condition });
  let index = 0;
  for (const block of blocks) await upload.put(index++, block);
  const result = await upload.commit(condition);
  if (result === "changed") await upload.abort();
  return result === "changed" ? result : result.etag;
}

/** Stores a blob that must be new. */
export async function created(
  store: BlobStore,
  name: string,
  blocks: readonly Uint8Array[],
  content: BlobContent = contentOf(),
): Promise<string> {
  const etag = await written(store, name, blocks, { ifNone: "*" }, content);
  check(etag !== "changed", "commit with ifNone must make a blob whose name is free");
  return etag;
}

export async function openedBlob(store: BlobStore, name: string, firstBytes = 16): Promise<StoredBlob> {
  const blob = await store.open(name, firstBytes);
  check(blob !== undefined, "open must give a blob that is there");
  return blob ?? NO_BLOB;
}

export async function readOf(blob: StoredBlob, start: number, end: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of blob.read(start, end, { ifMatch: blob.etag })) pieces.push(piece.slice());
  return concatBytes(...pieces);
}

/** Checks that a blob stands exactly as given. */
export async function checkStands(store: BlobStore, name: string, bytes: Uint8Array, what: string): Promise<void> {
  const blob = await openedBlob(store, name);
  check(blob.size === bytes.length, `open, ${what}, must give the size ${bytes.length}, not ${blob.size}`);
  check(equalPublicBytes(blob.first, bytes.subarray(0, 16)), `open, ${what}, must give the first bytes`);
  check(equalPublicBytes(await readOf(blob, 0, blob.size), bytes), `read, ${what}, must give the bytes as they were put`);
}

/** Checks that a read of a version that is gone says so. */
export async function checkGone(blob: StoredBlob, what: string): Promise<void> {
  const failure = await failureOf(() => readOf(blob, 0, blob.size), `a read ${what}`);
  check(isSourceChanged(failure), `a read ${what} must fail with malformed-envelope and the detail source-changed`);
}

const NO_BLOB: StoredBlob = {
  size: 0,
  etag: "",
  metadata: {},
  first: new Uint8Array(0),
  async *read() {},
  replaceHeader: async () => "not-possible",
};
const MOST_RANDOM_BYTES = 65536;
