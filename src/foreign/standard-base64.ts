import { fromBase64Url, type OwnedBytes, toBase64Url } from "../core/base/bytes.ts";

/** Encodes as base64 of RFC 4648 §4, with padding. */
export function toBase64(bytes: Uint8Array): string {
  const text = toBase64Url(bytes).replaceAll("-", "+").replaceAll("_", "/");
  return text.padEnd(Math.ceil(text.length / 4) * 4, "=");
}

/** Decodes canonical base64 of RFC 4648 §4. Returns undefined for missing padding, a foreign character or unused bits that are set. */
export function fromBase64(text: string): OwnedBytes | undefined {
  if (text.length % 4 !== 0 || !BASE64.test(text)) return undefined;
  return fromBase64Url(text.replace(/=+$/, "").replaceAll("+", "-").replaceAll("/", "_"));
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
