import { textOf, utf8Length, wellFormedUtf8 } from "../../base/bytes.ts";
import type { TextCodec } from "./engine.ts";

/** By Buffer, which takes what is wrong in silence: hence the look at each result. */
export const nodeText: TextCodec = {
  toBase64Url: (bytes, length) => bufferOf(bytes).toString("base64url", 0, length),
  scratch: (bytes) => Buffer.alloc(bytes),
  fromBase64Url(text) {
    const bytes = Buffer.from(text, "base64url");
    return bytes.toString("base64url") === text ? bytes : undefined;
  },
  toUtf8(text) {
    if (3 * text.length > SCRATCH_BYTES) return wellFormedUtf8(text);
    const length = SCRATCH.write(text, 0, "utf8");
    if (length === text.length || utf8Length(text) !== undefined) return new Uint8Array(SCRATCH.buffer, 0, length);
    SCRATCH.fill(0, 0, length);
    return undefined;
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
// Wiped by whoever was given a view of it.
const SCRATCH: Buffer = Buffer.from(new ArrayBuffer(SCRATCH_BYTES));
