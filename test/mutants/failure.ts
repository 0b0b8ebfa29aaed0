import type { FormatError } from "../format/vector-file.ts";

/** How the independent reader says that it reads no further. */
export class Refused extends Error {
  readonly error: FormatError;

  constructor(error: FormatError) {
    super(error);
    this.error = error;
  }
}

export const malformed = (): Refused => new Refused("malformed-envelope");
export const unauthentic = (): Refused => new Refused("authentication-failed");
export const invalid = (): Refused => new Refused("invalid-argument");

/** The bytes as a number, big-endian. */
export function numberIn(bytes: Uint8Array): number {
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

export function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
