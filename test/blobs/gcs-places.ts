import { afterAll, expect } from "vitest";
import { type GcsBlobsOptions, type GcsBucket, gcsBlobs } from "../../src/blobs/gcs/index.ts";
import type { BlobStore } from "../../src/blobs/index.ts";
import { GcsEmulator } from "../../src/testing/gcs/index.ts";

// The service is envelock/testing/gcs, which the client of Google drives in a test of its own.

/** Two blocks and a rest. */
export const LONG = 1_200_000;
export const emulator: GcsEmulator = await GcsEmulator.start();
afterAll(() => emulator.close());
emulator.createBucket("blobs");

/** A store with small blocks, so that several of them are quick. */
export function open(options: GcsBlobsOptions = {}, place: Partial<GcsBucket> = {}): BlobStore {
  const store = gcsBlobs({ ...emulator.connection, bucket: "blobs", ...place }, options);
  return { ...store, blocks: { ...store.blocks, bytes: 512 * 1024 } };
}

/** Speaks the JSON API by hand: another program's requests. */
export async function api(method: string, path: string, body?: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  const authorization = { authorization: `Bearer ${emulator.token}`, ...headers };
  return await fetch(`${emulator.url}${path}`, { method, headers: authorization, ...(body !== undefined && { body }) });
}

export function objectPath(name: string): string {
  return `/storage/v1/b/blobs/o/${encodeURIComponent(name)}`;
}

export async function patched(name: string, resource: object): Promise<void> {
  expect((await api("PATCH", objectPath(name), JSON.stringify(resource))).status).toBe(200);
}
