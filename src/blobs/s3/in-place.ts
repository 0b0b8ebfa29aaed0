import { concatBytes } from "../../core/base/bytes.ts";
import type { Clock } from "../../core/base/clock.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import type { HeaderChange } from "../blob-store.ts";
import { gatheredBytes } from "../http.ts";
import { repeated } from "../retries.ts";
import type { S3Calls, S3Conditions, S3Content, S3Part, S3Range } from "./calls.ts";
import { failureOf, S3Refusal, type S3RefusalKind, settled } from "./refusals.ts";
import { LEAST_PART_BYTES, uploadByParts } from "./s3-upload.ts";

export interface InPlace {
  readonly calls: S3Calls;
  readonly clock: Clock;
  readonly key: string;
  readonly etag: string;
  readonly arePartsEqual: boolean;
  readonly checksTotal: boolean;
}

/**
 * Writes an object anew with another header: the first part from here, the others copied by the service, all under the ETag that was read.
 * What an object loses when it is written is sent again: metadata, tags, content headers, storage class, server-side encryption.
 *
 * @returns `not-possible` for an object under retention, a legal hold or a customer's own key, which a copy would lose
 */
export async function rewrittenInPlace(
  place: InPlace,
  change: HeaderChange,
  signal: AbortSignal | undefined,
): Promise<"replaced" | "changed" | "not-possible"> {
  return await settled({ changed: () => "changed" as const, missing: () => "changed" as const }, () => rewritten(place, change, signal));
}

async function rewritten(
  place: InPlace,
  { ownHeaderBytes, header, keys }: HeaderChange,
  signal: AbortSignal | undefined,
): Promise<"replaced" | "not-possible"> {
  const { calls, clock, key, etag, checksTotal } = place;
  const given = signal ? { signal } : {};
  const pinned: S3Conditions = { ifMatch: etag, ...given };
  const call = <T>(work: () => Promise<T>): Promise<T> => repeated(() => passed(work), { clock, signal });
  const head = await call(() => calls.head(key, pinned));
  if (head.isHeld) return "not-possible";
  const content: S3Content = {
    metadata: { ...head.metadata, "envelock-keys": keys.join(".") },
    headers: head.headers,
    ...(head.hasTags && { tagging: await call(() => calls.tags(key, given)) }),
  };
  const { firstBytes, copyBytes } = partSizes(header.length + head.bytes - ownHeaderBytes, place.arePartsEqual);
  const copiedFrom = Math.min(head.bytes, ownHeaderBytes + Math.max(0, firstBytes - header.length));
  const first = concatBytes(header, await call(() => wholeRange(calls, key, { start: ownHeaderBytes, end: copiedFrom }, pinned)));
  if (copiedFrom === head.bytes) {
    await call(() => calls.put(key, first, content, pinned));
    return "replaced";
  }
  const begun = uploadByParts({ calls, clock, key, content });
  try {
    const upload = await call(() => begun.begun(signal));
    const ranges = rangesOf(copiedFrom, head.bytes, copyBytes);
    const parts: readonly S3Part[] = [
      await call(() => calls.putPart(upload, 1, first, given)),
      ...(await mapped(ranges, (range, at) => call(() => calls.copyPart(upload, at + 2, range, pinned)))),
    ];
    const total = first.length + head.bytes - copiedFrom;
    await call(() => calls.completeUpload(upload, parts, checksTotal ? total : undefined, pinned));
    return "replaced";
  } catch (error) {
    await begun.end();
    throw error;
  }
}

/** The length of the first part, which is sent, and of the others, which are copied. 10,000 parts must suffice. */
function partSizes(totalBytes: number, areEqual: boolean): { readonly firstBytes: number; readonly copyBytes: number } {
  const least = stepped(totalBytes / MOST_PARTS);
  if (!areEqual) return { firstBytes: LEAST_PART_BYTES, copyBytes: Math.max(COPY_BYTES, least) };
  const bytes = Math.max(LEAST_EQUAL_BYTES, Math.min(stepped(totalBytes / FEW_PARTS), MOST_SENT_BYTES), least);
  return { firstBytes: bytes, copyBytes: bytes };
}

function rangesOf(start: number, end: number, bytes: number): readonly S3Range[] {
  const ranges: S3Range[] = [];
  for (let at = start; at < end; at += bytes) ranges.push({ start: at, end: Math.min(end, at + bytes) });
  return ranges;
}

async function wholeRange(calls: S3Calls, key: string, { start, end }: S3Range, pinned: S3Conditions): Promise<Uint8Array> {
  if (start === end) return new Uint8Array(0);
  const { body } = await calls.get(key, start, end, pinned);
  const bytes = await gatheredBytes(body, end - start);
  if (bytes.length === end - start) return bytes;
  throw new EnvelockError("unavailable", "the store ended a range before its end", { whose: "service" });
}

/** Does work for each item, several at a time. The first failure ends it, when all that were begun have ended. */
async function mapped<T, R>(items: readonly T[], work: (item: T, at: number) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  let next = 0;
  let failure: { readonly error: unknown } | undefined;
  const lane = async (): Promise<void> => {
    for (let at = next++; at < items.length && failure === undefined; at = next++) {
      const item = items[at];
      if (item === undefined) return;
      try {
        results[at] = await work(item, at);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  if (failure !== undefined) throw failure.error;
  return results;
}

/** Lets refusals through that no repetition of this call changes, and makes errors of the others, so that those that pass are repeated. */
async function passed<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isDecisive = error instanceof S3Refusal && DECISIVE.has(error.kind);
    throw isDecisive ? error : failureOf(error);
  }
}

function stepped(bytes: number): number {
  return Math.ceil(bytes / MEBIBYTE) * MEBIBYTE;
}

const DECISIVE: ReadonlySet<S3RefusalKind> = new Set(["changed", "missing", "gone"]);
const MEBIBYTE: number = 1024 * 1024;
const COPY_BYTES: number = 512 * MEBIBYTE;
const LEAST_EQUAL_BYTES: number = 8 * MEBIBYTE;
const MOST_SENT_BYTES: number = 64 * MEBIBYTE;
const MOST_PARTS = 9999;
const FEW_PARTS = 1000;
const IN_FLIGHT = 4;
