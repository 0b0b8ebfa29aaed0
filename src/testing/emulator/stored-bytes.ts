import { invalidArgument } from "../../core/base/errors.ts";
import { shownValue } from "../../core/base/options.ts";

/** The bytes that an emulator may hold. */
export class Capacity {
  readonly #most: number;
  readonly #full: (text: string) => Error;
  #held = 0;

  /** @param full makes the error for more than that */
  constructor(most: number, full: (text: string) => Error) {
    this.#most = most;
    this.#full = full;
  }

  /** @throws what `full` makes */
  hold(bytes: number): void {
    if (this.#held + bytes > this.#most)
      throw this.#full(`The emulator holds at most ${this.#most} bytes: start it with a greater mostStoredBytes`);
    this.#held += bytes;
  }

  release(bytes: number): void {
    this.#held -= bytes;
  }
}

/** The bytes from `start` to before `end` of what pieces hold together. */
export function sliceOf(pieces: readonly Buffer[], start: number, end: number): Buffer[] {
  const found: Buffer[] = [];
  let at = 0;
  for (const piece of pieces) {
    const [from, to] = [Math.max(start - at, 0), Math.min(end - at, piece.length)];
    if (from < to) found.push(piece.subarray(from, to));
    at += piece.length;
  }
  return found;
}

/** Reads an option that is a number of bytes. @throws `invalid-argument` */
export function byteCount(given: number | undefined, otherwise: number, name: string): number {
  const bytes = given ?? otherwise;
  if (!Number.isSafeInteger(bytes) || bytes < 1)
    throw invalidArgument(`${name} must be a whole number of bytes from 1, not ${shownValue(bytes)}`);
  return bytes;
}

export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Reads a Range header. @returns undefined for the whole, also for what services overlook, such as two ranges; `outside` for bytes that are not there */
export function rangeIn(header: string | undefined, size: number): ByteRange | "outside" | undefined {
  const [, first = "", last = ""] = /^bytes=([0-9]{0,15})-([0-9]{0,15})$/.exec(header ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  const range =
    first === ""
      ? { start: Math.max(0, size - Number(last)), end: size }
      : { start: Number(first), end: last === "" ? size : Math.min(size, Number(last) + 1) };
  if (first !== "" && last !== "" && Number(last) < Number(first)) return undefined;
  return range.start >= size || range.start >= range.end ? "outside" : range;
}
