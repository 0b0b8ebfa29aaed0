import { concatBytes, wipe } from "../base/bytes.ts";
import type { ValueOptions } from "../base/call-options.ts";
import { invalidArgument } from "../base/errors.ts";
import { BODY_PREFIX_BYTES } from "../crypto/cobblestone.ts";
import { parseDetachedHeader } from "../format/envelope.ts";
import { beginBody, resumeBody, type StreamAccess } from "./beginning.ts";
import { EncryptedUpload, type UploadParts } from "./upload.ts";
import { checkedPlan, isSamePlan, type UploadPlan } from "./upload-plan.ts";
import { parseUploadState } from "./upload-state.ts";

export interface UploadOptions extends UploadPlan, ValueOptions {
  /** Pads the header with zeros to at least this many bytes, so that a later rewrap can be done in place. At most 65,544. */
  readonly minHeaderBytes?: number;
}

export async function startUpload(access: StreamAccess, options: UploadOptions): Promise<EncryptedUpload> {
  const plan = checkedPlan(options);
  const { header, ...unlocked } = await access.startSealing(options);
  const { keys, prefix } = beginBody(unlocked);
  return new EncryptedUpload({ keys, start: concatBytes(header, prefix), plan, isResumed: false, sealState: sealStates(access, options) });
}

/** The salt stays only if every part has the digest that was stated when the salt was drawn. */
export async function resumeUpload(access: StreamAccess, state: Uint8Array, options: UploadOptions): Promise<EncryptedUpload> {
  const plan = checkedPlan(options);
  if (plan.partDigests === undefined) throw invalidArgument("to resume an upload, state the part digests again");
  const plaintext = await access.decrypt(state, stateOptions(options));
  try {
    const saved = parseUploadState(plaintext);
    if (!isSamePlan(saved.plan, plan)) return await startUpload(access, options);
    const headerBytes = saved.start.length - BODY_PREFIX_BYTES;
    const { record } = parseDetachedHeader(saved.start.subarray(0, headerBytes));
    const keys = resumeBody(await access.startOpening(record, options), saved.start.subarray(headerBytes));
    return new EncryptedUpload({ keys, start: saved.start, plan, isResumed: true, sealState: sealStates(access, options) });
  } finally {
    wipe(plaintext);
  }
}

function sealStates(access: StreamAccess, options: UploadOptions): UploadParts["sealState"] {
  return async (state, { signal }) => {
    const { signal: _, ...lasting } = stateOptions(options);
    return await access.encrypt(state, { ...lasting, ...(signal && { signal }) });
  };
}

/** A state opens in the upload's own context, and as nothing else. */
function stateOptions({ context, signal }: UploadOptions): ValueOptions {
  return { context: { ...context, "envelock-upload": "state" }, ...(signal && { signal }) };
}
