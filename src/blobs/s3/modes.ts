import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { type BlobLock, underLock } from "../lock.ts";
import type { S3Calls, S3Conditions } from "./calls.ts";
import { S3Refusal } from "./refusals.ts";

/**
 * The service that is spoken to, which decides what may be relied on. Services that speak S3 ignore what they do not know, so nothing is
 * presumed.
 *
 * - `aws`: Amazon S3. Conditions on writes and deletes, annotations where the configuration asks for them.
 * - `r2`: Cloudflare R2. Conditions on writes; parts of equal length.
 * - `minio`: MinIO. Conditions on writes.
 * - `no-conditions`: any other. Every write goes through the `lock` of the application; parts of equal length.
 */
export type S3Mode = "aws" | "r2" | "minio" | "no-conditions";

export interface S3Traits {
  /** Whether PutObject and CompleteMultipartUpload heed If-Match and If-None-Match. */
  readonly hasConditionalWrites: boolean;
  /** Whether DeleteObject heeds If-Match. */
  readonly hasConditionalDeletes: boolean;
  /** Whether all parts but the last must have one length. */
  readonly arePartsEqual: boolean;
  /** Whether objects can have annotations. Other services replace the object by the annotation. */
  readonly mayHaveAnnotations: boolean;
  /** Whether the total length can be stated at the end of an upload. */
  readonly checksTotal: boolean;
}

/** @throws `invalid-argument` */
export function traitsOf(mode: S3Mode): S3Traits {
  if (typeof mode === "string" && Object.hasOwn(TRAITS, mode)) return TRAITS[mode];
  throw invalidArgument(
    `s3Blobs needs a mode, one of ${Object.keys(TRAITS).join(", ")}`,
    'state the service: "no-conditions" with a lock is right for one that is none of the others',
  );
}

/**
 * Makes conditions hold where the service does not see to it: under the lock of the application, with a look before each write.
 *
 * @throws `invalid-argument` if the service needs a lock and there is none
 */
export function guardedCalls(calls: S3Calls, traits: S3Traits, lock: BlobLock | undefined): S3Calls {
  if (traits.hasConditionalWrites && traits.hasConditionalDeletes) return calls;
  if (!traits.hasConditionalWrites && lock === undefined) {
    throw invalidArgument('the mode "no-conditions" needs a lock', "give `lock`, which lets one piece of work at a time change a blob");
  }
  const held = async <T>(key: string, conditions: S3Conditions, work: (rest: S3Conditions) => Promise<T>): Promise<T> => {
    const { ifMatch, ifNoneMatch, ...rest } = conditions;
    if (lock === undefined) throw noLock();
    return await underLock(lock, key, async () => {
      if (ifMatch !== undefined || ifNoneMatch !== undefined) await requireState(calls, key, conditions);
      return await work(rest);
    });
  };
  return {
    ...calls,
    ...(!traits.hasConditionalWrites && {
      put: (key, bytes, content, conditions) => held(key, conditions, (rest) => calls.put(key, bytes, content, rest)),
      completeUpload: (upload, parts, bytes, conditions) =>
        held(upload.key, conditions, (rest) => calls.completeUpload(upload, parts, bytes, rest)),
    }),
    remove: (key, conditions) =>
      lock === undefined && conditions.ifMatch === undefined
        ? calls.remove(key, conditions)
        : held(key, conditions, (rest) => calls.remove(key, rest)),
  };
}

async function requireState(calls: S3Calls, key: string, { ifMatch, signal }: S3Conditions): Promise<void> {
  let etag: string | undefined;
  try {
    ({ etag } = await calls.head(key, signal ? { signal } : {}));
  } catch (error) {
    if (!(error instanceof S3Refusal && error.kind === "missing")) throw error;
  }
  if (etag === ifMatch) return;
  throw new S3Refusal("changed", new EnvelockError("provider-failure", "the object is no longer what the condition names"));
}

function noLock(): EnvelockError {
  return invalidArgument(
    "this service has no conditional delete",
    "give s3Blobs a `lock`, or delete without `ifMatch`: an object that was replaced meanwhile would be lost",
  );
}

const TRAITS: Readonly<Record<S3Mode, S3Traits>> = {
  aws: {
    hasConditionalWrites: true,
    hasConditionalDeletes: true,
    arePartsEqual: false,
    mayHaveAnnotations: true,
    checksTotal: true,
  },
  r2: {
    hasConditionalWrites: true,
    hasConditionalDeletes: false,
    arePartsEqual: true,
    mayHaveAnnotations: false,
    checksTotal: false,
  },
  minio: {
    hasConditionalWrites: true,
    hasConditionalDeletes: false,
    arePartsEqual: false,
    mayHaveAnnotations: false,
    checksTotal: false,
  },
  "no-conditions": {
    hasConditionalWrites: false,
    hasConditionalDeletes: false,
    arePartsEqual: true,
    mayHaveAnnotations: false,
    checksTotal: false,
  },
};
