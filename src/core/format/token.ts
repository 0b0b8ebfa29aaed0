import { fromBase64Url, isBytes, viewOf } from "../base/bytes.ts";
import { invalidArgument, malformed } from "../base/errors.ts";
import { KID_BYTES, SIV_BYTES, XAES_OVERHEAD_BYTES } from "../contracts/suite.ts";

import { hintAbout, hintAboutTokenText, hintAboutType, typeInWords } from "./looks-like.ts";

// docs/format.md §5

export const TOKEN_HEAD = 0x9c;
export const DETERMINISTIC_TOKEN_HEAD = 0xbc;
/** Head and kid: what names the key, and what both kinds authenticate. */
export const TOKEN_PREFIX_BYTES: number = 1 + KID_BYTES;
/** The bytes that a random token adds to its plaintext: prefix, nonce and tag. */
export const TOKEN_OVERHEAD_BYTES: number = TOKEN_PREFIX_BYTES + XAES_OVERHEAD_BYTES;
/** The bytes that a deterministic token adds to its plaintext: prefix and SIV. */
export const DETERMINISTIC_TOKEN_OVERHEAD_BYTES: number = TOKEN_PREFIX_BYTES + SIV_BYTES;

export type TokenKind = "token" | "deterministic-token";

/** The parts of a token that stand in clear. */
export interface ParsedToken {
  readonly kind: TokenKind;
  /** A view. */
  readonly kid: Uint8Array;
  readonly plaintextBytes: number;
}

/**
 * Takes a token apart, given as bytes or as base64url without padding.
 *
 * @throws `malformed-envelope` if it is neither kind of token, `invalid-argument` if it is neither bytes nor text
 */
export function parseToken(token: Uint8Array | string): ParsedToken {
  const bytes = tokenBytes(token);
  const kind = tokenKind(bytes);
  return {
    kind,
    kid: bytes.subarray(1, TOKEN_PREFIX_BYTES),
    plaintextBytes: bytes.length - (kind === "token" ? TOKEN_OVERHEAD_BYTES : DETERMINISTIC_TOKEN_OVERHEAD_BYTES),
  };
}

/** Returns the kind of a token. @throws `malformed-envelope` if they are neither, or too short */
export function tokenKind(bytes: Uint8Array): TokenKind {
  const head = bytes[0];
  if (head !== TOKEN_HEAD && head !== DETERMINISTIC_TOKEN_HEAD)
    throw malformed("not a token: the first byte is neither 9C nor BC", hintAbout(bytes));
  const isRandom = head === TOKEN_HEAD;
  const least = isRandom ? TOKEN_OVERHEAD_BYTES : DETERMINISTIC_TOKEN_OVERHEAD_BYTES;
  if (bytes.length < least) {
    throw malformed(`a token of this kind has at least ${least} bytes, ${bytes.length} are there`, "It looks cut short.");
  }
  return isRandom ? "token" : "deterministic-token";
}

/** A view of a token's bytes. @throws as `parseToken` */
export function tokenBytes(token: Uint8Array | string): Uint8Array {
  if (isBytes(token)) return viewOf(token);
  if (typeof token !== "string")
    throw invalidArgument(`a token is a Uint8Array or base64url text, not ${typeInWords(token)}`, hintAboutType(token));
  const bytes = fromBase64Url(token);
  if (bytes === undefined) throw malformed("token text is not base64url without padding", hintAboutTokenText(token));
  return bytes;
}
