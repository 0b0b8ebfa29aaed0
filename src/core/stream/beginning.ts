import { engine } from "#engine";
import { concatBytes, type OwnedBytes } from "../base/bytes.ts";
import type { ValueOptions } from "../base/call-options.ts";
import type { Context } from "../base/context.ts";
import { authenticationFailed } from "../base/errors.ts";
import { SALT_BYTES } from "../contracts/suite.ts";
import { type BodyKeys, wipeBodyKeys } from "../crypto/cobblestone.ts";
import { bodyKeysOf } from "../data-key/body.ts";
import type { DataKey } from "../data-key/data-key.ts";
import type { KeyRecord } from "../format/key-record.ts";
import type { SharedDataKey } from "../key-source/shared-data-key.ts";
import type { LanePool } from "./lanes/lanes.ts";

/** The parts of a keyring that the streams need. */
export interface StreamAccess {
  readonly lanes: LanePool;
  /** Encodes the context of a value. @throws `invalid-argument` */
  encodeContext(context: Context | undefined): Uint8Array;
  /** Makes a fresh data key and the header that wraps it. The caller releases the key. */
  startSealing(options: SealingOptions): Promise<UnlockedKey & { readonly header: OwnedBytes }>;
  /** Unwraps the data key of a header. The caller releases it. */
  startOpening(record: KeyRecord, options: BoundOptions): Promise<UnlockedKey>;
  /** The methods of the keyring. */
  encrypt(plaintext: Uint8Array, options: ValueOptions): Promise<OwnedBytes>;
  decrypt(envelope: Uint8Array, options: ValueOptions): Promise<OwnedBytes>;
}

/** The options of a call as they were when it was made. A stream begins its work later, and the caller may reuse the object. */
export interface BoundOptions {
  /** Returns the encoded context. @throws `invalid-argument` for a bad one */
  valueContext(): Uint8Array;
  readonly signal: AbortSignal | undefined;
}

export interface SealingOptions extends BoundOptions {
  readonly minHeaderBytes: number | undefined;
}

/** Reads and encodes the options of a call that encrypts. @throws `invalid-argument` for a bad context */
export function sealingOptions(access: StreamAccess, options: ValueOptions, minHeaderBytes: number | undefined): SealingOptions {
  const { context, signal } = options;
  const valueContext = access.encodeContext(context);
  return { valueContext: () => valueContext, signal, minHeaderBytes };
}

/**
 * Reads and encodes the options of a call that decrypts. A bad context is refused only when it is needed, because a fault of the envelope
 * that comes earlier in the reading order decides (docs/format.md [M-3]).
 */
export function openingOptions(access: StreamAccess, { context, signal }: ValueOptions): BoundOptions {
  try {
    const valueContext = access.encodeContext(context);
    return { valueContext: () => valueContext, signal };
  } catch (error) {
    const refuse = (): never => {
      throw error;
    };
    return { valueContext: refuse, signal };
  }
}

export interface UnlockedKey {
  readonly key: SharedDataKey;
  readonly valueContext: Uint8Array;
}

/** Uses the data key of a body once more before it is released, such as for a token that travels beside the body. */
export type KeyUse = (dataKey: DataKey) => void;

/** Derives the body's keys under a fresh salt, and returns the bytes before the chunks. Releases the data key. */
export function beginBody(unlocked: UnlockedKey, use?: KeyUse): { readonly keys: BodyKeys; readonly prefix: OwnedBytes } {
  const salt = engine.randomNonce(SALT_BYTES);
  const keys = takeBodyKeys(unlocked, salt, use);
  return { keys, prefix: concatBytes(salt, keys.commitment) };
}

/**
 * Derives the keys of a body that begins with `prefix`, its salt and commitment. Releases the data key.
 *
 * @throws `authentication-failed`
 */
export function resumeBody(unlocked: UnlockedKey, prefix: Uint8Array, use?: KeyUse): BodyKeys {
  const keys = takeBodyKeys(unlocked, prefix.subarray(0, SALT_BYTES), use);
  if (engine.timingSafeEqual(keys.commitment, prefix.subarray(SALT_BYTES))) return keys;
  wipeBodyKeys(keys);
  throw authenticationFailed();
}

function takeBodyKeys({ key, valueContext }: UnlockedKey, salt: Uint8Array, use: KeyUse | undefined): BodyKeys {
  try {
    use?.(key.dataKey);
    return bodyKeysOf(key.dataKey, salt, valueContext);
  } finally {
    key.release();
  }
}
