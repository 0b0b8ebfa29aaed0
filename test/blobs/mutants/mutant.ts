import type { BlobConformanceHarness } from "../../../src/blobs/conformance/index.ts";
import { type BlobStore, type BlobUpload, memoryBlobs, type StoredBlob } from "../../../src/blobs/index.ts";
import { concatBytes } from "../../../src/core/base/bytes.ts";

/** A sound store with one fault, and the case that is there to notice it. */
export interface Mutant {
  readonly fault: string;
  readonly noticedBy: string;
  readonly change: (sound: BlobStore) => Partial<BlobStore>;
  readonly header?: BlobStore["header"];
}

/** A harness of sound store objects on one memory, or of mutants of them. */
export function harnessOf(change: Mutant["change"] = () => ({}), header: BlobStore["header"] = "block"): BlobConformanceHarness {
  const sound = memoryBlobs({ header });
  return { open: () => ({ ...sound, ...change(sound) }) };
}

/** Changes every upload. */
export function uploading(distort: (upload: BlobUpload, name: string) => Partial<BlobUpload>): Mutant["change"] {
  return (sound) => ({
    async create(name, content, options) {
      const upload = await sound.create(name, content, options);
      return { ...upload, ...distort(upload, name) };
    },
  });
}

/** Changes every blob that is opened. */
export function opening(distort: (blob: StoredBlob, name: string) => Partial<StoredBlob>): Mutant["change"] {
  return (sound) => ({
    async open(name, firstBytes, options) {
      const blob = await sound.open(name, firstBytes, options);
      return blob && { ...blob, ...distort(blob, name) };
    },
  });
}

export async function bytesOf(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece.slice());
  return concatBytes(...all);
}

/** Whatever the version is. */
export function readAny(sound: BlobStore, name: string): StoredBlob["read"] {
  return async function* (start, end, options) {
    const now = await sound.open(name, 1);
    if (now !== undefined) yield* now.read(start, end, { ...options, ifMatch: now.etag });
  };
}
