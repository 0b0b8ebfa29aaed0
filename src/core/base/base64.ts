import { fromBase64Url, type OwnedBytes, toBase64Url } from "./bytes.ts";

/** Encodes standard base64 with padding. RFC 4648 §4 */
export function toBase64(bytes: Uint8Array): string {
  const text = toBase64Url(bytes).replaceAll("-", "+").replaceAll("_", "/");
  return text.padEnd(Math.ceil(text.length / 4) * 4, "=");
}

/** Decodes canonical standard base64. Returns undefined for missing padding, a foreign character or unused bits that are set. */
export function fromBase64(text: string): OwnedBytes | undefined {
  if (text.length % 4 !== 0 || /[-_]|=(?!=?$)/.test(text)) return undefined;
  return fromBase64Url(text.replace(/==?$/, "").replaceAll("+", "-").replaceAll("/", "_"));
}
