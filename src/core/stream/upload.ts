import { engine } from "#engine";
import { copyOf, isBytes, type OwnedBytes, wipe } from "../base/bytes.ts";
import { CALL_OPTIONS, type CallOptions, callSignal } from "../base/call-options.ts";
import { EnvelockError, invalidArgument } from "../base/errors.ts";
import { requireFilled } from "../base/filled.ts";
import { CHUNK_BYTES } from "../contracts/suite.ts";
import { BODY_PREFIX_BYTES, type BodyKeys, bodyBytes, wipeBodyKeys } from "../crypto/cobblestone.ts";
import { type ChunkJob, chunkJob } from "./chunk-job.ts";
import { partDigest } from "./part-digest.ts";
import { partCountOf, type UploadPlan } from "./upload-plan.ts";
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
  readonly #plan: UploadPlan;
  readonly #digests: Map<number, Uint8Array>;
  readonly #sealState: UploadParts["sealState"];
  #isClosed = false;
  /** Whether parts that were made before still count. If not they are to be made and sent again. */
  readonly isResumed: boolean;
  /** How many parts there are; at least one. */
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

  /** The plaintext bytes that part `index` takes, from `start` to before `end`. @throws `invalid-argument` */
  partRange(index: number): { readonly start: number; readonly end: number } {
    if (!Number.isInteger(index) || index < 0 || index >= this.partCount) {
      throw invalidArgument(`part ${index} is not there: there are ${this.partCount}, from 0`);
    }
    const start = index * this.#plan.partBytes;
    return { start, end: Math.min(start + this.#plan.partBytes, this.#plan.plaintextBytes) };
  }

  /**
   * Encrypts one part: whole chunks, before the first of them the header, after the last of them the envelope's end.
   *
   * @param plaintext exactly the bytes of `partRange(index)`
   * @returns the part, in its own ArrayBuffer; the same for the same bytes
   * @throws `invalid-argument` for another length, an index that is not there, or other bytes than the part has, with `detail`
   *   `part-changed`; `closed`
   */
  async part(index: number, plaintext: Uint8Array): Promise<OwnedBytes> {
    const { start, end } = this.partRange(index);
    if (!isBytes(plaintext) || plaintext.length !== end - start) throw invalidArgument(`part ${index} takes ${end - start} bytes`);
    const own = copyOf(plaintext); // what is digested is what is sealed, whatever happens to the caller's buffer
    try {
      const digest = await partDigest(own);
      this.#requireOpen();
      this.#requireSame(index, digest);
      return await this.#sealed(index, own);
    } finally {
      wipe(own);
    }
  }

  /**
   * What `keyring.resumeUpload` needs to go on after a crash: an envelope under the keyring, in the upload's context. Any one of an
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

  /** The first bytes of a part are its bytes from then on. */
  #requireSame(index: number, digest: Uint8Array): void {
    const known = this.#digests.get(index);
    if (known === undefined) {
      this.#digests.set(index, digest);
      return;
    }
    if (engine.timingSafeEqual(known, digest)) return;
    throw new EnvelockError("invalid-argument", `part ${index} has other bytes than were stated or made before`, {
      detail: "part-changed",
      hint: "start a new upload: it has a fresh salt",
    });
  }

  async #sealed(index: number, plaintext: Uint8Array): Promise<OwnedBytes> {
    const isEnd = index === this.partCount - 1;
    const before = index === 0 ? this.#start : NOTHING;
    const sealed = engine.allocate(before.length + this.#job.outputBytes(plaintext.length, isEnd));
    sealed.set(before);
    const firstChunk = (index * this.#plan.partBytes) / CHUNK_BYTES;
    const written = await this.#job.process(firstChunk, plaintext, isEnd, sealed, before.length);
    this.#requireOpen(); // else it was sealed with what `close` had wiped
    return requireFilled(sealed, before.length + written);
  }
}

export interface UploadParts {
  readonly keys: BodyKeys;
  /** Header, salt and commitment. */
  readonly start: OwnedBytes;
  readonly plan: UploadPlan;
  readonly isResumed: boolean;
  readonly sealState: (state: Uint8Array, options: CallOptions) => Promise<OwnedBytes>;
}

const NOTHING: OwnedBytes = new Uint8Array(0);
