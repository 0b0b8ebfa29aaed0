import { textOf, utf8Length, wellFormedUtf8, wiping } from "../../base/bytes.ts";
import type { TextCodec } from "./engine.ts";

/** Works through Buffer, which accepts wrong input in silence. So each result is checked. */
export const nodeText: TextCodec = {
  toBase64Url: (bytes, length) => bufferOf(bytes).toString("base64url", 0, length),
  scratch: (bytes) => Buffer.alloc(bytes),
  fromBase64Url(text) {
    const bytes = Buffer.from(text, "base64url");
    return bytes.toString("base64url") === text ? bytes : undefined;
  },
  withUtf8(text, use) {
    if (isScratchTaken || 3 * text.length > SCRATCH_BYTES) {
      const bytes = wellFormedUtf8(text);
      return bytes === undefined ? use(undefined) : wiping(bytes, use);
    }
    const length = SCRATCH.write(text, 0, "utf8");
    isScratchTaken = true;
    try {
      const isWellFormed = length === text.length || utf8Length(text) !== undefined;
      return use(isWellFormed ? new Uint8Array(SCRATCH.buffer, 0, length) : undefined);
    } finally {
      SCRATCH.fill(0, 0, length);
      isScratchTaken = false;
    }
  },
  fromUtf8(bytes) {
    const text = bufferOf(bytes).toString("utf8");
    return text.includes(REPLACEMENT) ? textOf(bytes) : text;
  },
};

function bufferOf(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** What stands for bytes that are no UTF-8, and may stand in a text by right. */
const REPLACEMENT = "\u{fffd}";
const SCRATCH_BYTES = 1024;
const SCRATCH: Buffer = Buffer.from(new ArrayBuffer(SCRATCH_BYTES));
/** Whether a call further up is using the scratch: what it calls may run a caller's code, which may come here again. */
let isScratchTaken = false;
