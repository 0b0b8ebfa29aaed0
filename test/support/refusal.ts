import { assert } from "vitest";
import { EnvelockError, type ErrorCode } from "../../src/core/base/errors.ts";

/** The error that `work` is refused with. Fails for a result, and for an exception of any other class. */
export async function refusal(work: () => unknown): Promise<EnvelockError> {
  try {
    await work();
  } catch (error) {
    assert.instanceOf(error, EnvelockError);
    if (error instanceof EnvelockError) return error;
  }
  return assert.fail("was not refused");
}

/** The code that `work` is refused with. */
export async function refusalCode(work: () => unknown): Promise<ErrorCode> {
  return (await refusal(work)).code;
}
