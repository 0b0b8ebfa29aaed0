import { byteAt } from "../../base/bytes.ts";

// Copies into and out of memory that is shared with native code. To make a view of memory costs more than to copy what it shows.

/** Copies bytes into the memory. Returns where they end. */
export function copyIn(memory: Uint8Array, bytes: Uint8Array, at: number): number {
  const { length } = bytes;
  if (length > LOOPED_BYTES) memory.set(bytes, at);
  else for (let index = 0; index < length; index++) memory[at + index] = byteAt(bytes, index);
  return at + length;
}

/** Copies bytes in one behind the other. Returns their length, or undefined if there is no room for them. */
export function copyPartsIn(memory: Uint8Array, parts: readonly Uint8Array[], start: number, room: number): number | undefined {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  if (bytes > room) return undefined;
  let end = start;
  for (const part of parts) end = copyIn(memory, part, end);
  return bytes;
}

/** Copies bytes out of the memory into an array of their own, and wipes them there. */
export function taken(memory: Uint8Array, at: number, bytes: number): Uint8Array<ArrayBuffer> {
  return moved(memory.subarray(at, at + bytes));
}

function moved(view: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(view);
  view.fill(0);
  return copy;
}

/** The memory from one place on, from which results of many lengths are copied. Short views of it are kept. */
export class Results {
  readonly #memory: Uint8Array;
  readonly #at: number;
  readonly #views: (Uint8Array | undefined)[] = [];

  /** @param memory neither moves nor grows */
  constructor(memory: Uint8Array, at: number) {
    this.#memory = memory;
    this.#at = at;
  }

  copyTo(target: Uint8Array, offset: number, bytes: number): void {
    target.set(this.#first(bytes), offset);
  }

  /** Copies bytes into an array of their own, and wipes them here. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    return moved(this.#first(bytes));
  }

  #first(bytes: number): Uint8Array {
    const kept = this.#views[bytes];
    if (kept !== undefined) return kept;
    const view = this.#memory.subarray(this.#at, this.#at + bytes);
    if (bytes <= MOST_KEPT_BYTES) this.#views[bytes] = view;
    return view;
  }
}

/** The longest copy that is a loop: a call takes as long as 10 bytes of one. */
const LOOPED_BYTES = 8;
const MOST_KEPT_BYTES = 1024;
