import { textOf } from "../../src/core/base/bytes.ts";

/** The next step for a value that is no key in any form. @returns undefined if its form says nothing */
export function hintOnForm(material: unknown, expected: number): string | undefined {
  if (typeof material === "string") return hintOnText(material, expected);
  if (material instanceof ArrayBuffer) return "new Uint8Array(buffer) makes bytes of it";
  if (material === undefined) return "it is undefined: check the name that it is read from, such as a variable or a secret";
  return undefined;
}

/** The next step for bytes of a wrong length: text that was not decoded has another length than the key in it. */
export function hintOnLength(bytes: Uint8Array, expected: number): string {
  const text = bytes.length > MOST_TEXT_BYTES ? undefined : textOf(bytes);
  const encoding = text === undefined ? undefined : encodingOf(text.trim(), expected);
  if (encoding !== undefined) return `these are the letters of ${encoding} text: ${DECODE[encoding]} makes the key of it`;
  return `a key of AES-128 or a password cannot stand in for it: crypto.getRandomValues(new Uint8Array(${expected})) makes a new one`;
}

function hintOnText(text: string, expected: number): string {
  const encoding = encodingOf(text, expected);
  if (encoding !== undefined) return `it is ${encoding} text: ${DECODE[encoding]} makes the key of it`;
  return `text is no key, and a password is too weak for one: crypto.getRandomValues(new Uint8Array(${expected})) makes a new one`;
}

function encodingOf(text: string, expected: number): keyof typeof DECODE | undefined {
  if (text.length === 2 * expected && /^[0-9a-f]+$/i.test(text)) return "hexadecimal";
  const letters = Math.ceil((4 * expected) / 3);
  if (text.replace(/=+$/, "").length !== letters) return undefined;
  if (/^[A-Za-z0-9+/]+=*$/.test(text)) return "base64";
  return /^[\w-]+=*$/.test(text) ? "base64url" : undefined;
}

const DECODE = {
  hexadecimal: 'Buffer.from(text, "hex")',
  base64: 'Buffer.from(text, "base64")',
  base64url: 'Buffer.from(text, "base64url")',
} as const;
const MOST_TEXT_BYTES = 4096;
