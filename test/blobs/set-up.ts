import { randomUUID } from "node:crypto";
import { type BlobStore, type EncryptedBlob, type EncryptedStore, encryptedStore, memoryBlobs } from "../../src/blobs/index.ts";
import type { Clock } from "../../src/core/base/clock.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { kek } from "../support/keks.ts";

/** Waits that pass at once. */
export const hurried: Clock = {
  monotonicMs: () => performance.now(),
  unixMs: () => 0,
  random: () => 0.5,
  after(_delayMs, run) {
    const timer = setImmediate(run);
    return () => clearImmediate(timer);
  },
};

export const KEY_CONTEXT = { tenant: "acme" };

export function keyringOf(wrap: string, ...unwrap: readonly string[]): Keyring {
  return new Keyring({ wrapWith: [kek(wrap)], unwrapWith: unwrap.map(kek), context: KEY_CONTEXT });
}

/** A name that no other blob has. */
export function newName(): string {
  return `store/${randomUUID()}`;
}

export function storeOf(backing: BlobStore = memoryBlobs(), keyring: Keyring = keyringOf("old")): EncryptedStore {
  return encryptedStore(keyring, backing, { context: (name) => ({ object: name }), clock: hurried });
}

export async function wholeOf(store: EncryptedStore, name: string): Promise<Uint8Array> {
  const blob = await store.get(name);
  try {
    return await collected(blob);
  } finally {
    blob.close();
  }
}

export async function collected(blob: EncryptedBlob, start = 0, end: number = Number.MAX_SAFE_INTEGER): Promise<Uint8Array> {
  return new Uint8Array(await new Response(blob.stream(start, end)).arrayBuffer());
}

/** Pieces of any length. */
export async function* inPieces(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

/** The bytes that a store holds. */
export async function storedBytesOf(store: BlobStore, name: string): Promise<Uint8Array> {
  const blob = await store.open(name, 2 ** 31 - 1);
  return blob?.first ?? new Uint8Array(0);
}
