import { readFileSync } from "node:fs";
import { toHex } from "../../src/core/base/bytes.ts";

/** Whether a file holds these bytes, as they are, in hex or in base64. */
export function fileHolds(path: string, bytes: Uint8Array): boolean {
  const content = readFileSync(path);
  return [Buffer.from(bytes), toHex(bytes), Buffer.from(bytes).toString("base64")].some((form) => content.includes(form));
}
