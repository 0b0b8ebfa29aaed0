import { equalPublicBytes, type OwnedBytes, textOf } from "../../src/core/base/bytes.ts";
import type { Pkcs11KeySelector, Pkcs11TokenSelector } from "./options.ts";
import { decodeUriValue, encodeUriBytes, encodeUriText } from "./pkcs11-uri.ts";

/** The object that a key id names, exactly. */
export interface KeyName {
  readonly token: string;
  /** CKA_LABEL; empty if the object has none. */
  readonly label: string;
  /** CKA_ID; empty if the object has none. */
  readonly id: OwnedBytes;
  readonly serial: string;
}

/** `pkcs11:token=…;object=…;id=%XX…;serial=…`, without the attributes that the object has not. One text for each name. */
export function formatKeyId({ token, label, id, serial }: KeyName): string {
  const object = label === "" ? "" : `;object=${encodeUriText(label)}`;
  return `pkcs11:token=${encodeUriText(token)}${object}${id.length === 0 ? "" : `;id=${encodeUriBytes(id)}`};serial=${encodeUriText(serial)}`;
}

/** Reads what `formatKeyId` writes, and nothing else: undefined for any other text, whatever it is. */
export function parseKeyId(keyId: string): KeyName | undefined {
  const [, tokenText, labelText, idText, serialText] = KEY_ID.exec(keyId) ?? [];
  const token = textIn(tokenText);
  const label = textIn(labelText ?? "");
  const id = decodeUriValue(idText ?? "");
  const serial = textIn(serialText);
  if (token === undefined || label === undefined || id === undefined || serial === undefined) return undefined;
  const name: KeyName = { token, label, id, serial };
  return formatKeyId(name) === keyId ? name : undefined;
}

/** Whether a key id names an object on this token under one of these selectors. Compares alone. */
export function ownedKey(keyId: string, token: Pkcs11TokenSelector, keys: readonly Pkcs11KeySelector[]): KeyName | undefined {
  const name = keyId.length <= MAX_KEY_ID_LENGTH ? parseKeyId(keyId) : undefined;
  if (name === undefined) return undefined;
  if (token.label !== undefined && token.label !== name.token) return undefined;
  if (token.serial !== undefined && token.serial !== name.serial) return undefined;
  return keys.some((key) => selects(key, name)) ? name : undefined;
}

/** Whether an object is one that a selector means. */
export function selects({ label, id }: Pkcs11KeySelector, name: { readonly label: string; readonly id: Uint8Array }): boolean {
  return (label === undefined || label === name.label) && (id === undefined || equalPublicBytes(id, name.id));
}

function textIn(value: string | undefined): string | undefined {
  if (value?.includes("%") !== true) return value;
  const bytes = decodeUriValue(value);
  return bytes === undefined ? undefined : textOf(bytes);
}

const MAX_KEY_ID_LENGTH = 512; // docs/format.md §3
const KEY_ID = /^pkcs11:token=([A-Za-z0-9._~%-]*)(?:;object=([A-Za-z0-9._~%-]+))?(?:;id=((?:%[0-9A-F]{2})+))?;serial=([A-Za-z0-9._~%-]*)$/;
