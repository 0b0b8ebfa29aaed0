import { invalidArgument } from "../../base/errors.ts";

/** RFC 3394 §2: at least two blocks of 8 bytes. @throws `invalid-argument`; node:crypto would take nothing at all and give nothing back */
export function requireWrappable(key: Uint8Array): void {
  if (key.length < 16 || key.length % 8 !== 0) throw invalidArgument("AES key wrap takes 16 bytes or more, in multiples of 8");
}
