import { expect } from "vitest";

/** Compares without the detail of `toEqual`, which takes long for bytes by the thousand. */
export function expectSameBytes(actual: Uint8Array, expected: Uint8Array, message?: string): void {
  expect(Buffer.compare(actual, expected), message).toBe(0);
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}

/** A copy with some bits of one byte turned. */
export function flipped(bytes: Uint8Array, at: number, mask = 1): Uint8Array<ArrayBuffer> {
  const copy = Uint8Array.from(bytes);
  copy[at] = (bytes[at] ?? 0) ^ mask;
  return copy;
}
