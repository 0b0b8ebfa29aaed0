import { textOf } from "../../../base/bytes.ts";
import type { MemoryText } from "./coarse.ts";

/** Text in the module's memory by way of Buffer, which is the fastest for short ones. */
export function bufferTextIn(memory: Uint8Array<ArrayBuffer>): MemoryText {
  const buffer = Buffer.from(memory.buffer, memory.byteOffset, memory.length);
  return {
    write: (text, at, room) => buffer.write(text, at, room, "utf8"),
    ascii: (at, end) => buffer.toString("latin1", at, end),
    utf8(at, end) {
      const text = buffer.toString("utf8", at, end);
      return text.includes(REPLACEMENT) ? textOf(memory.subarray(at, end)) : text;
    },
  };
}

/** What Buffer makes of bytes that are no UTF-8. It may stand in a text by right. */
const REPLACEMENT = "\u{fffd}";
