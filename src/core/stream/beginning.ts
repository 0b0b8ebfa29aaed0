import { engine } from "#engine";
import { concatBytes, type OwnedBytes } from "../base/bytes.ts";
import type { ValueOptions } from "../base/call-options.ts";
import { authenticationFailed } from "../base/errors.ts";
import { type BodyKeys, SALT_BYTES, wipeBodyKeys } from "../crypto/cobblestone.ts";
import { bodyKeysOf } from "../data-key/body.ts";
import type { KeyRecord } from "../format/key-record.ts";
import type { SharedDataKey } from "../key-source/shared-data-key.ts";
import type { LanePool } from "./lanes/lanes.ts";

/** What the streams need of a keyring. */
export interface StreamAccess {
  readonly lanes: LanePool;
  /** A fresh data key and the header that wraps it. The caller releases the key. */
  startSealing(options: ValueOptions & { readonly minHeaderBytes?: number }): Promise<UnlockedKey & { readonly header: OwnedBytes }>;
  /** The data key of a header. The caller releases it. */
  startOpening(record: KeyRecord, options: ValueOptions): Promise<UnlockedKey>;
  /** As of the keyring. */
  encrypt(plaintext: Uint8Array, options: ValueOptions): Promise<OwnedBytes>;
  decrypt(envelope: Uint8Array, options: ValueOptions): Promise<OwnedBytes>;
}

export interface UnlockedKey {
  readonly key: SharedDataKey;
  readonly valueContext: Uint8Array;
}

/** The body's keys under a fresh salt, and what stands before the chunks. The data key is released. */
export function beginBody(unlocked: UnlockedKey): { readonly keys: BodyKeys; readonly prefix: OwnedBytes } {
  const salt = engine.randomNonce(SALT_BYTES);
  const keys = takeBodyKeys(unlocked, salt);
  return { keys, prefix: concatBytes(salt, keys.commitment) };
}

/**
 * The keys of a body that begins with `prefix`, its salt and commitment. The data key is released.
 *
 * @throws `authentication-failed`
 */
export function resumeBody(unlocked: UnlockedKey, prefix: Uint8Array): BodyKeys {
  const keys = takeBodyKeys(unlocked, prefix.subarray(0, SALT_BYTES));
  if (engine.timingSafeEqual(keys.commitment, prefix.subarray(SALT_BYTES))) return keys;
  wipeBodyKeys(keys);
  throw authenticationFailed();
}

function takeBodyKeys({ key, valueContext }: UnlockedKey, salt: Uint8Array): BodyKeys {
  try {
    return bodyKeysOf(key.dataKey, salt, valueContext);
  } finally {
    key.release();
  }
}
