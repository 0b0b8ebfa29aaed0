import { byteAt } from "../../base/bytes.ts";

/** Compares without a branch on the bytes, for engines whose runtime has no such call. */
export function timingSafeEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let at = 0; at < a.length; at++) difference |= byteAt(a, at) ^ byteAt(b, at);
  return difference === 0;
}
