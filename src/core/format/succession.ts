import { byteAt, concatBytes, writeUint16, writeUint32 } from "../base/bytes.ts";
import { malformed } from "../base/errors.ts";
import { SUCCESSION_MAC_BYTES } from "../contracts/suite.ts";

/** The parts of a stored data key that its proof covers, beside its key context. */
export interface SuccessionClaim {
  /** 2 or more: the first version has no version before it. */
  readonly version: number;
  /** 16 bytes. */
  readonly kid: Uint8Array;
  /** Milliseconds since 1970, a whole number. */
  readonly createdAtMs: number;
}

/** Encodes what the MAC of a proof is made over. docs/format.md §3.2 */
export function successionMessage({ version, kid, createdAtMs }: SuccessionClaim, keyContext: Uint8Array): Uint8Array {
  const head = new Uint8Array(28);
  writeUint32(head, 0, version);
  head.set(kid, 4);
  writeUint32(head, 20, Math.floor(createdAtMs / 2 ** 32));
  writeUint32(head, 24, createdAtMs % 2 ** 32);
  return concatBytes(head, keyContext);
}

/** Encodes a proof that holds the MAC alone. */
export function encodeProof(mac: Uint8Array): Uint8Array {
  const head = new Uint8Array(3);
  head[0] = MAC_KIND;
  writeUint16(head, 1, mac.length);
  return concatBytes(head, mac);
}

/**
 * Takes the MAC out of a proof. Items of other kinds are left to those that know them: they can add a reason to believe, and replace
 * none.
 *
 * @returns 32 bytes, a view; undefined if the proof holds no MAC
 * @throws `malformed-envelope`
 */
export function macInProof(proof: Uint8Array): Uint8Array | undefined {
  if (proof.length > MAX_PROOF_BYTES) throw malformed(`a proof takes ${proof.length} bytes, at most ${MAX_PROOF_BYTES} are allowed`);
  let mac: Uint8Array | undefined;
  let kindBefore = 0;
  for (let at = 0; at < proof.length; ) {
    const kind = proof[at] ?? 0;
    const start = at + 3;
    if (start > proof.length) throw malformed("a proof ends within the head of an item");
    at = start + (byteAt(proof, at + 1) << 8) + byteAt(proof, at + 2);
    if (at > proof.length) throw malformed("a proof ends within an item");
    if (kind <= kindBefore) throw malformed("the items of a proof do not go up by kind");
    kindBefore = kind;
    if (kind !== MAC_KIND) continue;
    mac = proof.subarray(start, at);
    if (mac.length !== SUCCESSION_MAC_BYTES)
      throw malformed(`the MAC of a proof takes ${mac.length} bytes, expected ${SUCCESSION_MAC_BYTES}`);
  }
  return mac;
}

export const MAX_PROOF_BYTES = 16_384;
const MAC_KIND = 1;
