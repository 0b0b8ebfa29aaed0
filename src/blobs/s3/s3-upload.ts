import { copyOf } from "../../core/base/bytes.ts";
import { CALL_OPTIONS, callSignal } from "../../core/base/call-options.ts";
import type { Clock } from "../../core/base/clock.ts";
import { invalidArgument } from "../../core/base/errors.ts";
import { BegunUpload } from "../begun-upload.ts";
import type { BlobCondition, BlobUpload } from "../blob-store.ts";
import { conditionsOf } from "../http.ts";
import type { S3Calls, S3Conditions, S3Content, S3Part, S3UploadId } from "./calls.ts";
import { called, settled } from "./refusals.ts";

/** What an upload needs to know. */
export interface S3UploadPlan {
  readonly calls: S3Calls;
  readonly clock: Clock;
  readonly key: string;
  readonly content: S3Content;
  /** Whether the total length is stated at the end, for the service to check. */
  readonly checksTotal: boolean;
}

/**
 * An object in the making: by parts, begun with the first block of 5 MiB or more. A single smaller block waits in memory for the commit,
 * and is then one request.
 */
export class S3Upload implements BlobUpload {
  readonly #plan: S3UploadPlan;
  readonly #parts = new Map<number, { readonly part: S3Part; readonly bytes: number }>();
  readonly #upload: BegunUpload<S3UploadId>;
  #small: Uint8Array | undefined;

  constructor(plan: S3UploadPlan) {
    this.#plan = plan;
    this.#upload = uploadByParts(plan);
  }

  async put(index: number, bytes: Uint8Array, call: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const signal = callSignal(call, CALL_OPTIONS, "put");
    signal?.throwIfAborted();
    if (index === 0 && bytes.length < LEAST_PART_BYTES && !this.#upload.isBegun) {
      this.#small = copyOf(bytes);
      return;
    }
    if (this.#small !== undefined) throw invalidArgument("only the last block of an object may be shorter than 5 MiB");
    const upload = await this.#upload.begun(signal);
    const part = await called(() => this.#plan.calls.putPart(upload, index + 1, bytes, signal ? { signal } : {}));
    this.#parts.set(index, { part, bytes: bytes.length });
  }

  async commit(condition: BlobCondition, call: { readonly signal?: AbortSignal } = {}): Promise<{ readonly etag: string } | "changed"> {
    const signal = callSignal(call, CALL_OPTIONS, "commit");
    signal?.throwIfAborted();
    const { calls, key, content, checksTotal } = this.#plan;
    const conditions: S3Conditions = { ...conditionsOf(condition), ...(signal && { signal }) };
    return await settled({ changed: () => "changed" as const, missing: () => "changed" as const }, async () => {
      if (!this.#upload.isBegun) return { etag: await calls.put(key, this.#small ?? new Uint8Array(0), content, conditions) };
      const upload = await this.#upload.begun(signal);
      const stored = [...this.#parts].sort(([a], [b]) => a - b).map(([, each]) => each);
      const bytes = checksTotal ? stored.reduce((sum, each) => sum + each.bytes, 0) : undefined;
      const parts = stored.map(({ part }) => part);
      return { etag: await calls.completeUpload(upload, parts, bytes, conditions) };
    });
  }

  async abort(): Promise<void> {
    this.#small = undefined;
    await this.#upload.end();
  }
}

/** An upload by parts. Whatever stays of one that was not ended costs storage until a rule of the bucket removes it. */
export function uploadByParts({ calls, clock, key, content }: Omit<S3UploadPlan, "checksTotal">): BegunUpload<S3UploadId> {
  return new BegunUpload({
    clock,
    begin: () => called(async () => ({ key, id: await calls.beginUpload(key, content, {}) })),
    end: (upload) => calls.abortUpload(upload, {}),
  });
}

/** The least length of a part, except for the last. */
export const LEAST_PART_BYTES: number = 5 * 1024 * 1024;
