import { copyOf } from "../../core/base/bytes.ts";
import { CALL_OPTIONS, callSignal } from "../../core/base/call-options.ts";
import { Crc32c } from "../../core/base/crc32c.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { BegunUpload } from "../begun-upload.ts";
import type { BlobCondition, BlobUpload } from "../blob-store.ts";
import { blobChanged, blobExists } from "../failures.ts";
import {
  checksumText,
  type GcsCallOptions,
  type GcsCalls,
  type GcsConditions,
  type GcsContent,
  type GcsWhole,
  storedConditions,
} from "./calls.ts";
import type { GcsObject } from "./object.ts";
import { settled } from "./refusals.ts";

/** What an upload needs to know. */
export interface GcsUploadPlan {
  readonly calls: GcsCalls;
  readonly name: string;
  readonly content: GcsContent;
  /** The condition of the commit, as far as it is known at the start. */
  readonly condition: BlobCondition | undefined;
}

/**
 * An object in the making. Blocks go into one session, in order; the session is begun with the first block, under the condition of the
 * commit. A last block that is no multiple of 256 KiB waits in memory for the commit; alone, it is one request.
 */
export class GcsUpload implements BlobUpload {
  readonly #plan: GcsUploadPlan;
  /** Where each stored block ends. */
  readonly #ends: number[] = [];
  readonly #session: BegunUpload<string>;
  #checksum = new Crc32c();
  #tail: { readonly index: number; readonly bytes: Uint8Array } | undefined;
  /** Whether the service may have kept more than it has said. */
  #isDoubtful = false;

  constructor(plan: GcsUploadPlan) {
    this.#plan = plan;
    const { calls, name, content } = plan;
    this.#session = new BegunUpload({
      clock: calls.clock,
      begin: async () => await calls.beginSession(name, content, this.#begunUnder(), {}),
      end: (session) => calls.cancel(session, {}), // the service forgets what stays after a week
    });
  }

  async put(index: number, bytes: Uint8Array, call: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const signal = callSignal(call, CALL_OPTIONS, "put");
    signal?.throwIfAborted();
    const [next, start] = [this.#ends.length, this.#ends.at(-1) ?? 0];
    if (index < next) return; // it was stored, and the answer was lost on its way to the caller
    if (index !== next || (this.#tail !== undefined && this.#tail.index !== index)) throw outOfOrder();
    if (bytes.length === 0 || bytes.length % BLOCK_STEP_BYTES !== 0) {
      this.#tail = { index, bytes: copyOf(bytes) };
      return;
    }
    const outcome = await settled({ changed: () => "changed" as const }, async () => {
      const session = await this.#session.begun(signal);
      return await this.#sent(session, start, bytes, undefined, { signal });
    });
    if (outcome === "changed") throw this.#conditionLost();
    if (outcome !== undefined)
      throw new EnvelockError("provider-failure", "the store ended an upload before its end", { whose: "service" });
    this.#checksum.update(bytes);
    this.#ends.push(start + bytes.length);
  }

  async commit(condition: BlobCondition, call: { readonly signal?: AbortSignal } = {}): Promise<{ readonly etag: string } | "changed"> {
    const signal = callSignal(call, CALL_OPTIONS, "commit");
    signal?.throwIfAborted();
    const conditions = storedConditions(condition);
    if (conditions === undefined) return "changed";
    const tail = this.#tail?.bytes ?? NOTHING;
    const start = this.#ends.at(-1) ?? 0;
    const checksum = this.#checksum.copy();
    checksum.update(tail);
    const whole: GcsWhole = { bytes: start + tail.length, crc32c: checksumText(checksum.value()) };
    const outcome = await settled({ changed: () => "changed" as const, missing: () => "changed" as const }, async () => {
      if (!this.#session.isBegun) return await this.#inserted(tail, whole, conditions, { signal });
      if (!isSame(conditions, this.#begunUnder())) throw otherCondition();
      return await this.#sent(await this.#session.begun(signal), start, tail, whole, { signal });
    });
    if (outcome === "changed") return outcome;
    if (outcome === undefined) throw nothingKept(); // the service did not take the last word for the last
    return { etag: await this.#verified(outcome, whole, { signal }) };
  }

  async abort(): Promise<void> {
    this.#tail = undefined;
    this.#ends.length = 0;
    this.#checksum = new Crc32c();
    await this.#session.end();
  }

  async #inserted(bytes: Uint8Array, { crc32c }: GcsWhole, conditions: GcsConditions, options: GcsCallOptions): Promise<GcsObject> {
    const { calls, name, content } = this.#plan;
    return await calls.insert(name, bytes, crc32c, content, conditions, options);
  }

  /**
   * Sends bytes until the service keeps all of them. It may keep a part of what it was sent, and more than it could say.
   *
   * @returns the object, once it is whole
   */
  async #sent(
    session: string,
    start: number,
    bytes: Uint8Array,
    whole: GcsWhole | undefined,
    options: GcsCallOptions,
  ): Promise<GcsObject | undefined> {
    const { calls } = this.#plan;
    const end = start + bytes.length;
    let at = start;
    if (this.#isDoubtful) {
      const progress = await calls.status(session, options);
      if ("object" in progress) return progress.object;
      at = progress.kept;
    }
    for (let fruitless = 0; ; ) {
      if (at < start || at > end) throw lostBytes();
      if (at === end && whole === undefined) {
        this.#isDoubtful = false;
        return undefined;
      }
      this.#isDoubtful = true;
      const progress = await calls.send(session, at, bytes.subarray(at - start), whole, options);
      if ("object" in progress) return progress.object;
      if (progress.kept <= at && ++fruitless >= MOST_FRUITLESS) throw nothingKept();
      at = progress.kept;
    }
  }

  /** What the service has made is what was sent, or it is removed again. */
  async #verified({ generation, size, crc32c }: GcsObject, whole: GcsWhole, options: GcsCallOptions): Promise<string> {
    if (size === whole.bytes && (crc32c === undefined || crc32c === whole.crc32c)) return generation;
    const { calls, name } = this.#plan;
    await calls.remove(name, { ifGenerationMatch: generation }, options).catch(() => undefined);
    throw new EnvelockError("provider-failure", "the store made an object of other bytes than it was sent", {
      whose: "service",
      hint: "the object was removed again: put the blob once more",
    });
  }

  /** The condition of the session. @throws `invalid-argument` if none was stated; as a commit for one that cannot hold */
  #begunUnder(): GcsConditions {
    const { condition } = this.#plan;
    if (condition === undefined) {
      throw invalidArgument(
        "Cloud Storage needs the condition of a commit when a blob of several blocks is begun",
        "state `condition` in the content that `create` takes",
      );
    }
    const conditions = storedConditions(condition);
    if (conditions === undefined) throw this.#conditionLost();
    return conditions;
  }

  #conditionLost(): EnvelockError {
    const { name, condition } = this.#plan;
    return condition !== undefined && "ifNone" in condition ? blobExists(name) : blobChanged(name);
  }
}

function isSame(one: GcsConditions, other: GcsConditions): boolean {
  return one.ifGenerationMatch === other.ifGenerationMatch;
}

function otherCondition(): EnvelockError {
  return invalidArgument("the condition of a commit is the one that the blob was begun with", "state the same in `create` and in `commit`");
}

function outOfOrder(): EnvelockError {
  return invalidArgument("blocks of Cloud Storage come in order, and only the last may be no multiple of 256 KiB");
}

function lostBytes(): EnvelockError {
  return new EnvelockError("provider-failure", "the store keeps other bytes of an upload than it said before", {
    whose: "service",
    hint: "put the blob again",
  });
}

function nothingKept(): EnvelockError {
  return new EnvelockError("unavailable", "the store keeps nothing of what it is sent", { whose: "service" });
}

/** What the lengths of blocks are multiples of. */
export const BLOCK_STEP_BYTES: number = 256 * 1024;
const MOST_FRUITLESS = 2;
const NOTHING: Uint8Array = new Uint8Array(0);
