import { byteAt } from "../../base/bytes.ts";

// Copies into and out of memory that is shared with native code. Short ones are loops, because a call costs more than their bytes.

/** Copies bytes into the memory. Returns where they end. */
export function copyIn(memory: Uint8Array, bytes: Uint8Array, at: number): number {
  const { length } = bytes;
  if (length > LOOPED_BYTES) memory.set(bytes, at);
  else for (let index = 0; index < length; index++) memory[at + index] = byteAt(bytes, index);
  return at + length;
}

export function copyOut(memory: Uint8Array, at: number, bytes: number, target: Uint8Array, offset: number): void {
  if (bytes > LOOPED_BYTES) target.set(memory.subarray(at, at + bytes), offset);
  else for (let index = 0; index < bytes; index++) target[offset + index] = byteAt(memory, at + index);
}

/** Copies bytes out of the memory into an array of their own, and wipes them there. */
export function taken(memory: Uint8Array, at: number, bytes: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  copyOut(memory, at, bytes, copy, 0);
  memory.fill(0, at, at + bytes);
  return copy;
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

/** The longest copy that is a loop. */
export const LOOPED_BYTES = 96;
