import { EnvelockError } from "../core/base/errors.ts";
import { keyShredded } from "./key-table.ts";

// The errors of a scope that gives no key.

/** The states of a scope in which it gives no key. */
export type Refusing = "rolled-back" | "stale" | "shredded" | "closed";

export function refusalOf(state: Refusing): EnvelockError {
  if (state === "shredded") return keyShredded();
  if (state === "closed") return letGo();
  return state === "stale" ? stale() : rolledBack();
}

export function unknownKid(kid: string): EnvelockError {
  return new EnvelockError("authentication-failed", `the store has no data key ${kid} in this scope`, {
    hint: "The token belongs to another scope, such as another tenant, or the table of data keys is not the one that it was written with.",
  });
}

export function notLoaded(): EnvelockError {
  return new EnvelockError("unavailable", "this version of the data key is not loaded", {
    hint: "Decrypt with an async method, which fetches it, or raise maxVersions.",
  });
}

export function dormant(): EnvelockError {
  return new EnvelockError("unavailable", "the data keys of this scope were forgotten, and are being unwrapped again", {
    hint: "Try again, ask field() again, or decrypt with an async method: these two wait.",
  });
}

export function letGo(): EnvelockError {
  return new EnvelockError("closed", "the keys of this scope have been let go", {
    retryable: true,
    hint: "Ask field() again; raise maxScopes if more scopes than that are in use at once.",
  });
}

export function stale(cause?: unknown): EnvelockError {
  return new EnvelockError("unavailable", "the data-key store could not be read for longer than maxStaleMs", {
    cause,
    hint: "The store is read again every few seconds; field() and the async methods read it at once.",
  });
}

export function rolledBack(): EnvelockError {
  return new EnvelockError("provider-failure", "the data-key store has lost rows or changes that it had: it takes no new data", {
    hint: "Bring the lost rows back before anything else is written; what is loaded still decrypts.",
  });
}

export function withoutActiveKey(): EnvelockError {
  return new EnvelockError("provider-failure", "the scope has no active data key that could be unwrapped");
}
