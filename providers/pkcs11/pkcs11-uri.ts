import { byteAt, copyOf, type OwnedBytes, textOf, utf8 } from "../../src/core/base/bytes.ts";
import { type EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";

/** The parts of a `pkcs11:` URI. RFC 7512 */
export interface Pkcs11Uri {
  /** The token's label. */
  readonly token: string | undefined;
  readonly serial: string | undefined;
  readonly manufacturer: string | undefined;
  readonly model: string | undefined;
  /** The object's label, CKA_LABEL. */
  readonly object: string | undefined;
  /** CKA_ID. */
  readonly id: OwnedBytes | undefined;
  readonly type: "secret-key" | "private" | "public" | undefined;
  readonly modulePath: string | undefined;
  /** Where the PIN is; nothing is read here. */
  readonly pinSource: string | undefined;
}

/**
 * Takes a `pkcs11:` URI apart, more strictly than RFC 7512 asks: what would be ignored is refused.
 *
 * Refused beside malformed ones: `slot-id` and its kin, because slots change their numbers; `module-name`, because it searches;
 * `pin-value`, because URIs are logged; attributes that no standard names; attributes that come twice.
 *
 * @throws `invalid-argument`, without the URI's values in the message
 * @example
 * ```ts
 * import { parsePkcs11Uri } from "envelock/providers/pkcs11";
 *
 * const { token } = parsePkcs11Uri("pkcs11:token=hsm;object=orders?module-path=/usr/lib/softhsm/libsofthsm2.so");
 * ```
 */
export function parsePkcs11Uri(uri: string): Pkcs11Uri {
  const [, path, query] = URI_PARTS.exec(uri) ?? [];
  if (path === undefined) throw malformedUri('it begins with "pkcs11:"');
  const attributes = new Map<string, OwnedBytes>();
  for (const attribute of path === "" ? [] : path.split(";")) take(attributes, attribute, PATH_VALUE);
  for (const attribute of query === undefined ? [] : query.split("&")) take(attributes, attribute, QUERY_VALUE);
  const text = (name: string): string | undefined => {
    const bytes = attributes.get(name);
    return bytes === undefined ? undefined : checkedText(name, bytes);
  };
  return {
    token: text("token"),
    serial: text("serial"),
    manufacturer: text("manufacturer"),
    model: text("model"),
    object: text("object"),
    id: attributes.get("id"),
    type: keyType(text("type")),
    modulePath: text("module-path"),
    pinSource: text("pin-source"),
  };
}

/** The one way that we write an attribute's text: all but unreserved characters of RFC 3986 as %XX, in capitals. */
export function encodeUriText(text: string): string {
  if (ALL_UNRESERVED.test(text)) return text; // most are, and a key id is read at every unwrap
  let encoded = "";
  for (const byte of utf8(text)) encoded += UNRESERVED.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : percent(byte);
  return encoded;
}

/** Every byte as %XX, as RFC 7512 §2.3 recommends for `id`. */
export function encodeUriBytes(bytes: Uint8Array): string {
  let encoded = "";
  for (const byte of bytes) encoded += percent(byte);
  return encoded;
}

/** The bytes that a value stands for, or undefined if a % begins no pair of hexadecimal digits. */
export function decodeUriValue(value: string): OwnedBytes | undefined {
  const raw = utf8(value);
  const bytes = new Uint8Array(raw.length);
  let length = 0;
  for (let at = 0; at < raw.length; at++) {
    if (byteAt(raw, at) !== PERCENT) {
      bytes[length++] = byteAt(raw, at);
      continue;
    }
    const digits = String.fromCharCode(byteAt(raw, at + 1), byteAt(raw, at + 2));
    if (!HEX_PAIR.test(digits)) return undefined;
    bytes[length++] = Number.parseInt(digits, 16);
    at += 2;
  }
  return copyOf(bytes.subarray(0, length));
}

function take(attributes: Map<string, OwnedBytes>, attribute: string, values: RegExp): void {
  const [, name, value] = ATTRIBUTE.exec(attribute) ?? [];
  if (name === undefined || value === undefined) throw malformedUri("an attribute is name=value");
  const refusal = REFUSED[name];
  if (refusal !== undefined) throw invalidArgument(`"${name}" in a pkcs11: URI is not taken: ${refusal}`);
  if (!(values === PATH_VALUE ? PATH_NAMES : QUERY_NAMES).has(name)) throw malformedUri(`it has no attribute "${name.slice(0, 64)}" there`);
  if (attributes.has(name)) throw malformedUri(`"${name}" comes twice`);
  const bytes = values.test(value) ? decodeUriValue(value) : undefined;
  if (bytes === undefined) throw malformedUri(`the value of "${name}" has a character that must be written as %XX`);
  attributes.set(name, bytes);
}

function checkedText(name: string, bytes: OwnedBytes): string {
  const text = textOf(bytes);
  if (text === undefined || text.includes("\0")) throw malformedUri(`the value of "${name}" is not text`);
  if (bytes.length === 0) throw malformedUri(`the value of "${name}" is empty`);
  return text;
}

function keyType(text: string | undefined): Pkcs11Uri["type"] {
  if (text === undefined || text === "secret-key" || text === "private" || text === "public") return text;
  throw malformedUri('"type" is secret-key, private or public for a key');
}

function malformedUri(rule: string): EnvelockError {
  return invalidArgument(
    `not a pkcs11: URI that can be used: ${rule}`,
    "RFC 7512 has the form: pkcs11:token=…;object=…;id=%01?module-path=/…",
  );
}

function percent(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}

const URI_PARTS = /^pkcs11:([^?#]*)(?:\?([^#]*))?$/i;
const ATTRIBUTE = /^([a-z0-9_-]+)=(.*)$/is;
const ALL_UNRESERVED = /^[A-Za-z0-9._~-]*$/;
const UNRESERVED = /^[A-Za-z0-9._~-]$/;
const HEX_PAIR = /^[0-9A-Fa-f]{2}$/;
const PATH_VALUE = /^[A-Za-z0-9._~:[\]@!$'()*+,=&%-]*$/;
const QUERY_VALUE = /^[A-Za-z0-9._~:[\]@!$'()*+,=/?|%-]*$/;
const PERCENT = 0x25;
const PATH_NAMES: ReadonlySet<string> = new Set(["token", "serial", "manufacturer", "model", "object", "id", "type"]);
const QUERY_NAMES: ReadonlySet<string> = new Set(["module-path", "pin-source"]);
const SLOTS_MOVE = "slots change their numbers; name the token by label or serial";
const REFUSED: Readonly<Record<string, string>> = {
  "slot-id": SLOTS_MOVE,
  "slot-description": SLOTS_MOVE,
  "slot-manufacturer": SLOTS_MOVE,
  "library-manufacturer": "module-path says which library",
  "library-description": "module-path says which library",
  "library-version": "module-path says which library",
  "module-name": "a module is named by its absolute path alone, in module-path",
  "pin-value": "a URI is seen and logged; give the PIN by a function, or by pin-source at the command line",
};
