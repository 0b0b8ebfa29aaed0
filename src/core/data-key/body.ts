import { engine } from "#engine";
import { type OwnedBytes, wipe } from "../base/bytes.ts";
import { authenticationFailed } from "../base/errors.ts";
import { requireFilled } from "../base/filled.ts";
import { SALT_BYTES, suiteInfo } from "../contracts/suite.ts";
import {
  BODY_PREFIX_BYTES,
  type BodyKeys,
  chunkCount,
  deriveBodyKeys,
  openChunks,
  openWhole,
  sealChunks,
  sealWhole,
  wipeBodyKeys,
} from "../crypto/cobblestone.ts";
import { bodyKeyOf, commitmentOf, type DataKey } from "./data-key.ts";

// docs/format.md §6: a Cobblestone-256 body under a data key

/**
 * Seals a whole body under a fresh salt into the rest of `target`, from `offset` on: `bodyBytes(plaintext.length)` bytes.
 *
 * @returns undefined when done at once, as on Node; else a promise
 * @throws `invalid-argument` if that does not fill `target`, which is then wiped
 */
export function sealBody(
  dataKey: DataKey,
  valueContext: Uint8Array,
  plaintext: Uint8Array,
  target: OwnedBytes,
  offset: number,
): Promise<void> | undefined {
  const salt = engine.randomNonce(SALT_BYTES);
  if (engine.coarse !== undefined) {
    const sealedBytes = sealWhole(bodyKeyOf(dataKey), salt, bodyContext(dataKey, valueContext), plaintext, target, offset);
    if (sealedBytes !== undefined) {
      requireFilled(target, offset + sealedBytes);
      return undefined;
    }
  }
  const keys = bodyKeysOf(dataKey, salt, valueContext);
  target.set(salt, offset);
  target.set(keys.commitment, offset + SALT_BYTES);
  const cipher = engine.chunkCipher(keys.key, chunkCount(plaintext.length));
  const prove = (sealedBytes: number): undefined => {
    requireFilled(target, offset + BODY_PREFIX_BYTES + sealedBytes);
  };
  const sealed = sealChunks(cipher, keys.base, 0, plaintext, true, target, offset + BODY_PREFIX_BYTES);
  if (typeof sealed !== "number") return sealed.finally(() => wipeBodyKeys(keys)).then(prove);
  wipeBodyKeys(keys);
  return prove(sealed);
}

/**
 * Opens a whole body: checks the commitment, then every chunk. Nothing is returned until the last chunk has opened.
 *
 * @param body of the length that was parsed: the caller checks that it still has it
 * @param plaintextBytes the result of `claimedPlaintextBytes` for this body
 * @returns a promise only where the engine needs one
 * @throws `authentication-failed`; `invalid-argument` if `body` lost its memory meanwhile
 */
export function openBody(
  dataKey: DataKey,
  valueContext: Uint8Array,
  body: Uint8Array,
  plaintextBytes: number,
): OwnedBytes | Promise<OwnedBytes> {
  if (engine.coarse !== undefined) {
    const opened = openWhole(bodyKeyOf(dataKey), bodyContext(dataKey, valueContext), body);
    if (opened === false) throw authenticationFailed();
    if (opened !== undefined) return opened;
  }
  const keys = bodyKeysOf(dataKey, body.subarray(0, SALT_BYTES), valueContext);
  if (!engine.timingSafeEqual(keys.commitment, body.subarray(SALT_BYTES, BODY_PREFIX_BYTES))) {
    wipeBodyKeys(keys);
    throw authenticationFailed();
  }
  let target: OwnedBytes | undefined;
  const refuse = (error: unknown): never => {
    wipe(target);
    wipeBodyKeys(keys);
    throw error;
  };
  const release = (plaintext: OwnedBytes, openedBytes: number): OwnedBytes => {
    wipeBodyKeys(keys);
    return requireFilled(plaintext, openedBytes);
  };
  try {
    const chunks = chunkCount(plaintextBytes);
    const cipher = engine.chunkCipher(keys.key, chunks);
    if (chunks === 1 && cipher.openAlone !== undefined) {
      const opened = cipher.openAlone(keys.base, body, BODY_PREFIX_BYTES); // the base is the nonce of chunk 0
      if (opened === undefined) throw authenticationFailed();
      return release(opened, plaintextBytes);
    }
    const plaintext = engine.allocate(plaintextBytes);
    target = plaintext;
    const opened = openChunks(cipher, keys.base, 0, body.subarray(BODY_PREFIX_BYTES), plaintext, 0);
    return typeof opened === "number" ? release(plaintext, opened) : opened.then((bytes) => release(plaintext, bytes), refuse);
  } catch (error) {
    return refuse(error);
  }
}

/** Derives all keys that a body with this salt needs; the caller wipes them. @throws `closed` */
export function bodyKeysOf(dataKey: DataKey, salt: Uint8Array, valueContext: Uint8Array): BodyKeys {
  return deriveBodyKeys(bodyKeyOf(dataKey), salt, ...bodyContext(dataKey, valueContext));
}

function bodyContext(dataKey: DataKey, valueContext: Uint8Array): readonly Uint8Array[] {
  return [BODY_LABEL, commitmentOf(dataKey), valueContext];
}

const BODY_LABEL: Uint8Array = suiteInfo("body");
