import { bodyBytes } from "../crypto/cobblestone.ts";
import { MAX_HEADER_BYTES } from "../format/envelope.ts";

// Encrypt and decrypt hold the whole value in memory, which makes a limit.
export const MAX_PLAINTEXT_BYTES: number = 2 ** 30;
export const MAX_ENVELOPE_BYTES: number = MAX_HEADER_BYTES + bodyBytes(MAX_PLAINTEXT_BYTES);
