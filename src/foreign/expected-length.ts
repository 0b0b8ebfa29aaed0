import { EnvelockError } from "../core/base/errors.ts";

/** Makes the error for data of another length than the caller knows from elsewhere. */
export function otherLength(found: string, expected: number): EnvelockError {
  return new EnvelockError("malformed-envelope", `the data has ${found} bytes, expected ${expected}`, {
    detail: "other-length",
    hint: "the object was cut or exchanged, which this format itself does not show",
  });
}

/** Passes on pieces, and fails before it gives more than expected, or at the end if less came. @throws `malformed-envelope` */
export async function* ofExpectedLength<T extends Uint8Array>(
  pieces: AsyncIterable<T>,
  expected: number | undefined,
): AsyncGenerator<T, void, undefined> {
  let given = 0;
  for await (const piece of pieces) {
    given += piece.length;
    if (expected !== undefined && given > expected) throw otherLength(`at least ${given}`, expected);
    yield piece;
  }
  if (expected !== undefined && given < expected) throw otherLength(`${given}`, expected);
}
