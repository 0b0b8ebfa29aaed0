import { notImplemented, preconditionFailed, S3Answer } from "./answer.ts";
import type { StoredObject } from "./bucket.ts";
import type { S3Call } from "./s3-call.ts";
import type { CopyCondition } from "./services.ts";

/**
 * Checks the condition of a write at the moment of the change.
 *
 * @param names the headers of the condition; undefined for a service that checks none
 * @throws `PreconditionFailed`, `NoSuchKey`, `ConditionalRequestConflict` if the object was deleted since the request came
 */
export function requireCondition(call: S3Call, names: CopyCondition | undefined): void {
  if (names === undefined) return;
  const [ifMatch, ifNoneMatch] = [call.header(names.ifMatch), call.header(names.ifNoneMatch)];
  if (ifMatch === undefined && ifNoneMatch === undefined) return;
  if (ifMatch !== undefined && ifNoneMatch !== undefined) throw notImplemented("If-None-Match");
  if (ifNoneMatch !== undefined && ifNoneMatch !== "*") throw notImplemented("If-None-Match");
  const { bucket } = call;
  if (bucket.wasDeletedSince(call.key, call.tick)) throw new S3Answer("ConditionalRequestConflict", undefined, { Key: call.key });
  const current = bucket.current(call.key);
  if (ifNoneMatch !== undefined && current !== undefined) throw preconditionFailed("If-None-Match");
  if (ifMatch === undefined) return;
  if (current === undefined) throw call.missing(call.key);
  if (!matches(ifMatch, current.etag)) throw preconditionFailed("If-Match");
}

/** @throws `PreconditionFailed` @returns whether the caller has the object already (304) */
export function isKnown(call: S3Call, { etag, modifiedMs }: StoredObject): boolean {
  const [ifMatch, ifNoneMatch] = [call.header("if-match"), call.header("if-none-match")];
  const [since, until] = [timeOf(call, "if-modified-since"), timeOf(call, "if-unmodified-since")];
  const seconds = Math.floor(modifiedMs / 1000);
  if (ifMatch !== undefined && !matches(ifMatch, etag)) throw preconditionFailed("If-Match");
  if (ifMatch === undefined && until !== undefined && seconds > until) throw preconditionFailed("If-Unmodified-Since");
  if (ifNoneMatch !== undefined) return matches(ifNoneMatch, etag);
  return since !== undefined && seconds <= since;
}

/** @throws `PreconditionFailed` if the source of a copy is not what the caller expects */
export function requireCopySource(call: S3Call, { etag, modifiedMs }: StoredObject): void {
  if (!call.state.traits.checksCopySource) return;
  const name = "x-amz-copy-source-if-";
  const [ifMatch, ifNoneMatch] = [call.header(`${name}match`), call.header(`${name}none-match`)];
  const [since, until] = [timeOf(call, `${name}modified-since`), timeOf(call, `${name}unmodified-since`)];
  const seconds = Math.floor(modifiedMs / 1000);
  if (ifMatch !== undefined && !matches(ifMatch, etag)) throw preconditionFailed(`${name}match`);
  if (ifMatch === undefined && until !== undefined && seconds > until) throw preconditionFailed(`${name}unmodified-since`);
  if (ifNoneMatch !== undefined && matches(ifNoneMatch, etag)) throw preconditionFailed(`${name}none-match`);
  if (ifNoneMatch === undefined && since !== undefined && seconds <= since) throw preconditionFailed(`${name}modified-since`);
}

/** Compares an ETag with those of a header, with or without their quotation marks. */
export function matches(header: string, etag: string): boolean {
  const stated = header.split(",").map((one) => one.trim().replace(/^W\//, "").replaceAll('"', ""));
  return stated.includes("*") || stated.includes(etag.replaceAll('"', ""));
}

/** @returns seconds; undefined if there is no such header, or one that is no date */
function timeOf(call: S3Call, name: string): number | undefined {
  const ms = Date.parse(call.header(name) ?? "");
  return Number.isNaN(ms) ? undefined : Math.floor(ms / 1000);
}
