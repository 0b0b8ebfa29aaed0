import { type OwnedBytes, textOf, wellFormedUtf8, wipe, wiping } from "../base/bytes.ts";
import type { ValueOptions } from "../base/call-options.ts";
import { invalidArgument, malformed } from "../base/errors.ts";
import { encodeJson, type JsonValue, jsonIn } from "../base/json.ts";
import type { EncryptOptions } from "./calls.ts";

// Text and JSON as the plaintext of an envelope, in UTF-8. The envelope does not say which it holds.

/** The methods of a keyring that these functions need. */
interface Sealer {
  encrypt(plaintext: Uint8Array, options: EncryptOptions): Promise<OwnedBytes>;
  decrypt(envelope: Uint8Array, options: ValueOptions): Promise<OwnedBytes>;
}

export async function encryptText(keyring: Sealer, text: string, options: EncryptOptions): Promise<OwnedBytes> {
  if (typeof text !== "string") throw invalidArgument("encryptText takes a string", "encrypt takes bytes, encryptJson other values");
  return await sealed(keyring, text, options);
}

export async function encryptJson(keyring: Sealer, value: JsonValue, options: EncryptOptions): Promise<OwnedBytes> {
  return await sealed(keyring, encodeJson(value), options);
}

export async function decryptText(keyring: Sealer, envelope: Uint8Array, options: ValueOptions): Promise<string> {
  const text = wiping(await keyring.decrypt(envelope, options), textOf);
  if (text === undefined) throw malformed("what was decrypted is not UTF-8 text", "decrypt gives it as bytes");
  return text;
}

export async function decryptJson(keyring: Sealer, envelope: Uint8Array, options: ValueOptions): Promise<JsonValue> {
  const text = wiping(await keyring.decrypt(envelope, options), textOf);
  const value = text === undefined ? undefined : jsonIn(text);
  if (value === undefined) throw malformed("what was decrypted is not JSON", "decrypt gives it as bytes");
  return value;
}

async function sealed(keyring: Sealer, text: string, options: EncryptOptions): Promise<OwnedBytes> {
  const plaintext = wellFormedUtf8(text);
  if (plaintext === undefined) throw invalidArgument("text holds a lone surrogate");
  try {
    return await keyring.encrypt(plaintext, options);
  } finally {
    wipe(plaintext);
  }
}
