import { headOf } from "../../blobs/blob-head.ts";
import { openedIn } from "../../blobs/blob-search.ts";
import type { StoredBlob } from "../../blobs/blob-store.ts";
import { blobMissing } from "../../blobs/failures.ts";
import { checkedName } from "../../blobs/name.ts";
import { ATTEMPTS, delayAfter, isPassing } from "../../blobs/retries.ts";
import { systemClock } from "../../core/base/clock.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import { sleep } from "../../core/base/wait.ts";
import { ENVELOPE_HEAD } from "../../core/format/envelope.ts";
import type { StoredInput } from "./store-kind.ts";

/** A blob, to be read once, from the start. */
export interface BlobInput {
  readonly name: string;
  readonly sizeBytes: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * Opens a blob as an input: its bytes as they are stored, all of one version. Of an envelope whose newer header stands beside it, that
 * header comes in the place of the blob's own.
 */
export async function blobInput({ text, store, name: given }: StoredInput): Promise<BlobInput> {
  const name = checkedName(given);
  const blob = await openedIn({ store, clock: systemClock }, name, undefined);
  if (blob === undefined) throw blobMissing(name);
  const isEnvelope = blob.overlay !== undefined && blob.first[0] === ENVELOPE_HEAD;
  if (!isEnvelope) return { name: text, sizeBytes: blob.size, chunks: piecesOf(name, blob, 0) };
  const { header, ownHeaderBytes } = await headOf(name, blob, undefined);
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    yield header;
    yield* piecesOf(name, blob, ownHeaderBytes);
  };
  return { name: text, sizeBytes: blob.size - ownHeaderBytes + header.length, chunks: chunks() };
}

/** Gives the stored bytes from a place on. After a break it asks for the rest of the same version. */
async function* piecesOf(name: string, blob: StoredBlob, from: number): AsyncGenerator<Uint8Array> {
  const known = blob.first.subarray(from);
  if (known.length > 0) yield known;
  let at = from + known.length;
  for (let fruitless = 0; at < blob.size; ) {
    try {
      for await (const piece of blob.read(at, blob.size, { ifMatch: blob.etag })) {
        if (piece.length > blob.size - at) throw new EnvelockError("provider-failure", `the store gave more of ${name} than there is`);
        if (piece.length === 0) continue;
        at += piece.length;
        fruitless = 0;
        yield piece;
      }
      if (at < blob.size) throw new EnvelockError("unavailable", `the store ended ${name} before its end`, { whose: "service" });
    } catch (error) {
      if (!isPassing(error) || ++fruitless >= ATTEMPTS) throw error;
      await sleep(systemClock, delayAfter(fruitless, error, systemClock));
    }
  }
}
