import { type OwnedBytes, wipe } from "../../core/base/bytes.ts";
import { CALL_OPTIONS, type CallOptions, callSignal } from "../../core/base/call-options.ts";
import { requireRange } from "../../core/resilience/checks.ts";
import { CheckedSource, type SeekableSource } from "../../core/stream/seekable-source.ts";
import { otherLength } from "../expected-length.ts";
import { closedBlob, type ForeignBlob } from "../foreign-blob.ts";
import { joined, streamOf } from "../pieces.ts";
import { BLOCK_BYTES, type CbcBody, requireBlocks } from "./cbc.ts";
import type { StorageProtocol } from "./encryption-data.ts";
import { plaintextBytesIn, REGION_OVERHEAD_BYTES, type Regions } from "./regions.ts";

/** A blob of which any part can be read. Under 2.0 and 2.1 it returns verified bytes alone. The caller closes it. */
export interface StorageBlob extends ForeignBlob {
  readonly protocol: StorageProtocol;
  /**
   * Returns the plaintext's length. It follows from the stored length, which the format does not authenticate: with `expectedBytes` it was
   * compared.
   *
   * @throws as `read`
   */
  size(options?: CallOptions): Promise<number>;
}

/** How one protocol finds and opens a part of a body. */
export interface BodyLayout {
  readonly protocol: StorageProtocol;
  /** About how many plaintext bytes a stream reads at once: a multiple of what is opened at once. */
  readonly windowBytes: number;
  size(source: CheckedSource, signal: AbortSignal | undefined): Promise<number>;
  /** Reads a part that lies within the size. */
  read(source: CheckedSource, start: number, end: number, signal: AbortSignal | undefined): Promise<OwnedBytes>;
}

/** Opens a body for parts. @throws `malformed-envelope` for a length that no body has, or, with `detail` `other-length`, another than expected */
export async function openedBlob(
  layout: BodyLayout,
  source: SeekableSource,
  expectedBytes: number | undefined,
  signal: AbortSignal | undefined,
): Promise<StorageBlob> {
  const checked = new CheckedSource(source);
  if (expectedBytes !== undefined) {
    const size = await layout.size(checked, signal);
    if (size !== expectedBytes) throw otherLength(`${size}`, expectedBytes);
  }
  let isClosed = false;
  const requireOpen = (): void => {
    if (isClosed) throw closedBlob();
  };
  const read = async (start: number, end: number, signal: AbortSignal | undefined): Promise<OwnedBytes> => {
    requireRange(start, end);
    requireOpen();
    const size = start === end ? 0 : await layout.size(checked, signal);
    const [from, to] = [Math.min(start, size), Math.min(end, size)];
    if (from >= to) return new Uint8Array(0);
    const plaintext = await layout.read(checked, from, to, signal);
    requireOpen();
    return plaintext;
  };
  const pieces = async function* (start: number, end: number, signal: AbortSignal): AsyncGenerator<OwnedBytes, void, undefined> {
    requireOpen();
    const last = Math.min(end, await layout.size(checked, signal));
    for (let next = start; next < last; ) {
      const stopAt = Math.min(last, (Math.floor(next / layout.windowBytes) + 1) * layout.windowBytes);
      yield await read(next, stopAt, signal);
      next = stopAt;
    }
  };
  return {
    format: `azure-storage-${layout.protocol}`,
    protocol: layout.protocol,
    async size(options = {}) {
      const signal = callSignal(options, CALL_OPTIONS, "size");
      requireOpen();
      return await layout.size(checked, signal);
    },
    async read(start, end, options = {}) {
      return await read(start, end, callSignal(options, CALL_OPTIONS, "read"));
    },
    stream(start = 0, end = Number.MAX_SAFE_INTEGER, options = {}) {
      const given = callSignal(options, CALL_OPTIONS, "stream");
      requireRange(start, end);
      const stop = new AbortController();
      return streamOf(pieces(start, end, joined(given, stop)), stop);
    },
    close() {
      isClosed = true;
    },
  };
}

/** Regions of 2.0 and 2.1. @throws `malformed-envelope` for a length that no body has */
export function regionLayout(regions: Regions, protocol: "2.0" | "2.1", storedBytes: number): BodyLayout {
  const { regionBytes } = regions;
  const sealedBytes = regionBytes + REGION_OVERHEAD_BYTES;
  const size = plaintextBytesIn(storedBytes, regionBytes);
  return {
    protocol,
    windowBytes: Math.max(1, Math.floor(WINDOW_BYTES / regionBytes)) * regionBytes,
    size: async () => size,
    async read(source, start, end, signal) {
      const first = Math.floor(start / regionBytes);
      const afterLast = Math.floor((end - 1) / regionBytes) + 1;
      const stored = await source.read(first * sealedBytes, Math.min(afterLast * sealedBytes, source.size), signal);
      const plaintext = new Uint8Array(end - start);
      for (let index = first; index < afterLast; index++) {
        const at = (index - first) * sealedBytes;
        const opened = await regions.open(index, stored.subarray(at, at + sealedBytes));
        const before = index * regionBytes - start; // where the region begins in the answer
        plaintext.set(opened.subarray(Math.max(0, -before), Math.max(0, end - index * regionBytes)), Math.max(0, before));
        wipe(opened);
      }
      return plaintext;
    },
  };
}

/** Blocks of 1.0. The length of the plaintext stands in the padding of the last block alone. @throws `malformed-envelope` */
export function cbcLayout(body: CbcBody, firstBlock: Uint8Array, storedBytes: number): BodyLayout {
  requireBlocks(storedBytes);
  const lastStart = storedBytes - BLOCK_BYTES;
  let known: number | undefined;
  const decrypted = async (source: CheckedSource, from: number, to: number, signal: AbortSignal | undefined): Promise<OwnedBytes> => {
    const before = Math.max(0, from - BLOCK_BYTES); // each block needs the one before it
    const stored = await source.read(before, to, signal);
    const blocks = stored.subarray(from - before);
    return await body.decrypt(from === 0 ? firstBlock : stored.subarray(0, BLOCK_BYTES), blocks, to === storedBytes);
  };
  const size = async (source: CheckedSource, signal: AbortSignal | undefined): Promise<number> => {
    known ??= lastStart + (await decrypted(source, lastStart, storedBytes, signal)).length;
    return known;
  };
  return {
    protocol: "1.0",
    windowBytes: WINDOW_BYTES,
    size,
    async read(source, start, end, signal) {
      const from = Math.floor(start / BLOCK_BYTES) * BLOCK_BYTES;
      const plaintext = await decrypted(source, from, Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES, signal);
      return plaintext.slice(start - from, end - from);
    },
  };
}

const WINDOW_BYTES = 1024 * 1024;
