import { concatBytes, copyOf, type OwnedBytes, readUint32, writeUint32 } from "../base/bytes.ts";
import { EnvelockError, malformed } from "../base/errors.ts";
import { BODY_PREFIX_BYTES } from "../crypto/cobblestone.ts";
import { type CheckedPlan, checkedPlan, DIGEST_BYTES, withDigests } from "./upload-plan.ts";

/** The state with which an upload goes on: its first bytes, which hold the wrapped data key and the salt, and its plan with every digest. */
export interface UploadState {
  /** Header, salt and commitment. */
  readonly start: OwnedBytes;
  readonly plan: CheckedPlan;
}

/** `01 or 02 | u64 plaintextBytes | u32 partBytes | u32 length | start | digests`; 02 if parts are counted in stored bytes. Secret: it is encrypted before it leaves. */
export function encodeUploadState({ start, plan }: UploadState): OwnedBytes {
  const fixed = new Uint8Array(FIXED_BYTES);
  fixed[0] = plan.headerBytes === undefined ? BY_PLAINTEXT : BY_STORED_BYTES;
  writeUint32(fixed, 1, Math.floor(plan.plaintextBytes / 2 ** 32));
  writeUint32(fixed, 5, plan.plaintextBytes % 2 ** 32);
  writeUint32(fixed, 9, plan.partBytes);
  writeUint32(fixed, 13, start.length);
  return concatBytes(fixed, start, ...(plan.partDigests ?? []));
}

/** @throws `malformed-envelope`, `unsupported-version` */
export function parseUploadState(bytes: Uint8Array): UploadState {
  if (bytes.length > 0 && bytes[0] !== BY_PLAINTEXT && bytes[0] !== BY_STORED_BYTES)
    throw new EnvelockError("unsupported-version", `upload state ${bytes[0]} is not known here`);
  const digestsOffset = FIXED_BYTES + (bytes.length < FIXED_BYTES ? 0 : readUint32(bytes, 13));
  if (
    bytes.length < digestsOffset ||
    digestsOffset < FIXED_BYTES + BODY_PREFIX_BYTES ||
    (bytes.length - digestsOffset) % DIGEST_BYTES !== 0
  ) {
    throw malformed("this is no upload state");
  }
  const partDigests: Uint8Array[] = [];
  for (let at = digestsOffset; at < bytes.length; at += DIGEST_BYTES) partDigests.push(bytes.subarray(at, at + DIGEST_BYTES));
  const plaintextBytes = readUint32(bytes, 1) * 2 ** 32 + readUint32(bytes, 5);
  const partBytes = readUint32(bytes, 9);
  const headerBytes = digestsOffset - FIXED_BYTES - BODY_PREFIX_BYTES;
  const plan =
    bytes[0] === BY_PLAINTEXT
      ? checkedPlan({ plaintextBytes, partBytes }, undefined)
      : checkedPlan({ plaintextBytes, storedPartBytes: partBytes }, headerBytes);
  return { start: copyOf(bytes.subarray(FIXED_BYTES, digestsOffset)), plan: withDigests(plan, partDigests) };
}

const BY_PLAINTEXT = 1;
const BY_STORED_BYTES = 2;
const FIXED_BYTES = 17;
