import { equalPublicBytes } from "../core/base/bytes.ts";
import type { Clock } from "../core/base/clock.ts";
import type { Context } from "../core/base/context.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { BODY_PREFIX_BYTES } from "../core/crypto/body-sizes.ts";
import type { StreamAccess } from "../core/stream/beginning.ts";
import { EncryptedPieces } from "../core/stream/encrypted-pieces.ts";
import { encryptedBytes } from "../core/stream/streams.ts";
import type { BlobCondition, BlobStore, BlobUpload } from "./blob-store.ts";
import { BlockMemory, BlockSizes, blocksOf } from "./block-cutter.ts";
import { type BlobDescription, sealedDescription } from "./description.ts";
import { blobChanged, blobExists, blobOvertaken } from "./failures.ts";
import { keyDigestsOf } from "./key-digest.ts";
import { type BlobProgress, progressTo } from "./progress.ts";
import { isPassing, type Persistence, repeated } from "./retries.ts";

/** Sees the plaintext on its way to the store, such as a scanner for viruses. An error of either method ends the upload, and nothing is stored. */
export interface BlobTap {
  /** Called with each piece, in order, before it is encrypted. It must not change the bytes. */
  onPiece(piece: Uint8Array): void | Promise<void>;
  /** Called after the last piece, before the commit. */
  onEnd?(plaintextBytes: number): void | Promise<void>;
}

/** An upload as it was when `put` was called. */
export interface PutCall {
  readonly name: string;
  readonly context: Context;
  readonly pieces: AsyncIterable<Uint8Array>;
  readonly plaintextBytes: number | undefined;
  readonly description: BlobDescription | undefined;
  readonly tap: BlobTap | undefined;
  readonly condition: BlobCondition;
  readonly onProgress: ((progress: BlobProgress) => void) | undefined;
  readonly signal: AbortSignal | undefined;
  /** Called before the commit with the header of the blob. */
  readonly note: (header: Uint8Array) => Promise<void>;
}

export interface PutResult {
  readonly etag: string;
  readonly plaintextBytes: number;
  /** The length of the envelope. */
  readonly storedBytes: number;
}

/** Encrypts a source into a store: block by block, several in flight, and the commit last. On failure nothing appears. */
export async function writeBlob(access: StreamAccess, store: BlobStore, call: PutCall, clock: Clock): Promise<PutResult> {
  const stop = new AbortController();
  const signal = call.signal === undefined ? stop.signal : AbortSignal.any([call.signal, stop.signal]);
  const persistence: Persistence = { clock, signal };
  const counted = { plaintextBytes: 0 };
  const memory = new BlockMemory();
  let about: string | undefined;
  const encrypted = new EncryptedPieces(
    tapped(call.pieces, call.tap, counted),
    access,
    { context: call.context, signal, ...(call.plaintextBytes !== undefined && { plaintextBytes: call.plaintextBytes }) },
    (dataKey) => {
      if (call.description !== undefined) about = sealedDescription(dataKey, call.context, call.description);
    },
    memory,
  );
  let upload: BlobUpload | undefined;
  try {
    const header = await encrypted.header();
    const keys = await keyDigestsOf(header);
    const total = call.plaintextBytes === undefined ? undefined : encryptedBytes(call.plaintextBytes, header);
    const sizes = new BlockSizes(store.blocks, total);
    const metadata = { envelock: "1", envelock_keys: keys.join("."), ...(about !== undefined && { envelock_about: about }) };
    const content = { metadata, keys, condition: call.condition, ...(total !== undefined && { storedBytes: total }) };
    upload = await repeated(() => store.create(call.name, content, { signal }), persistence);
    const blocks = blocksOf(encrypted, sizes, store.blocks.isHeaderApart ? header.length : undefined, memory);
    const progress = progressTo(call.onProgress, total, clock);
    const sender = new BlockSender(upload, store.blocks.inFlight, progress, persistence, stop, memory);
    await sender.sendAll(blocks);
    await call.note(header);
    const isOurs = startTest(store, call.name, sender.start, header.length, signal);
    const etag = await committed(upload, call, isOurs, persistence);
    return { etag, plaintextBytes: counted.plaintextBytes, storedBytes: sender.sentBytes };
  } catch (error) {
    stop.abort(error);
    await encrypted.return().catch(() => undefined);
    await upload?.abort();
    call.signal?.throwIfAborted();
    throw error;
  }
}

class BlockSender {
  readonly #upload: BlobUpload;
  readonly #mostInFlight: number;
  readonly #progress: (bytes: number) => void;
  readonly #persistence: Persistence;
  readonly #stop: AbortController;
  readonly #memory: BlockMemory;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #beginning: Uint8Array[] = [];
  sentBytes = 0;

  constructor(
    upload: BlobUpload,
    mostInFlight: number,
    progress: (bytes: number) => void,
    persistence: Persistence,
    stop: AbortController,
    memory: BlockMemory,
  ) {
    this.#upload = upload;
    this.#mostInFlight = mostInFlight;
    this.#progress = progress;
    this.#persistence = persistence;
    this.#stop = stop;
    this.#memory = memory;
  }

  /** The first bytes that were sent. */
  get start(): readonly Uint8Array[] {
    return this.#beginning;
  }

  /** Sends all blocks. When one fails, the others are stopped, and all have settled before this throws. */
  async sendAll(blocks: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      let index = 0;
      for await (const block of blocks) {
        if (index < 2) this.#beginning.push(block.slice(0, START_BYTES));
        this.#send(index++, block);
        if (this.#inFlight.size >= this.#mostInFlight) await Promise.race(this.#inFlight);
      }
      await Promise.all(this.#inFlight);
    } catch (error) {
      this.#stop.abort(error);
      await Promise.allSettled(this.#inFlight);
      throw error;
    }
  }

  #send(index: number, block: Uint8Array): void {
    const { signal } = this.#persistence;
    let attempts = 0;
    const attempt = (): Promise<void> => {
      attempts++;
      return this.#upload.put(index, block, signal === undefined ? {} : { signal });
    };
    const sending = repeated(attempt, this.#persistence).then(() => {
      this.sentBytes += block.length;
      this.#progress(block.length);
      this.#inFlight.delete(sending);
      if (attempts === 1) this.#memory.give(block); // an attempt that was given up may still read it
    });
    this.#inFlight.add(sending);
    sending.catch((error: unknown) => this.#stop.abort(error)); // ends the wait for an idle source too
  }
}

/**
 * Commits, again if the answer was lost. A commit whose answer was lost may have been made: then the blob that is there begins with this
 * upload's own salt.
 */
async function committed(
  upload: BlobUpload,
  { name, condition }: PutCall,
  isOurs: () => Promise<string | undefined>,
  { clock, signal }: Persistence,
): Promise<string> {
  let isDoubtful = false;
  const attempt = async (): Promise<string> => {
    try {
      const result = await upload.commit(condition, signal === undefined ? {} : { signal });
      if (typeof result === "object" && typeof result?.etag === "string" && result.etag !== "") return result.etag;
      if (result !== "changed")
        throw new EnvelockError("provider-failure", "the store answered a commit without an ETag", { whose: "service" });
      const own = isDoubtful ? await isOurs() : undefined;
      if (own !== undefined) return own;
      if ("always" in condition) throw blobOvertaken(name);
      throw "ifNone" in condition ? blobExists(name) : blobChanged(name);
    } catch (error) {
      if (!isPassing(error)) throw error;
      isDoubtful = true;
      const own = await isOurs();
      if (own !== undefined) return own;
      throw error;
    }
  };
  return await repeated(attempt, { clock, signal });
}

/** Makes a test whether the blob under a name is the one whose blocks begin with `start`. It returns the ETag then. */
function startTest(
  store: BlobStore,
  name: string,
  [first = NOTHING, second = NOTHING]: readonly Uint8Array[],
  headerBytes: number,
  signal: AbortSignal,
): () => Promise<string | undefined> {
  const begun = new Uint8Array(headerBytes + BODY_PREFIX_BYTES);
  begun.set(first.subarray(0, begun.length));
  if (first.length < begun.length) begun.set(second.subarray(0, begun.length - first.length), first.length);
  return async () => {
    const found = await store.open(name, begun.length, { signal }).catch(() => undefined);
    return found !== undefined && equalPublicBytes(found.first, begun) ? found.etag : undefined;
  };
}

async function* tapped(
  pieces: AsyncIterable<Uint8Array>,
  tap: BlobTap | undefined,
  counted: { plaintextBytes: number },
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of pieces) {
    counted.plaintextBytes += piece.length;
    await tap?.onPiece(piece);
    yield piece;
  }
  await tap?.onEnd?.(counted.plaintextBytes);
}

const NOTHING: Uint8Array = new Uint8Array(0);
/** More than any header and what stands before the chunks. */
const START_BYTES = 66_000;
