import { byteAt } from "../base/bytes.ts";

/** Doubling in GF(2^128), RFC 4493 §2.3: how CMAC, S2V and XAES make one block from another. */
export function doubleBlock(block: Uint8Array): Uint8Array {
  const doubled = new Uint8Array(16);
  let carry = 0;
  for (let at = 15; at >= 0; at--) {
    const byte = byteAt(block, at);
    doubled[at] = (byte << 1) | carry;
    carry = byte >>> 7;
  }
  doubled[15] = byteAt(doubled, 15) ^ (0x87 & -carry); // no branch on key material
  return doubled;
}
