import { type OwnedBytes, wipe } from "./bytes.ts";
import { EnvelockError } from "./errors.ts";

/**
 * Returns `target`, if every byte of it was written. Memory from `engine.allocate` holds whatever was there before, so each array of
 * such memory passes through here before it leaves. An array that was not filled is wiped.
 *
 * @param writtenBytes the sum of what the writers say that they wrote, counted from their output and never from what was asked for
 * @throws `invalid-argument`: the input was resized or detached during the call
 */
export function requireFilled(target: OwnedBytes, writtenBytes: number): OwnedBytes {
  if (writtenBytes === target.length) return target;
  wipe(target);
  throw inputLost(`${writtenBytes} of ${target.length} bytes were made`);
}

/**
 * Checks that a caller's bytes still have the length that they had when the call was made. Memory that was transferred away has none,
 * and would pass for an empty input.
 *
 * @throws `invalid-argument`
 */
export function requireAttached(input: Uint8Array, bytes: number): void {
  if (input.length !== bytes) throw inputLost(`${input.length} of ${bytes} bytes are left`);
}

function inputLost(what: string): EnvelockError {
  return new EnvelockError("invalid-argument", `${what}: the input was resized or detached during the call`, {
    hint: "do not resize, transfer or detach bytes that were handed over before the call has settled",
  });
}
