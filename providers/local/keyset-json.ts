import { isBytes, textOf } from "../../src/core/base/bytes.ts";
import { type EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { withoutMark } from "../../src/core/base/text-mark.ts";

/**
 * Parses the text of a keyset. A byte order mark is skipped: editors and shells of Windows write one.
 *
 * @throws `invalid-argument` if it is not JSON, with what it looks like instead. Nothing of the text is in the message: it may be a key
 */
export function keysetJson(json: string | Uint8Array): unknown {
  const text = isBytes(json) ? utf8TextOf(json) : json;
  if (typeof text !== "string") throw invalidArgument("a keyset is given as text or bytes");
  try {
    return JSON.parse(withoutMark(text));
  } catch {
    const [what, hint] = FORMS.find(([form]) => form.test(text))?.[1] ?? ["it is not JSON", MAKE_ONE];
    throw invalidArgument(`this is not a keyset: ${what}`, hint);
  }
}

/** What is said of JSON without an array of keys. */
export function noKeys(document: unknown): EnvelockError {
  const isJwk = typeof document === "object" && document !== null && "kty" in document;
  if (isJwk) return invalidArgument("this is one JSON Web Key, not a keyset", 'a keyset is {"primary": "<kid>", "keys": [<key>, …]}');
  return invalidArgument("a keyset has an array of keys", MAKE_ONE);
}

function utf8TextOf(bytes: Uint8Array): string {
  const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  if (isUtf16) throw invalidArgument("this is not a keyset: it is text in UTF-16", "save it as UTF-8");
  const text = textOf(bytes);
  if (text === undefined)
    throw invalidArgument("this is not a keyset: its bytes are not text", bytes[0] === ENVELOPE_HEAD ? IS_ENVELOPE : MAKE_ONE);
  return text;
}

type Form = readonly [form: RegExp, said: readonly [what: string, hint: string]];

/** docs/format.md §2: the first byte of an envelope. */
const ENVELOPE_HEAD = 0x9e;
const MAKE_ONE = "`envelock keygen <file>` makes a keyset";
const IS_ENVELOPE = "this looks like an envelope; a keyset is the file that `envelock keygen` makes";
const BARE_KEY =
  'put a bare key into a keyset: {"primary":"<id>","keys":[{"kty":"oct","kid":"<id>","created":"<time>","k":"<base64url>"}]}';
const FORMS: readonly Form[] = [
  [/^\s*$/, ["it is empty", MAKE_ONE]],
  [/\0/, ["it looks like text in UTF-16", "save it as UTF-8"]],
  [/^\s*[0-9a-f]{64}\s*$/i, ["it looks like a key in hexadecimal digits", BARE_KEY]],
  [/^\s*[\w+/-]{43}=?\s*$/, ["it looks like a key in base64", BARE_KEY]],
  [/^\s*-----BEGIN /, ["it looks like PEM", MAKE_ONE]],
  [/^\s*(ssh-|AGE-SECRET-KEY-|age1)/, ["it looks like a key of another program", MAKE_ONE]],
  [
    /^\s*\{/,
    ["it begins like JSON and is cut short or damaged", "restore it from a backup: without it nothing that it encrypted can be read"],
  ],
];
