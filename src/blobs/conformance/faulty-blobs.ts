import type { Clock } from "../../core/base/clock.ts";
import { systemClock } from "../../core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown, requireMethods } from "../../core/base/options.ts";
import { sleep } from "../../core/base/wait.ts";
import type { BlobStore, BlobUpload, StoredBlob } from "../blob-store.ts";
import { sourceChanged } from "../failures.ts";

/** How a call of a faulty store fails. `lost` does the work and then loses the answer. */
export type BlobFault = "unavailable" | "rate-limited" | "access-denied" | "changed" | "lost" | "short" | `slow:${number}`;

export interface BlobFaultPlan {
  /** Breaks the connection of every read after so many bytes. The next read goes on. */
  readonly breakEveryBytes?: number;
  /** Asked at each call: `create`, `put`, `commit`, `open`, `read`, `replaceHeader`, `delete`, `list`, and how many such calls came before. */
  readonly fault?: (call: string, count: number) => BlobFault | undefined;
  /** Called before each read, for changes between reads. */
  readonly beforeRead?: (count: number) => void | Promise<void>;
  /** Moves the waits of `slow`. Defaults to the machine's. */
  readonly clock?: Clock;
}

/**
 * Puts faults in front of a blob store: for tests of what uses one.
 *
 * @throws `invalid-argument` for unknown options
 * @example
 * ```ts
 * import { memoryBlobs } from "envelock/blobs";
 * import { faultyBlobs } from "envelock/blobs/conformance";
 *
 * export const store = faultyBlobs(memoryBlobs(), { breakEveryBytes: 65_536 });
 * ```
 */
export function faultyBlobs(store: BlobStore, plan: BlobFaultPlan): BlobStore {
  requireMethods(store, ["create", "open", "delete", "list"], "faultyBlobs takes a blob store");
  refuseUnknown(plan, PLAN, "faultyBlobs");
  const { breakEveryBytes, fault, beforeRead, clock = systemClock } = plan;
  if (breakEveryBytes !== undefined && !(Number.isInteger(breakEveryBytes) && breakEveryBytes > 0)) {
    throw invalidArgument(`breakEveryBytes is ${breakEveryBytes}, expected an integer from 1`);
  }
  const counts = new Map<string, number>();
  const counted = (call: string): number => {
    const count = counts.get(call) ?? 0;
    counts.set(call, count + 1);
    return count;
  };
  const through = async <T>(call: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> => {
    const met = fault?.(call, counted(call));
    if (met?.startsWith("slow:")) await sleep(clock, Number(met.slice("slow:".length)), signal);
    else if (met !== undefined && met !== "lost" && met !== "short") throw failureOf(met, call);
    const result = await work();
    if (met === "lost") throw failureOf("unavailable", call);
    return result;
  };
  const wrappedUpload = (upload: BlobUpload): BlobUpload => ({
    put: (index, bytes, options = {}) => through("put", options.signal, () => upload.put(index, bytes, options)),
    commit: (condition, options = {}) => through("commit", options.signal, () => upload.commit(condition, options)),
    abort: () => upload.abort(),
  });
  const wrappedBlob = (name: string, blob: StoredBlob): StoredBlob => ({
    ...blob,
    async *read(start, end, options) {
      const count = counted("read");
      await beforeRead?.(count);
      const met = fault?.("read", count);
      if (met?.startsWith("slow:")) await sleep(clock, Number(met.slice("slow:".length)), options.signal);
      else if (met === "changed") throw sourceChanged(name);
      else if (met !== undefined && met !== "short" && met !== "lost") throw failureOf(met, "read");
      let left = met === "short" ? Math.floor((end - start) / 2) : (breakEveryBytes ?? Number.POSITIVE_INFINITY);
      for await (const piece of blob.read(start, end, options)) {
        yield piece.subarray(0, left);
        left -= piece.length;
        if (left > 0) continue;
        if (met === "short") return;
        throw failureOf("unavailable", "read");
      }
    },
    replaceHeader: (change, options = {}) => through("replaceHeader", options.signal, () => blob.replaceHeader(change, options)),
  });
  const { findByKey } = store;
  return {
    header: store.header,
    blocks: store.blocks,
    create: (name, content, options = {}) =>
      through("create", options.signal, async () => wrappedUpload(await store.create(name, content, options))),
    async open(name, firstBytes, options = {}) {
      const blob = await through("open", options.signal, () => store.open(name, firstBytes, options));
      return blob && wrappedBlob(name, blob);
    },
    delete: (name, options = {}) => through("delete", options.signal, () => store.delete(name, options)),
    list: (page, options = {}) => through("list", options.signal, () => store.list(page, options)),
    ...(findByKey !== undefined && { findByKey: findByKey.bind(store) }),
  };
}

function failureOf(fault: BlobFault, call: string): EnvelockError {
  if (fault === "rate-limited" || fault === "access-denied") return new EnvelockError(fault, `injected into ${call}`);
  return new EnvelockError("unavailable", `injected into ${call}`);
}

const PLAN: OptionNames<BlobFaultPlan> = { breakEveryBytes: true, fault: true, beforeRead: true, clock: true };
