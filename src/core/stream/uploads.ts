import { concatBytes, wipe } from "../base/bytes.ts";
import { callSignal, VALUE_OPTIONS, type ValueOptions } from "../base/call-options.ts";
import { invalidArgument } from "../base/errors.ts";
import type { OptionNames } from "../base/options.ts";
import { BODY_PREFIX_BYTES } from "../crypto/cobblestone.ts";
import { parseDetachedHeader } from "../format/envelope.ts";
import { beginBody, resumeBody, type SealingOptions, type StreamAccess, sealingOptions } from "./beginning.ts";
import { EncryptedUpload, type UploadParts } from "./upload.ts";
import { type CheckedPlan, checkedPlan, isSamePlan, type UploadPlan } from "./upload-plan.ts";
import { parseUploadState } from "./upload-state.ts";

export interface UploadOptions extends UploadPlan, ValueOptions {
  /**
   * Pads the header with zeros to at least this many bytes, so that a later rewrap can be done in place. At most 65,544. Beside
   * `storedPartBytes` to exactly this many, 8,192 unless stated.
   */
  readonly minHeaderBytes?: number;
}

export async function startUpload(access: StreamAccess, options: UploadOptions): Promise<EncryptedUpload> {
  return await begun(access, givenUpload(access, options, "startUpload"));
}

/** Goes on under the salt of `state` only if every part has the digest that was stated when the salt was drawn. */
export async function resumeUpload(access: StreamAccess, state: Uint8Array, options: UploadOptions): Promise<EncryptedUpload> {
  const given = givenUpload(access, options, "resumeUpload");
  const { plan, bound, stateOptions } = given;
  if (plan.partDigests === undefined) throw invalidArgument("to resume an upload, state the part digests again");
  const plaintext = await access.decrypt(state, stateOptions);
  try {
    const saved = parseUploadState(plaintext);
    if (!isSamePlan(saved.plan, plan)) return await begun(access, given);
    const headerBytes = saved.start.length - BODY_PREFIX_BYTES;
    const { record } = parseDetachedHeader(saved.start.subarray(0, headerBytes));
    const keys = resumeBody(await access.startOpening(record, bound), saved.start.subarray(headerBytes));
    return new EncryptedUpload({ keys, start: saved.start, plan, isResumed: true, sealState: sealStates(access, given) });
  } finally {
    wipe(plaintext);
  }
}

/** The caller's options, as they were when the method was called. */
interface GivenUpload {
  readonly plan: CheckedPlan;
  readonly bound: SealingOptions;
  /** A state opens in the upload's own context, and as nothing else. */
  readonly stateOptions: ValueOptions;
}

function givenUpload(access: StreamAccess, options: UploadOptions, what: string): GivenUpload {
  const signal = callSignal(options, UPLOAD_OPTIONS, what);
  const { context, minHeaderBytes } = options;
  const plan = checkedPlan(options, minHeaderBytes);
  return {
    plan,
    bound: sealingOptions(access, options, plan.headerBytes ?? minHeaderBytes),
    stateOptions: { context: { ...context, "envelock-upload": "state" }, ...(signal && { signal }) },
  };
}

async function begun(access: StreamAccess, given: GivenUpload): Promise<EncryptedUpload> {
  const { plan, bound } = given;
  const { header, ...unlocked } = await access.startSealing(bound);
  if (plan.headerBytes !== undefined && header.length !== plan.headerBytes) {
    unlocked.key.release();
    throw invalidArgument(
      `the header takes ${header.length} bytes, and equal parts were planned for ${plan.headerBytes}`,
      `state minHeaderBytes: ${header.length} or more, here and for partDigests`,
    );
  }
  const { keys, prefix } = beginBody(unlocked);
  return new EncryptedUpload({ keys, start: concatBytes(header, prefix), plan, isResumed: false, sealState: sealStates(access, given) });
}

/** The signal of the start ended with the start. */
function sealStates(access: StreamAccess, { stateOptions: { context } }: GivenUpload): UploadParts["sealState"] {
  return (state, { signal }) => access.encrypt(state, { ...(context && { context }), ...(signal && { signal }) });
}

const UPLOAD_OPTIONS: OptionNames<UploadOptions> = {
  ...VALUE_OPTIONS,
  plaintextBytes: true,
  partBytes: true,
  storedPartBytes: true,
  partDigests: true,
  minHeaderBytes: true,
};
