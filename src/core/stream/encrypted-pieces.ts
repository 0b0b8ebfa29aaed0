import { concatBytes, copyOf, type OwnedBytes } from "../base/bytes.ts";
import { callSignal } from "../base/call-options.ts";
import { invalidArgument } from "../base/errors.ts";
import { type BodyKeys, wipeBodyKeys } from "../crypto/cobblestone.ts";
import { beginBody, type KeyUse, type SealingOptions, type StreamAccess, sealingOptions } from "./beginning.ts";
import { chunkJob } from "./chunk-job.ts";
import { InputPieces, requirePieces } from "./input-pieces.ts";
import { checkedLanes, type LaneOptions } from "./lanes/lanes.ts";
import { ENCRYPT_STREAM_OPTIONS, type EncryptStreamOptions } from "./options.ts";
import type { Outputs } from "./outputs.ts";
import { pumpChunks } from "./pump.ts";

/** An envelope in the making. It gives the header first, then batches of whole chunks, each in its own ArrayBuffer. */
export class EncryptedPieces implements AsyncIterableIterator<OwnedBytes> {
  readonly #access: StreamAccess;
  readonly #bound: SealingOptions;
  readonly #output: AsyncGenerator<OwnedBytes, void, undefined>;
  readonly #useKey: KeyUse | undefined;
  readonly #outputs: Outputs | undefined;
  #beginning: Promise<Beginning> | undefined;

  /**
   * @param useKey called once, when the data key is made
   * @param outputs the memory of the batches, where that is not an array of their own
   */
  constructor(pieces: AsyncIterable<Uint8Array>, access: StreamAccess, options: EncryptStreamOptions, useKey?: KeyUse, outputs?: Outputs) {
    callSignal(options, ENCRYPT_STREAM_OPTIONS, "encryptPieces");
    requirePieces(pieces, "encryptPieces");
    const { lanes, plaintextBytes, minHeaderBytes, onProgress } = options;
    checkedLanes(lanes);
    checkedPlaintextBytes(plaintextBytes);
    this.#access = access;
    this.#useKey = useKey;
    this.#outputs = outputs;
    this.#bound = sealingOptions(access, options, minHeaderBytes);
    this.#output = this.#run(pieces, { lanes, plaintextBytes }, onProgress);
  }

  /**
   * Returns the envelope's header, even before any piece is read. With it `encryptedBytes` computes the length of the envelope.
   *
   * @throws as `Keyring.encrypt`
   */
  async header(): Promise<OwnedBytes> {
    return copyOf((await this.#begin()).header);
  }

  next(): Promise<IteratorResult<OwnedBytes, void>> {
    return this.#output.next();
  }

  async return(): Promise<IteratorResult<OwnedBytes, void>> {
    const result = await this.#output.return();
    const wipeKeys = ({ keys }: Beginning): void => wipeBodyKeys(keys);
    this.#beginning?.then(wipeKeys, () => undefined); // needed also if no piece was ever read
    return result;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async *#run(
    pieces: AsyncIterable<Uint8Array>,
    size: LaneOptions,
    onProgress: EncryptStreamOptions["onProgress"],
  ): AsyncGenerator<OwnedBytes, void, undefined> {
    const { signal } = this.#bound;
    const { header, keys, prefix } = await this.#begin();
    try {
      yield concatBytes(header, prefix);
      const input = new InputPieces(pieces, signal, size.plaintextBytes);
      const job = chunkJob("seal", keys);
      const lanes = this.#access.lanes.join(job, keys, size);
      for await (const batch of pumpChunks(input, job, lanes, { signal, outputs: this.#outputs })) {
        if (onProgress !== undefined) await onProgress(input.taken);
        yield batch;
      }
    } finally {
      wipeBodyKeys(keys);
    }
  }

  #begin(): Promise<Beginning> {
    this.#beginning ??= this.#startOnce();
    return this.#beginning;
  }

  async #startOnce(): Promise<Beginning> {
    this.#bound.signal?.throwIfAborted();
    const { header, ...unlocked } = await this.#access.startSealing(this.#bound);
    return { header, ...beginBody(unlocked, this.#useKey) };
  }
}

interface Beginning {
  readonly header: OwnedBytes;
  readonly keys: BodyKeys;
  readonly prefix: OwnedBytes;
}

function checkedPlaintextBytes(bytes: number | undefined): void {
  if (bytes === undefined || (Number.isSafeInteger(bytes) && bytes >= 0)) return;
  throw invalidArgument(`plaintextBytes is ${bytes}, expected an integer from 0`);
}
