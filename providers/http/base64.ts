import { fromBase64Url, type OwnedBytes, toBase64Url } from "../../src/core/base/bytes.ts";

/** Encodes standard base64 with padding, as most services write bytes in JSON. */
export function toBase64(bytes: Uint8Array): string {
  const text = toBase64Url(bytes).replaceAll("-", "+").replaceAll("_", "/");
  return text + "=".repeat((4 - (text.length % 4)) % 4);
}

/** Decodes canonical standard base64. Returns undefined for any other spelling. The caller owns the result. */
export function fromBase64(text: string): OwnedBytes | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const bytes = fromBase64Url(text.replace(/=+$/, "").replaceAll("+", "-").replaceAll("/", "_"));
  return bytes && new Uint8Array(bytes); // a copy, because the result of fromBase64Url may lie in shared memory
}
