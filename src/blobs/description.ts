import { fromBase64Url, isTextOfAtMost, textOf, toBase64Url, utf8 } from "../core/base/bytes.ts";
import type { Context } from "../core/base/context.ts";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { jsonIn } from "../core/base/json.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import { type DataKey, isNamedBy } from "../core/data-key/data-key.ts";
import { parseToken } from "../core/format/token.ts";

/**
 * What a blob is, encrypted beside it under the blob's own data key: a store sees nothing of it. Clients state names and types, so they
 * are only as true as the client.
 */
export interface BlobDescription {
  /** A file's name, for people. At most 1,024 bytes. */
  readonly name?: string;
  /** A media type, such as `application/pdf`. At most 255 ASCII characters. */
  readonly type?: string;
  /** How the plaintext was compressed before it was encrypted, such as `gzip`. */
  readonly compressed?: string;
}

/** Checks and copies a description. @throws `invalid-argument` */
export function checkedDescription(given: BlobDescription): BlobDescription {
  refuseUnknown(given, NAMES, "describe");
  const { name, type, compressed } = given;
  if (name !== undefined && !isTextOfAtMost(1024, name)) throw invalidArgument("the name of a description is text of 1 to 1,024 bytes");
  for (const [what, text] of Object.entries({ type, compressed })) {
    if (text !== undefined && !(typeof text === "string" && HEADER_TEXT.test(text))) {
      throw invalidArgument(`the ${what} of a description is 1 to 255 printable ASCII characters`);
    }
  }
  return { ...(name !== undefined && { name }), ...(type !== undefined && { type }), ...(compressed !== undefined && { compressed }) };
}

/** Encrypts a description to the text of a token. */
export function sealedDescription(dataKey: DataKey, context: Context, description: BlobDescription): string {
  return toBase64Url(dataKey.encryptToken(utf8(JSON.stringify(description)), context));
}

/**
 * Decrypts a description. A token of another data key is what another version of the blob left, and counts as none.
 *
 * @throws `authentication-failed`, `malformed-envelope`
 */
export function openedDescription(dataKey: DataKey, context: Context, token: string): BlobDescription | undefined {
  const bytes = fromBase64Url(token);
  if (bytes === undefined) throw malformedDescription();
  parseToken(bytes);
  if (!isNamedBy(dataKey, bytes)) return undefined;
  const given: unknown = jsonIn(textOf(dataKey.decryptToken(bytes, context)) ?? "");
  if (typeof given !== "object" || given === null) throw malformedDescription();
  const known = Object.fromEntries(
    Object.keys(NAMES).flatMap((name) => {
      const text: unknown = Reflect.get(given, name);
      return typeof text === "string" ? [[name, text] as const] : [];
    }),
  );
  return checkedDescription(known);
}

function malformedDescription(): EnvelockError {
  return new EnvelockError("malformed-envelope", "the description beside the blob is none");
}

const NAMES: OptionNames<BlobDescription> = { name: true, type: true, compressed: true };
const HEADER_TEXT = /^[\x20-\x7e]{1,255}$/;
