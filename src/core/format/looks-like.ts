import { fromBase64Url, fromHex, textOf } from "../base/bytes.ts";

/**
 * Says what bytes look like that are not what was expected, and what to do about it: for the hint of an error. Reads the beginning
 * alone and shows nothing of it.
 *
 * @returns undefined if they look like nothing known
 */
export function hintAbout(given: Uint8Array | string): string | undefined {
  if (given.length === 0) return "It is empty.";
  if (typeof given === "string") return hintAboutText(given.slice(0, LOOKED_AT));
  const kind = kindOf(given);
  if (kind !== undefined) return `It looks like ${kind}.`;
  const text = textOf(given.subarray(0, LOOKED_AT).filter((byte) => byte < 0x80)) ?? "";
  const isText = given.subarray(0, LOOKED_AT).every((byte) => byte >= 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d);
  return isText && text !== "" ? hintAboutText(text) : undefined;
}

/** Says what is wrong with the text of a token that is not base64url. */
export function hintAboutTokenText(text: string): string {
  if (/^[\w-]+$/.test(text))
    return "It looks like a token that was cut short or changed: compare its length with what the column can hold.";
  if (/^[\w+/-]+={0,2}$/.test(text)) return "It looks like base64: tokens are base64url without padding.";
  return hintAboutText(text.slice(0, LOOKED_AT));
}

/** Names the type of a value that a caller gave in place of bytes. */
export function typeInWords(value: unknown): string {
  if (value === null) return "null";
  if (isList(value)) return "an array";
  if (typeof value !== "object") return value === undefined ? "undefined" : `a ${typeof value}`;
  const tag = tagOf(value);
  return tag === "Object" ? "an object" : `${/^[AEIOU]/.test(tag) ? "an" : "a"} ${tag}`;
}

function isList(value: unknown): boolean {
  try {
    return Array.isArray(value);
  } catch {
    return false; // a revoked proxy
  }
}

function tagOf(value: object): string {
  try {
    return Object.prototype.toString.call(value).slice(8, -1);
  } catch {
    return "Object"; // a revoked proxy, or a getter that throws
  }
}

/** Says how to make bytes of a value that holds them in another form. @returns undefined for other values */
export function hintAboutType(value: unknown): string | undefined {
  if (typeof value === "string") return hintAboutText(value.slice(0, LOOKED_AT));
  if (isList(value)) return "Uint8Array.from(array) makes bytes of it.";
  if (typeof value !== "object" || value === null) return undefined;
  const tag = tagOf(value);
  if (tag === "Promise") return "Await it first.";
  if (tag === "ArrayBuffer" || tag === "SharedArrayBuffer") return "new Uint8Array(buffer) is a view of it.";
  if (tag === "Blob" || tag === "File" || tag === "Response") return "await value.bytes(), or new Uint8Array(await value.arrayBuffer()).";
  if (tag === "ReadableStream") return "Use the stream methods, encryptStream and decryptStream.";
  return isBufferInJson(value) ? "It is a Buffer that went through JSON: Uint8Array.from(value.data)." : undefined;
}

function isBufferInJson(value: object): boolean {
  try {
    return "type" in value && value.type === "Buffer";
  } catch {
    return false;
  }
}

function hintAboutText(text: string): string {
  const beginning = text.trim();
  if (beginning.startsWith("-----BEGIN ")) return "It looks like PEM text.";
  if (beginning.startsWith("{") || beginning.startsWith("[")) return "It looks like JSON text, not like something encrypted.";
  const hex = fromHex(beginning.slice(0, 8).toLowerCase());
  const inHex = hex && kindOf(hex);
  if (inHex !== undefined) return `It looks like ${inHex} in hex: decode it to bytes first.`;
  const base64 = fromBase64Url(beginning.slice(0, 8).replaceAll("+", "-").replaceAll("/", "_"));
  const inBase64 = base64 && kindOf(base64);
  if (inBase64 !== undefined) return `It looks like ${inBase64} in base64: decode it to bytes first.`;
  return "It looks like plain text, not like something encrypted.";
}

/** Tells the kind by the first bytes alone. docs/format.md §3, §4, §5 */
function kindOf(bytes: Uint8Array): string | undefined {
  const [head, version, reserved] = bytes;
  if (head === 0x9e && version === 1 && reserved === 0) return "an envelope, which Keyring.decrypt opens";
  if (head === 0x9d && version === 0x83) return "a key record, which Keyring.unwrapDataKey opens";
  if (head === 0x9c || head === 0xbc) return "a token of a field, which its cipher or DataKey decrypts";
  return undefined;
}

/** A token or an envelope shows what it is within so many characters. */
const LOOKED_AT = 64;
