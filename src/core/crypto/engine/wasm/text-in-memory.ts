import { textOf } from "../../../base/bytes.ts";
import type { MemoryText } from "./coarse.ts";

/** Text in the module's memory, as every runtime has it. */
export function webTextIn(memory: Uint8Array<ArrayBuffer>): MemoryText {
  return {
    write: (text, at, room) => {
      const { read, written } = ENCODER.encodeInto(text, memory.subarray(at, at + room));
      return read === text.length ? written : NO_ROOM;
    },
    ascii: (at, end) => DECODER.decode(memory.subarray(at, end)),
    utf8: (at, end) => textOf(memory.subarray(at, end)),
  };
}

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();
const NO_ROOM = -1;
