import { textOf } from "../core/base/bytes.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { ENVELOPE_HEAD } from "../core/format/envelope.ts";
import { KEY_RECORD_HEAD } from "../core/format/key-record.ts";
import { DETERMINISTIC_TOKEN_HEAD, TOKEN_HEAD } from "../core/format/token.ts";

/**
 * What to say of input that is not what a verb reads: what its beginning looks like, and the next step.
 *
 * @param start the first bytes, as many as are there; some hundred are enough
 * @param wanted what the verb reads, such as `an envelope`
 */
export function notWhatItReads(name: string, start: Uint8Array, wanted: string): EnvelockError {
  const [what, hint] = appearanceOf(start);
  return new EnvelockError("malformed-envelope", `${name} is not ${wanted}: ${what}`, { hint });
}

type Appearance = readonly [what: string, hint: string];

function appearanceOf(start: Uint8Array): Appearance {
  const [head] = start;
  if (head === undefined) return ["it is empty", "was it written to the end? Take it from a backup, or encrypt it again"];
  if (start.length < LEAST_BYTES && head === ENVELOPE_HEAD)
    return ["it ends within its header", "it was cut short: copy it again, or take it from a backup"];
  if (head === KEY_RECORD_HEAD)
    return ["it looks like a key record of a store", "`envelock inspect` shows it; `envelock keys` looks after stores"];
  if (head === TOKEN_HEAD || head === DETERMINISTIC_TOKEN_HEAD) return ["it looks like a field token", TOKEN_HINT];
  const latin1 = String.fromCharCode(...start.subarray(0, 64));
  const found = BEGINNINGS.find(([beginning]) => latin1.startsWith(beginning));
  if (found !== undefined) return [`it looks like ${found[1]}`, found[2] ?? ENCRYPT_FIRST];
  const text = textOf(start.subarray(0, lengthOfWholeText(start)));
  if (text === undefined)
    return start.length < LEAST_BYTES
      ? [`it has ${start.length === 1 ? "one byte" : `${start.length} bytes`}`, CHECK_FILE]
      : ["its first byte is not that of an envelope", CHECK_FILE];
  return TEXT_FORMS.find(([form]) => form.test(text))?.[1] ?? ["it looks like text", ENCRYPT_FIRST];
}

/** The beginning may end within a character. */
function lengthOfWholeText(start: Uint8Array): number {
  let end = start.length;
  while (end > 0 && end > start.length - 3 && ((start[end - 1] ?? 0) & 0xc0) === 0x80) end--;
  return end > 0 && (start[end - 1] ?? 0) >= 0xc0 ? end - 1 : start.length;
}

const LEAST_BYTES = 8;
const TOKEN_HINT = "a field token is opened by the application that holds its data key; `envelock inspect` shows which that is";
const ENCRYPT_FIRST = "this may be the file before encryption; `envelock encrypt` makes an envelope of it";
const CHECK_FILE = "check that this is the right file; envelopes begin with the byte 9E";
const DECODE = "decode it first: base64 --decode < file > envelope";

/** How files begin that have no text in them, or other bytes after it. */
const BEGINNINGS: readonly (readonly [beginning: string, what: string, hint?: string])[] = [
  ["\x1f\x8b", "a gzip file"],
  ["PK\x03\x04", "a ZIP archive or office document"],
  ["\x89PNG", "a PNG picture"],
  ["\xff\xd8\xff", "a JPEG picture"],
  ["%PDF-", "a PDF document"],
  ["\x28\xb5\x2f\xfd", "a Zstandard file"],
  ["age-encryption.org/", "a file of age", "open it with age"],
  ["-----BEGIN AGE", "a file of age", "open it with age"],
  ["-----BEGIN PGP", "a file of OpenPGP", "open it with gpg"],
  ["Salted__", "a file of openssl enc", "open it with openssl"],
];

const TEXT_FORMS: readonly (readonly [form: RegExp, said: Appearance])[] = [
  // 9E 01 00 00 in base64; base64url is the same here
  [/^\s*ngEAA[\w+/-]/, ["it looks like an envelope in base64", DECODE]],
  [/^\s*[nv][\w-]{40,}\s*$/, ["it looks like a field token", TOKEN_HINT]],
  [/^\s*9e010000[0-9a-f]+\s*$/i, ["it looks like an envelope in hexadecimal digits", "decode it first: xxd -r -p < file > envelope"]],
  [/^\s*\{\s*"primary"/, ["it looks like a keyset", "a keyset is named with --key; the envelope is the other argument"]],
  [/^\s*\{/, ["it looks like JSON", ENCRYPT_FIRST]],
  [/^-----BEGIN /, ["it looks like PEM", CHECK_FILE]],
  [/^[\w+/-]{32,}={0,2}\s*$/, ["it looks like base64 of something else", CHECK_FILE]],
];
