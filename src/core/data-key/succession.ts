import { engine } from "#engine";
import { wipe } from "../base/bytes.ts";
import type { KeyContext } from "../base/context.ts";
import { SUCCESSION_KEY_BYTES, SUCCESSION_MAC_BYTES, SUITE_HASH, suiteInfo } from "../contracts/suite.ts";
import { hkdfExpand } from "../crypto/hkdf.ts";
import { encodeProof, macInProof, type SuccessionClaim, successionMessage } from "../format/succession.ts";
import { type DataKey, secretBytesOf } from "./data-key.ts";

/**
 * Proves that a holder of the version before added a data key.
 *
 * @param before the data key of version `claim.version - 1`, of the same key context
 * @returns the proof to store beside the new record, which depends on nothing that a rewrap changes
 * @throws `closed`
 * @see docs/format.md §3.2
 */
export function proveSuccession(before: DataKey, keyContext: KeyContext, claim: SuccessionClaim): Uint8Array {
  return encodeProof(successionMac(before, keyContext, claim));
}

/** Whether a proof was made with this version before. @throws `malformed-envelope`, `closed` */
export function isSuccession(proof: Uint8Array, before: DataKey, keyContext: KeyContext, claim: SuccessionClaim): boolean {
  const mac = macInProof(proof);
  return mac !== undefined && engine.timingSafeEqual(mac, successionMac(before, keyContext, claim));
}

function successionMac(before: DataKey, keyContext: KeyContext, claim: SuccessionClaim): Uint8Array {
  const key = hkdfExpand(SUITE_HASH, secretBytesOf(before), [SUCCESSION_INFO], SUCCESSION_KEY_BYTES);
  try {
    return engine.hmac(SUITE_HASH, key, successionMessage(claim, keyContext.bytes)).subarray(0, SUCCESSION_MAC_BYTES);
  } finally {
    wipe(key);
  }
}

const SUCCESSION_INFO: Uint8Array = suiteInfo("succession");
