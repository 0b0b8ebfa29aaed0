import { EnvelockError } from "../../../src/core/base/errors.ts";
import * as ck from "../cryptoki/constants.ts";
import type { Cryptoki, Handle, TokenInfo } from "../cryptoki/cryptoki.ts";
import type { TokenLocation } from "../options.ts";

/**
 * The slot of the token that the options name.
 *
 * @throws `unavailable` with detail `token-missing`; `provider-failure` if several tokens fit, or the one that does is not initialised;
 *   what the library says
 */
export function findToken(
  cryptoki: Cryptoki,
  { module, token }: Pick<TokenLocation, "module" | "token">,
): { readonly slot: Handle; readonly info: TokenInfo } {
  const matches: { slot: Handle; info: TokenInfo }[] = [];
  const others: TokenInfo[] = [];
  let failure: unknown;
  for (const slot of cryptoki.slots()) {
    try {
      const info = cryptoki.tokenInfo(slot);
      if (isMeant(token, info)) matches.push({ slot, info });
      else others.push(info);
    } catch (error) {
      failure = error; // another slot's trouble, or this one's
    }
  }
  const [match, ...further] = matches;
  if (match === undefined && failure !== undefined) throw failure;
  if (match === undefined) throw tokenMissing(module, others);
  if (further.length > 0) throw ambiguous(matches.length);
  if (!isInitialised(match.info)) throw uninitialised();
  return match;
}

/** Whether the library does not show the token. */
export function isTokenMissing(error: unknown): boolean {
  return error instanceof EnvelockError && error.detail === MISSING;
}

/**
 * The same failure after the library has looked anew: `key-not-found` if it shows other tokens, so that its device answers. A library
 * that shows none may have lost it, and stays `unavailable`.
 */
export function shownMissing(error: unknown): unknown {
  if (!(error instanceof EnvelockError) || error.hint === NO_TOKEN) return error;
  const { message, hint = "" } = error;
  return new EnvelockError("key-not-found", message, { detail: MISSING, hint });
}

function isMeant(selector: TokenLocation["token"], info: TokenInfo): boolean {
  return (
    (selector.label === undefined || (selector.label === info.label && isInitialised(info))) &&
    (selector.serial === undefined || selector.serial === info.serial) &&
    (selector.manufacturer === undefined || selector.manufacturer === info.manufacturer) &&
    (selector.model === undefined || selector.model === info.model)
  );
}

function isInitialised({ flags }: TokenInfo): boolean {
  return (flags & ck.CKF_TOKEN_INITIALIZED) !== 0;
}

function tokenMissing(module: string, others: readonly TokenInfo[]): EnvelockError {
  const labels = others.filter(isInitialised).map(({ label }) => `"${label}"`);
  const isFips = labels.some((label) => /^"NSS FIPS/.test(label));
  const blank = others.length > labels.length ? "; a token that is not initialised is there too" : "";
  const hint = `it has ${labels.slice(0, 8).join(", ")}${blank}${isFips ? "; NSS runs in FIPS mode, where its token has this name" : ""}`;
  return new EnvelockError("unavailable", `${module} shows no such token`, {
    detail: MISSING,
    hint: labels.length === 0 ? (blank === "" ? NO_TOKEN : NOT_INITIALISED) : hint,
  });
}

function ambiguous(count: number): EnvelockError {
  return new EnvelockError("provider-failure", `${count} tokens fit`, { detail: "ambiguous-token", hint: "name the token's serial too" });
}

function uninitialised(): EnvelockError {
  return new EnvelockError("provider-failure", "the token is not initialised", {
    detail: "token-uninitialised",
    hint: "initialise it and set a user PIN with its own tool, such as softhsm2-util --init-token or pkcs11-tool --init-token --init-pin",
  });
}

const MISSING = "token-missing";
const NO_TOKEN = "it shows no token at all: look whether the device or its service runs";
const NOT_INITIALISED = "it shows a token that is not initialised: initialise it with its own tool, such as softhsm2-util --init-token";
