import { engine } from "#engine";
import { copyOf, isBytes, type OwnedBytes, wipe } from "../base/bytes.ts";
import { CALL_OPTIONS, type CallOptions, callSignal } from "../base/call-options.ts";
import { EnvelockError, invalidArgument } from "../base/errors.ts";
import { requireFilled } from "../base/filled.ts";
import { CHUNK_BYTES } from "../contracts/suite.ts";
import { BODY_PREFIX_BYTES, type BodyKeys, bodyBytes, wipeBodyKeys } from "../crypto/cobblestone.ts";
import { type ChunkJob, chunkJob } from "./chunk-job.ts";
import { partDigest } from "./part-digest.ts";
import { type CheckedPlan, type PartPlan, partCountOf, partPlan } from "./upload-plan.ts";
import { encodeUploadState } from "./upload-state.ts";

/**
 * Encrypts the parts of a multipart upload, in any order and as often as needed. The parts in order are one envelope.
 *
 * A part has one plaintext for the life of an upload: the same bytes give the same part, other bytes are refused, because they would
 * be sealed under nonces that were used.
 */
export class EncryptedUpload {
  readonly #keys: BodyKeys;
  readonly #job: ChunkJob;
  readonly #start: OwnedBytes;
  readonly #plan: CheckedPlan;
  readonly #digests: Map<number, Uint8Array>;
  readonly #sealState: UploadParts["sealState"];
  #isClosed = false;
  /** Whether parts that were made before still count. If not they are to be made and sent again. */
  readonly isResumed: boolean;
  /** The number of parts; at least one. */
  readonly partCount: number;
  /** The length of all encrypted parts together. */
  readonly encryptedBytes: number;

  /** Use `keyring.startUpload` or `keyring.resumeUpload`. */
  constructor({ keys, start, plan, isResumed, sealState }: UploadParts) {
    this.isResumed = isResumed;
    this.#keys = keys;
    this.#job = chunkJob("seal", keys);
    this.#start = start;
    this.#plan = plan;
    this.#digests = new Map(plan.partDigests?.entries());
    this.#sealState = sealState;
    this.partCount = partCountOf(plan);
    this.encryptedBytes = start.length - BODY_PREFIX_BYTES + bodyBytes(plan.plaintextBytes);
  }

  /** The envelope's header, in its own ArrayBuffer: what the first part begins with, for a store that keeps a copy beside the parts. */
  get header(): OwnedBytes {
    return copyOf(this.#start.subarray(0, this.#start.length - BODY_PREFIX_BYTES));
  }

  /**
   * The plaintext bytes that part `index` takes, from `start` to before `end`. With `storedPartBytes` neighbours overlap by the chunk that
   * lies across their border.
   *
   * @throws `invalid-argument`
   */
  partRange(index: number): { readonly start: number; readonly end: number } {
    if (!Number.isInteger(index) || index < 0 || index >= this.partCount) {
      throw invalidArgument(`part ${index} is not there: there are ${this.partCount}, from 0`);
    }
    const { start, end } = partPlan(this.#plan, index);
    return { start, end };
  }

  /**
   * Encrypts one part: whole chunks, before the first of them the header, after the last of them the envelope's end. With
   * `storedPartBytes` it is what lies between its borders, wherever they cut.
   *
   * @param plaintext exactly the bytes of `partRange(index)`
   * @returns the part, in its own ArrayBuffer; the same for the same bytes
   * @throws `invalid-argument` for another length, an index that is not there, or other bytes than the part has, with `detail`
   *   `part-changed`; `closed`
   */
  async part(index: number, plaintext: Uint8Array): Promise<OwnedBytes> {
    const { start, end } = this.partRange(index);
    if (!isBytes(plaintext) || plaintext.length !== end - start) throw invalidArgument(`part ${index} takes ${end - start} bytes`);
    const plan = partPlan(this.#plan, index);
    const own = copyOf(plaintext); // what is digested is what is sealed, whatever happens to the caller's buffer
    try {
      const runs = plan.segments.map((segment) => own.subarray(segment.start - start, segment.end - start));
      const digests = await Promise.all(runs.map(partDigest));
      this.#requireOpen();
      this.#requireSame(index, plan, digests);
      return await this.#sealed(index, plan, own);
    } finally {
      wipe(own);
    }
  }

  /**
   * The state with which `keyring.resumeUpload` goes on after a crash: an envelope under the keyring, in the upload's context. Any one of an
   * upload is as good as another, also after more parts were made.
   *
   * @throws `invalid-argument` if no digests were stated; `closed`; as `Keyring.encrypt`
   */
  async exportState(options: CallOptions = {}): Promise<OwnedBytes> {
    callSignal(options, CALL_OPTIONS, "exportState");
    this.#requireOpen();
    if (this.#plan.partDigests === undefined) {
      throw invalidArgument("only an upload whose part digests were stated at its start can be resumed");
    }
    return await this.#sealState(encodeUploadState({ start: this.#start, plan: this.#plan }), options);
  }

  /** Wipes the keys: later calls throw `closed`. Twice is fine. */
  close(): void {
    this.#isClosed = true;
    wipeBodyKeys(this.#keys);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new EnvelockError("closed", "this upload has been closed");
  }

  /** The first bytes of a segment are its bytes from then on, in whichever part. All are compared before one is kept. */
  #requireSame(index: number, { segments }: PartPlan, digests: readonly Uint8Array[]): void {
    const found = segments.map(({ digest }, at) => ({ place: digest, digest: digests[at] ?? NOTHING }));
    for (const { place, digest } of found) {
      const known = this.#digests.get(place);
      if (known === undefined || engine.timingSafeEqual(known, digest)) continue;
      throw new EnvelockError("invalid-argument", `part ${index} has other bytes than were stated or made before`, {
        detail: "part-changed",
        hint: "start a new upload: it has a fresh salt",
      });
    }
    for (const { place, digest } of found) this.#digests.set(place, digest);
  }

  async #sealed(index: number, { start, isEnd, skipBytes, storedBytes }: PartPlan, plaintext: Uint8Array): Promise<OwnedBytes> {
    const before = index === 0 ? this.#start : NOTHING;
    const sealed = engine.allocate(before.length + this.#job.outputBytes(plaintext.length, isEnd));
    sealed.set(before);
    const written = await this.#job.process(start / CHUNK_BYTES, plaintext, isEnd, sealed, before.length);
    this.#requireOpen(); // else it was sealed with what `close` had wiped
    const chunks = requireFilled(sealed, before.length + written);
    return storedBytes === undefined ? chunks : copyOf(chunks.subarray(skipBytes, skipBytes + storedBytes));
  }
}

export interface UploadParts {
  readonly keys: BodyKeys;
  /** Header, salt and commitment. */
  readonly start: OwnedBytes;
  readonly plan: CheckedPlan;
  readonly isResumed: boolean;
  readonly sealState: (state: Uint8Array, options: CallOptions) => Promise<OwnedBytes>;
}

const NOTHING: OwnedBytes = new Uint8Array(0);
